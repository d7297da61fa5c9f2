"""Shipments: claimed from the outbox, sent, and settled object by object."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import structlog

from dicom_node.deliver.retry import RetryAt
from dicom_node.deliver.status import event_for, reached, unavailable
from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.domain.held_lease import HeldLease
from dicom_node.domain.states import DeliveryEvent
from dicom_node.domain.values import Answer, SendOutcome, Settlement
from dicom_node.errors import LeaseLost
from dicom_node.fail_points import fail_point

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from datetime import datetime
    from pathlib import Path

    from dicom_node.deliver.retry import RetryPolicy
    from dicom_node.dicom.blobs import Blobs
    from dicom_node.domain.values import Delivery, Shipment
    from dicom_node.ports import Clock, Outbox, Sender

log = structlog.get_logger()


def settle(
    delivery: Delivery, answer: Answer, *, policy: RetryPolicy, now: datetime, jitter: float
) -> Settlement:
    """Decide what follows an answer.

    Parameters
    ----------
    jitter
        In [0, 1); see `RetryPolicy.next`.
    """
    event, due_at, reason = event_for(answer), None, answer.reason
    if event in (DeliveryEvent.UNAVAILABLE, DeliveryEvent.UNANSWERED):
        # What stood behind the object that broke the association comes before it next time.
        attempt = 1 if answer.outcome is SendOutcome.NOT_SENT else delivery.attempt
        decision = policy.next(attempt, now, jitter)
        if isinstance(decision, RetryAt):
            due_at = decision.due_at
        else:
            event = DeliveryEvent.GAVE_UP
            reason = f"gave up after {decision.attempts} attempts: {reason}"
    return Settlement(
        delivery_id=delivery.id,
        event=event,
        status_code=answer.status,
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
    whole
        The destinations that answer once for several objects: these are settled together, so that
        a repeat after a crash is the same message.
    note
        Called after each shipment with the destination and why it was not reached, or None if it
        was.
    stopping
        Once set, the shipment under way is finished and no other is begun.
    """

    owner: str
    outbox: Outbox
    sender: Sender
    policy: RetryPolicy
    blobs: Blobs
    lease_seconds: float
    clock: Clock
    jitter: Callable[[], float]
    confirmed: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()
    note: Callable[[str, str | None], None] = lambda *_: None
    stopping: threading.Event = field(default_factory=threading.Event)

    def deliver_due(self, destination: str | None = None) -> int:
        """Ship until nothing is due, there or anywhere; return how many went out or were put off.

        A destination that did not answer is not asked again in this round: its other shipments are
        put off untried, so that it costs the other destinations one time-out at most.
        """
        shipped = 0
        down: dict[str, str] = {}  # destination -> why it was not reached
        while not self.stopping.is_set():
            lease = HeldLease(self.clock, self.lease_seconds)
            shipment = self.outbox.claim(self.owner, lease.extended(), destination)
            if shipment is None:
                break
            fail_point("deliver.claimed")
            try:
                self._ship(shipment, lease, down)
            except LeaseLost:
                log.warning("lease lost, nothing more sent", study=shipment.study_instance_uid)
            shipped += 1
        return shipped

    def _ship(self, shipment: Shipment, lease: HeldLease, down: dict[str, str]) -> None:
        """Send one shipment; settle each accepted object at once, the others together.

        What has one answer with other objects is settled with them.

        A process that dies in between leaves at most one object whose fate is unknown.
        """
        others: list[tuple[Delivery, Answer]] = []
        answers: list[Answer] = []
        at_once = shipment.destination not in self.whole
        with closing(self._answers(shipment, lease, down)) as sending:
            for delivery, answer in zip(shipment.deliveries, sending, strict=True):
                answers.append(answer)
                if at_once and event_for(answer) is DeliveryEvent.ACCEPTED:
                    self._settle(shipment, [(delivery, answer)])
                else:
                    others.append((delivery, answer))
        tried = shipment.destination not in down
        if tried:
            self._note(shipment.destination, answers, down)
        if others:
            settlements = self._settle(shipment, others)
            if tried:
                _log_failures(shipment, settlements)

    def _answers(
        self, shipment: Shipment, lease: HeldLease, down: dict[str, str]
    ) -> Generator[Answer, None, None]:
        """Send the shipment, unless its destination did not answer before in this round."""
        if (why := down.get(shipment.destination)) is not None:
            yield from [unavailable(f"not tried: {why}")] * len(shipment.deliveries)
            return
        claimed, begun = self.clock(), False

        def keep_lease() -> None:
            nonlocal begun
            if begun and lease.fresh:
                return
            connecting = (self.clock() - claimed).total_seconds()
            events = () if begun else (_begins(shipment, connecting),)
            self.outbox.renew(shipment, lease.extended(), *events)
            begun = True

        with ExitStack() as fetched:
            try:
                paths = [
                    _local(self.blobs, delivery.result.path, fetched)
                    for delivery in shipment.deliveries
                ]
            except OSError as error:
                # The destination was not tried, so this does not count as an attempt.
                down[shipment.destination] = str(error)
                not_sent = Answer(SendOutcome.NOT_SENT, None, f"not sent: {error}")
                yield from [not_sent] * len(shipment.deliveries)
                return
            with closing(self.sender.send(shipment.destination, paths, keep_lease)) as answers:
                yield from answers

    def _note(self, destination: str, answers: Sequence[Answer], down: dict[str, str]) -> None:
        """Report whether the destination was reached, and remember where it was not."""
        silent = (SendOutcome.UNAVAILABLE, SendOutcome.NO_ANSWER)
        if any(reached(answer) for answer in answers):
            self.note(destination, None)
        elif answers and all(answer.outcome in silent for answer in answers):
            down[destination] = answers[0].reason
            self.note(destination, answers[0].reason)

    def _settle(
        self, shipment: Shipment, answers: Sequence[tuple[Delivery, Answer]]
    ) -> list[Settlement]:
        # One draw of jitter: what failed together is due together and shares an association again.
        now, jitter = self.clock(), self.jitter()
        settlements = [
            settle(delivery, answer, policy=self.policy, now=now, jitter=jitter)
            for delivery, answer in answers
        ]
        if shipment.destination in self.confirmed:
            accepted = DeliveryEvent.ACCEPTED
            settlements = [replace(each, confirm=each.event is accepted) for each in settlements]
        self.outbox.settle(shipment, settlements)
        fail_point("deliver.settled")
        return settlements


def _local(blobs: Blobs, name: Path, fetched: ExitStack) -> Path:
    """A result as a file; the sender answers for one that is missing."""
    try:
        return fetched.enter_context(blobs.local(name))
    except FileNotFoundError:
        return name


_HELD = (DeliveryEvent.REFUSED, DeliveryEvent.GAVE_UP)


def _log_failures(shipment: Shipment, settlements: Sequence[Settlement]) -> None:
    """One line for each reason: why objects are held, or why the first attempt failed."""
    attempts = {delivery.id: delivery.attempt for delivery in shipment.deliveries}
    held = Counter(each.reason for each in settlements if each.event in _HELD)
    failed = Counter(
        each.reason
        for each in settlements
        if each.event not in (*_HELD, DeliveryEvent.ACCEPTED) and attempts[each.delivery_id] == 1
    )
    of_shipment = {"destination": shipment.destination, "study": shipment.study_instance_uid}
    for reason, objects in held.items():
        log.error(
            "delivery held until retry or discard", reason=reason, objects=objects, **of_shipment
        )
    for reason, objects in failed.items():
        log.warning(
            "delivery failed, to be tried again", reason=reason, objects=objects, **of_shipment
        )


def _begins(shipment: Shipment, connecting: float) -> AuditEvent:
    """The audit event before the first object: how many of each SOP class, seconds to connect."""
    objects = Counter(each.result.sop_class_uid for each in shipment.deliveries)
    return AuditEvent(
        kind=AuditKind.DELIVERY_BEGUN,
        study_instance_uid=shipment.study_instance_uid,
        detail={
            "destination": shipment.destination,
            "objects": dict(objects),
            "connecting": round(connecting, 4),
        },
    )
