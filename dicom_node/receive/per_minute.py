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
    study_instance_uid: str | None = None
    sop_instance_uid: str | None = None
    count: int = 0


class PerMinute:
    """Writes the first event of a group at once, and then a line a minute with their number.

    A group is a kind of event, a reason, an address and, if the event concerns one, an object.
    Safe to use from all threads.

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

    def record(
        self, kind: AuditKind, message: str, detail: dict[str, object], *,
        study_instance_uid: str | None = None, sop_instance_uid: str | None = None,
    ) -> None:  # fmt: skip
        """Record an event; ``detail`` holds reason and address, ``message`` is for the log."""
        what = kind.value, str(detail.get("reason", "")), str(detail.get("error", ""))
        key = *what, str(detail.get("address", "")), sop_instance_uid or ""
        with self._lock:
            if key not in self._groups and len(self._groups) >= _MOST:
                key = *what, "", ""
                study_instance_uid = sop_instance_uid = None
            group = self._groups.get(key)
            if group is not None:
                group.detail = detail
                group.count += 1
                return
            group = self._groups[key] = _Group(
                self._seconds(), kind, message, detail, study_instance_uid, sop_instance_uid
            )
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
        event = AuditEvent(
            kind=group.kind,
            study_instance_uid=group.study_instance_uid,
            sop_instance_uid=group.sop_instance_uid,
            detail=detail,
        )
        concerns = {"sop_instance_uid": uid} if (uid := group.sop_instance_uid) else {}
        log.warning(group.message, **concerns, **detail)
        record_or_log(self._audit, event)
