"""Restrict a film's header to what a destination may know of the patient.

Objects are composed from the header that `restrict` returns, so what it leaves out is in no object.
Only the elements listed here are kept; everything else goes, private elements included.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.sr.coding import Code

from dicom_node.compose.lineage import item
from dicom_node.compose.sanitize import clean
from dicom_node.dicom import uids
from dicom_node.dicom.header import text
from dicom_node.domain.values import Identity

if TYPE_CHECKING:
    from dicom_node.compose.lineage import Context

# How the pixels are to be understood, and the make of the modality
_TECHNICAL = (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID",
    "Modality", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation", "PhotometricInterpretation",
    "PatientOrientation", "ImageLaterality", "ViewPosition",
    "PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio",
    "PixelSpacingCalibrationType",
    "LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod",
    "ModalityLUTSequence", "VOILUTSequence", "RescaleSlope", "RescaleIntercept",
    "WindowCenter", "WindowWidth", "VOILUTFunction",
    "Manufacturer", "ManufacturerModelName", "SoftwareVersions",
)  # fmt: skip
# What an archive needs to file an object
_FILING = (
    "PatientName", "PatientID", "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence",
    "TypeOfPatientID", "PatientBirthDate", "PatientSex", "PatientIdentityRemoved",
    "DeidentificationMethod", "DeidentificationMethodCodeSequence",
    "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "IssuerOfAccessionNumberSequence",
    "TimezoneOffsetFromUTC",
)  # fmt: skip
_UIDS = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")

# PS3.16 CID 7050
_BASIC_PROFILE = Code("113100", "DCM", "Basic Application Confidentiality Profile")
_DATES_KEPT = Code(
    "113106", "DCM", "Retain Longitudinal Temporal Information Full Dates Option"
)  # fmt: skip
_DATES_SHIFTED = Code(
    "113107", "DCM", "Retain Longitudinal Temporal Information Modified Dates Option"
)
_NO_PICTURES = {"summary": False, "heatmaps": "none", "lungs": False, "guided": False}
_LONGEST_SHIFT = 3650  # days
_PSEUDONYM_LENGTH = 16


def restrict(source: Dataset, context: Context) -> tuple[Dataset, Context]:
    """Return the header and context that objects of ``context.identity`` are composed from.

    Parameters
    ----------
    source
        The film's data set; it is not changed.

    Returns
    -------
    source, context
        For `Identity.FULL` the same. For `Identity.MINIMAL` a header with what an archive needs to
        file an object. For `Identity.PSEUDONYM` a header after the Basic Application
        Confidentiality Profile (PS3.15 Annex E), with dates shifted or kept as
        ``results.pseudonym_dates`` says, and a context that names neither the site nor the true
        time.
    """
    edition = context.edition.name
    predecessors = tuple(each for each in context.predecessors if edition in each.editions)
    context = replace(context, predecessors=predecessors)
    if context.identity is Identity.FULL:
        return source, context
    minimal = clean(source, [*_TECHNICAL, *_FILING])
    if hasattr(source, "file_meta"):
        minimal.file_meta = source.file_meta
    if context.identity is Identity.MINIMAL:
        return minimal, context
    return _pseudonymous(source, minimal, context), _anonymous(source, context)


def _pseudonymous(source: Dataset, minimal: Dataset, context: Context) -> Dataset:
    header = minimal
    kept = context.results.pseudonym_dates == "kept"
    dates = clean(source, ["StudyDate", "StudyTime"])
    for keyword in _FILING:
        header.pop(keyword, None)
    header.PatientName = header.PatientID = _pseudonym(source, context.secret)
    header.PatientIdentityRemoved = "YES"
    header.DeidentificationMethod = "dicom-node, PS3.15 Annex E Basic Profile"
    option = _DATES_KEPT if kept else _DATES_SHIFTED
    header.DeidentificationMethodCodeSequence = Sequence([item(_BASIC_PROFILE), item(option)])
    header.LongitudinalTemporalInformationModified = "UNMODIFIED" if kept else "MODIFIED"
    if date := dates.get("StudyDate"):
        header.StudyDate = f"{_moved(source, context, datetime.strptime(date, '%Y%m%d')):%Y%m%d}"  # noqa: DTZ007 - a date
        header.StudyTime = dates.get("StudyTime")
    for keyword in _UIDS:
        setattr(header, keyword, uids.pseudonym(str(source[keyword].value), context.secret))
    return header


def _anonymous(source: Dataset, context: Context) -> Context:
    """Return a context without the site's names, and without pictures of a film that has text."""
    results = context.results.model_copy(update={"station_serial_number": "0"})
    if text(source, "BurnedInAnnotation") == "YES":
        results = results.model_copy(update=_NO_PICTURES)
    earlier = tuple(
        replace(each, date=f"{_moved(source, context, datetime.fromisoformat(each.date)):%Y-%m-%d}")
        for each in context.earlier
    )
    return replace(
        context,
        results=results,
        ae_title="DICOM_NODE",
        at=_moved(source, context, context.at),
        earlier=earlier,
    )


def _moved(source: Dataset, context: Context, at: datetime) -> datetime:
    """Shift a time by a number of whole days that is the patient's own, or keep it."""
    if context.results.pseudonym_dates == "kept":
        return at
    days = 1 + int.from_bytes(_digest(source, context.secret, "days")[:4]) % _LONGEST_SHIFT
    return at - timedelta(days=days)


def _pseudonym(source: Dataset, secret: bytes) -> str:
    digest = base64.b32encode(_digest(source, secret, "patient"))
    return f"P{digest[:_PSEUDONYM_LENGTH].decode()}"


def _digest(source: Dataset, secret: bytes, purpose: str) -> bytes:
    """Derive bytes from the patient; from the study if the film has no Patient ID."""
    number, issuer = text(source, "PatientID"), text(source, "IssuerOfPatientID")
    who = f"{issuer}\\{number}" if number else f"study {source.StudyInstanceUID}"
    return hmac.new(secret, f"{purpose}\\{who}".encode(), hashlib.sha256).digest()
