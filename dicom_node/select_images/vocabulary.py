"""Words for body parts and views, in the languages that consoles write.

Latin words match whole words, without regard to accents and case; a phrase matches its words in a
row. Words of other scripts, which are written without spaces or with endings, match anywhere.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

# English and French, German, Dutch, Spanish, Portuguese, Italian, Nordic, Polish, Czech, Turkish,
# then Russian, Greek, Chinese and Japanese, Korean.
CHEST = (
    *("chest", "thorax", "lung", "lungs", "cxr", "pulmonary"),
    *("poumon", "poumons", "thoracique", "brustkorb", "lunge", "lungen", "rontgenthorax"),
    *("longen", "borstkas", "torax", "pulmon", "pulmones", "pulmao", "pulmoes", "torace"),
    *("polmone", "polmoni", "brystkasse", "lunger", "lungor", "toraksi", "keuhkot"),
    *("klatka piersiowa", "klatki piersiowej", "hrudnik", "hrudniku", "toraks", "akciger"),
    *("грудн", "легк", "θωρακ", "胸", "肺", "흉부", "가슴"),
)

OTHER_PARTS = (
    *("abdomen", "abdominal", "kub", "pelvis", "becken", "bassin", "hip", "hips", "hufte"),
    *("spine", "thoracic spine", "cspine", "lspine", "tspine", "bws", "lws", "hws", "rachis"),
    *("columna", "colonna", "coluna", "skull", "schadel", "crane", "craneo", "head", "sinus"),
    *("neck", "hand", "wrist", "finger", "thumb", "elbow", "forearm", "humerus"),
    *("shoulder", "schulter", "epaule", "hombro", "ombro", "spalla", "clavicle", "scapula"),
    *("leg", "knee", "knie", "genou", "rodilla", "joelho", "ginocchio", "ankle", "foot", "toe"),
    *("femur", "tibia", "fibula", "extremity", "extremities", "mano", "pied"),
    *("rib", "ribs", "ribcage", "sternum", "breast", "mamma", "mammography"),
    *("腹", "骨盆", "骨盤", "脊", "椎", "膝", "手", "足", "肩", "头", "頭", "복부", "живот", "таз"),
)

# View Position defined terms first (PS3.3 C.8.1.2, C.8.11.5).
FRONTAL = (
    *("pa", "ap", "aps", "p a", "a p", "frontal", "posteroanterior", "anteroposterior"),
    *("postero anterior", "antero posterior", "dv", "vd", "face", "frente", "正面", "正位"),
    *("后前", "後前", "прям", "전후", "후전"),
)

# Decubitus films (LLD, RLD) are frontal, but the patient lies on the side.
NOT_FRONTAL = (
    *("ll", "rl", "lld", "rld", "llo", "rlo", "rao", "lao", "rpo", "lpo", "lat", "lateral"),
    *("llat", "rlat", "laterale", "laterolateral", "decubitus", "oblique", "obl", "obliqua"),
    *("oblicua", "schrag", "seitlich", "seite", "profil", "perfil", "profilo", "lordotic"),
    *("axial", "tangential", "swimmers", "xtable", "側面", "侧位", "側位", "斜位"),
    *("боков", "측면"),
)

# What this node and other software write on objects made from a film.
RESULTS = (
    *("heatmap", "heat map", "saliency", "overlay", "cad result", "ai result", "ai results"),
    *("ai analysis", "not for diagnostic use", "bone suppressed", "bone suppression"),
    *("bone suppress", "screen save", "screenshot", "presentation state", "dose report"),
    *("localizer",),
)


def found(text: str, words: Sequence[str]) -> str | None:
    """Return the first of the words that the text contains, or None."""
    if not text:
        return None
    plain = _plain(text)
    spaced = f" {' '.join(re.findall(r'[a-z0-9]+', plain))} "
    for word in words:
        if (f" {word} " in spaced) if word.isascii() else (_plain(word) in plain):
            return word
    return None


def _plain(text: str) -> str:
    """Lower case without accents."""
    split = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in split if not unicodedata.combining(c))
