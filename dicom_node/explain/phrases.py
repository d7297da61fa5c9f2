# ruff: noqa: RUF001 - Chinese is written with full-width punctuation
"""Every phrase that pictures and reports say to a reader, in each language.

The English warning stands beside the warning in any other language: a picture travels further than
a language. `fonts/` holds the glyphs of these phrases and of Latin text only; a test checks it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Language: TypeAlias = Literal["en", "zh-TW", "de", "es"]

WARNING = "NOT FOR DIAGNOSTIC USE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """One language. What stands in braces is filled in by `str.format`."""

    warning: str
    # The questions, and the state of each; the names are those of `message.State`
    pneumonia: str
    covid19: str
    above: str
    just_above: str
    just_below: str
    below: str
    not_assessed: str
    cut_off: str  # cut_off
    earlier: str  # date, score, now
    # Where the network looked
    where: str
    right_upper: str
    right_middle: str
    right_lower: str
    left_upper: str
    left_middle: str
    left_lower: str
    no_outlines: str
    no_place: str
    # What the reader must know
    heat_outside: str  # share
    outline_right: str  # share
    outline_left: str
    not_confirmed: str
    polarity: str
    mirrored: str
    decoding: str
    age: str
    second_film: str
    # Small print
    normals: str  # count
    view: str  # view
    no_view: str
    no_sides: str
    outlines: str
    not_tested: str
    read_at: str  # at
    made_by: str  # node, model
    # A refused film
    not_read: str
    no_score: str
    # The details
    seen_pneumonia: str
    seen_covid19: str
    lungs: str
    guided: str
    heat_scale: str
    grey_scale: str

    def banner(self) -> list[str]:
        """Return the warning, and the English one."""
        return list(dict.fromkeys((self.warning, WARNING)))


WORDS: dict[Language, Words] = {
    "en": Words(
        warning=WARNING,
        pneumonia="Pneumonia",
        covid19="COVID-19 pattern",
        above="above cut-off",
        just_above="just above cut-off",
        just_below="just below cut-off",
        below="below cut-off",
        not_assessed="not assessed",
        cut_off="cut-off {cut_off}",
        earlier="{date}: {score}, now {now}",
        where="Where the network looked",
        right_upper="Right upper zone",
        right_middle="Right middle zone",
        right_lower="Right lower zone",
        left_upper="Left upper zone",
        left_middle="Left middle zone",
        left_lower="Left lower zone",
        no_outlines="No outlines below the cut-off",
        no_place="No one place inside the lungs",
        heat_outside="{share} % of the heat lies outside the lungs: place unreliable",
        outline_right="Right lung outline is small or ends high ({share} % of the left): "
        "an opacity outside it was NOT assessed",
        outline_left="Left lung outline is small or ends high ({share} % of the right): "
        "an opacity outside it was NOT assessed",
        not_confirmed="The score hardly falls when the outlined place is hidden: "
        "place NOT confirmed",
        polarity="Black and white were exchanged before reading: the film's header is wrong",
        mirrored="The film is stored mirrored: shown and read the other way round",
        decoding="The compressed pixels have errors: parts of the film may be wrong",
        age="Age not stated: for adults only",
        second_film="Another film came under the same UID: compare before use",
        normals="Of 100 normal films {count} are above this cut-off",
        view="{view} film",
        no_view="View not stated",
        no_sides="The film does not state its sides: the patient faces you",
        outlines="Outlines: strongest half of the map, inside the lungs only",
        not_tested="Place of the heat: not tested",
        read_at="Read {at}",
        made_by="dicom-node {node}, model {model}. Research software",
        not_read="NOT READ",
        no_score="There is no score",
        seen_pneumonia="Where pneumonia was seen",
        seen_covid19="Where the COVID-19 pattern was seen",
        lungs="Lung outlines",
        guided="COVID-19 pattern in detail (Guided Grad-CAM)",
        heat_scale="Heat: activation times score",
        grey_scale="Relative activation",
    ),
    "zh-TW": Words(
        warning="不得用於診斷",
        pneumonia="肺炎",
        covid19="COVID-19 型態",
        above="高於切點",
        just_above="略高於切點",
        just_below="略低於切點",
        below="低於切點",
        not_assessed="未評估",
        cut_off="切點 {cut_off}",
        earlier="{date}：{score}，本次 {now}",
        where="網路所見位置",
        right_upper="右上肺野",
        right_middle="右中肺野",
        right_lower="右下肺野",
        left_upper="左上肺野",
        left_middle="左中肺野",
        left_lower="左下肺野",
        no_outlines="低於切點，不畫輪廓",
        no_place="肺內沒有單一位置",
        heat_outside="{share} % 的熱區在肺外：位置不可靠",
        outline_right="右肺輪廓偏小或下緣偏高（為左肺的 {share} %）：輪廓外的病灶未評估",
        outline_left="左肺輪廓偏小或下緣偏高（為右肺的 {share} %）：輪廓外的病灶未評估",
        not_confirmed="遮住所畫位置後分數幾乎不變：位置未獲證實",
        polarity="判讀前已將黑白反轉：影像標頭有誤",
        mirrored="影像以鏡像儲存：已左右反轉後顯示並判讀",
        decoding="壓縮像素有錯誤：影像可能部分不正確",
        age="未註明年齡：僅適用於成人",
        second_film="另有影像使用相同 UID：使用前請比對",
        normals="每 100 張正常影像有 {count} 張高於此切點",
        view="{view} 影像",
        no_view="未註明投照方向",
        no_sides="影像未註明左右：病人面向您",
        outlines="輪廓：熱圖最強的一半，僅限肺內",
        not_tested="熱區位置：未檢驗",
        read_at="判讀時間 {at}",
        made_by="dicom-node {node}，模型 {model}。研究用軟體",
        not_read="未判讀",
        no_score="沒有分數",
        seen_pneumonia="肺炎所見位置",
        seen_covid19="COVID-19 型態所見位置",
        lungs="肺部輪廓",
        guided="COVID-19 型態細節（Guided Grad-CAM）",
        heat_scale="熱度：活化程度乘以分數",
        grey_scale="相對活化程度",
    ),
    "de": Words(
        warning="NICHT FÜR DIAGNOSTISCHE ZWECKE",
        pneumonia="Pneumonie",
        covid19="COVID-19-Muster",
        above="über dem Grenzwert",
        just_above="knapp über dem Grenzwert",
        just_below="knapp unter dem Grenzwert",
        below="unter dem Grenzwert",
        not_assessed="nicht beurteilt",
        cut_off="Grenzwert {cut_off}",
        earlier="{date}: {score}, jetzt {now}",
        where="Worauf das Netz sah",
        right_upper="Rechts oben",
        right_middle="Rechts Mitte",
        right_lower="Rechts unten",
        left_upper="Links oben",
        left_middle="Links Mitte",
        left_lower="Links unten",
        no_outlines="Unter dem Grenzwert keine Konturen",
        no_place="Keine einzelne Stelle in der Lunge",
        heat_outside="{share} % der Wärme liegen außerhalb der Lunge: Ort unzuverlässig",
        outline_right="Kontur der rechten Lunge klein oder unten kurz ({share} % der linken): "
        "eine Verschattung außerhalb wurde NICHT beurteilt",
        outline_left="Kontur der linken Lunge klein oder unten kurz ({share} % der rechten): "
        "eine Verschattung außerhalb wurde NICHT beurteilt",
        not_confirmed="Der Wert sinkt kaum, wenn die umrandete Stelle verdeckt ist: "
        "Ort NICHT bestätigt",
        polarity="Schwarz und Weiß wurden vor dem Lesen vertauscht: der Header ist falsch",
        mirrored="Die Aufnahme ist gespiegelt gespeichert: seitenrichtig gezeigt und gelesen",
        decoding="Die komprimierten Pixel sind fehlerhaft: Teile der Aufnahme können falsch sein",
        age="Alter nicht angegeben: nur für Erwachsene",
        second_film="Eine andere Aufnahme kam unter derselben UID: vor Gebrauch vergleichen",
        normals="Von 100 normalen Aufnahmen liegen {count} über diesem Grenzwert",
        view="{view}-Aufnahme",
        no_view="Projektion nicht angegeben",
        no_sides="Seiten nicht angegeben: Der Patient sieht Sie an",
        outlines="Konturen: stärkste Hälfte der Karte, nur in der Lunge",
        not_tested="Ort der Wärme: nicht geprüft",
        read_at="Gelesen {at}",
        made_by="dicom-node {node}, Modell {model}. Forschungssoftware",
        not_read="NICHT GELESEN",
        no_score="Es gibt keinen Wert",
        seen_pneumonia="Wo Pneumonie gesehen wurde",
        seen_covid19="Wo das COVID-19-Muster gesehen wurde",
        lungs="Lungenkonturen",
        guided="COVID-19-Muster im Detail (Guided Grad-CAM)",
        heat_scale="Wärme: Aktivierung mal Wert",
        grey_scale="Relative Aktivierung",
    ),
    "es": Words(
        warning="NO APTO PARA USO DIAGNÓSTICO",
        pneumonia="Neumonía",
        covid19="Patrón de COVID-19",
        above="sobre el corte",
        just_above="apenas sobre el corte",
        just_below="apenas bajo el corte",
        below="bajo el corte",
        not_assessed="no evaluado",
        cut_off="corte {cut_off}",
        earlier="{date}: {score}, ahora {now}",
        where="Dónde miró la red",
        right_upper="Zona superior derecha",
        right_middle="Zona media derecha",
        right_lower="Zona inferior derecha",
        left_upper="Zona superior izquierda",
        left_middle="Zona media izquierda",
        left_lower="Zona inferior izquierda",
        no_outlines="Bajo el corte no hay contornos",
        no_place="Ningún lugar único en los pulmones",
        heat_outside="El {share} % del calor está fuera de los pulmones: lugar no fiable",
        outline_right="Contorno del pulmón derecho pequeño o corto ({share} % del izquierdo): "
        "una opacidad fuera de él NO se evaluó",
        outline_left="Contorno del pulmón izquierdo pequeño o corto ({share} % del derecho): "
        "una opacidad fuera de él NO se evaluó",
        not_confirmed="El valor apenas baja al tapar el lugar marcado: lugar NO confirmado",
        polarity="Se invirtieron blanco y negro antes de leer: la cabecera es errónea",
        mirrored="La imagen está guardada en espejo: se muestra y se lee al derecho",
        decoding="Los píxeles comprimidos tienen errores: la imagen puede ser errónea en parte",
        age="Edad no indicada: solo para adultos",
        second_film="Otra imagen llegó con el mismo UID: compárelas antes de usar",
        normals="De 100 imágenes normales, {count} superan este corte",
        view="Proyección {view}",
        no_view="Proyección no indicada",
        no_sides="La imagen no indica los lados: el paciente le mira",
        outlines="Contornos: la mitad más fuerte del mapa, solo en los pulmones",
        not_tested="Lugar del calor: no comprobado",
        read_at="Leída {at}",
        made_by="dicom-node {node}, modelo {model}. Software de investigación",
        not_read="NO LEÍDA",
        no_score="No hay valor",
        seen_pneumonia="Dónde se vio neumonía",
        seen_covid19="Dónde se vio el patrón de COVID-19",
        lungs="Contornos pulmonares",
        guided="Patrón de COVID-19 en detalle (Guided Grad-CAM)",
        heat_scale="Calor: activación por valor",
        grey_scale="Activación relativa",
    ),
}
