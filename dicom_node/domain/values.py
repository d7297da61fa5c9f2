"""What the node keeps and decides: frozen values and enumerations; the state tables beside.

Nothing here touches a socket, a clock, a disk or SQL. Times are timezone-aware UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from dicom_node.states import DELIVERY_TRANSITIONS as DELIVERY_TRANSITIONS
from dicom_node.states import JOB_TRANSITIONS as JOB_TRANSITIONS
from dicom_node.states import DeliveryEvent as DeliveryEvent
from dicom_node.states import DeliveryStatus as DeliveryStatus
from dicom_node.states import JobEvent as JobEvent
from dicom_node.states import JobStatus as JobStatus

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


class AuditKind(StrEnum):
    """What an audit line can tell."""

    NODE_STARTED = "node-started"
    NODE_STOPPED = "node-stopped"
    AUDIT_READ = "audit-read"  # a person printed lines of this trail
    AUDIT_BROKEN = "audit-broken"  # somebody meddled with it
    PROCESS_STARTED = "process-started"
    PROCESS_EXITED = "process-exited"
    ASSOCIATION_ACCEPTED = "association-accepted"
    ASSOCIATION_REJECTED = "association-rejected"
    ASSOCIATION_ENDED = "association-ended"
    TLS_FAILED = "tls-failed"  # a handshake on the TLS port
    TLS_RELOADED = "tls-reloaded"  # the certificate files changed
    TLS_EXPIRING = "tls-expiring"
    DISK_LOW = "disk-low"  # films are refused from now on
    DISK_RECOVERED = "disk-recovered"
    STUDY_REMOVED = "study-removed"  # delivered and old
    INSTANCE_RECEIVED = "instance-received"
    INSTANCE_REFUSED = "instance-refused"
    INSTANCE_DUPLICATE = "instance-duplicate"
    INSTANCE_DIFFERS = "instance-differs"  # a known SOP Instance UID with other bytes
    OWN_RESULT_RECEIVED = "own-result-received"
    STUDY_READY = "study-ready"
    STUDY_REREAD = "study-reread"  # a person wants its films read once more
    FILM_SELECTED = "film-selected"
    FILM_REFUSED = "film-refused"
    FILM_READ = "film-read"
    OBJECTS_COMPOSED = "objects-composed"
    OBJECTS_WITHHELD = "objects-withheld"  # the node's own check failed them
    JOB_FAILED = "job-failed"
    JOB_PARKED = "job-parked"
    JOB_RETRIED = "job-retried"
    JOB_DISCARDED = "job-discarded"
    DELIVERY_BEGUN = "delivery-begun"  # the first object is about to go
    DELIVERY_ACCEPTED = "delivery-accepted"
    DELIVERY_DEFERRED = "delivery-deferred"
    DELIVERY_HELD = "delivery-held"
    DELIVERY_RETRIED = "delivery-retried"
    DELIVERY_DISCARDED = "delivery-discarded"
    COMMITMENT_REQUESTED = "commitment-requested"  # before the request goes out
    COMMITMENT_PENDING = "commitment-pending"  # not known yet, or not to be known; the reason says
    DESTINATION_QUERIED = "destination-queried"  # before a C-FIND goes out
    DELIVERY_COMMITTED = "delivery-committed"
    DELIVERY_MISSED = "delivery-missed"  # accepted, and yet the destination does not have it
    DESTINATION_DOWN = "destination-down"  # failed too often in a row: left alone for a while
    DESTINATION_UP = "destination-up"
    PLEDGE_ASKED = "pledge-asked"  # a peer asked the node for storage commitment
    PLEDGE_REPORTED = "pledge-reported"  # and was told
    PLEDGE_DEFERRED = "pledge-deferred"
    PLEDGE_GIVEN_UP = "pledge-given-up"


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
class AuditEvent:
    """One thing that happened. ``detail`` is JSON-ready and never holds patient identity."""

    kind: AuditKind
    study_instance_uid: str | None = None
    sop_instance_uid: str | None = None
    detail: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """An audit line as written: ``hash`` chains over ``previous_hash`` and everything else."""

    sequence: int
    at: datetime
    event: AuditEvent
    previous_hash: str
    hash: str


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
class Fault:
    """Why a composed object may not leave; ``message`` never holds patient identity."""

    sop_instance_uid: str
    rule: str  # which check found it
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmOutcome:
    """What became of one instance: refused with a reason, or read; these are the results.

    ``reading`` is the JSON-ready summary `dicom-node read --json` prints; None where refused. A
    refusal may have a result: the report that says so.
    """

    sop_instance_uid: str
    refusal: Refusal | None
    reading: dict[str, object] | None
    results: tuple[Result, ...] = ()
    faults: tuple[Fault, ...] = ()  # any of them withholds all results


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
