"""A tiny data folder in the real layout, drawn by the test."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

FILMS = [
    "path", "split", "label", "pathogen", "findings", "radiologist", "view", "age",
    "age_group", "sex",
    "patient_id", "group_id", "source", "subsource", "projection", "label_source", "orig_width",
    "orig_height", "licence", "lung_mask", "infection_mask",
]  # fmt: skip
MASKS = [
    "image", "mask", "split", "source", "convention", "annotation", "label", "patient_id",
    "group_id", "lung_fraction", "licence",
]  # fmt: skip
AERATED = "aerated lung, heart excluded"
FIELD = "lung field, heart shadow included"


def _draw(path: Path, seed: int, side: int = 64) -> None:
    """Two dark lungs on gray, and their mask beside the film."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:side, 0:side] / side
    lungs = np.zeros((side, side), np.bool_)
    for centre in (0.3, 0.7):
        lungs |= ((columns - centre) / 0.15) ** 2 + ((rows - 0.5) / 0.3) ** 2 < 1
    film = np.where(lungs, 60, 180) + rng.normal(0, 10, (side, side))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(film, 0, 255).astype(np.uint8)).save(path)
    mask = Image.fromarray((lungs * 255).astype(np.uint8))
    mask.save(path.with_name(f"{path.stem}_mask.png"))


def _write(path: Path, columns: list[str], rows: list[dict[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def write_films(tmp_path: Path) -> Callable[[list[dict[str, str]]], Path]:
    """Write cxr/manifest.csv and its films; gives the data folder."""

    def write(rows: list[dict[str, str]]) -> Path:
        full = [{"subsource": "a", "view": "PA", "licence": "none"} | row for row in rows]
        _write(tmp_path / "cxr" / "manifest.csv", FILMS, full)
        for i, row in enumerate(full):
            _draw(tmp_path / "cxr" / row["path"], i)
        return tmp_path

    return write


@pytest.fixture
def tiny_data(tmp_path: Path, write_films: Callable[[list[dict[str, str]]], Path]) -> Path:
    """Films of three sources and every label in train, val and test, and films with masks."""
    rows = [
        {
            "path": f"{source}/{split}{label}{i}.jpg",
            "split": split,
            "label": label,
            "source": source,
            "group_id": f"{source}{split}{label}{i}",
        }
        for split in ("train", "val", "test")
        for source in ("nih", "quex", "ieee8023")
        for label in ("normal", "pneumonia", "covid")
        for i in range(2)
        if (source, label) != ("nih", "covid")
    ]
    write_films(rows)
    masks: list[dict[str, str]] = []
    for split in ("train", "val", "test"):
        for source, convention in (("jsrt", AERATED), ("gb_seg", FIELD)):
            name = f"{source}/{split}"
            _draw(tmp_path / "lungs" / f"{name}.jpg", len(masks))
            masks.append(
                {
                    "image": f"{name}.jpg",
                    "mask": f"{name}_mask.png",
                    "split": split,
                    "source": source,
                    "convention": convention,
                    "group_id": name,
                    "licence": "none",
                }
            )
    _write(tmp_path / "lungs" / "manifest.csv", MASKS, masks)
    return tmp_path
