"""Counters since the first start of the node, from the audit log, which is never shortened."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from dicom_node.domain.audit import AuditKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicom_node.domain.audit import AuditRecord

#: Upper bounds of the histogram of a step's wall time, seconds; the last is infinite.
BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_PAGE = 1000  # lines read at a time


class Lines(Protocol):
    """The part of the audit log that is needed here."""

    def after(self, sequence: int, count: int) -> list[AuditRecord]:
        """At most ``count`` lines that follow this one, oldest first."""


@dataclass(slots=True)
class Durations:
    """A histogram of seconds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds


@dataclass(slots=True)
class History:
    """What happened, counted line by line; each call of `update` reads the new lines only."""

    lines: Lines
    last: int = 0
    events: Counter[str] = field(default_factory=Counter)  # kind of audit event
    refused: Counter[str] = field(default_factory=Counter)  # code
    delivered: Counter[tuple[str, str]] = field(default_factory=Counter)  # destination, event
    steps: dict[str, Durations] = field(default_factory=dict)  # step of a reading
    model_version: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def update(self) -> None:
        """Count the lines that were written since the last call."""
        with self._lock:
            while records := self.lines.after(self.last, _PAGE):
                for record in records:
                    self._count(record)
                self.last = records[-1].sequence

    def _count(self, record: AuditRecord) -> None:
        kind, detail = record.event.kind, record.event.detail
        self.events[kind.value] += 1
        if kind is AuditKind.FILM_REFUSED:
            self.refused[str(detail.get("code"))] += 1
        elif kind.value.startswith("delivery-") and "destination" in detail:
            self.delivered[str(detail["destination"]), kind.value.removeprefix("delivery-")] += 1
        elif kind is AuditKind.FILM_READ:
            self._count_reading(detail)

    def _count_reading(self, detail: Mapping[str, Any]) -> None:
        self.model_version = str(detail.get("model", {}).get("version", ""))
        for step, seconds in detail.get("seconds", {}).items():
            self.steps.setdefault(step, Durations()).add(float(seconds))
