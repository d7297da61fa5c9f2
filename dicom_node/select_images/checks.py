"""The header checks, in the order in which they run, and the tables they use."""

from __future__ import annotations

from collections.abc import Callable
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
from dicom_node.pixels.geometry import pixel_ratio
from dicom_node.pixels.kinds import refuse_colour, refuse_frames
from dicom_node.select_images.answers import code_value, says_chest, says_frontal
from dicom_node.select_images.vocabulary import COMPRESSION, RESULTS, found

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
#: What a reason may quote of the others (PS3.16 CID 29, and retired terms).
OTHER_MODALITIES = frozenset(
    {
        *("AU", "BI", "BMD", "CD", "CT", "DG", "DM", "DOC", "EC", "ECG", "EPS", "ES", "FID"),
        *("FS", "GM", "HC", "HD", "IO", "IVOCT", "IVUS", "KER", "KO", "LEN", "LS", "MG", "MR"),
        *("NM", "OAM", "OCT", "OP", "OPM", "OPT", "OPV", "OSS", "OT", "PLAN", "PR", "PT", "PX"),
        *("REG", "RESP", "RF", "RTDOSE", "RTIMAGE", "RTPLAN", "RTRECORD", "RTSTRUCT", "RWV"),
        *("SEG", "SM", "SMR", "SR", "SRF", "ST", "TG", "US", "VA", "VF", "XA", "XC"),
    }
)
#: Modalities that say nothing about a Secondary Capture; its header must then name the chest.
VAGUE_MODALITIES = frozenset({"", "OT"})

# Conversion Type (PS3.3 C.8.6.1) of drawings, synthetic images and scanned documents.
NOT_FILMED = frozenset({"DRW", "SYN", "SD"})

# Derivation (CID 7203) and Purpose of Reference (CID 7202) of a film that was only compressed.
LOSSY_COMPRESSION, UNCOMPRESSED_PREDECESSOR = "113040", "121320"


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
    name = UID(uid, validation_mode=IGNORE).name if uid else "missing"
    name = name if name != uid else "unknown"
    return _no(RefusalCode.SOP_CLASS, f"the SOP class is {name}, not CR, DX or Secondary Capture")


def _modality(ds: Dataset, config: SelectConfig) -> Refusal | None:
    modality = text(ds, "Modality")
    captured = text(ds, "SOPClassUID") == SecondaryCaptureImageStorage
    if modality in MODALITIES or (not modality and not captured):
        return None
    if captured and modality in VAGUE_MODALITIES:
        if says_chest(ds, config).answer:
            return None
        reason = f"a Secondary Capture of modality {modality or 'blank'} that names no chest"
        return _no(RefusalCode.MODALITY, reason)
    named = modality if modality in OTHER_MODALITIES else "unknown"
    return _no(RefusalCode.MODALITY, f"the modality is {named}, not a radiograph's")


def _intent(ds: Dataset, config: SelectConfig) -> Refusal | None:
    processing = text(ds, "SOPClassUID") == DigitalXRayImageStorageForProcessing
    processing |= text(ds, "PresentationIntentType") == "FOR PROCESSING"
    if not processing or config.accept_for_processing:
        return None
    return _no(RefusalCode.INTENT, "the film is for processing, which the configuration refuses")


def _image_type(ds: Dataset, config: SelectConfig) -> Refusal | None:
    r"""Refuse results made from a film (PS3.3 C.7.6.1.1.2).

    DERIVED\SECONDARY alone is no sign of that: scanned films have it, and films that were merely
    transcoded. It needs a second sign: a source image, or a derivation other than compression.
    """
    if (conversion := text(ds, "ConversionType")) in NOT_FILMED:
        reason = f"the conversion type is {conversion}: not taken from a film"
        return _no(RefusalCode.IMAGE_TYPE, reason)
    for source in ("ImageType", "SeriesDescription", "DerivationDescription"):
        if result := found(text(ds, source), RESULTS):
            reason = f'{source} says "{result}": a result made from a film'
            return _no(RefusalCode.IMAGE_TYPE, reason)
    captured = text(ds, "SOPClassUID") == SecondaryCaptureImageStorage
    secondary = text(ds, "ImageType").split("\\")[:2] == ["DERIVED", "SECONDARY"]
    if secondary and not captured and (sign := _derivation(ds)):
        reason = f"the image type is DERIVED\\SECONDARY and there is {sign}: made from a film"
        return _no(RefusalCode.IMAGE_TYPE, reason)
    return None


def _derivation(ds: Dataset) -> str | None:
    """What, other than compression, says that the image was derived from another."""
    if any(
        code_value(item, "PurposeOfReferenceCodeSequence") != UNCOMPRESSED_PREDECESSOR
        for item in ds.get("SourceImageSequence") or ()
    ):
        return "a Source Image Sequence"
    codes = [text(item, "CodeValue") for item in ds.get("DerivationCodeSequence") or ()]
    if any(code != LOSSY_COMPRESSION for code in codes):
        return "a derivation code"
    described = text(ds, "DerivationDescription")
    if described and not found(described, COMPRESSION):
        return "a derivation description"
    return None


# --- what kind of image --------------------------------------------------------------------------


def _photometric(ds: Dataset, config: SelectConfig) -> Refusal | None:
    return refuse_colour(ds)


def _frames(ds: Dataset, config: SelectConfig) -> Refusal | None:
    return refuse_frames(ds)


def _size(ds: Dataset, config: SelectConfig) -> Refusal | None:
    rows, columns = number(ds, "Rows", 0), number(ds, "Columns", 0)
    if min(rows, columns) < config.min_side:
        reason = f"{min(rows, columns):g} pixels on the short side are fewer than {config.min_side}"
        return _no(RefusalCode.SIZE, reason)
    short, long = sorted((rows * pixel_ratio(ds), columns))
    if long > config.max_aspect * short:
        reason = f"an aspect ratio of {long / short:.1f} to 1 is too long for a chest film"
        return _no(RefusalCode.SIZE, reason)
    return None


# --- what it shows -------------------------------------------------------------------------------


def _body_part(ds: Dataset, config: SelectConfig) -> Refusal | None:
    says = says_chest(ds, config)
    if says.answer or (says.answer is None and config.accept_blank_body_part):
        return None
    return _no(RefusalCode.BODY_PART, says.reason or "nothing in the header names a body part")


def _view(ds: Dataset, config: SelectConfig) -> Refusal | None:
    says = says_frontal(ds)
    if says.answer or (says.answer is None and config.accept_blank_view):
        return None
    return _no(RefusalCode.VIEW, says.reason or "nothing in the header names the view")


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


def _no(code: RefusalCode, reason: str) -> Refusal:
    return Refusal(code=code, reason=reason)
