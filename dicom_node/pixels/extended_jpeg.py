"""JPEG Extended of 12 bits (PS3.5 A.4.1): GDCM decodes it, pydicom's plugin for GDCM does not."""

from __future__ import annotations

from dicom_node.pixels.codestream import fragments
from dicom_node.pixels.layout import Layout, Stored, stored_values


def extended_jpeg(pixels: bytes, layout: Layout) -> Stored:
    """Decode the one frame of encapsulated Pixel Data.

    Raises
    ------
    ValueError
        The stream does not decode, or not to as many pixels as it says.
    """
    import gdcm  # in the decoder's process only

    stream = gdcm.Fragment()
    stream.SetByteStringValue(b"".join(fragments(pixels)[0]))
    sequence = gdcm.SequenceOfFragments.New()
    sequence.AddFragment(stream)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(sequence.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((layout.columns, layout.rows, 1))
    image.SetDataElement(element)
    grey = gdcm.PhotometricInterpretation.MONOCHROME2
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(grey))
    syntax = gdcm.TransferSyntax.JPEGExtendedProcess2_4
    image.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    bits = (layout.allocated, layout.stored, layout.stored - 1, 0)
    image.SetPixelFormat(gdcm.PixelFormat(1, *bits))
    buffer = image.GetBuffer()
    if buffer is None:
        raise ValueError("the stream does not decode")
    return stored_values(buffer.encode("utf-8", "surrogateescape"), layout)
