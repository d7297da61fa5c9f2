"""Compose all objects of one film, and write them to disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset

from dicom_node import explain
from dicom_node.compose import series
from dicom_node.compose.basic_text import basic_text, narrative, summary
from dicom_node.compose.content import content
from dicom_node.compose.facts import facts
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
from dicom_node.domain.values import Image, Refusal, ResultKind
from dicom_node.explain.message import english, message
from dicom_node.explain.refusals import SHORT
from models.reading import ModelIdentity, Reading

#: Kind of a picture in the second series -> the kind of result it belongs to.
_DETAILS = {
    "h2": ResultKind.HEATMAPS,
    "h3": ResultKind.HEATMAPS,
    "lungs": ResultKind.LUNGS,
    "guided": ResultKind.GUIDED,
}


@disable_value_validation()  # `check_objects` looks at every value, and withholds bad ones
def compose(source: Dataset, image: Image, reading: Reading, context: Context) -> list[Dataset]:
    """Turn a reading into the objects of ``context.edition``, each after those it refers to.

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
        Empty if the edition has none of what is switched on for this film.
    """
    lineage = Lineage(source=source, model=reading.model, context=context)
    explanation = explain.explain(image, reading, _style(lineage))
    header, said = as_read(source, image), _said(lineage, image, reading, explanation)
    if header is not source:
        image, reading = on_film(image, reading)
        explanation = explain.in_film_pixels(explanation, reading, context.report.max_regions)
    # Words before pictures: meanwhile the film is scaled for them.
    reported = _is_made(context, ResultKind.REPORT)
    words = _words(lineage, image, reading, explanation, said) if reported else None
    pictures = _pictures(replace(lineage, source=header), reading, explanation)
    others = _others(lineage, image, reading, explanation)
    images = [*pictures, *others]
    documents = [] if words is None else [report(lineage, "sr", words, images)]
    masks = [ds for ds in others if ds.Modality == "SEG"]
    key = [*documents, *pictures[:1], *masks]  # the first picture is the summary
    if key and _is_made(context, ResultKind.KEY_OBJECTS):
        documents.append(key_objects(lineage, key, positive=reading.pneumonia.positive))
    return [*images, *documents]


@disable_value_validation()
def compose_refusal(
    source: Dataset,
    refusal: Refusal,
    model: ModelIdentity,
    context: Context,
    image: Image | None = None,
) -> list[Dataset]:
    """Turn a refusal into the objects that report it; ``image`` is the film, if it can be shown.

    Returns
    -------
    list of Dataset
        A picture and a Structured Report, those that ``context.edition`` has. Empty if
        ``report.refusals`` is off, if the edition has no refusals, or if the refused object is not
        a radiograph that belongs to a study.
    """
    wanted = context.report.refusals and context.edition.refusals
    if not wanted or not is_reported(source, refusal):
        return []
    lineage = Lineage(source=source, model=model, context=context)
    pictures = []
    if _is_made(context, ResultKind.SUMMARY):
        overlay = explain.refusal_picture(image, refusal, _style(lineage))
        header = source if image is None else as_read(source, image)
        kind = series.named(f"not read: {SHORT[refusal.code]}")
        pictures = [secondary_capture(replace(lineage, source=header), kind, overlay, 1)]
    if not _is_made(context, ResultKind.REPORT):
        return pictures
    if context.sr_class == "basic_text":
        tree = basic_text(lineage, sentence(refusal))
    else:
        tree = root(lineage, [refused(lineage, refusal)], sentence(refusal))
    return [*pictures, report(lineage, f"refusal {refusal.code.value}", tree, pictures)]


def _is_made(context: Context, kind: ResultKind) -> bool:
    """Whether results of the kind are switched on and part of the edition."""
    return kind in context.results.kinds and context.edition.has(kind)


def _style(lineage: Lineage) -> explain.Style:
    """Return what the pictures of a film depend on besides the reading."""
    context, results = lineage.context, lineage.context.results
    return explain.Style(
        width=results.picture_width,
        max_regions=context.report.max_regions,
        at=lineage.at,
        model=lineage.model.version,
        language=results.language,
        facts=facts(lineage.source, context),
        summary=results.summary,
        heatmaps=results.heatmaps,
        lungs=results.lungs,
        guided=results.guided,
    )


def _pictures(
    lineage: Lineage, reading: Reading, explanation: explain.Explanation
) -> list[Dataset]:
    """Build the summary's series, whose name carries the message, and that of the details."""
    pictures = []
    if explanation.summary is not None and _is_made(lineage.context, ResultKind.SUMMARY):
        answer = english(reading.pneumonia)
        kind = series.named(f"pneumonia {answer.said}")
        pictures.append(secondary_capture(lineage, kind, explanation.summary, 1))
    return pictures + [
        secondary_capture(lineage, series.DETAILS, overlay, number)
        for number, overlay in enumerate(explanation.details, 1)
        if _is_made(lineage.context, _DETAILS[overlay.kind])
    ]


def _others(
    lineage: Lineage, image: Image, reading: Reading, explanation: explain.Explanation
) -> list[Dataset]:
    """Build the objects for programs and for viewers of outlines that are switched on."""
    context = lineage.context
    others: list[Dataset] = []
    if _is_made(context, ResultKind.SEGMENTATION):
        others.append(segmentation(lineage, image, reading))
    if _is_made(context, ResultKind.PARAMETRIC_MAPS):
        others += parametric_maps(lineage, image, reading)
    if _is_made(context, ResultKind.PRESENTATION_STATE):
        others.append(presentation_state(lineage, image, reading, explanation))
    return others


def _said(
    lineage: Lineage, image: Image, reading: Reading, explanation: explain.Explanation
) -> explain.Message:
    """Return the report's message about the film, in English."""
    places = [region.place for region in explanation.pneumonia]
    return message(reading, places, image.notes, facts(lineage.source, lineage.context))


def _words(
    lineage: Lineage,
    image: Image,
    reading: Reading,
    explanation: explain.Explanation,
    said: explain.Message,
) -> Dataset:
    """Build the report's content: coded, or as text for viewers that show no codes."""
    if lineage.context.sr_class == "basic_text":
        return basic_text(lineage, narrative(reading, said, remarks(image)))
    return content(lineage, reading, explanation, image, summary(said))


def write(ds: Dataset, path: Path) -> None:
    """Write a Part 10 file that is either complete or absent, even after a power failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _mark_items(ds)
    durable_write(path, lambda file: ds.save_as(file, enforce_file_format=True))


def _mark_items(ds: Dataset) -> None:
    """Mark the items of sequences, at any depth, as encoded in the way in which they are written.

    pydicom resolves ambiguous VRs in all of them when it writes the data set; in items that are not
    marked it would look for them again, at each depth.
    """
    for element in ds.elements():
        if element.VR == "SQ":
            for item in ds[element.tag].value:
                item.set_original_encoding(False, True, item._character_set)
                _mark_items(item)
