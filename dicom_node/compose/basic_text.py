"""The report as plain text, for viewers that only print text (`report.sop_class: basic_text`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import highdicom as hd

from dicom_node.compose import codes
from dicom_node.compose.content import unreliable
from dicom_node.compose.tid1500 import observer

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from dicom_node.compose.lineage import Lineage
    from dicom_node.explain.message import Answer, Message
    from models.reading import Reading

_CONTAINS = hd.sr.RelationshipTypeValues.CONTAINS


def basic_text(lineage: Lineage, text: str) -> Dataset:
    """Build a root container with one narrative."""
    container = hd.sr.ContainerContentItem(codes.TEXT_REPORT)
    narrative = hd.sr.TextContentItem(codes.NARRATIVE, text, _CONTAINS)
    container.ContentSequence = hd.sr.ContentSequence([*observer(lineage), narrative])
    return container


def narrative(reading: Reading, said: Message, remarks: Sequence[str] = ()) -> str:
    """Say in sentences what the coded report says; ``remarks`` are about the film."""
    sentences = [summary(said)]
    if reading.heat_check and reading.heat_check.reliable is False:
        sentences.append(unreliable(reading.heat_check))
    sentences += remarks
    model = reading.model
    sentences.append(f"Model {model.version}, sha256 {model.digest}.")
    return "\n".join(sentences)


def summary(said: Message) -> str:
    """Say finding, score, cut-off, place and limits in sentences, the most important first."""
    where = f", {' and '.join(said.places).lower()}" if said.places else ""
    sentences = [f"{verdict(said.pneumonia)}{where}", *said.earlier, verdict(said.covid19)]
    sentences += [*said.warnings, *said.small_print, "Research software, not for diagnostic use"]
    return " ".join(f"{each}." for each in sentences)


def verdict(answer: Answer) -> str:
    """Say one answer in a clause."""
    if answer.score is None:
        return f"{answer.name} {answer.said}"
    return f"{answer.name} {answer.said}: score {answer.score} of 100, cut-off {answer.cut_off}"
