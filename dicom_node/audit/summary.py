"""The audit log of a period for a data protection officer: counts, and who looked at what."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dicom_node.domain.audit import AuditKind

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from dicom_node.domain.audit import AuditRecord

_REMOVED = (AuditKind.STUDY_REMOVED, AuditKind.STUDY_ERASED)


@dataclass(slots=True)
class Summary:
    """What happened in a period, without patient identity."""

    first: datetime | None = None
    last: datetime | None = None
    lines: int = 0
    called: Counter[str] = field(default_factory=Counter)  # peer -> associations
    rejected: Counter[str] = field(default_factory=Counter)  # peer -> associations
    received: int = 0
    sent: Counter[str] = field(default_factory=Counter)  # destination -> objects accepted
    studies_sent: dict[str, set[str]] = field(default_factory=dict)  # destination -> studies
    looked: Counter[str] = field(default_factory=Counter)  # user and command -> times
    removed: Counter[str] = field(default_factory=Counter)  # kind -> studies
    alerts: int = 0  # AUDIT_BROKEN

    def add(self, record: AuditRecord) -> None:
        """Count one line."""
        event = record.event
        self.first = self.first or record.at
        self.last = record.at
        self.lines += 1
        if event.kind is AuditKind.ASSOCIATION_ACCEPTED:
            self.called[_peer(event.detail)] += 1
        elif event.kind is AuditKind.ASSOCIATION_REJECTED:
            self.rejected[_peer(event.detail)] += 1
        elif event.kind is AuditKind.INSTANCE_RECEIVED:
            self.received += 1
        elif event.kind is AuditKind.DELIVERY_ACCEPTED:
            destination = str(event.detail.get("destination"))
            self.sent[destination] += 1
            self.studies_sent.setdefault(destination, set()).add(event.study_instance_uid or "")
        else:
            self._add_of_people(record)

    def _add_of_people(self, record: AuditRecord) -> None:
        event = record.event
        if event.kind is AuditKind.AUDIT_READ:
            self.looked[f"{event.detail.get('user')}: {event.detail.get('command')}"] += 1
        elif event.kind in _REMOVED:
            self.removed[event.kind.value] += 1
        elif event.kind is AuditKind.AUDIT_BROKEN:
            self.alerts += 1

    def as_json(self) -> dict[str, Any]:
        """The summary in plain JSON values."""
        return {
            "first": self.first and self.first.isoformat(),
            "last": self.last and self.last.isoformat(),
            "lines": self.lines,
            "called": dict(self.called),
            "rejected": dict(self.rejected),
            "instances_received": self.received,
            "sent": {
                name: {"objects": count, "studies": len(self.studies_sent[name])}
                for name, count in self.sent.items()
            },
            "looked_at": dict(self.looked),
            "removed": dict(self.removed),
            "alerts": self.alerts,
        }


def summarize(records: Iterable[AuditRecord]) -> Summary:
    """Count the lines of a period."""
    summary = Summary()
    for record in records:
        summary.add(record)
    return summary


def _peer(detail: dict[str, object]) -> str:
    return f"{detail.get('calling') or 'unknown'} at {detail.get('address') or 'unknown'}"
