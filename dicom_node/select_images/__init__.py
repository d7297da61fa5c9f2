"""Which images are frontal chest films, by what their headers say; each no has a coded reason.

The checks run in the order of `checks.CHECKS`, the surest first: what kind of object (SOP class,
modality, intent, image type), what kind of picture (photometric, frames, size), then what it shows
(body part, view). Blank values are common; they pass where the configuration says so. A reason
quotes coded header values only, never free text, which may name a patient.
"""

from dicom_node.select_images.checks import select

__all__ = ["select"]
