"""Compose all objects of one film, and write them to disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pydicom.dataset import Dataset

from dicom_node import explain
from dicom_node.compose.basic_text import basic_text, narrative
from dicom_node.compose.content import content
from dicom_node.compose.film_pixels import as_read, on_film, remarks
from dicom_node.compose.key_objects import key_objects
from dicom_node.compose.lineage import Context, Lineage
from dicom_node.compose.parametric_map import parametric_maps
from dicom_node.compose.presentation_state import presentation_state
from dicom_node.compose.refusal import is_reported, refused, sentence
from dicom_node.compose.report import report
from dicom_node.compose.secondary_capture import secondary_capture
from dicom_node.compose.segmentation import segmentation
from dicom_node.compose.tid1500 import root
from dicom_node.dicom.files import durable_write
from dicom_node.domain.values import Image, Refusal
from models.reading import ModelIdentity, Reading


def compose(source: Dataset, image: Image, reading: Reading, context: Context) -> list[Dataset]:
    """Turn a reading into the objects that are switched on, each after those it refers to.

    Parameters
    ----------
    source
        The film's data set; it is not changed.
    image
        The film's pixels as they were read.

    Returns
    -------
    list of Dataset
        Secondary Captures, Segmentation, Parametric Maps and Presentation State, then the
        Structured Report about them and the Key Object Selection, all with file meta information.
        The same film, models, configuration, software and revision always give the same UIDs.
    """
    lineage = Lineage(source=source, model=reading.model, context=context)
    results = context.results
    style = explain.Style(
        max_side=results.max_side,
        max_regions=context.report.max_regions,
        at=lineage.at,
        language=results.language,
    )
    explanation = explain.explain(image, reading, style)
    header, said = as_read(source, image), remarks(image)
    moved = header is not source
    if moved:
        image, reading = on_film(image, reading)
        explanation = explain.outlined(reading, explanation.overlays, style.max_regions)
    pictures: list[Dataset] = []
    masks: list[Dataset] = []
    others: list[Dataset] = []
    if results.secondary_capture:
        pictures = [
            secondary_capture(replace(lineage, source=header), overlay, number, moved=moved)
            for number, overlay in enumerate(explanation.overlays, 1)
        ]
    if results.segmentation:
        masks = [segmentation(lineage, image, reading)]
    if results.parametric_maps:
        others += parametric_maps(lineage, image, reading)
    if results.presentation_state:
        others.append(presentation_state(lineage, image, reading, explanation))
    images = [*pictures, *masks, *others]
    document = report(lineage, "sr", _words(lineage, reading, explanation, said), images)
    if not results.key_objects:
        return [*images, document]
    key = [document, *pictures[:1], *masks]  # the first picture is the overview
    return [*images, document, key_objects(lineage, key, positive=reading.pneumonia.positive)]


def compose_refusal(
    source: Dataset, refusal: Refusal, model: ModelIdentity, context: Context
) -> list[Dataset]:
    """Turn a refusal into the objects that report it.

    Returns
    -------
    list of Dataset
        One Structured Report. Empty if ``report.refusals`` is off, or if the refused object is not
        a radiograph that belongs to a study.
    """
    if not context.report.refusals or not is_reported(source, refusal):
        return []
    lineage = Lineage(source=source, model=model, context=context)
    if context.report.sop_class == "basic_text":
        tree = basic_text(lineage, sentence(refusal))
    else:
        tree = root(lineage, [refused(lineage, refusal)])
    return [report(lineage, f"refusal {refusal.code.value}", tree)]


def _words(
    lineage: Lineage, reading: Reading, explanation: explain.Explanation, said: Sequence[str]
) -> Dataset:
    """Build the report's content: coded, or a narrative for viewers that only print text."""
    if lineage.context.report.sop_class == "basic_text":
        return basic_text(lineage, narrative(reading, said))
    return content(lineage, reading, explanation, said)


def write(ds: Dataset, path: Path) -> None:
    """Write a Part 10 file that is either complete or absent, even after a power failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    durable_write(path, lambda file: ds.save_as(file, enforce_file_format=True))
