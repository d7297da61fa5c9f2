"""The input gate: refuse films for which the networks were not validated, before any score.

`dicom_node.select_images` believes the header; the gate checks the pixels. `examine_header` needs
no pixels, `examine_look` the image and the gate's network, `examine_reading` lungs and features.
Each returns a `Refusal` or None.
"""

from dicom_node.gate.checks import (
    correct_polarity,
    examine_header,
    examine_look,
    examine_measures,
    examine_reading,
)
from dicom_node.gate.traits import traits

__all__ = [
    "correct_polarity",
    "examine_header",
    "examine_look",
    "examine_measures",
    "examine_reading",
    "traits",
]
