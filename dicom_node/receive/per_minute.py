"""Events that a peer can cause as often as it likes: one audit line and one log line a minute."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from dicom_node.audit.best_effort import record_or_log
from dicom_node.domain.audit import AuditEvent

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_node.domain.audit import AuditKind
    from dicom_node.ports import Audit

_SECONDS = 60.0
_MOST = 1000  # groups at a time; further addresses share one group for each reason

log = structlog.get_logger()


@dataclass(slots=True)
class _Group:
    """The events of one kind, reason and address since its last line."""

    since: float
    kind: AuditKind
    message: str
    detail: dict[str, object]  # of the last event
    count: int = 0


class PerMinute:
    """Writes the first event of a group at once, and then a line a minute with their number.

    A group is a kind of event, a reason and an address. Safe to use from all threads.

    Parameters
    ----------
    seconds
        A monotonic clock.
    """

    def __init__(self, audit: Audit, seconds: Callable[[], float] = time.monotonic) -> None:
        self._audit = audit
        self._seconds = seconds
        self._lock = threading.Lock()
        self._groups: dict[tuple[str, ...], _Group] = {}

    def record(self, kind: AuditKind, message: str, detail: dict[str, object]) -> None:
        """Record an event; ``detail`` holds reason and address, ``message`` is for the log."""
        what = kind.value, str(detail.get("reason", "")), str(detail.get("error", ""))
        key = *what, str(detail.get("address", ""))
        with self._lock:
            if key not in self._groups and len(self._groups) >= _MOST:
                key = *what, ""
            group = self._groups.get(key)
            if group is not None:
                group.detail = detail
                group.count += 1
                return
            group = self._groups[key] = _Group(self._seconds(), kind, message, detail)
        self._write(group, detail, 1)

    def flush(self, *, everything: bool = False) -> None:
        """Write a line for each group whose minute is over, or for each that has events."""
        now, due = self._seconds(), []
        with self._lock:
            for key, group in list(self._groups.items()):
                if not everything and now - group.since < _SECONDS:
                    continue
                if group.count:
                    due.append((group, group.detail, group.count))
                    group.since, group.count = now, 0
                else:
                    del self._groups[key]
        for each in due:
            self._write(*each)

    def _write(self, group: _Group, detail: dict[str, object], count: int) -> None:
        detail = detail if count == 1 else {**detail, "count": count}
        log.warning(group.message, **detail)
        record_or_log(self._audit, AuditEvent(kind=group.kind, detail=detail))
