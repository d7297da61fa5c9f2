"""What a header says about body part and view: yes, no, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset

from dicom_node.config import SelectConfig
from dicom_node.dicom.header import text
from dicom_node.select_images.vocabulary import (
    CHEST,
    DECUBITUS,
    FRONTAL,
    NOT_FRONTAL,
    OTHER_PARTS,
    found,
    understood,
)

#: Body Part Examined values that say nothing.
BLANKS = frozenset({"", "UNKNOWN", "UNDEFINED", "OTHER", "NONE", "N/A", "NA", "-", "BODY"})

# Anatomic Region codes of a chest, SCT and the older SRT (CID 4031): thoracic structure, chest,
# entire thorax, lung.
CHEST_CODES = frozenset({"51185008", "816094009", "302551006", "39607008", "T-D3000", "T-28000"})

# View codes of a frontal film, SCT and SRT (CID 4010): frontal, antero-posterior, postero-anterior.
FRONTAL_CODES = frozenset(
    {"399033003", "399348003", "272479007", "R-10202", "R-10206", "R-10214"},
)

# Code sequences that may say how the patient lies (PS3.3 C.8.11.5, C.7.6.16.2.7).
POSITION_CODES = (
    *("ViewCodeSequence", "PatientOrientationCodeSequence"),
    "PatientOrientationModifierCodeSequence",
)

# Free text, the film's own before its study's.
FILM_TEXTS = ("SeriesDescription", "ProtocolName", "AcquisitionDeviceProcessingDescription")
STUDY_TEXTS = (
    "PerformedProcedureStepDescription",
    "RequestedProcedureDescription",
    "StudyDescription",
)
VIEW_TEXTS = ("BodyPartExamined", *FILM_TEXTS, *STUDY_TEXTS)


@dataclass(frozen=True, slots=True)
class Answer:
    """The header's answer to a question: yes, no or None (it does not say); why, if no."""

    answer: bool | None
    reason: str = ""


def says_chest(ds: Dataset, config: SelectConfig) -> Answer:
    """Body Part Examined if it says anything, else the region's code, else the descriptions."""
    part = text(ds, "BodyPartExamined")
    if part in config.body_parts:
        return Answer(True)
    if part not in BLANKS:
        other = found(part, OTHER_PARTS)
        return _answer(found(part, CHEST) and not other, "body part", other, "a chest")
    if code := code_value(ds, "AnatomicRegionSequence"):
        other = found(_meaning(ds, "AnatomicRegionSequence"), OTHER_PARTS)
        return _answer(code in CHEST_CODES, "anatomic region", other, "a chest")
    return _said_in(ds, FILM_TEXTS + STUDY_TEXTS, CHEST, OTHER_PARTS, "a chest")


def says_frontal(ds: Dataset) -> Answer:
    """Answer by View Position, else the view's code, else the orientation, else the descriptions.

    A word for a decubitus film decides, whichever of them has it. A View Position that the node
    does not know is a no, unless one of the others names a frontal view.
    """
    if (lying := _lies_on_the_side(ds)) is not None:
        return lying
    view = text(ds, "ViewPosition")
    frontal, other = found(view, FRONTAL), found(view, NOT_FRONTAL)
    if frontal or other:
        return _answer(not other, "view position", other, "a frontal view")
    if code := code_value(ds, "ViewCodeSequence"):
        meant = found(_meaning(ds, "ViewCodeSequence"), NOT_FRONTAL)
        return _answer(code in FRONTAL_CODES, "view code", meant, "a frontal view")
    # Row direction towards the front or back of the patient (PS3.3 C.7.6.1.1.1): seen from a side.
    along = text(ds, "PatientOrientation")[:1]
    if along in ("A", "P"):
        return _answer(False, "patient orientation along the rows", along, "a frontal view")
    says = _said_in(ds, VIEW_TEXTS, FRONTAL, NOT_FRONTAL, "a frontal view", both=None)
    if says.answer is None and view not in BLANKS and not understood(view, CHEST):
        return _answer(False, "view position", None, "a frontal view")
    return says


def _lies_on_the_side(ds: Dataset) -> Answer | None:
    items = [item for keyword in POSITION_CODES for item in ds.get(keyword) or ()]
    items += [item for each in items for item in each.get("ViewModifierCodeSequence") or ()]
    coded = " ".join(text(item, "CodeMeaning") for item in items)
    said = [text(ds, keyword) for keyword in ("ViewPosition", "BodyPartExamined", *FILM_TEXTS)]
    word = next(filter(None, (found(each, DECUBITUS) for each in (coded, *said))), None)
    if word is None:
        return None
    return Answer(False, f'the header says "{word}", which is not an upright frontal view')


def _answer(yes: object, what: str, word: str | None, wanted: str) -> Answer:
    """An answer about one element; of its value only a word of the vocabulary is quoted."""
    if yes:
        return Answer(True)
    if word is None:
        return Answer(False, f"the {what} is not one that the node knows as {wanted}")
    return Answer(False, f"the {what} is {word.upper()}, which is not {wanted}")


def _said_in(
    ds: Dataset,
    texts: Sequence[str],
    yes: Sequence[str],
    no: Sequence[str],
    wanted: str,
    both: bool | None = True,
) -> Answer:
    """Answer by the first text with a word of either list; ``both`` if it has words of both."""
    for keyword in texts:
        words = text(ds, keyword)
        good, bad = found(words, yes), found(words, no)
        if good and bad:
            return Answer(both)
        if good or bad:
            return Answer(bad is None, f'{keyword} says "{bad or good}", which is not {wanted}')
    return Answer(None)


def code_value(ds: Dataset, keyword: str) -> str:
    """Code Value of the first item of a code sequence; empty if there is none."""
    sequence = ds.get(keyword)
    return text(sequence[0], "CodeValue") if sequence else ""


def _meaning(ds: Dataset, keyword: str) -> str:
    return text(ds[keyword][0], "CodeMeaning")
