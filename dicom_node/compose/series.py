"""The series of results: one for each kind of object, with a fixed number and description.

A site's hanging protocols and routing rules depend on these numbers.
"""

from __future__ import annotations

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

REPORT: Final = Kind(
    name="sr",
    sop_class_uid=Comprehensive3DSRStorage,  # or as `report.sop_class` says
    modality="SR",
    series_number=9901,
    series_description="AI report - NOT FOR DIAGNOSTIC USE",
)
SECONDARY_CAPTURE: Final = Kind(
    name="sc",
    sop_class_uid=SecondaryCaptureImageStorage,
    modality="OT",
    series_number=9902,
    series_description="AI heatmaps - NOT FOR DIAGNOSTIC USE",
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
)
