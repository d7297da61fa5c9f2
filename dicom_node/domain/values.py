"""What the node keeps and decides: frozen values and enumerations; the state tables beside.

Nothing here touches a socket, a clock, a disk or SQL. Times are timezone-aware UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from dicom_node.domain.reading import ReadingSummary
from dicom_node.domain.states import DeliveryEvent

if TYPE_CHECKING:  # the commands that only ask for state start without numpy
    import numpy as np
    from numpy.typing import NDArray


class RefusalCode(StrEnum):
    """Why a film is not read. The value is stable: it stands in audit lines and JSON."""

    SOP_CLASS = "sop-class"  # not CR, DX or Secondary Capture
    MODALITY = "modality"
    BODY_PART = "body-part"
    VIEW = "view"  # lateral or oblique
    SIZE = "size"  # too small, or not the shape of a film
    INTENT = "presentation-intent"
    IMAGE_TYPE = "image-type"  # somebody's derived result, not a film
    PHOTOMETRIC = "photometric"  # colour
    FRAMES = "frames"  # more than one
    UNREADABLE = "unreadable"  # the pixels do not decode
    FILE = "file"  # not a DICOM file, or without the UIDs results refer to
    AGE = "age"  # a child
    NOT_CHEST = "not-chest"  # the pixels show something else than a chest radiograph
    NOT_FRONTAL = "not-frontal"  # the pixels show a lateral chest
    ORIENTATION = "orientation"  # not upright in the frame
    POLARITY = "polarity"  # the pixels contradict the MONOCHROME tag
    CROPPED = "cropped"  # parts of the lungs are outside the film
    EXPOSURE = "exposure"  # nearly black, nearly white, or without contrast
    UNFAMILIAR = "unfamiliar"  # unlike what the networks learned from


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One received SOP instance, on disk."""

    sop_instance_uid: str
    sop_class_uid: str
    study_instance_uid: str
    series_instance_uid: str
    transfer_syntax_uid: str
    path: Path  # relative to node.data_dir
    size: int  # bytes
    sha256: str  # of the data set as it came, hex
    calling_ae_title: str
    received_at: datetime
    priority: int = 0  # the greater goes first


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A coded no, and one sentence for a person."""

    code: RefusalCode
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The reading of one study revision: the instances not yet decided on when it was claimed."""

    id: int
    study_instance_uid: str
    revision: int  # 1 for the first reading of the study
    attempt: int  # 1 for the first try
    lease: str  # fencing token; only its holder may finish the job
    instances: tuple[Instance, ...]
    predecessors: tuple[Result, ...] = ()  # the newest report of each film read before


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A composed DICOM object, on disk."""

    sop_instance_uid: str
    sop_class_uid: str
    series_instance_uid: str
    modality: str
    series_description: str
    path: Path  # relative to node.data_dir, or to the --out folder of `read`


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFailure:
    """Why a composed object may not leave; ``message`` never holds patient identity."""

    sop_instance_uid: str
    rule: str  # which check found it
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmOutcome:
    """What became of one instance: refused with a reason, or read; these are the results.

    ``reading`` is None if the film was refused. A refusal may have a result: the report that
    says so.
    """

    sop_instance_uid: str
    refusal: Refusal | None
    reading: ReadingSummary | None
    results: tuple[Result, ...] = ()
    faults: tuple[CheckFailure, ...] = ()  # any of them withholds all results


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One object's way to one destination."""

    id: int
    result: Result
    attempt: int  # 1 for the first try


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """Everything due for one study at one destination: one association carries it."""

    study_instance_uid: str
    destination: str
    lease: str
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """How one delivery of a shipment went, and when to try again (None: not again)."""

    delivery_id: int
    event: DeliveryEvent  # ACCEPTED, UNANSWERED, UNAVAILABLE, REFUSED or GAVE_UP
    status_code: int | None  # DIMSE status, None where no answer came
    reason: str
    due_at: datetime | None = None
    confirm: bool = False  # accepted: ask afterwards whether it is kept


class SendOutcome(StrEnum):
    """How far one object got on its way to a destination."""

    ANSWERED = "answered"  # the destination answered with a status
    NO_ANSWER = "no-answer"  # it went out and no answer came: the destination may have it
    UNAVAILABLE = "unavailable"  # it did not go out; a later attempt may succeed
    NOT_SENT = "not-sent"  # the association broke at an object before it
    NOT_ACCEPTED = "not-accepted"  # the destination takes no object of this kind
    UNREADABLE = "unreadable"  # the file is missing, or is not a DICOM file


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one object that was to be sent.

    ``status`` is the DIMSE status of an `ANSWERED` object, or the DICOM failure or warning reason
    of a web service's answer; None for every other outcome. ``reason`` is one sentence.
    """

    outcome: SendOutcome
    status: int | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A film's pixels as a person would see them: white is dense, one window applied.

    ``pixels`` is (rows, columns) float32 in [0, 1]. ``spacing_mm`` is (row, column) at the detector
    or the patient plane, None where the header does not say.
    """

    pixels: NDArray[np.float32]
    spacing_mm: tuple[float, float] | None
    notes: dict[str, str] = field(
        default_factory=dict
    )  # e.g. {"window": "header", "inverted": "yes"}
