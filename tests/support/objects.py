"""Composed objects, written and read back as an archive would get them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from support import readings
from support.film import film, phantom

from dicom_node import compose
from dicom_node.config import ReportConfig, ResultsConfig
from dicom_node.domain.values import Image
from models.reading import Reading

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def context(
    report: ReportConfig | None = None, digest: str = "d" * 64, **results: object
) -> compose.Context:
    """The defaults, read at `AT`, with small uncompressed pictures."""
    few = {"encoding": "uncompressed", "picture_width": 512}
    return compose.Context(
        report=report or ReportConfig(),
        results=ResultsConfig.model_validate(few | results),
        config_digest=digest,
        ae_title="AINODE",
        at=AT,
    )


def composed(
    source: Dataset,
    reading: Reading | None = None,
    what: compose.Context | None = None,
    **notes: str,
) -> list[Dataset]:
    """Compose a film's objects in memory; the notes are those of its pixels."""
    ramp = np.linspace(0, 1, source.Columns, dtype=np.float32)
    pixels = np.tile(ramp, (source.Rows, 1))
    reading = reading or readings.positive(readings.frame(source.Rows, source.Columns))
    image = Image(pixels=pixels, spacing_mm=None, notes=notes)
    return compose.compose(source, image, reading, what or context())


def through_disk(objects: list[Dataset], folder: Path) -> list[Dataset]:
    """Write the objects and read them again."""
    paths = [folder / f"{number}.dcm" for number in range(len(objects))]
    for ds, path in zip(objects, paths, strict=True):
        compose.write(ds, path)
    return [dcmread(path) for path in paths]


def small_film(rows: int = 320, columns: int = 288, **elements: Any) -> Dataset:
    """A film that is quickly drawn."""
    return film(phantom(rows, columns), **elements)


def fixed_film(**elements: Any) -> Dataset:
    """A DX film whose UIDs never change."""
    return small_film(
        kind="dx",
        StudyInstanceUID="1.2.826.0.1.1",
        SeriesInstanceUID="1.2.826.0.1.1.1",
        SOPInstanceUID="1.2.826.0.1.1.1.1",
        **elements,
    )
