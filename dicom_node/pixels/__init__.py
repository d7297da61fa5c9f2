"""A data set becomes an `Image`: what a calibrated display would show, as numbers in [0, 1].

The steps of the grayscale pipeline (PS3.4 N.2; PS3.3 C.7.6.3, C.11):

1. decode one frame; mask the bits beyond Bits Stored, extend the sign (PS3.5 8.1.1);
2. Modality LUT, else Rescale Slope and Intercept (PS3.3 C.11.1);
3. the first VOI LUT, else the first window with its VOI LUT Function (PS3.3 C.11.2). If there is
   neither, or the result would be an even grey, the film's own range; linear detector data "for
   processing" pass through a logarithm first (PS3.3 C.8.11.3.1.2);
4. inversion, after the VOI step (PS3.3 C.7.6.3.1.2), see `image._dense_is_low`;
5. stored values within the Pixel Padding Value (Range) become black (PS3.3 C.7.5.1.1.2);
6. pixels are made square, and a mirror image is turned round, see `geometry`.

Steps 2 to 5 are computed once for each value a pixel can take; the film is then one table look-up.
"""

from dicom_node.pixels.files import read_dataset
from dicom_node.pixels.image import to_image

__all__ = ["read_dataset", "to_image"]
