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
    from models.reading import Reading, StageResult

_CONTAINS = hd.sr.RelationshipTypeValues.CONTAINS


def basic_text(lineage: Lineage, text: str) -> Dataset:
    """Build a root container with one narrative."""
    container = hd.sr.ContainerContentItem(codes.TEXT_REPORT)
    narrative = hd.sr.TextContentItem(codes.NARRATIVE, text, _CONTAINS)
    container.ContentSequence = hd.sr.ContentSequence([*observer(lineage), narrative])
    return container


def narrative(reading: Reading, remarks: Sequence[str] = ()) -> str:
    """Say in sentences what the coded report says; ``remarks`` are about the film."""
    sentences = [verdict("Pneumonia", reading.pneumonia)]
    if reading.covid19 is None:
        sentences.append("COVID-19 was not looked for: pneumonia is below its threshold.")
    else:
        sentences.append(verdict("COVID-19", reading.covid19))
    if reading.heat_check and reading.heat_check.reliable is False:
        sentences.append(unreliable(reading.heat_check))
    sentences += remarks
    model = reading.model
    sentences.append(f"Model {model.version}, sha256 {model.digest}.")
    sentences.append("Research software, not for diagnostic use.")
    return "\n".join(sentences)


def verdict(name: str, stage: StageResult) -> str:
    """Say one stage's decision in a sentence."""
    side = "at or above" if stage.positive else "below"
    return (
        f"{name} probability {100 * stage.probability:.1f} %, "
        f"{side} the threshold of {100 * stage.threshold:.1f} %."
    )
