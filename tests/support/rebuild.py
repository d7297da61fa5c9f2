"""Make a film's heatmap pictures again from what an archive holds, and compare them with ours.

``python -m tests.support.rebuild FOLDER [--width PIXELS]``

FOLDER holds the DICOM files of a study: the film, and what was made of it with uncompressed
pictures. The pictures come from film, parametric maps (the heat), segmentation (the lungs it may
lie in) and report (the score that scales it) alone, by the node's own rule of blending. Outlines
are left out. The node's pictures are looked at in the end.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import ParametricMapStorage, SecondaryCaptureImageStorage, SegmentationStorage
from scipy import ndimage

from dicom_node import pixels
from dicom_node.compose import codes
from dicom_node.config import ResultsConfig
from dicom_node.explain import paint, palette
from dicom_node.explain.canvas import Box, Page

#: Names of the maps that are laid over the film, as the parametric maps' Content Label.
OVERLAYS = ("H2", "H3")
_WIDTH = ResultsConfig().picture_width
# Lines are left out with this much beside them, in parts of the film's longest side.
_BESIDE_LINES = 1 / 40
_PROBABILITY = {"H2": codes.PNEUMONIA_PROBABILITY, "H3": codes.COVID19_PROBABILITY}
_UNRELIABLE = ("130401", "111236")  # visual explanation: does not meet the standard
_POLARITY = "black and white exchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmSet:
    """One film, and the objects that its report names as evidence."""

    film: Dataset
    report: Dataset
    segmentation: Dataset
    maps: dict[str, Dataset]  # by Content Label
    pictures: tuple[Dataset, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How far two pictures are apart where they can be compared."""

    largest: int  # grey levels, of any channel
    film: float  # share of the film that was compared
    heat: int  # pixels with heat on them that were compared


def film_sets(folder: Path) -> Iterator[FilmSet]:
    """The sets in a folder, one for each report that goes with parametric maps."""
    found = [pixels.read_dataset(path) for path in sorted(folder.rglob("*.dcm"))]
    for report in found:
        listed = set(_listed(report)) if report.Modality == "SR" else set()
        named = [ds for ds in found if ds.SOPInstanceUID in listed]
        by_class: dict[str, list[Dataset]] = {}
        for ds in named:
            by_class.setdefault(ds.SOPClassUID, []).append(ds)
        maps = by_class.get(ParametricMapStorage, [])
        if maps and SegmentationStorage in by_class:
            (segmentation,) = by_class[SegmentationStorage]
            (origin,) = segmentation.ReferencedSeriesSequence[0].ReferencedInstanceSequence
            uid = origin.ReferencedSOPInstanceUID
            yield FilmSet(
                film=next(ds for ds in named if ds.SOPInstanceUID == uid),
                report=report,
                segmentation=segmentation,
                maps={ds.ContentLabel: ds for ds in maps},
                pictures=tuple(by_class.get(SecondaryCaptureImageStorage, [])),
            )


def rebuild(films: FilmSet, name: str, width: int = _WIDTH) -> paint.RGB:
    """The film with a map laid over it, without any line."""
    hatched = name == "H2" and _UNRELIABLE in _codes(films.report)
    rgb = paint.coloured(_grey(films, width))
    lungs = films.segmentation.pixel_array.astype(bool)
    evidence = _score(films.report, _PROBABILITY[name]) / 100
    paint.lay_heat(rgb, _heat(films, name), lungs, evidence, hatched=hatched)
    return rgb


def picture(films: FilmSet, name: str) -> Dataset:
    """The node's own picture of a map."""
    (one,) = (
        ds
        for ds in films.pictures
        if f"activation map {name}, inside" in ds.DerivationDescription
        or f"activation map {name} (" in ds.DerivationDescription.split(", inside")[0]
    )
    return one


def compare(films: FilmSet, name: str, width: int = _WIDTH) -> Difference:
    """Hold the rebuilt picture of a map against the node's, beside all lines and words."""
    ours = rebuild(films, name, width).astype(np.int16)
    box = _box(films, width)
    page = picture(films, name).pixel_array
    theirs = page[box.top : box.top + box.height, box.left : box.left + box.width]
    clear = ~_near_lines(films, name, (box.height, box.width))
    heated = (ours != _grey(films, width)[:, :, np.newaxis]).any(axis=2)
    return Difference(
        largest=int(np.abs(ours - theirs)[clear].max()),
        film=float(clear.mean()),
        heat=int((heated & clear).sum()),
    )


def _box(films: FilmSet, width: int) -> Box:
    """Where the film lies in the picture."""
    return Page(width).film.fitted(pixels.to_image(films.film).pixels.shape)


def _grey(films: FilmSet, width: int) -> paint.Grey:
    """The film as it was read, as large as it is in the picture."""
    image = pixels.to_image(films.film).pixels
    if any(_POLARITY in text for text in _texts(films.report)):
        image = 1 - image
    box = _box(films, width)
    return paint.scaled(paint.levels(image), (box.width, box.height))


def _score(report: Dataset, name: Code) -> int:
    """The score that a report states, in whole per cent."""
    (value,) = (
        item.MeasuredValueSequence[0].NumericValue
        for item in _items(report)
        if item.ValueType == "NUM" and item.ConceptNameCodeSequence[0].CodeValue == name.value
    )
    return round(float(value))


def _heat(films: FilmSet, name: str) -> NDArray[np.float32]:
    values: NDArray[np.float32] = films.maps[name].pixel_array
    return values


def _near_lines(films: FilmSet, name: str, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels not far from the lungs' outline or from the heat's contour."""
    margin = 2 * round(max(shape) * _BESIDE_LINES) + 1
    near = np.zeros(shape, bool)
    for values, level in (
        (films.segmentation.pixel_array.astype(np.float32), 0.5),
        (np.where(_small(films, name), _heat(films, name), 0), palette.ISO),
    ):
        large = Image.fromarray(values).resize(shape[::-1], Image.Resampling.BILINEAR)
        inside = np.asarray(large) >= level
        near |= ndimage.maximum_filter(inside, margin) != ndimage.minimum_filter(inside, margin)
    return near


def _small(films: FilmSet, name: str) -> NDArray[np.bool_]:
    """The lungs, as large as a map."""
    lungs = Image.fromarray(films.segmentation.pixel_array.astype(np.uint8) * 255)
    rows, columns = _heat(films, name).shape
    return np.asarray(lungs.resize((columns, rows), Image.Resampling.BILINEAR)) >= 128


def _listed(report: Dataset) -> Iterator[str]:
    for study in report.get("CurrentRequestedProcedureEvidenceSequence", []):
        for series in study.ReferencedSeriesSequence:
            for instance in series.ReferencedSOPSequence:
                yield instance.ReferencedSOPInstanceUID


def _items(node: Dataset) -> Iterator[Dataset]:
    for child in node.get("ContentSequence", []):
        yield child
        yield from _items(child)


def _codes(report: Dataset) -> set[tuple[str, str]]:
    """Concept and value of all coded answers."""
    return {
        (item.ConceptNameCodeSequence[0].CodeValue, item.ConceptCodeSequence[0].CodeValue)
        for item in _items(report)
        if item.ValueType == "CODE"
    }


def _texts(report: Dataset) -> Iterator[str]:
    return (item.TextValue for item in _items(report) if item.ValueType == "TEXT")


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare each picture in a folder; exit status 1 where one is further off than a level."""
    parser = argparse.ArgumentParser(prog="rebuild", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--width", type=int, default=_WIDTH, metavar="PIXELS",
                        help="results.picture_width of the node")  # fmt: skip
    given = parser.parse_args(arguments)
    largest = []
    for films in film_sets(given.folder):
        for name in OVERLAYS:
            if name in films.maps:
                found = compare(films, name, given.width)
                largest.append(found.largest)
                sys.stdout.write(
                    f"{films.film.SOPInstanceUID} {name}: {found.largest} grey levels apart at "
                    f"most, {found.film:.0%} of the film compared, {found.heat} pixels of heat\n"
                )
    if not largest:
        sys.exit("there is no report with parametric maps and a segmentation")
    sys.exit(max(largest) > 1)


if __name__ == "__main__":
    main()
