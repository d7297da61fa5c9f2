"""The input gate: whether a film is one the networks may speak about, before any score.

What `dicom_node.select_images` believes of the header is asked again of the pixels.
`examine_header` needs no pixels, `examine_look` the picture and the gate's network,
`examine_reading` lungs and features; each gives a `Refusal` or None.
"""

from dicom_node.gate.checks import (
    correct_polarity,
    examine_header,
    examine_look,
    examine_measures,
    examine_reading,
)

__all__ = [
    "correct_polarity",
    "examine_header",
    "examine_look",
    "examine_measures",
    "examine_reading",
]
