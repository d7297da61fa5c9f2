"""Reports about values of the header: texts, numbers, identifiers, what the film shows."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.tag import Tag
from support.film import code

from field.reports.report import Report, chest, explicit, part10


def raw(tag: int, vr: str, value: bytes, **elements: object) -> bytes:
    """The film with one value in these bytes."""
    return part10(chest(**elements), (tag, explicit(tag, vr, value + b" " * (len(value) % 2))))


def without(*keywords: str) -> bytes:
    """The film without these elements."""
    return part10(chest(), without=[Tag(keyword) for keyword in keywords])


def viewed(view: str, **elements: object) -> Dataset:
    """The film with this View Position."""
    return chest(ViewPosition=view, **elements)


REPORTS = (
    Report(
        thread="pydicom/pydicom#850",
        trouble="character set `ISO 2022 IR 100` was an unknown encoding",
        answer="reads it",
        make=lambda: raw(0x00080005, "CS", b"ISO 2022 IR 100"),
    ),
    Report(
        thread="pydicom/pydicom#815",
        trouble="character set `Not Supplied`: no text could be read",
        answer="reads ASCII, marks the rest",
        make=lambda: raw(0x00080005, "CS", b"Not Supplied"),
    ),
    Report(
        thread="pydicom/pydicom#736",
        trouble="character set `ISO_2022_IR_6` was an unknown encoding",
        answer="reads ASCII",
        make=lambda: raw(0x00080005, "CS", b"ISO_2022_IR_6"),
    ),
    Report(
        thread="pydicom/pydicom#279",
        trouble="character sets `ISO 2022 IR 6\\ISO 2022 IR 87`",
        answer="reads both",
        make=lambda: raw(0x00080005, "CS", b"ISO 2022 IR 6\\ISO 2022 IR 87"),
    ),
    Report(
        thread="fo-dicom/fo-dicom#1785",
        trouble="a Japanese name without its closing escape sequence was refused",
        answer="reads it",
        make=lambda: part10(
            chest(),
            (0x00080005, explicit(0x00080005, "CS", b"\\ISO 2022 IR 87")),
            (0x00100010, explicit(0x00100010, "PN", b"A^B=\x1b$B;3ED")),
        ),
    ),
    Report(
        thread="pydicom/pydicom#117",
        trouble="`-9.81338674e-006` as a decimal string was an error",
        answer="reads it",
        make=lambda: raw(0x00281052, "DS", b"-9.81338674e-006"),
    ),
    Report(
        thread="fo-dicom/fo-dicom#1793",
        trouble="`030` as a decimal string was an error",
        answer="reads it",
        make=lambda: raw(0x00180060, "DS", b"030"),
    ),
    Report(
        thread="SMI/IsIdentifiable#130",
        trouble="a decimal string beyond the range of the type was an error",
        answer="leaves Rescale out where it makes no sense",
        make=lambda: raw(0x00281053, "DS", b"1e300"),
    ),
    Report(
        thread="fo-dicom/fo-dicom#1063",
        trouble="NaN in an FL value was an error",
        answer="leaves it out",
        make=lambda: raw(0x00189461, "FL", b"\0\0\xc0\x7f"),
    ),
    Report(
        thread="fo-dicom/fo-dicom#1994",
        trouble="overlay groups with something else than overlays",
        answer="does not look at overlays",
        make=lambda: part10(
            chest(),
            (0x60000010, explicit(0x60000010, "US", b"\xff\xff")),
            (0x60003000, explicit(0x60003000, "OW", b"no overlay")),
        ),
    ),
    Report(
        thread="didymo/OnkoDICOM#261",
        trouble="no Study ID was an error",
        answer="reads the film; its results have an empty one",
        make=lambda: without("StudyID"),
    ),
    Report(
        thread="commontk/CTK#276",
        trouble="patient and study without names, numbers and dates",
        answer="reads the film",
        make=lambda: without(
            "PatientID", "PatientName", "PatientSex", "StudyDate", "StudyTime", "StudyDescription",
            "AccessionNumber", "ReferringPhysicianName", "InstanceNumber", "SeriesNumber",
        ),
    ),
    Report(
        thread="fli-iam/shanoir-ng#2802",
        trouble="no acquisition date and time was an error",
        answer="reads the film",
        make=lambda: without("AcquisitionDate", "AcquisitionTime", "ContentDate", "ContentTime"),
    ),
    Report(
        thread="nroduit/Weasis#691",
        trouble="films without Image Type",
        answer="reads the film",
        make=lambda: without("ImageType"),
    ),
    Report(
        thread="ayselafsar/dicomviewer#117",
        trouble="no Study Instance UID: it loaded without end",
        answer="refuses with `file`: results would belong to no study",
        make=lambda: without("StudyInstanceUID"),
        expected="file",
    ),
    Report(
        thread="RSNA/anonymizer#11",
        trouble="no SOP Class UID was an exception",
        answer="refuses with `sop-class`",
        make=lambda: without("SOPClassUID"),
        expected="sop-class",
    ),
    Report(
        thread="rvbCMTS/PySkinDose#57",
        trouble="UIDs of more than 64 characters",
        answer="refuses with `file`: results would have to repeat an illegal UID",
        make=lambda: raw(0x0020000D, "UI", b"1.2.826.0.1.3680043.8.971." + b"3" * 40),
        expected="file",
    ),
    Report(
        thread="MIT-LCP/mimic-cxr#15",
        trouble="View Position is empty in some 4 of 100 chest films",
        answer="reads the view code instead",
        make=lambda: part10(
            viewed("", ViewCodeSequence=[code("272479007", "SCT", "postero-anterior")])
        ),
    ),
    Report(
        thread="MIT-LCP/mimic-code#1284",
        trouble="frontal and lateral films could not be separated: View Position is empty",
        answer="refuses it by its view code",
        make=lambda: part10(viewed("", ViewCodeSequence=[code("399067008", "SCT", "lateral")])),
        expected="view",
    ),
    Report(
        thread="MIT-LCP/mimic-code#1513",
        trouble="View Position AP in a study called `CHEST (PA and LAT)`",
        answer="believes the film's own element",
        make=lambda: part10(
            viewed("AP", PerformedProcedureStepDescription="CHEST (PA and LAT)")
        ),
    ),
)  # fmt: skip
