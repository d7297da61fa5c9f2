"""Select frontal chest films by their headers; each refusal has a code and a reason.

The checks run in the order of `checks.CHECKS`, the most certain first: kind of object (SOP class,
modality, intent, image type), kind of image (colour, frames, size), then what it shows (body part,
view). Blank values are common and pass if the configuration allows them. A reason quotes coded
header values only, never free text, which may hold a patient's name.
"""

from dicom_node.select_images.checks import select

__all__ = ["select"]
