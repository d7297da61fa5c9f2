"""Words for body parts and views, in the languages that consoles write.

Latin words match whole words, without regard to accents and case; a phrase matches its words in a
row. ``stem*`` matches the beginning of a word, ``*stem*`` any part of one. Words that are run
together (CHESTPA, THORAXLAT) are taken apart first if they consist of known words only. Words of
other scripts, which are written without spaces or with endings, match anywhere.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache

# English and French, German, Dutch, Spanish, Portuguese, Italian, Nordic, Polish, Czech, Turkish,
# then Russian, Greek, Chinese and Japanese, Korean.
CHEST = (
    *("chest", "thorax*", "lung", "lungs", "cxr", "pcxr", "pulmonary", "thx", "chst"),
    *("poumon", "poumons", "thoracique", "brustkorb", "lunge", "lungen*", "rontgenthorax"),
    *("longen", "borstkas", "torax*", "pulmon", "pulmones", "pulmao", "pulmoes", "torace"),
    *("polmone", "polmoni", "brystkasse", "lunger", "lungor", "toraksi", "keuhkot"),
    *("klatka piersiowa", "klatki piersiowej", "hrudnik", "hrudniku", "toraks", "akciger"),
    *("pecho", "peito", "petto", "poitrine", "gogus", "c x r"),
    *("грудн", "легк", "θωρακ", "胸", "肺", "흉부", "가슴"),
)

OTHER_PARTS = (
    *("abdomen", "abdominal", "kub", "pelvis", "becken", "bassin", "hip", "hips", "hufte"),
    *("spine", "thoracic spine", "cspine", "lspine", "tspine", "bws", "lws", "hws", "rachis"),
    *("columna", "colonna", "coluna", "skull", "schadel", "crane", "craneo", "head", "sinus"),
    *("neck", "hand", "wrist", "finger", "thumb", "elbow", "forearm", "humerus"),
    *("shoulder", "schulter*", "epaule", "hombro", "ombro", "spalla", "clavicle", "scapula"),
    *("leg", "knee", "knie*", "genou", "rodilla", "joelho", "ginocchio", "ankle", "foot", "toe"),
    *("femur", "tibia", "fibula", "extremity", "extremities", "mano", "pied"),
    *("rib", "ribs", "ribcage", "sternum", "breast", "mamma", "mammography"),
    *(
        "abdomin*",
        "addome",
        "buik",
        "brzuch*",
        "bekken",
        "bacino",
        "bacia",
        "pelv*",
        "heup",
        "anca",
    ),
    *(
        "cadera",
        "quadril",
        "*wirbel*",
        "wervelkolom",
        "kregoslup",
        "vertebr*",
        "cervical",
    ),
    *(
        "cranio",
        "schouder",
        "elleboog",
        "ellenbogen",
        "coude",
        "codo",
        "gomito",
        "cotovelo",
        "pols",
    ),
    *("handgelenk", "poignet", "muneca", "polso", "punho", "cheville", "tobillo", "caviglia"),
    *("tornozelo", "enkel", "voet", "fuss", "sprunggelenk", "oberschenkel", "unterschenkel"),
    *(
        "rippen*",
        "hemithorax",
        "grill costal",
        "parrilla costal",
        "arcos costais",
        "coste",
        "ribben",
    ),
    *("kolano", "stopa", "dlon", "esophagus", "oesophagus", "abd", "abdo", "bauch*", "ventre"),
    *("hanche", "cotes", "gril costal", "costela*", "lumb*", "colonne", "肋骨"),
    *("腹", "骨盆", "骨盤", "脊", "椎", "膝", "手", "足", "肩", "头", "頭", "복부", "живот", "таз"),
)

# View Position defined terms first (PS3.3 C.8.1.2, C.8.11.5).
FRONTAL = (
    *("pa", "ap", "aps", "p a", "a p", "frontal*", "posteroanterior", "anteroposterior"),
    *("postero anterior", "antero posterior", "dv", "vd", "face", "frente", "正面", "正位"),
    *("posteroanteriore", "anteroposteriore", "posteroanterieur", "anteroposterieur"),
    *("postero anteriore", "antero posteriore", "postero anterieur", "antero posterieur"),
    *("posterior anterior", "anterior posterior", "dorsoventral", "ventrodorsal"),
    *("dorso ventral", "ventro dorsal", "voorachterwaarts", "achtervoorwaarts"),
    *("d v", "v d", "front", "vorne", "von vorn", "voor achterwaarts", "achter voorwaarts"),
    *("przednio tylne", "tylno przednie", "zadopredni", "predozadni"),
    *("后前", "後前", "прям", "전후", "후전"),
)

# The patient lies on the side (LLD, RLD), or the beam crosses the table: such a film may look
# frontal, so these words decide wherever they occur.
DECUBITUS = (
    *("lld", "rld", "*decub*", "*dekub*", "decu", "xtable", "x table", "crosstable"),
    *("cross table", "xtbl", "x tbl", "seitenlage", "seitlage", "*seitenlage*", "zijligging"),
    *("侧卧", "側臥", "на боку", "측와"),
)
# "Décubitus dorsal" and "decúbito supino" mean a bedside film, in front of the patient.
_SUPINE = re.compile(r"\bdecubit(?:us|o) (?:dorsa(?:l|le)|supino?)\b")

# Bones that are named after the chest: thoracic spine and sternum.
_CHEST_BONES = re.compile(
    r"胸(?=[椎骨腰])"
    r"|\b(?:rachis|colonne|columna|coluna|colonna)(?: vertebrale?)? (?:thorac|torac)\w*"
)

NOT_FRONTAL = (
    *("ll", "rl", "llo", "rlo", "rao", "lao", "rpo", "lpo", "lat", "lateral", "laterals"),
    *("llat", "rlat", "latl", "latr", "laterale", "lateralis", "lateraal", "laterolateral"),
    *(
        "latero lateral*",
        "obliq*",
        "obl",
        "oblicu*",
        "obliek",
        "schrag*",
        "schuin",
        "skos*",
        "sikm*",
    ),
    *(
        "seitl*",
        "zijwaarts",
        "dwarse",
        "ax",
        "tang",
        "seite",
        "seitenansicht",
        "seitaufnahme",
        "dwars",
        "zijdelings",
        "boczn*",
    ),
    *("bocni", "profil*", "perfil", "lordo*", "apicolordotic", "axial*", "tangential*", "swimmers"),
    *("transthoracic", "側面", "侧位", "側位", "斜位", "боков", "측면"),
    *DECUBITUS,
)

#: Words that say nothing about body part or view, but are run together with words that do.
NEUTRAL = (
    *("view", "views", "portable", "port", "mobile", "bed", "bedside", "adult", "routine", "only"),
    *(
        "supine",
        "erect",
        "upright",
        "standing",
        "sitting",
        "stehend",
        "liegend",
        "sitzend",
        "debout",
    ),
    *(
        "couche",
        "pie",
        "acostado",
        "sentado",
        "xray",
        "rx",
        "rtg",
        "rontgen",
        "film",
        "grid",
        "single",
    ),
    *("left", "right", "links", "rechts", "screen", "insp", "exp", "expiration", "inspiration"),
    *(
        "aufnahme",
        "ubersicht",
        "bild",
        "wall",
        "stand",
        "table",
        "bucky",
        "free",
        "default",
        "auto",
    ),
)

# What this node and other software write on objects made from a film.
RESULTS = (
    *("heatmap", "heat map", "saliency", "overlay", "cad result", "ai result", "ai results"),
    *("ai analysis", "not for diagnostic use", "bone suppressed", "bone suppression"),
    *("bone suppress", "screen save", "screenshot", "presentation state", "dose report"),
    *("localizer",),
)

# Derivation Description of a film that was only compressed.
COMPRESSION = (
    *("*compress*", "jpeg*", "jpg", "j2k", "rle", "lossless", "lossy", "transcod*", "quality"),
    *("wavelet", "komprim*", "compres*"),
)


def found(text: str, words: Sequence[str]) -> str | None:
    """Return the first of the words that the text contains, or None."""
    if not text:
        return None
    plain = _CHEST_BONES.sub("rachis 椎", _plain(text))
    spaced = f" {_SUPINE.sub('supine', ' '.join(_tokens(plain)))} "
    for word in words:
        if (_pattern(word) in spaced) if word.isascii() else (_plain(word) in plain):
            return word.strip("*")
    return None


def understood(text: str, *lists: Sequence[str]) -> bool:
    """Whether every word of the text is known: one of the lists, neutral, or a number."""
    rest = "".join(f" {token} " for token in _tokens(_plain(text)) if not token.isdigit())
    for word in (*NEUTRAL, *(word for each in lists for word in each)):
        rest = rest.replace(_pattern(word), " ") if word.isascii() else rest
    return not rest.strip()


def _pattern(word: str) -> str:
    start = "" if word.startswith("*") else " "
    return f"{start}{word.strip('*')}{'' if word.endswith('*') else ' '}"


def _tokens(plain: str) -> Iterable[str]:
    """Words and numbers of a text; words that are run together are taken apart."""
    for token in re.findall(r"[a-z]+|[0-9]+", plain):
        yield from _apart(token)


@cache
def _known() -> frozenset[str]:
    """Every single word that may be run together with others."""
    lists = (CHEST, OTHER_PARTS, FRONTAL, NOT_FRONTAL, NEUTRAL)
    words = (word.strip("*") for each in lists for word in each if word.isascii())
    return frozenset(word for word in words if " " not in word)


def _apart(token: str) -> tuple[str, ...]:
    """The known words that a token consists of, one of them of four letters; else the token."""
    if len(token) > 40 or token in _known():
        return (token,)
    # best[n]: how the first n letters are taken apart, longest words first
    best: list[tuple[str, ...] | None] = [()] + [None] * len(token)
    for end in range(2, len(token) + 1):
        for start in range(end - 1):
            head = best[start]
            if head is not None and token[start:end] in _known():
                best[end] = (*head, token[start:end])
                break
    parts = best[-1]
    return parts if parts and any(len(part) >= 4 for part in parts) else (token,)


def _plain(text: str) -> str:
    """Lower case without accents."""
    split = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in split if not unicodedata.combining(c))
