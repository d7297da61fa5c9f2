"""The values that packages exchange: instances, jobs, outcomes, results, deliveries.

They are frozen, and nothing here uses a socket, a clock, a disk or SQL. Times are aware UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from dicom_node.domain.reading import ReadingSummary
from dicom_node.domain.states import DeliveryEvent

if TYPE_CHECKING:  # the commands that only ask for state start without numpy
    import numpy as np
    from numpy.typing import NDArray


#: Rows x columns beyond this are refused before anything is allocated; the largest detector in
#: use has some 20 million pixels.
MOST_PIXELS = 100_000_000

#: Priorities of a film, the greater is read first: fetched by `dicom-node backfill`, sent, urgent.
BACKFILL, ROUTINE, STAT = -1, 0, 1


class Identity(StrEnum):
    """What the objects for a destination say of the patient."""

    FULL = "full"  # all that the film says
    MINIMAL = "minimal"  # what an archive needs to file them
    PSEUDONYM = "pseudonym"  # PS3.15 Annex E, Basic Application Confidentiality Profile


class ResultKind(StrEnum):
    """A kind of result: the keys of ``results`` that make one, and the Structured Report."""

    SUMMARY = "summary"  # also the picture of a refusal
    REPORT = "report"
    HEATMAPS = "heatmaps"
    LUNGS = "lungs"
    GUIDED = "guided"
    SEGMENTATION = "segmentation"
    KEY_OBJECTS = "key_objects"
    PRESENTATION_STATE = "presentation_state"
    PARAMETRIC_MAPS = "parametric_maps"


@dataclass(frozen=True, slots=True)
class Edition:
    """What a destination gets of a film's results; equal editions are the same objects.

    Editions of one identity share all objects but the documents, which list the others.

    Parameters
    ----------
    send
        The kinds of result; None: all that are made.
    sr_class
        Of the Structured Report; None: as ``report.sop_class`` says.
    refusals
        Whether a refused film has results, too.
    """

    identity: Identity = Identity.FULL
    send: frozenset[ResultKind] | None = None
    sr_class: str | None = None
    refusals: bool = True

    @property
    def name(self) -> str:
        """A word for each part that is not the default, after the identity."""
        kinds = "+".join(sorted(self.send)) if self.send is not None else ""
        read_only = "" if self.refusals else "no-refusals"
        return " ".join(filter(None, (self.identity.value, self.sr_class, kinds, read_only)))

    def has(self, kind: ResultKind) -> bool:
        """Whether a destination with this edition gets results of the kind."""
        return self.send is None or kind in self.send


class RefusalCode(StrEnum):
    """Why a film is not read. The value is stable across releases: audit lines and JSON hold it."""

    SOP_CLASS = "sop-class"  # not CR, DX or Secondary Capture
    MODALITY = "modality"
    BODY_PART = "body-part"
    VIEW = "view"  # lateral or oblique
    SIZE = "size"  # too small, or not the shape of a film
    INTENT = "presentation-intent"
    IMAGE_TYPE = "image-type"  # a derived image, not a film
    PHOTOMETRIC = "photometric"  # colour
    FRAMES = "frames"  # more than one
    UNREADABLE = "unreadable"  # the pixels do not decode
    FILE = "file"  # not a DICOM file, or without the UIDs results refer to
    AGE = "age"  # a child
    NOT_CHEST = "not-chest"  # the pixels do not show a chest radiograph
    NOT_FRONTAL = "not-frontal"  # the pixels show a lateral chest
    ORIENTATION = "orientation"  # not upright in the frame
    POLARITY = "polarity"  # the pixels contradict the MONOCHROME tag
    CROPPED = "cropped"  # parts of the lungs are outside the film
    EXPOSURE = "exposure"  # nearly black, nearly white, or without contrast
    UNFAMILIAR = "unfamiliar"  # unlike what the networks learned from


#: Refusals by the gate; the others are by the header or the file.
GATE_CODES = frozenset({
    RefusalCode.AGE, RefusalCode.NOT_CHEST, RefusalCode.NOT_FRONTAL, RefusalCode.ORIENTATION,
    RefusalCode.POLARITY, RefusalCode.CROPPED, RefusalCode.EXPOSURE, RefusalCode.UNFAMILIAR,
})  # fmt: skip


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
    priority: int = ROUTINE


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a film is not read: a code, and one sentence for a person."""

    code: RefusalCode
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierReading:
    """What another film of the same patient was read as."""

    film_date: date
    reading: ReadingSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The reading of one study revision: the instances that were undecided when it was claimed."""

    id: int
    study_instance_uid: str
    revision: int  # 1 for the first reading of the study
    attempt: int  # 1 for the first try
    lease: str  # fencing token: only its holder may finish the job
    instances: tuple[Instance, ...]
    #: SOP Instance UID of a film that was read before -> its newest report in each edition
    predecessors: Mapping[str, tuple[Result, ...]] = field(default_factory=dict)
    earlier: tuple[EarlierReading, ...] = ()  # of the patient's other studies
    #: SOP Instance UIDs of films under whose UID another object was received
    contested: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A composed DICOM object, on disk."""

    sop_instance_uid: str
    sop_class_uid: str
    series_instance_uid: str
    modality: str
    series_description: str
    path: Path  # relative to node.data_dir, or to the --out folder of `read`
    editions: tuple[str, ...] = (Edition().name,)  # names of those it is part of
    sent_study_instance_uid: str | None = None  # in the object, if not the film's


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFailure:
    """Why a composed object may not leave; ``message`` never holds patient identity."""

    sop_instance_uid: str
    rule: str  # which check found it
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmTraits:
    """What films are grouped by; an empty string is not stated."""

    modality: str = ""
    view: str = ""  # ViewPosition
    decade: int | None = None  # of the patient's age, in years: 30 for 30 to 39; None: not known


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmOutcome:
    """What became of one instance: refused with a reason, or read with results.

    ``reading`` is None if the film was refused. A refusal may have a result: the report that
    says so.
    """

    sop_instance_uid: str
    refusal: Refusal | None
    reading: ReadingSummary | None
    film_date: date | None = None  # None: refused, or the header does not say
    traits: FilmTraits | None = None  # None: refused
    results: tuple[Result, ...] = ()
    faults: tuple[CheckFailure, ...] = ()  # any of them withholds all results


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One result's way to one destination."""

    id: int
    result: Result
    attempt: int  # 1 for the first try


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """Everything due for one study at one destination, sent over one association."""

    study_instance_uid: str
    destination: str
    lease: str
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What became of one delivery, and when to try again (None: never)."""

    delivery_id: int
    event: DeliveryEvent  # ACCEPTED, UNANSWERED, UNAVAILABLE, REFUSED or GAVE_UP
    status_code: int | None  # DIMSE status, None if no answer came
    reason: str
    due_at: datetime | None = None
    confirm: bool = False  # accepted: verify afterwards that the destination keeps it


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
class Geometry:
    """The film's own pixels, where the image that was read has others."""

    rows: int
    columns: int
    mirrored: bool = False  # the film is stored as a mirror image, left and right exchanged


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A film's pixels as a person would see them: dense is white, one window is applied.

    ``pixels`` is (rows, columns) float32 in [0, 1]. ``spacing_mm`` is (row, column) at the detector
    or the patient plane, None if the header does not say.
    """

    pixels: NDArray[np.float32]
    spacing_mm: tuple[float, float] | None
    geometry: Geometry | None = None  # None: these are the film's own pixels
    notes: dict[str, str] = field(
        default_factory=dict
    )  # e.g. {"window": "header", "inverted": "yes"}
