"""What the audit log records: kinds of events, an event, and a line as written."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


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
