"""Manifest rows and the films behind them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from models import unet
from train import data

Write = Callable[[list[dict[str, str]]], Path]


def _row(split: str, group: str, name: str) -> dict[str, str]:
    return {"path": f"{name}.jpg", "split": split, "label": "normal", "source": "x",
            "group_id": group}  # fmt: skip


def test_a_patient_in_two_splits_stops_the_run(write_films: Write) -> None:
    """A patient in two splits stops the run, and is named."""
    folder = write_films([_row("train", "g1", "a"), _row("test", "g1", "b")])
    with pytest.raises(ValueError, match="g1"):
        data.read_films(folder)


def test_a_patient_may_have_many_films_in_one_split(write_films: Write) -> None:
    """A patient may have many films in one split."""
    folder = write_films([_row("train", "g1", "a"), _row("train", "g1", "b")])
    assert len(data.read_films(folder)) == 2


def test_only_the_splits_asked_for_are_read(tiny_data: Path) -> None:
    """Only the splits asked for are read."""
    assert {film.split for film in data.read_films(tiny_data, ("val",))} == {"val"}


def test_films_of_other_labels_are_left_out(write_films: Write) -> None:
    """A film that is neither normal nor pneumonia teaches nothing."""
    folder = write_films([_row("train", "g1", "a") | {"label": "inconclusive"}])
    assert data.read_films(folder) == []


def test_each_mask_knows_its_convention(tiny_data: Path) -> None:
    """A mask drawn without the heart teaches the aerated channel, the others the field."""
    channels = {film.source: film.channel for film in data.read_lung_films(tiny_data)}
    assert channels == {"jsrt": unet.AERATED, "gb_seg": unet.FIELD}


def test_a_mask_lies_where_its_film_lies(tiny_data: Path) -> None:
    """The mask is dark lung in the film of the same frame."""
    film = data.read_lung_films(tiny_data)[0]
    mask = data.load_mask(film.mask, 64)
    pixels = data.load_pixels(film.path)
    assert 0.1 < mask.mean() < 0.4
    assert pixels[mask].mean() < pixels[~mask].mean() - 0.3


@pytest.mark.skipif("DATA" not in os.environ, reason="needs the data set: set DATA to its folder")
def test_no_patient_of_the_real_data_crosses_splits() -> None:
    """No patient of the real data crosses splits."""
    folder = Path(os.environ["DATA"])
    films = data.read_films(folder, ("train", "train-only", "val", "test", "site"))
    assert len(films) > 1000
    assert len(data.read_lung_films(folder)) > 500
