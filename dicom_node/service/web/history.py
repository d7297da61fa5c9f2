"""Counters since the first start of the node, from the audit log, which is never shortened.

They are kept in a file of the data folder, so that a process that starts reads the new lines only.
"""

from __future__ import annotations

import json
import threading
import time
from bisect import bisect_left
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from dicom_node.dicom.files import durable_write
from dicom_node.domain.audit import AuditKind

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dicom_node.domain.audit import AuditRecord

#: Upper bounds of the histogram of a step's wall time, seconds; the last is infinite.
BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_PAGE = 1000  # lines read at a time
_FILE = "metrics.json"
_SAVE_SECONDS = 60.0  # between two writes of the file; what is lost is counted again


class Lines(Protocol):
    """The part of the audit log that is needed here."""

    def after(self, sequence: int, count: int) -> list[AuditRecord]:
        """At most ``count`` lines that follow this one, oldest first."""

    def hash_at(self, sequence: int) -> str | None:
        """The hash of a line; None if there is no such line."""


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
    """What happened, counted line by line; each call of `update` reads the new lines only.

    Parameters
    ----------
    lines
        The audit log.
    folder
        Where the counters are kept.
    """

    lines: Lines
    folder: Path
    last: int = 0
    last_hash: str = ""
    events: Counter[str] = field(default_factory=Counter)  # kind of audit event
    refused: Counter[str] = field(default_factory=Counter)  # code
    delivered: Counter[tuple[str, str]] = field(default_factory=Counter)  # destination, event
    steps: dict[str, Durations] = field(default_factory=dict)  # step of a reading
    model_version: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _save_at: float = 0.0  # monotonic seconds
    _is_loaded: bool = False

    def update(self) -> None:
        """Count the lines that were written since the last call."""
        with self._lock:
            if not self._is_loaded:
                self._load()
            before = self.last
            while records := self.lines.after(self.last, _PAGE):
                for record in records:
                    self._count(record)
                self.last, self.last_hash = records[-1].sequence, records[-1].hash
            if self.last > before and time.monotonic() >= self._save_at:
                self._save()

    def _load(self) -> None:
        """Take the counters of the file if its last line is still the line it was."""
        self._is_loaded = True
        try:
            kept = json.loads((self.folder / _FILE).read_text())
            if kept["last"] < 1 or self.lines.hash_at(kept["last"]) != kept["hash"]:
                return
            steps = {
                name: Durations([int(each) for each in counts], float(total))
                for name, (counts, total) in kept["steps"].items()
            }
            delivered = Counter({(name, what): int(n) for name, what, n in kept["delivered"]})
            events, refused = Counter(kept["events"]), Counter(kept["refused"])
        except (OSError, ValueError, KeyError, TypeError):  # none, or of another version
            return
        self.last, self.last_hash = kept["last"], kept["hash"]
        self.events, self.refused, self.delivered = events, refused, delivered
        self.steps, self.model_version = steps, str(kept["model_version"])

    def _save(self) -> None:
        kept = {
            "last": self.last,
            "hash": self.last_hash,
            "events": self.events,
            "refused": self.refused,
            "delivered": [[*key, count] for key, count in self.delivered.items()],
            "steps": {name: [each.counts, each.total] for name, each in self.steps.items()},
            "model_version": self.model_version,
        }
        self._save_at = time.monotonic() + _SAVE_SECONDS
        with suppress(OSError):  # on a full disk it is counted again
            durable_write(self.folder / _FILE, lambda file: file.write(json.dumps(kept).encode()))

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
