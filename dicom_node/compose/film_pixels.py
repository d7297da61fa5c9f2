"""Convert results from the image that was read to the film's own pixels, where they differ.

Objects that refer to the film's pixels (regions, masks, outlines) are made from what `on_film`
returns; pictures show the film as it was read, so their header is that of `as_read`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from pydicom.dataset import Dataset

from dicom_node.dicom.header import text
from models.reading import BoolMap, FloatMap, Reading

if TYPE_CHECKING:
    from dicom_node.domain.values import Image

_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
_SENTENCES = {
    "mirrored": "The film is stored as a mirror image ({}): it was read the other way round; "
    "regions refer to the film's own pixels, and sides are the patient's.",
    "aspect": "The film's pixels are not square: it was {}.",
    "decoding": "The film's compressed pixels were decoded {}: parts of it may be wrong.",
    "header": "The film's header {}; the stream was believed.",
}


def on_film(image: Image, reading: Reading) -> tuple[Image, Reading]:
    """Return image and reading as if the film had been read in its own pixels.

    Only the shape and spacing of the returned image are meaningful.
    """
    film = image.geometry
    if film is None:
        return image, reading
    rows, columns = image.pixels.shape
    spacing = image.spacing_mm
    if spacing is not None:
        spacing = spacing[0] * rows / film.rows, spacing[1] * columns / film.columns
    blank = np.broadcast_to(np.float32(0), (film.rows, film.columns))
    shape = replace(image, pixels=blank, spacing_mm=spacing, geometry=None)
    frame = replace(reading.frame, rows=film.rows, columns=film.columns)
    if not film.mirrored:
        return shape, replace(reading, frame=frame)
    frame = replace(frame, left=frame.size - frame.left - frame.width)
    lungs = replace(
        reading.lungs,
        mask=_mirror_mask(reading.lungs.mask),
        aerated=_mirror_mask(reading.lungs.aerated),
    )
    return shape, replace(
        reading,
        frame=frame,
        lungs=lungs,
        h2=_mirror(reading.h2),
        h3=None if reading.h3 is None else _mirror(reading.h3),
        guided=None if reading.guided is None else _mirror(reading.guided),
    )


def as_read(source: Dataset, image: Image) -> Dataset:
    """Return the film's header with spacing and orientation of the image that was read."""
    film = image.geometry
    if film is None:
        return source
    header = Dataset()
    header.update(source)
    header.file_meta = source.file_meta
    spacing = image.spacing_mm
    for keyword in _SPACINGS:
        if keyword in header and image.pixels.shape != (film.rows, film.columns):
            del header[keyword]
            if spacing is not None and keyword != "NominalScannedPixelSpacing":
                setattr(header, keyword, [round(value, 8) for value in spacing])
    if film.mirrored:
        directions = text(source, "PatientOrientation").split("\\")
        down = directions[1] if len(directions) > 1 else "F"
        header.pop("PatientOrientation", None)  # the element is shared with the source
        header.PatientOrientation = ["L", down or "F"]
    return header


def remarks(image: Image) -> list[str]:
    """Say in sentences what was done to the film before it was read."""
    said = []
    if image.notes.get("polarity") == "corrected":
        said.append(
            "The pixels contradict the photometric interpretation: "
            "the film was read with black and white exchanged."
        )
    said += [
        sentence.format(image.notes[note])
        for note, sentence in _SENTENCES.items()
        if note in image.notes
    ]
    return said


def is_flawed(image: Image) -> bool:
    """Whether the film's pixels have a fault of which the report warns."""
    wrong = {"mirrored", "decoding", "header"} & set(image.notes)
    return bool(wrong) or image.notes.get("polarity") == "corrected"


def _mirror(values: FloatMap) -> FloatMap:
    return np.ascontiguousarray(values[:, ::-1])


def _mirror_mask(values: BoolMap) -> BoolMap:
    return np.ascontiguousarray(values[:, ::-1])
