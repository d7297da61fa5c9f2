"""Every coded concept the node writes, in one table.

DCM is PS3.16 Annex D, SCT is SNOMED CT, UCUM holds the units. `SCHEME` is the node's own, for the
few names without a public code: a viewer shows a measurement by its name alone, so the name must
say the finding.
"""

from __future__ import annotations

from typing import Final

from pydicom.sr.coding import Code

#: Private designators start with 99 (PS3.16 8.2).
SCHEME: Final = "99DICOMNODE"
SCHEME_NAME: Final = "dicom-node measurement names"

# Document, PS3.16 TID 1500
REPORT: Final = Code("126000", "DCM", "Imaging Measurement Report")
# CID 100 includes it; the site's own code is in Performed Procedure Code Sequence
PROCEDURE: Final = Code("363679005", "SCT", "Imaging procedure")
DEVICE: Final = Code("121007", "DCM", "Device")

# Documents of words and of references
TEXT_REPORT: Final = Code("18748-4", "LN", "Diagnostic Imaging Report")
NARRATIVE: Final = Code("111412", "DCM", "Narrative Summary")
OF_INTEREST: Final = Code("113000", "DCM", "Of Interest")  # CID 7010

# Image library, TID 1600 to 1603
IMAGE_LIBRARY: Final = Code("111028", "DCM", "Image Library")
IMAGE_LIBRARY_GROUP: Final = Code("126200", "DCM", "Image Library Group")
SOURCE: Final = Code("260753009", "SCT", "Source")
MODALITY: Final = Code("121139", "DCM", "Modality")
MODALITIES: Final = {
    "CR": Code("CR", "DCM", "Computed Radiography"),
    "DX": Code("DX", "DCM", "Digital Radiography"),
}
OTHER_MODALITY: Final = Code("OT", "DCM", "Other Modality")
ROWS: Final = Code("110910", "DCM", "Pixel Data Rows")
COLUMNS: Final = Code("110911", "DCM", "Pixel Data Columns")
ORIENTATION_ROW: Final = Code("111044", "DCM", "Patient Orientation Row")
ORIENTATION_COLUMN: Final = Code("111043", "DCM", "Patient Orientation Column")
HORIZONTAL_SPACING: Final = Code("111026", "DCM", "Horizontal Pixel Spacing")
VERTICAL_SPACING: Final = Code("111066", "DCM", "Vertical Pixel Spacing")

# Findings, TID 1501 and 1410
PNEUMONIA: Final = Code("233604007", "SCT", "Pneumonia")
COVID19: Final = Code("840539006", "SCT", "COVID-19")
LUNG: Final = Code("39607008", "SCT", "Lung")
RIGHT: Final = Code("24028007", "SCT", "Right")
LEFT: Final = Code("7771000", "SCT", "Left")
PRESENCE: Final = Code("705057003", "SCT", "Presence")
PRESENT: Final = Code("52101004", "SCT", "Present")
ABSENT: Final = Code("272519000", "SCT", "Absent")
AI: Final = Code("123110", "DCM", "Artificial Intelligence")
COMMENT: Final = Code("121106", "DCM", "Comment")
VISUAL_EXPLANATION: Final = Code("130401", "DCM", "Visual explanation")

# The input gate: a rating of CID 6044, a reason of CID 6135
IMAGE_QUALITY: Final = Code("111101", "DCM", "Image Quality")
IMAGE_QUALITY_RATING: Final = Code("111029", "DCM", "Image Quality Rating")
FIT: Final = Code("111237", "DCM", "Usable - Meets the quality control standard")
UNFIT: Final = Code("111236", "DCM", "Usable - Does not meet the quality control standard")
QUALITY_FINDING: Final = Code("111052", "DCM", "Quality Finding")
POSITIONING: Final = Code("111209", "DCM", "Positioning")
SOFTWARE_FAILURE: Final = Code("111218", "DCM", "Software failure")
INAPPROPRIATE_PROCESSING: Final = Code("111219", "DCM", "Inappropriate image processing")
OTHER_FAILURE: Final = Code("111220", "DCM", "Other failure")

# Measurements
PNEUMONIA_PROBABILITY: Final = Code("PNEUMONIA-PROB", SCHEME, "Pneumonia probability")
PNEUMONIA_HEAT: Final = Code("PNEUMONIA-HEAT", SCHEME, "Share of pneumonia heatmap, not of lung")
COVID19_PROBABILITY: Final = Code("COVID19-PROB", SCHEME, "COVID-19 probability")
COVID19_HEAT: Final = Code("COVID19-HEAT", SCHEME, "Share of COVID-19 heatmap, not of lung")
PERCENT: Final = Code("%", "UCUM", "Percent")
PIXELS: Final = Code("{pixels}", "UCUM", "Pixels")
MILLIMETER: Final = Code("mm", "UCUM", "mm")

# Masks and maps; what a map measures is of CID 217
ANATOMICAL_STRUCTURE: Final = Code("91723000", "SCT", "Anatomical Structure")
CLASS_ACTIVATION: Final = Code("130402", "DCM", "Class activation")
GRADIENT_CLASS_ACTIVATION: Final = Code("130403", "DCM", "Gradient-weighted class activation")
SALIENCY: Final = Code("130404", "DCM", "Saliency")
NO_UNITS: Final = Code("1", "UCUM", "no units")

# Header sequences
ACQUISITION_EQUIPMENT: Final = Code("109101", "DCM", "Acquisition Equipment")  # CID 7005
PROCESSING_EQUIPMENT: Final = Code("109102", "DCM", "Processing Equipment")  # CID 7005
SOURCE_IMAGE: Final = Code(
    "121322", "DCM", "Source image for image processing operation"
)  # CID 7202
RESAMPLING: Final = Code("113085", "DCM", "Spatial resampling")  # CID 7203
LOSSY_COMPRESSION: Final = Code("113040", "DCM", "Lossy Compression")  # CID 7203
SEGMENTED: Final = Code("113076", "DCM", "Segmentation")  # CID 7203
CALCULATED: Final = Code("112187", "DCM", "Unspecified method of calculation")
