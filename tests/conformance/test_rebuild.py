"""From the archive alone, our heatmap pictures can be made again."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from support import readings
from support.film import Stored, film, phantom, write
from support.objects import context
from support.rebuild import FilmSet, compare, film_sets, main, rebuild

from dicom_node import compose, pixels
from models.reading import Reading


def archive(
    folder: Path,
    source: Dataset,
    *,
    reading: Reading | None = None,
    turned_over: bool = False,
    width: int = 1024,
) -> FilmSet:
    """Read a film, and put it and all that it yields in a folder."""
    image = pixels.to_image(source)
    if turned_over:
        image = replace(image, pixels=1 - image.pixels, notes={"polarity": "corrected"})
    reading = reading or readings.positive(readings.frame(source.Rows, source.Columns))
    everything = context(
        picture_width=width,
        encoding="uncompressed",
        segmentation=True,
        parametric_maps=True,
        key_objects=True,
    )
    write(source, folder / "film.dcm")
    for ds in compose.compose(source, image, reading, everything):
        compose.write(ds, folder / f"{ds.SOPInstanceUID}.dcm")
    (found,) = film_sets(folder)
    return found


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FilmSet]:
    folder = tmp_path_factory.mktemp("archive")
    return folder, archive(folder, film(phantom(400, 360), kind="dx"))


@pytest.mark.parametrize("name", ["H2", "H3"])
def test_the_picture_is_there_again_to_within_one_grey_level(
    archived: tuple[Path, FilmSet], name: str
) -> None:
    """Most of the film is compared, and enough of the heat."""
    difference = compare(archived[1], name, 1024)
    assert difference.largest <= 1
    assert difference.film > 0.6
    assert difference.heat > 700


@pytest.mark.parametrize(
    "elements", [{"stored": Stored(photometric="MONOCHROME1")}, {"window": (1400.0, 1800.0)}]
)
def test_it_is_there_again_however_the_film_is_stored(
    elements: dict[str, Any], tmp_path: Path
) -> None:
    """Polarity and window come from the film."""
    found = archive(tmp_path, film(phantom(400, 360), **elements))
    assert compare(found, "H2", 1024).largest <= 1


def test_it_is_there_again_where_the_polarity_was_corrected(tmp_path: Path) -> None:
    """That the film was turned over stands in the report."""
    found = archive(tmp_path, film(phantom(400, 360)), turned_over=True)
    assert compare(found, "H2", 1024).largest <= 1


def test_it_is_there_again_where_the_picture_is_smaller_than_the_film(tmp_path: Path) -> None:
    """Given the size the node was told."""
    found = archive(tmp_path, film(phantom(480, 560)), width=512)
    difference = compare(found, "H2", 512)
    assert difference.largest <= 1
    assert difference.heat > 1000


def test_the_hatching_of_an_unreliable_heatmap_comes_from_the_report(tmp_path: Path) -> None:
    """Its stripes are where they were; the map itself knows nothing of them."""
    reading = replace(
        readings.positive(readings.frame(400, 360)),
        heat_check=readings.heat_check(reliable=False),
    )
    found = archive(tmp_path, film(phantom(400, 360)), reading=reading)
    assert compare(found, "H2", 1024).largest <= 1
    assert compare(found, "H3", 1024).largest <= 1
    report = deepcopy(found.report)
    for element in report.iterall():
        if element.keyword == "CodeValue" and element.value == "111236":  # does not meet
            element.value = "111237"
    trusting = replace(found, report=report)
    assert not np.array_equal(rebuild(found, "H2", 1024), rebuild(trusting, "H2", 1024))


def test_another_heat_is_another_picture(archived: tuple[Path, FilmSet]) -> None:
    """A comparison that cannot fail proves nothing."""
    found = archived[1]
    weaker = (found.maps["H2"].pixel_array * np.float32(0.9)).tobytes()
    maps = found.maps | {"H2": _with(found.maps["H2"], FloatPixelData=weaker)}
    assert compare(replace(found, maps=maps), "H2", 1024).largest > 1


def test_the_command_says_how_far_the_pictures_are_apart(
    archived: tuple[Path, FilmSet], capsys: pytest.CaptureFixture[str]
) -> None:
    """One line for each picture, and exit status 0."""
    with pytest.raises(SystemExit) as exit_status:
        main([str(archived[0]), "--width", "1024"])
    assert not exit_status.value.code
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["H2:", "H3:"]


def test_a_folder_without_maps_is_no_proof(tmp_path: Path) -> None:
    """Nothing compared is a failure."""
    write(film(phantom(320, 288)), tmp_path / "film.dcm")
    with pytest.raises(SystemExit, match="no report with parametric maps"):
        main([str(tmp_path)])


def _with(ds: Dataset, **elements: object) -> Dataset:
    """The same object with other values."""
    changed = deepcopy(ds)
    for keyword, value in elements.items():
        setattr(changed, keyword, value)
    return changed
