"""The header checks, in the order in which they run, and the tables they use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pydicom.config import IGNORE
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,
)

from dicom_node.config import SelectConfig
from dicom_node.dicom.header import number, text
from dicom_node.domain.values import Refusal, RefusalCode
from dicom_node.pixels.kinds import refuse_colour, refuse_frames
from dicom_node.select_images.vocabulary import (
    CHEST,
    FRONTAL,
    NOT_FRONTAL,
    OTHER_PARTS,
    RESULTS,
    found,
)

Check: TypeAlias = Callable[[Dataset, SelectConfig], Refusal | None]

SOP_CLASSES = frozenset(
    {
        ComputedRadiographyImageStorage,
        DigitalXRayImageStorageForPresentation,
        DigitalXRayImageStorageForProcessing,
        SecondaryCaptureImageStorage,
    }
)

# PS3.3 C.7.3.1.1.1; DR is no defined term, but written.
MODALITIES = frozenset({"CR", "DX", "DR", "RG"})
#: Modalities that say nothing about a Secondary Capture; its header must then name the chest.
VAGUE_MODALITIES = frozenset({"", "OT"})

# Conversion Type (PS3.3 C.8.6.1) of drawings, synthetic images and scanned documents.
NOT_FILMED = frozenset({"DRW", "SYN", "SD"})

#: Body Part Examined values that say nothing.
BLANKS = frozenset({"", "UNKNOWN", "UNDEFINED", "OTHER", "NONE", "N/A", "NA", "-", "BODY"})

# Anatomic Region codes of a chest, SCT and the older SRT (CID 4031): thoracic structure, chest,
# entire thorax, lung.
CHEST_CODES = frozenset({"51185008", "816094009", "302551006", "39607008", "T-D3000", "T-28000"})

# View codes of a frontal film, SCT and SRT (CID 4010): frontal, antero-posterior, postero-anterior.
FRONTAL_CODES = frozenset(
    {"399033003", "399348003", "272479007", "R-10202", "R-10206", "R-10214"},
)

# Free text, the film's own before its study's.
FILM_TEXTS = ("SeriesDescription", "ProtocolName", "AcquisitionDeviceProcessingDescription")
STUDY_TEXTS = (
    "PerformedProcedureStepDescription",
    "RequestedProcedureDescription",
    "StudyDescription",
)


@dataclass(frozen=True, slots=True)
class _Says:
    """The header's answer to a question: yes, no or None (it does not say), and its source."""

    answer: bool | None
    source: str = ""


def select(ds: Dataset, config: SelectConfig) -> Refusal | None:
    """Check one instance; None if, by its header, it may be a frontal chest film."""
    for check in CHECKS:
        if (refusal := check(ds, config)) is not None:
            return refusal
    return None


# --- what kind of object -------------------------------------------------------------------------


def _sop_class(ds: Dataset, config: SelectConfig) -> Refusal | None:
    uid = text(ds, "SOPClassUID")
    if uid in SOP_CLASSES:
        return None
    name = _quote(UID(uid, validation_mode=IGNORE).name) if uid else "missing"
    return _no(RefusalCode.SOP_CLASS, f"the SOP class is {name}, not CR, DX or Secondary Capture")


def _modality(ds: Dataset, config: SelectConfig) -> Refusal | None:
    modality = text(ds, "Modality")
    captured = text(ds, "SOPClassUID") == SecondaryCaptureImageStorage
    if modality in MODALITIES or (not modality and not captured):
        return None
    if captured and modality in VAGUE_MODALITIES:
        if _says_chest(ds, config).answer:
            return None
        reason = f"a Secondary Capture of modality {_quote(modality)} that does not say chest"
        return _no(RefusalCode.MODALITY, reason)
    return _no(RefusalCode.MODALITY, f"the modality is {_quote(modality)}, not a radiograph's")


def _intent(ds: Dataset, config: SelectConfig) -> Refusal | None:
    processing = text(ds, "SOPClassUID") == DigitalXRayImageStorageForProcessing
    processing |= text(ds, "PresentationIntentType") == "FOR PROCESSING"
    if not processing or config.accept_for_processing:
        return None
    return _no(RefusalCode.INTENT, "the film is for processing, which the configuration refuses")


def _image_type(ds: Dataset, config: SelectConfig) -> Refusal | None:
    r"""Refuse results made from a film (PS3.3 C.7.6.1.1.2).

    DERIVED\SECONDARY alone is no sign of that in a Secondary Capture: scanned films have it too.
    """
    kind = text(ds, "ImageType").split("\\")
    captured = text(ds, "SOPClassUID") == SecondaryCaptureImageStorage
    if kind[:2] == ["DERIVED", "SECONDARY"] and not captured:
        return _no(RefusalCode.IMAGE_TYPE, "the image type is DERIVED\\SECONDARY: made from a film")
    if (conversion := text(ds, "ConversionType")) in NOT_FILMED:
        reason = f"the conversion type is {conversion}: not taken from a film"
        return _no(RefusalCode.IMAGE_TYPE, reason)
    for source in ("ImageType", "SeriesDescription", "DerivationDescription"):
        if result := found(text(ds, source), RESULTS):
            reason = f'{source} says "{result}": a result made from a film'
            return _no(RefusalCode.IMAGE_TYPE, reason)
    return None


# --- what kind of image --------------------------------------------------------------------------


def _photometric(ds: Dataset, config: SelectConfig) -> Refusal | None:
    return refuse_colour(ds)


def _frames(ds: Dataset, config: SelectConfig) -> Refusal | None:
    return refuse_frames(ds)


def _size(ds: Dataset, config: SelectConfig) -> Refusal | None:
    short, long = sorted((number(ds, "Rows", 0), number(ds, "Columns", 0)))
    if short < config.min_side:
        reason = f"{short:g} pixels on the short side are fewer than {config.min_side}"
        return _no(RefusalCode.SIZE, reason)
    if long > config.max_aspect * short:
        reason = f"{long:g} by {short:g} pixels are too long for a chest"
        return _no(RefusalCode.SIZE, reason)
    return None


# --- what it shows -------------------------------------------------------------------------------


def _body_part(ds: Dataset, config: SelectConfig) -> Refusal | None:
    says = _says_chest(ds, config)
    if says.answer or (says.answer is None and config.accept_blank_body_part):
        return None
    if says.answer is None:
        return _no(RefusalCode.BODY_PART, "nothing in the header names a body part")
    return _no(RefusalCode.BODY_PART, f"{says.source}, which is not a chest")


def _view(ds: Dataset, config: SelectConfig) -> Refusal | None:
    says = _says_frontal(ds)
    if says.answer or (says.answer is None and config.accept_blank_view):
        return None
    if says.answer is None:
        return _no(RefusalCode.VIEW, "nothing in the header names the view")
    return _no(RefusalCode.VIEW, f"{says.source}, which is not a frontal view")


CHECKS: tuple[Check, ...] = (
    _sop_class,
    _modality,
    _intent,
    _image_type,
    _photometric,
    _frames,
    _size,
    _body_part,
    _view,
)


def _says_chest(ds: Dataset, config: SelectConfig) -> _Says:
    """Body Part Examined where it says anything, else the region's code, else the texts."""
    part = text(ds, "BodyPartExamined")
    if part not in BLANKS:
        named = part in config.body_parts or found(part, CHEST) is not None
        named &= part in config.body_parts or found(part, OTHER_PARTS) is None
        return _Says(named, f"the body part is {_quote(part)}")
    code = _code(ds, "AnatomicRegionSequence")
    if code is not None:
        return _Says(_value(code) in CHEST_CODES, f"the anatomic region is {_meaning(code)}")
    return _said_in(ds, FILM_TEXTS + STUDY_TEXTS, CHEST, OTHER_PARTS)


def _says_frontal(ds: Dataset) -> _Says:
    """View Position, else the view's code, else the orientation, else the texts."""
    view = text(ds, "ViewPosition")
    frontal, other = found(view, FRONTAL), found(view, NOT_FRONTAL)
    if frontal or other:
        return _Says(other is None, f"the view position is {_quote(view)}")
    code = _code(ds, "ViewCodeSequence")
    if code is not None:
        return _Says(_value(code) in FRONTAL_CODES, f"the view code is {_meaning(code)}")
    # Row direction towards the front or back of the patient (PS3.3 C.7.6.1.1.1): seen from a side.
    orientation = text(ds, "PatientOrientation").split("\\")
    if orientation[0] in ("A", "P"):
        return _Says(False, f"the patient orientation is {orientation[0]} along the rows")
    return _said_in(ds, FILM_TEXTS + STUDY_TEXTS, FRONTAL, NOT_FRONTAL, both=None)


def _said_in(
    ds: Dataset,
    texts: Sequence[str],
    yes: Sequence[str],
    no: Sequence[str],
    both: bool | None = True,
) -> _Says:
    """Answer by the first text with a word of either list; ``both`` if it has words of both."""
    for keyword in texts:
        words = text(ds, keyword)
        good, bad = found(words, yes), found(words, no)
        if good and bad:
            return _Says(both)
        if good or bad:
            return _Says(bad is None, f'{keyword} says "{bad or good}"')
    return _Says(None)


def _code(ds: Dataset, keyword: str) -> Dataset | None:
    sequence = ds.get(keyword)
    return sequence[0] if sequence and _value(sequence[0]) else None


def _value(item: Dataset) -> str:
    return text(item, "CodeValue")


def _meaning(item: Dataset) -> str:
    return _quote(text(item, "CodeMeaning") or _value(item))


def _quote(value: str) -> str:
    """Make a header value printable, short and never empty."""
    return "".join(c if c.isprintable() else "?" for c in value[:48]).strip() or "blank"


def _no(code: RefusalCode, reason: str) -> Refusal:
    return Refusal(code=code, reason=reason)
