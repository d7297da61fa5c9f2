"""Manifest rows and the films behind them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.film import Stored, phantom
from support.film import film as dicom_film

from dicom_node.pixels import to_image
from models import preprocess, unet
from train.data import films

Write = Callable[[list[dict[str, str]]], Path]


def _row(split: str, group: str, name: str) -> dict[str, str]:
    return {"path": f"{name}.jpg", "split": split, "label": "normal", "source": "x",
            "group_id": group}  # fmt: skip


def test_a_patient_in_two_splits_stops_the_run(write_films: Write) -> None:
    """A patient in two splits stops the run, and is named."""
    folder = write_films([_row("train", "g1", "a"), _row("test", "g1", "b")])
    with pytest.raises(ValueError, match="g1"):
        films.read_films(folder)


def test_a_patient_may_have_many_films_in_one_split(write_films: Write) -> None:
    """A patient may have many films in one split."""
    folder = write_films([_row("train", "g1", "a"), _row("train", "g1", "b")])
    assert len(films.read_films(folder)) == 2


def test_only_the_splits_asked_for_are_read(tiny_data: Path) -> None:
    """Only the splits asked for are read."""
    assert {film.split for film in films.read_films(tiny_data, ("val",))} == {"val"}


def test_films_of_other_labels_are_left_out(write_films: Write) -> None:
    """A film that is neither normal nor pneumonia teaches nothing."""
    folder = write_films([_row("train", "g1", "a") | {"label": "inconclusive"}])
    assert films.read_films(folder) == []


def test_each_mask_knows_its_convention(tiny_data: Path) -> None:
    """A mask drawn without the heart teaches the aerated channel, the others the field."""
    channels = {film.source: film.channel for film in films.read_lung_films(tiny_data)}
    assert channels == {"jsrt": unet.AERATED, "gb_seg": unet.FIELD}


def test_a_mask_lies_where_its_film_lies(tiny_data: Path) -> None:
    """The mask is dark lung in the film of the same frame."""
    film = films.read_lung_films(tiny_data)[0]
    mask = films.load_mask(film.masks, 64)
    pixels = films.load_pixels(film.path)
    assert 0.1 < mask.mean() < 0.4
    assert pixels[mask].mean() < pixels[~mask].mean() - 0.3


@pytest.mark.parametrize(("photometric", "kind"), [("MONOCHROME2", "cr"), ("MONOCHROME1", "dx")])
def test_training_sees_what_the_node_sees(tmp_path: Path, photometric: str, kind: str) -> None:
    """A film learned from a picture file and the same film sent as DICOM are the same input."""
    sent = dicom_film(phantom(200, 160), stored=Stored(bits=8, photometric=photometric), kind=kind)  # type: ignore[arg-type]
    stored = np.frombuffer(sent.PixelData, np.uint8)[: 200 * 160].reshape(200, 160)
    shown = 255 - stored if photometric == "MONOCHROME1" else stored
    Image.fromarray(shown).save(tmp_path / "film.png")
    learned, frame = preprocess.to_network(films.load_pixels(tmp_path / "film.png"), 128)
    read, frame_in_node = preprocess.to_network(to_image(sent).pixels, 128)
    assert frame == frame_in_node
    assert np.abs(learned - read).max() < 1e-5


def test_a_patient_whose_masks_are_torn_between_splits_stays_in_training(tiny_data: Path) -> None:
    """A patient that one source trains on and another tests on is not tested."""
    manifest = tiny_data / "lungs" / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("gb_seg/test,", "jsrt/train,"))
    found = films.read_lung_films(tiny_data)
    assert [film.split for film in found if film.group == "jsrt/train"] == ["train"]
    assert ("gb_seg", "test") not in {(film.source, film.split) for film in found}


@pytest.mark.skipif("DATA" not in os.environ, reason="needs the data set: set DATA to its folder")
def test_no_patient_of_the_real_data_crosses_splits() -> None:
    """No patient of the real data crosses splits."""
    folder = Path(os.environ["DATA"])
    found = films.read_films(folder, ("train", "train-only", "val", "test", "site"))
    assert len(found) > 1000
    assert len(films.read_lung_films(folder)) > 500
