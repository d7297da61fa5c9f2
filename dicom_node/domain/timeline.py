"""Where the time of a study went: its steps from the last film to the last answer, one by one.

Everything is read from what the node stores anyway: the times of jobs and audit lines, and the
seconds that each reading measured of itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dicom_node.domain.audit import AuditKind
from dicom_node.domain.reading import ReadingSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step; ``at`` is its end, seconds after the study's last film was received."""

    name: str
    at: float
    seconds: float


def timeline(study: Mapping[str, Any]) -> list[Step]:
    """The steps of a study's newest reading that is done, in their order.

    Parameters
    ----------
    study
        As `dicom-node show --json` prints it, with times as `datetime`: ``instances``, ``jobs`` and
        ``audit`` are used.
    """
    done = [job for job in study["jobs"] if job["started_at"] and job["finished_at"]]
    if not done:
        return []
    job = max(done, key=lambda each: each["revision"])
    films = [each for each in study["instances"] if each["job_id"] == job["id"]]
    if not films:
        return []
    received = max(film["received_at"] for film in films)
    return [
        Step(name=name, at=round(_seconds(received, end), 4), seconds=round(spent, 4))
        for name, end, spent in [
            ("quiet", job["created_at"], _seconds(received, job["created_at"])),
            ("claim", job["started_at"], _seconds(job["created_at"], job["started_at"])),
            *_reading(films, job),
            *_deliveries(study["audit"], job["finished_at"]),
        ]
    ]


def _reading(
    films: list[Mapping[str, Any]], job: Mapping[str, Any]
) -> Iterator[tuple[str, datetime, float]]:
    """The worker's own times, of all films together; what is left over went into the store."""
    spent: dict[str, float] = {}
    for film in films:
        summary: ReadingSummary | None = film["reading"]
        for name, seconds in (summary.seconds if summary else {}).items():
            spent[name] = spent.get(name, 0.0) + seconds
    for name, seconds in spent.items():
        yield name, job["finished_at"], seconds
    whole = _seconds(job["started_at"], job["finished_at"])
    yield "store", job["finished_at"], whole - sum(spent.values())


def _deliveries(
    lines: list[Mapping[str, Any]], finished: datetime
) -> Iterator[tuple[str, datetime, float]]:
    """The wait for each destination, and each object's way to it and back."""
    last: dict[str, datetime] = {}  # destination -> when its step before this one ended
    for line in lines:
        at = datetime.fromisoformat(line["at"])
        destination = line["detail"].get("destination")
        if at < finished or destination is None:
            continue
        if line["kind"] == AuditKind.DELIVERY_BEGUN:
            connecting = float(line["detail"].get("connecting", 0.0))
            waited = _seconds(last.get(destination, finished), at) - connecting
            yield f"wait for {destination}", at, waited
            yield f"connect to {destination}", at, connecting
        elif line["kind"] == AuditKind.DELIVERY_ACCEPTED:
            yield f"send to {destination}", at, _seconds(last.get(destination, finished), at)
        else:
            continue
        last[destination] = at


def _seconds(begin: datetime, end: datetime) -> float:
    return (end - begin).total_seconds()
