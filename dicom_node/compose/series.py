"""The series of results: one for each kind of object, with a fixed number.

A site's hanging protocols and routing rules depend on these numbers. The descriptions are fixed,
too, but for the summary's, which carries its message.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from pydicom.uid import (
    Comprehensive3DSRStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from dicom_node.compose.lineage import Kind
from dicom_node.explain.phrases import WARNING

SUMMARY: Final = Kind(
    name="summary",
    sop_class_uid=SecondaryCaptureImageStorage,
    modality="OT",
    series_number=9900,  # the first one that a viewer shows
    series_description="AI",  # or as `named` says
)
REPORT: Final = Kind(
    name="sr",
    sop_class_uid=Comprehensive3DSRStorage,  # or as `Context.sr_class` says
    modality="SR",
    series_number=9901,
    series_description="AI report - NOT FOR DIAGNOSTIC USE",
    lists=True,
)
DETAILS: Final = Kind(
    name="sc",
    sop_class_uid=SecondaryCaptureImageStorage,
    modality="OT",
    series_number=9902,
    series_description="AI details - NOT FOR DIAGNOSTIC USE",
)
SEGMENTATION: Final = Kind(
    name="seg",
    sop_class_uid=SegmentationStorage,
    modality="SEG",
    series_number=9903,
    series_description="AI lungs - NOT FOR DIAGNOSTIC USE",
)
PARAMETRIC_MAP: Final = Kind(
    name="pmap",
    sop_class_uid=ParametricMapStorage,
    modality="OT",
    series_number=9904,
    series_description="AI heatmap values - NOT FOR DIAGNOSTIC USE",
)
PRESENTATION_STATE: Final = Kind(
    name="gsps",
    sop_class_uid=GrayscaleSoftcopyPresentationStateStorage,
    modality="PR",
    series_number=9905,
    series_description="AI outlines - NOT FOR DIAGNOSTIC USE",
)
KEY_OBJECTS: Final = Kind(
    name="kos",
    sop_class_uid=KeyObjectSelectionDocumentStorage,
    modality="KO",
    series_number=9906,
    series_description="AI key objects - NOT FOR DIAGNOSTIC USE",
    lists=True,
)


def named(message: str) -> Kind:
    """Return the summary's series with a message in its name: LO, at most 64 characters."""
    description = f"AI: {message} - {WARNING}"
    if len(description) > 64:
        raise ValueError(f"too long for a Series Description: {description}")
    return replace(SUMMARY, series_description=description)
