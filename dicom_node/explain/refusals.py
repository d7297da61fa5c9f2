# ruff: noqa: RUF001 - Chinese is written with full-width punctuation
"""Why a film was not read, in a few words of each language, for the picture that says so."""

from __future__ import annotations

from dicom_node.domain.values import RefusalCode
from dicom_node.explain.phrases import Language

#: What the series' name says behind "AI: not read: "; ten letters are always shown.
SHORT: dict[RefusalCode, str] = {
    RefusalCode.BODY_PART: "body part",
    RefusalCode.VIEW: "view",
    RefusalCode.NOT_CHEST: "not chest",
    RefusalCode.NOT_FRONTAL: "lateral",
    RefusalCode.ORIENTATION: "turned",
    RefusalCode.CROPPED: "cropped",
    RefusalCode.PHOTOMETRIC: "colour",
    RefusalCode.POLARITY: "polarity",
    RefusalCode.UNREADABLE: "unreadable",
    RefusalCode.SIZE: "size",
    RefusalCode.FRAMES: "frames",
    RefusalCode.AGE: "child",
    RefusalCode.EXPOSURE: "exposure",
    RefusalCode.UNFAMILIAR: "unfamiliar",
}

_ORDER: tuple[Language, ...] = ("en", "zh-TW", "de", "es")
_REASONS: dict[RefusalCode, tuple[str, str, str, str]] = {
    RefusalCode.BODY_PART: (
        "Not a chest film", "非胸部影像", "Keine Thoraxaufnahme", "No es una imagen de tórax"),
    RefusalCode.VIEW: (
        "Not a frontal view", "非正面投照", "Keine frontale Projektion",
        "No es una proyección frontal"),
    RefusalCode.NOT_CHEST: (
        "The pixels show no chest", "像素中沒有胸部", "Die Pixel zeigen keinen Thorax",
        "Los píxeles no muestran un tórax"),
    RefusalCode.NOT_FRONTAL: (
        "Lateral view: frontal films only", "側面投照：僅判讀正面影像",
        "Seitliche Aufnahme: nur frontale werden gelesen",
        "Proyección lateral: solo se leen frontales"),
    RefusalCode.ORIENTATION: (
        "The film is not upright", "影像方向不正", "Die Aufnahme steht nicht aufrecht",
        "La imagen no está derecha"),
    RefusalCode.CROPPED: (
        "Parts of the lungs are cut off", "部分肺野被裁切", "Teile der Lunge sind abgeschnitten",
        "Faltan partes de los pulmones"),
    RefusalCode.PHOTOMETRIC: (
        "A colour picture, not a film", "彩色圖片，非 X 光影像", "Ein Farbbild, keine Aufnahme",
        "Imagen en color, no radiografía"),
    RefusalCode.POLARITY: (
        "Black and white are exchanged", "黑白反轉", "Schwarz und Weiß sind vertauscht",
        "Blanco y negro invertidos"),
    RefusalCode.UNREADABLE: (
        "The pixels cannot be decoded", "像素無法解碼", "Die Pixel sind nicht dekodierbar",
        "Los píxeles no se pueden decodificar"),
    RefusalCode.SIZE: (
        "Size or shape is not a film's", "尺寸或形狀不符", "Größe oder Form passen nicht",
        "Tamaño o forma inadecuados"),
    RefusalCode.FRAMES: (
        "More than one frame", "多於一個影格", "Mehr als ein Bild", "Más de un fotograma"),
    RefusalCode.AGE: (
        "Child: only adults are read", "兒童：僅判讀成人影像",
        "Kind: nur Erwachsene werden gelesen", "Menor: solo se leen adultos"),
    RefusalCode.EXPOSURE: (
        "Exposure or contrast too poor", "曝光或對比不足", "Belichtung oder Kontrast zu schlecht",
        "Exposición o contraste insuficientes"),
    RefusalCode.UNFAMILIAR: (
        "Unlike the films learned from", "與訓練影像差異過大",
        "Anders als die gelernten Aufnahmen", "Distinta de las imágenes aprendidas"),
}  # fmt: skip


def reason(code: RefusalCode, language: Language) -> str:
    """Return the reason in a few words."""
    return _REASONS[code][_ORDER.index(language)]
