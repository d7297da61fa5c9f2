"""Shipments: claimed from the outbox, sent, settled; a `Settlement` for each delivery."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from dicom_node.deliver.retry import RetryAt
from dicom_node.deliver.status import NO_ANSWER, NOT_SENT, dimse_status, event_for, reached
from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.domain.states import DeliveryEvent
from dicom_node.domain.values import Settlement
from dicom_node.errors import LeaseLost
from dicom_node.fail_points import fail_point

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from dicom_node.deliver.retry import RetryPolicy
    from dicom_node.domain.values import Delivery, Shipment
    from dicom_node.ports import Clock, Outbox, Sender, Watch

log = structlog.get_logger()


def ship(  # noqa: PLR0913 - what a Deliverer holds, and the shipment
    shipment: Shipment,
    sender: Sender,
    policy: RetryPolicy,
    data_dir: Path,
    clock: Clock,
    jitter: Callable[[], float],
    watch: Watch | None = None,
) -> tuple[Settlement, ...]:
    """Send everything in the shipment and say how each delivery went.

    Parameters
    ----------
    data_dir
        What the results' paths are relative to.
    jitter
        Draws from [0, 1). One draw serves the shipment: what failed together is due together, and
        shares an association again.
    """
    paths = [data_dir / delivery.result.path for delivery in shipment.deliveries]
    answers = sender.send(shipment.destination, paths, watch)
    now, drawn = clock(), jitter()
    return tuple(
        settle(delivery, status, reason, policy=policy, now=now, jitter=drawn)
        for delivery, (status, reason) in zip(shipment.deliveries, answers, strict=True)
    )


def settle(
    delivery: Delivery,
    status: int | None,
    reason: str,
    *,
    policy: RetryPolicy,
    now: datetime,
    jitter: float,
) -> Settlement:
    """Turn one answer into what happens next."""
    event, due_at = event_for(status), None
    if event in (DeliveryEvent.UNAVAILABLE, DeliveryEvent.UNANSWERED):
        # What stood behind the object that broke the association comes before it next time.
        attempt = 1 if status == NOT_SENT else delivery.attempt
        decision = policy.next(attempt, now, jitter)
        if isinstance(decision, RetryAt):
            due_at = decision.due_at
        else:
            event = DeliveryEvent.GAVE_UP
            reason = f"gave up after {decision.attempts} attempts: {reason}"
    return Settlement(
        delivery_id=delivery.id,
        event=event,
        status_code=dimse_status(status),
        reason=reason,
        due_at=due_at,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliverer:
    """Empties the outbox, one shipment after the other.

    Parameters
    ----------
    jitter
        Draws from [0, 1).
    confirmed
        The destinations that are asked afterwards whether they keep what they accepted.
    note
        Told of a destination after each shipment: why it was not reached, or None where it was.
    stopping
        Once set, the shipment under way is finished and no other begun.
    """

    owner: str
    outbox: Outbox
    sender: Sender
    policy: RetryPolicy
    data_dir: Path
    lease_seconds: float
    clock: Clock
    jitter: Callable[[], float]
    confirmed: frozenset[str] = frozenset()
    note: Callable[[str, str | None], None] = lambda *_: None
    stopping: threading.Event = field(default_factory=threading.Event)

    def deliver_due(self) -> int:
        """Ship until nothing is due; how many shipments went out or were put off.

        A destination that did not answer is not asked again in this round: its other shipments are
        put off untried, so that it costs the other destinations one time-out at most.
        """
        shipped = 0
        sender = _AskOnce(self.sender, self.note)
        while not self.stopping.is_set() and (shipment := self._claim()) is not None:
            fail_point("deliver.claimed")
            try:
                self._ship(shipment, sender)
            except LeaseLost:
                log.warning("lease lost, nothing more sent", study=shipment.study_instance_uid)
            shipped += 1
        return shipped

    def _claim(self) -> Shipment | None:
        return self.outbox.claim(self.owner, self._lease_until())

    def _lease_until(self) -> datetime:
        return self.clock() + timedelta(seconds=self.lease_seconds)

    def _ship(self, shipment: Shipment, sender: Sender) -> None:
        watch = _Watch(self, shipment)
        settlements = ship(
            shipment, sender, self.policy, self.data_dir, self.clock, self.jitter, watch
        )
        self._settle(
            shipment, [each for each in settlements if each.delivery_id not in watch.accepted]
        )

    def _settle(self, shipment: Shipment, settlements: Sequence[Settlement]) -> None:
        if shipment.destination in self.confirmed:
            accepted = DeliveryEvent.ACCEPTED
            settlements = [replace(each, confirm=each.event is accepted) for each in settlements]
        if settlements:
            self.outbox.settle(shipment, settlements)
        fail_point("deliver.settled")


@dataclass(slots=True)
class _Watch:
    """Holds a shipment's lease from object to object, and writes down what is accepted at once.

    Whoever lost the lease while he slept sends nothing more; whoever dies leaves one object at
    most of which nobody knows whether the destination has it.
    """

    deliverer: Deliverer
    shipment: Shipment
    accepted: set[int] = field(default_factory=set)  # delivery ids, settled
    begun: bool = False

    def before(self) -> None:
        told = [] if self.begun else [_begins(self.shipment)]
        self.deliverer.outbox.renew(self.shipment, self.deliverer._lease_until(), *told)
        self.begun = True

    def after(self, path: Path, status: int | None, reason: str) -> None:
        deliverer = self.deliverer
        [delivery] = [
            each
            for each in self.shipment.deliveries
            if deliverer.data_dir / each.result.path == path
        ]
        settlement = settle(
            delivery, status, reason, policy=deliverer.policy, now=deliverer.clock(), jitter=0.0
        )
        if settlement.event is DeliveryEvent.ACCEPTED:
            deliverer._settle(self.shipment, [settlement])
            self.accepted.add(delivery.id)


def _begins(shipment: Shipment) -> AuditEvent:
    """Tell what is about to be sent: how many objects of each SOP class."""
    objects = Counter(each.result.sop_class_uid for each in shipment.deliveries)
    return AuditEvent(
        kind=AuditKind.DELIVERY_BEGUN,
        study_instance_uid=shipment.study_instance_uid,
        detail={"destination": shipment.destination, "objects": dict(objects)},
    )


@dataclass(frozen=True, slots=True)
class _AskOnce:
    """A `Sender` that does not ask a destination again after it answered nothing at all."""

    sender: Sender
    note: Callable[[str, str | None], None]
    down: dict[str, str] = field(default_factory=dict)  # destination -> why

    def send(
        self, destination: str, paths: Sequence[Path], watch: Watch | None = None
    ) -> Sequence[tuple[int | None, str]]:
        if destination in self.down:
            return [(None, f"not tried: {self.down[destination]}")] * len(paths)
        answers = self.sender.send(destination, paths, watch)
        if any(reached(status) for status, _ in answers):
            self.note(destination, None)
        elif answers and all(status in (None, NO_ANSWER) for status, _ in answers):
            self.down[destination] = answers[0][1]
            self.note(destination, answers[0][1])
        return answers
