"""Check identity and statements of an object: patient, study, UIDs, research only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydicom.uid import ParametricMapStorage, SecondaryCaptureImageStorage, SegmentationStorage

from dicom_node.compose.sanitize import clean

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

# Must equal the film's, as far as the film's values are legal
_SAME = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
)
# SOP class -> Burned In Annotation: pictures carry text, masks and maps do not
_BURNED_IN: dict[str, tuple[str | None, ...]] = {
    SecondaryCaptureImageStorage: ("YES",),
    SegmentationStorage: (None, "NO"),
    ParametricMapStorage: ("NO",),
}


def check_identity(ds: Dataset, source: Dataset) -> Iterator[str]:
    """Compare an object with the film it was made from."""
    expected = clean(source, _SAME)
    for keyword in _SAME:
        if (ds.get(keyword) or "") != (expected.get(keyword) or ""):
            yield f"{keyword} is not the film's"
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID"):
        if ds.get(keyword) == source.get(keyword):
            yield f"{keyword} is the film's"


def check_statements(ds: Dataset) -> Iterator[str]:
    """Check the statements that every object of the node must make."""
    if ds.get("SpecificCharacterSet") != "ISO_IR 192":
        yield "SpecificCharacterSet is not ISO_IR 192"
    if ds.get("ContentQualification") != "RESEARCH":
        yield "ContentQualification is not RESEARCH"
    burned_in = _BURNED_IN.get(str(ds.get("SOPClassUID")))
    if burned_in and ds.get("BurnedInAnnotation") not in burned_in:
        yield f"BurnedInAnnotation is not {burned_in[-1]}"
    if ds.get("Modality") == "SR":
        if ds.get("VerificationFlag") != "UNVERIFIED":
            yield "VerificationFlag is not UNVERIFIED"
        if ds.get("PreliminaryFlag") != "PRELIMINARY":
            yield "PreliminaryFlag is not PRELIMINARY"


def check_file_meta(ds: Dataset) -> Iterator[str]:
    """Compare File Meta Information (PS3.10 7.1) with the data set."""
    meta = getattr(ds, "file_meta", {})
    for of_meta, of_ds in (
        ("MediaStorageSOPClassUID", "SOPClassUID"),
        ("MediaStorageSOPInstanceUID", "SOPInstanceUID"),
    ):
        if meta.get(of_meta) != ds.get(of_ds):
            yield f"{of_meta} is not the data set's {of_ds}"
    if not meta.get("TransferSyntaxUID"):
        yield "TransferSyntaxUID is missing"
