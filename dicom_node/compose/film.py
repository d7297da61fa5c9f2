"""All objects of one film, and how they reach the disk."""

from __future__ import annotations

import os
from pathlib import Path

from pydicom.dataset import Dataset

from dicom_node import explain
from dicom_node.compose.lineage import Context, Lineage
from dicom_node.compose.report import report
from dicom_node.compose.secondary_capture import secondary_capture
from dicom_node.domain import Image
from models.reading import Reading


def compose(source: Dataset, image: Image, reading: Reading, context: Context) -> list[Dataset]:
    """Turn a reading into DICOM objects: the pictures in their order, then the report.

    Parameters
    ----------
    source
        The film's data set; its pixels are not touched.
    image
        Its pixels as they were read.

    Returns
    -------
    list of Dataset
        One Secondary Capture for each picture, then one Structured Report, all with file meta.
        The same film, networks and configuration give the same UIDs every time.
    """
    lineage = Lineage(source=source, model=reading.model, context=context)
    style = explain.Style(
        max_side=context.results.max_side,
        max_regions=context.report.max_regions,
        at=lineage.at,
    )
    explanation = explain.explain(image, reading, style)
    images = [
        secondary_capture(lineage, overlay, number)
        for number, overlay in enumerate(explanation.overlays, 1)
    ]
    return [*images, report(lineage, reading, explanation, images)]


def write(ds: Dataset, path: Path) -> None:
    """Write a Part 10 file that is either whole or not there, even after a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            ds.save_as(file, enforce_file_format=True)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)  # still there only where something failed
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
