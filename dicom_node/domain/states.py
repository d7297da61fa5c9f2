"""The two state tables: of a job and of a delivery."""

from __future__ import annotations

from enum import StrEnum


class JobStatus(StrEnum):
    """The state of the reading of one study revision."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    PARKED = "parked"  # failed too often; a person decides
    DISCARDED = "discarded"  # by a person


class JobEvent(StrEnum):
    """What happens to a job."""

    CLAIMED = "claimed"
    FINISHED = "finished"
    FAILED = "failed"
    GAVE_UP = "gave-up"
    LEASE_LOST = "lease-lost"
    RETRIED = "retried"
    DISCARDED = "discarded"


# (status, event) -> status. A pair that is not listed is an error.
JOB_TRANSITIONS: dict[tuple[JobStatus, JobEvent], JobStatus] = {
    (JobStatus.WAITING, JobEvent.CLAIMED): JobStatus.RUNNING,
    (JobStatus.RUNNING, JobEvent.FINISHED): JobStatus.DONE,
    (JobStatus.RUNNING, JobEvent.FAILED): JobStatus.WAITING,
    (JobStatus.RUNNING, JobEvent.GAVE_UP): JobStatus.PARKED,
    (JobStatus.RUNNING, JobEvent.LEASE_LOST): JobStatus.WAITING,
    (JobStatus.PARKED, JobEvent.RETRIED): JobStatus.WAITING,
    (JobStatus.PARKED, JobEvent.DISCARDED): JobStatus.DISCARDED,
}


class DeliveryStatus(StrEnum):
    """The state of one result's delivery to one destination."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"  # it left and no answer came; it will be sent again
    ACCEPTED = "accepted"  # the destination answered success
    COMMITTED = "committed"  # the destination was asked afterwards and keeps it
    HELD = "held"  # refused or tried too often; a person decides
    DISCARDED = "discarded"  # held before; a person gave it up
    WITHHELD = "withheld"  # failed the node's own check; the first and last state


class DeliveryEvent(StrEnum):
    """What happens to a delivery."""

    CLAIMED = "claimed"
    ACCEPTED = "accepted"
    UNANSWERED = "unanswered"
    UNAVAILABLE = "unavailable"
    REFUSED = "refused"
    COMMITTED = "committed"
    MISSED = "missed"  # accepted, but the destination does not have it
    GAVE_UP = "gave-up"
    LEASE_LOST = "lease-lost"
    RETRIED = "retried"
    DISCARDED = "discarded"


DELIVERY_TRANSITIONS: dict[tuple[DeliveryStatus, DeliveryEvent], DeliveryStatus] = {
    (DeliveryStatus.PENDING, DeliveryEvent.CLAIMED): DeliveryStatus.SENDING,
    (DeliveryStatus.SENT, DeliveryEvent.CLAIMED): DeliveryStatus.SENDING,
    (DeliveryStatus.SENDING, DeliveryEvent.ACCEPTED): DeliveryStatus.ACCEPTED,
    (DeliveryStatus.SENDING, DeliveryEvent.UNANSWERED): DeliveryStatus.SENT,
    (DeliveryStatus.SENDING, DeliveryEvent.UNAVAILABLE): DeliveryStatus.PENDING,
    (DeliveryStatus.SENDING, DeliveryEvent.REFUSED): DeliveryStatus.HELD,
    (DeliveryStatus.SENDING, DeliveryEvent.GAVE_UP): DeliveryStatus.HELD,
    (DeliveryStatus.SENDING, DeliveryEvent.LEASE_LOST): DeliveryStatus.PENDING,
    (DeliveryStatus.ACCEPTED, DeliveryEvent.COMMITTED): DeliveryStatus.COMMITTED,
    (DeliveryStatus.ACCEPTED, DeliveryEvent.MISSED): DeliveryStatus.PENDING,
    (DeliveryStatus.ACCEPTED, DeliveryEvent.GAVE_UP): DeliveryStatus.HELD,
    (DeliveryStatus.HELD, DeliveryEvent.RETRIED): DeliveryStatus.PENDING,
    (DeliveryStatus.HELD, DeliveryEvent.DISCARDED): DeliveryStatus.DISCARDED,
}
