"""Dataset to Image: what a person would see on a calibrated screen, as numbers in [0, 1].

The order of the grayscale pipeline (PS3.4 N.2; PS3.3 C.7.6.3, C.11):

1. decode one frame; bits beyond Bits Stored cut off, sign extended (PS3.5 8.1.1);
2. Modality LUT, else Rescale Slope and Intercept (PS3.3 C.11.1);
3. the first VOI LUT, else the first window by its VOI LUT Function (PS3.3 C.11.2); where there is
   none, or one that shows nothing, the film's own range. Linear detector data "for processing"
   go through a logarithm first (PS3.3 C.8.11.3.1.2);
4. inversion, after VOI (PS3.3 C.7.6.3.1.2), see `image._dense_is_low`;
5. Pixel Padding Value (Range), known by its stored value, black (PS3.3 C.7.5.1.1.2).

The chain is worked out once for each value a pixel can take, then the film is looked up in it.
"""

from dicom_node.pixels.files import read_dataset
from dicom_node.pixels.image import to_image

__all__ = ["read_dataset", "to_image"]
