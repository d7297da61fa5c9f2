"""A tiny data folder in the real layout, drawn by the test."""

from __future__ import annotations

import csv
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from support.fake_networks import draw

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


def _write(path: Path, columns: list[str], rows: list[dict[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def write_films(tmp_path: Path) -> Callable[[list[dict[str, str]]], Path]:
    """Write cxr/manifest.csv and its films; gives the data folder."""

    return partial(_write_films, tmp_path)


def _write_films(folder: Path, rows: list[dict[str, str]]) -> Path:
    full = [{"subsource": "a", "view": "PA", "licence": "none"} | row for row in rows]
    _write(folder / "cxr" / "manifest.csv", FILMS, full)
    for i, row in enumerate(full):
        draw(folder / "cxr" / row["path"], row.get("label", ""), i)
    return folder


@pytest.fixture
def tiny_data(tmp_path: Path) -> Path:
    """Films of three sources and every label in train, val and test, and films with masks."""
    return _draw_data(tmp_path)


@pytest.fixture(scope="session")
def draw_data() -> Callable[[Path], Path]:
    """Draw what `tiny_data` holds into a folder; returns the folder."""
    return _draw_data


def _draw_data(folder: Path) -> Path:
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
    _write_films(folder, rows)
    masks: list[dict[str, str]] = []
    for split in ("train", "val", "test"):
        for source, convention in (("jsrt", AERATED), ("gb_seg", FIELD)):
            name = f"{source}/{split}"
            draw(folder / "lungs" / f"{name}.jpg", "normal", len(masks))
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
    _write(folder / "lungs" / "manifest.csv", MASKS, masks)
    return folder
