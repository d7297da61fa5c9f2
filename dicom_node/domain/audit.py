"""What the audit log records: kinds of events, an event, and a line as written."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class AuditKind(StrEnum):
    """What can be recorded. The value is stable across releases."""

    NODE_STARTED = "node-started"
    NODE_STOPPED = "node-stopped"
    CONFIG_RELOADED = "config-reloaded"  # another configuration is in use from now on
    CONFIG_REFUSED = "config-refused"  # a changed configuration was not taken
    STORE_COPIED = "store-copied"  # the lines before it come from another database
    AUDIT_READ = "audit-read"  # a person printed audit lines
    AUDIT_BROKEN = "audit-broken"  # lines were altered or removed
    PROCESS_STARTED = "process-started"
    PROCESS_EXITED = "process-exited"
    ASSOCIATION_ACCEPTED = "association-accepted"
    ASSOCIATION_REJECTED = "association-rejected"
    ASSOCIATION_ENDED = "association-ended"
    TLS_FAILED = "tls-failed"  # a handshake on the TLS port
    TLS_RELOADED = "tls-reloaded"  # the certificate files changed
    TLS_EXPIRING = "tls-expiring"
    DISK_LOW = "disk-low"  # films are rejected from now on
    DISK_RECOVERED = "disk-recovered"
    STUDY_REMOVED = "study-removed"  # delivered and old
    STUDY_ERASED = "study-erased"  # by a person
    INSTANCE_RECEIVED = "instance-received"
    INSTANCE_REFUSED = "instance-refused"
    QUOTA_EXCEEDED = "quota-exceeded"  # a peer or its address sent too much
    INSTANCE_DUPLICATE = "instance-duplicate"
    CONNECTIONS_CUT = "connections-cut"  # too many silent ones
    INSTANCE_DIFFERS = "instance-differs"  # a known SOP Instance UID with other bytes
    OWN_RESULT_RECEIVED = "own-result-received"
    BACKFILL_STARTED = "backfill-started"  # a person asked a PACS for older films
    BACKFILL_ASKED = "backfill-asked"  # a PACS is about to be asked for a study
    BACKFILL_FETCHED = "backfill-fetched"  # all films of a study came
    BACKFILL_FAILED = "backfill-failed"  # some films of a study did not come
    STUDY_READY = "study-ready"
    STUDY_REREAD = "study-reread"  # a person had its films read again
    VERDICT_STORED = "verdict-stored"
    VERDICTS_TAKEN = "verdicts-taken"  # how many came at once, and what became of them
    REPORT_REFUSED = "report-refused"  # a connection for HL7 messages was closed by the node
    FILM_SELECTED = "film-selected"
    FILM_REFUSED = "film-refused"
    FILM_READ = "film-read"
    MODEL_PROMOTED = "model-promoted"  # a person put a candidate in use
    MODEL_ROLLED_BACK = "model-rolled-back"  # and took it out again
    DRIFT_FROZEN = "drift-frozen"  # a person made a time's films the reference
    DRIFT_BEGAN = "drift-began"  # a sender's films differ from the reference
    DRIFT_ENDED = "drift-ended"
    THRESHOLD_ADOPTED = "threshold-adopted"  # a person put a threshold of the site in use
    THRESHOLD_REVERTED = "threshold-reverted"
    FILM_SHADOWED = "film-shadowed"  # read by the candidate, too; nothing was sent
    SHADOW_FAILED = "shadow-failed"  # the candidate could not be loaded, or could not read a film
    ENGINE_FAILED = "engine-failed"  # a GPU had no memory for a film: the processor reads instead
    OBJECTS_COMPOSED = "objects-composed"
    OBJECTS_WITHHELD = "objects-withheld"  # the node's own check failed them
    JOB_FAILED = "job-failed"
    JOB_SPLIT = "job-split"  # it failed: its films are read in two jobs from now on
    JOB_PARKED = "job-parked"
    JOB_RETRIED = "job-retried"
    JOB_DISCARDED = "job-discarded"
    DELIVERY_BEGUN = "delivery-begun"  # the first object is about to be sent
    DELIVERY_ACCEPTED = "delivery-accepted"
    DELIVERY_DEFERRED = "delivery-deferred"
    DELIVERY_HELD = "delivery-held"
    DELIVERY_RETRIED = "delivery-retried"
    DELIVERY_DISCARDED = "delivery-discarded"
    COMMITMENT_REQUESTED = "commitment-requested"  # before the request goes out
    COMMITMENT_PENDING = "commitment-pending"  # no answer yet, or none to be had; the reason says
    COMMITMENT_REFUSED = "commitment-refused"  # a report of a peer that was not asked, or a request
    DESTINATION_QUERIED = "destination-queried"  # before a C-FIND goes out
    DELIVERY_COMMITTED = "delivery-committed"
    DELIVERY_MISSED = "delivery-missed"  # accepted, but the destination does not have it
    DESTINATION_DOWN = "destination-down"  # too many failures in a row: not used for a while
    DESTINATION_UP = "destination-up"
    COMMITMENT_ASKED = "commitment-asked"  # a peer asked the node for storage commitment
    COMMITMENT_REPORTED = "commitment-reported"  # and got the answer
    COMMITMENT_DEFERRED = "commitment-deferred"
    COMMITMENT_GIVEN_UP = "commitment-given-up"

    @classmethod
    def _missing_(cls, value: object) -> AuditKind | None:
        """The kind that version 0.1.0 wrote under another name."""
        return _FORMER.get(str(value))


#: Names of kinds in databases of version 0.1.0. Lines are never rewritten: their hashes cover them.
_FORMER = {
    "pledge-asked": AuditKind.COMMITMENT_ASKED,
    "pledge-reported": AuditKind.COMMITMENT_REPORTED,
    "pledge-deferred": AuditKind.COMMITMENT_DEFERRED,
    "pledge-given-up": AuditKind.COMMITMENT_GIVEN_UP,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One thing that happened. ``detail`` holds plain JSON values and never patient identity."""

    kind: AuditKind
    study_instance_uid: str | None = None
    sop_instance_uid: str | None = None
    detail: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """An audit line as written: ``hash`` chains over ``previous_hash`` and everything else.

    ``former_kind`` is the kind as written, if version 0.1.0 wrote it under another name.
    """

    sequence: int
    at: datetime
    event: AuditEvent
    previous_hash: str
    hash: str
    former_kind: str | None = None
