# ruff: noqa: RUF001 - Chinese is written with full-width punctuation
"""Every phrase that is burned into a picture, in each language.

The English warning stands by the warning in any other: a picture travels further than a language.
`fonts/` holds the glyphs of these phrases and no others beside Latin; a test holds it to that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from models.reading import Reading, StageResult

Language: TypeAlias = Literal["en", "zh-TW", "de", "es"]

WARNING = "NOT FOR DIAGNOSTIC USE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """One language. What stands in braces is filled in by `str.format`."""

    warning: str
    overview: str
    film: str
    lungs: str
    lungs_title: str
    h2_label: str
    h2_title: str  # variant
    h3_label: str
    h3_title: str
    guided_title: str
    below_threshold: str  # follows a label or a title
    pneumonia_above: str  # probability, threshold
    pneumonia_below: str
    covid19_above: str
    covid19_below: str
    covid19_not_run: str
    made_by: str  # node, model, digest, at
    heat_scale: str  # iso
    grey_scale: str
    unreliable: str
    decimal_mark: str

    def banner(self) -> list[str]:
        """The warning, and the English one."""
        return list(dict.fromkeys((self.warning, WARNING)))

    def verdicts(self, reading: Reading) -> tuple[str, str]:
        """What stages 2 and 3 said."""
        pneumonia, covid19 = reading.pneumonia, reading.covid19
        return (
            self._verdict(self.pneumonia_above, self.pneumonia_below, pneumonia),
            self._verdict(self.covid19_above, self.covid19_below, covid19)
            if covid19
            else self.covid19_not_run,
        )

    def number(self, value: float, digits: int) -> str:
        """A decimal number as it is written here."""
        return f"{value:.{digits}f}".replace(".", self.decimal_mark)

    def _verdict(self, above: str, below: str, stage: StageResult) -> str:
        return (above if stage.positive else below).format(
            probability=f"{self.number(100 * stage.probability, 1)} %",
            threshold=f"{self.number(100 * stage.threshold, 1)} %",
        )


WORDS: dict[Language, Words] = {
    "en": Words(
        warning=WARNING,
        overview="Overview",
        film="Film",
        lungs="Lungs",
        lungs_title="Lungs (stage 1)",
        h2_label="Pneumonia (H2)",
        h2_title="Pneumonia heatmap H2 (stage 2, {variant})",
        h3_label="COVID-19 (H3)",
        h3_title="COVID-19 heatmap H3 (stage 3, Grad-CAM)",
        guided_title="COVID-19 Guided Grad-CAM (stage 3)",
        below_threshold=": below threshold",
        pneumonia_above="Pneumonia probability {probability}, above threshold ({threshold})",
        pneumonia_below="Pneumonia probability {probability}, below threshold ({threshold})",
        covid19_above="COVID-19 probability {probability}, above threshold ({threshold})",
        covid19_below="COVID-19 probability {probability}, below threshold ({threshold})",
        covid19_not_run="COVID-19: stage 3 not run",
        made_by="dicom-node {node}, model {model} ({digest}), read {at}. Research software. "
        "Blue: lungs.",
        heat_scale="relative activation; drawn from {iso} (white contour)",
        grey_scale="relative activation",
        unreliable="Explanation unreliable (hatched): the heat may not show what the decision "
        "came from",
        decimal_mark=".",
    ),
    "zh-TW": Words(
        warning="不得用於診斷",
        overview="總覽",
        film="原始影像",
        lungs="肺部",
        lungs_title="肺部（第一階段）",
        h2_label="肺炎（H2）",
        h2_title="肺炎熱圖 H2（第二階段，{variant}）",
        h3_label="COVID-19（H3）",
        h3_title="COVID-19 熱圖 H3（第三階段，Grad-CAM）",
        guided_title="COVID-19 Guided Grad-CAM（第三階段）",
        below_threshold="：低於閾值",
        pneumonia_above="肺炎機率 {probability}，高於閾值（{threshold}）",
        pneumonia_below="肺炎機率 {probability}，低於閾值（{threshold}）",
        covid19_above="COVID-19 機率 {probability}，高於閾值（{threshold}）",
        covid19_below="COVID-19 機率 {probability}，低於閾值（{threshold}）",
        covid19_not_run="COVID-19：未執行第三階段",
        made_by="dicom-node {node}，模型 {model}（{digest}），判讀時間 {at}。研究用軟體。"
        "藍線：肺部。",
        heat_scale="相對活化程度；自 {iso} 起顯示（白色輪廓線）",
        grey_scale="相對活化程度",
        unreliable="解釋不可靠（斜線標示）：熱圖可能未反映判斷的依據",
        decimal_mark=".",
    ),
    "de": Words(
        warning="NICHT FÜR DIAGNOSTISCHE ZWECKE",
        overview="Übersicht",
        film="Aufnahme",
        lungs="Lungen",
        lungs_title="Lungen (Stufe 1)",
        h2_label="Pneumonie (H2)",
        h2_title="Pneumonie-Heatmap H2 (Stufe 2, {variant})",
        h3_label="COVID-19 (H3)",
        h3_title="COVID-19-Heatmap H3 (Stufe 3, Grad-CAM)",
        guided_title="COVID-19: Guided Grad-CAM (Stufe 3)",
        below_threshold=": unter der Schwelle",
        pneumonia_above="Pneumonie: Wahrscheinlichkeit {probability}, "
        "über der Schwelle ({threshold})",
        pneumonia_below="Pneumonie: Wahrscheinlichkeit {probability}, "
        "unter der Schwelle ({threshold})",
        covid19_above="COVID-19: Wahrscheinlichkeit {probability}, über der Schwelle ({threshold})",
        covid19_below="COVID-19: Wahrscheinlichkeit {probability}, "
        "unter der Schwelle ({threshold})",
        covid19_not_run="COVID-19: Stufe 3 nicht ausgeführt",
        made_by="dicom-node {node}, Modell {model} ({digest}), gelesen {at}. "
        "Forschungssoftware. Blau: Lungen.",
        heat_scale="relative Aktivierung; gezeigt ab {iso} (weiße Kontur)",
        grey_scale="relative Aktivierung",
        unreliable="Erklärung unzuverlässig (schraffiert): Die Heatmap zeigt womöglich nicht, "
        "worauf die Entscheidung beruht",
        decimal_mark=",",
    ),
    "es": Words(
        warning="NO APTO PARA USO DIAGNÓSTICO",
        overview="Resumen",
        film="Radiografía",
        lungs="Pulmones",
        lungs_title="Pulmones (etapa 1)",
        h2_label="Neumonía (H2)",
        h2_title="Mapa de calor de neumonía H2 (etapa 2, {variant})",
        h3_label="COVID-19 (H3)",
        h3_title="Mapa de calor de COVID-19 H3 (etapa 3, Grad-CAM)",
        guided_title="Guided Grad-CAM de COVID-19 (etapa 3)",
        below_threshold=": por debajo del umbral",
        pneumonia_above="Probabilidad de neumonía {probability}, "
        "por encima del umbral ({threshold})",
        pneumonia_below="Probabilidad de neumonía {probability}, "
        "por debajo del umbral ({threshold})",
        covid19_above="Probabilidad de COVID-19 {probability}, por encima del umbral ({threshold})",
        covid19_below="Probabilidad de COVID-19 {probability}, por debajo del umbral ({threshold})",
        covid19_not_run="COVID-19: etapa 3 no ejecutada",
        made_by="dicom-node {node}, modelo {model} ({digest}), leída {at}. "
        "Software de investigación. Azul: pulmones.",
        heat_scale="activación relativa; se muestra desde {iso} (contorno blanco)",
        grey_scale="activación relativa",
        unreliable="Explicación no fiable (rayado): el mapa de calor puede no mostrar en qué se "
        "basa la decisión",
        decimal_mark=",",
    ),
}
