"""Films, results and delays by day, week or sender, of what retention has not removed yet."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from dicom_node.domain.reading import ReadingSummary
from dicom_node.domain.values import BACKFILL
from dicom_node.store import schema
from dicom_node.store.database import reading

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Engine

    from dicom_node.domain.reading import Grouping


@dataclass(slots=True)
class Group:
    """The films of one day, week or sender."""

    films: int = 0
    backfilled: int = 0  # of these, fetched from a PACS
    read: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # by code
    sides: Counter[str] = field(default_factory=Counter)  # above, near, below (pneumonia)
    delays: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def as_json(self) -> dict[str, Any]:
        """The group in plain JSON values; delays in seconds, from received to committed.

        Films of a backfill, which wait for all others, have no part in the delays.
        """
        return {
            "films": self.films,
            "backfilled": self.backfilled,
            "read": self.read,
            "refused": dict(sorted(self.refused.items())),
            **{side: self.sides[side] for side in ("above", "near", "below")},
            "destinations": {
                name: {
                    "committed": len(delays),
                    "p50_seconds": percentile(delays, 50),
                    "p95_seconds": percentile(delays, 95),
                }
                for name, delays in sorted(self.delays.items())
            },
        }


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least ``percent`` of the values do not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(percent / 100 * len(values)) - 1)]


def figures(engine: Engine, by: Grouping, since: datetime | None) -> dict[str, Group]:
    """Groups by their name, in order of name: ``2026-01-31``, ``2026-W05`` or an AE title."""
    groups: defaultdict[str, Group] = defaultdict(Group)
    films, results = schema.instances, schema.results
    about_film = select(films, schema.readings.c.summary).outerjoin(schema.readings)
    about_delivery = (
        select(films, schema.deliveries.c.destination, schema.deliveries.c.committed_at)
        .join(results, results.c.source_sop_instance_uid == films.c.sop_instance_uid)
        .join(schema.deliveries, schema.deliveries.c.sop_instance_uid == results.c.sop_instance_uid)
        .where(schema.deliveries.c.committed_at.is_not(None), films.c.priority != BACKFILL)
    )
    if since is not None:
        about_film = about_film.where(films.c.received_at >= since)
        about_delivery = about_delivery.where(films.c.received_at >= since)
    with reading(engine) as connection:
        for film in connection.execute(about_film).mappings():
            _count(groups[_name(film, by)], film)
        for row in connection.execute(about_delivery).mappings():
            delay = (row["committed_at"] - row["received_at"]).total_seconds()
            groups[_name(row, by)].delays[row["destination"]].append(delay)
    return dict(sorted(groups.items()))


def _count(group: Group, film: Any) -> None:
    group.films += 1
    group.backfilled += film["priority"] == BACKFILL
    if film["refusal_code"]:
        group.refused[film["refusal_code"]] += 1
    if film["summary"]:
        group.read += 1
        group.sides[ReadingSummary.from_json(film["summary"]).pneumonia.side] += 1


def _name(film: Any, by: Grouping) -> str:
    if by == "sender":
        return str(film["calling_ae_title"])
    received: datetime = film["received_at"]
    if by == "day":
        return f"{received:%Y-%m-%d}"
    year, week, _ = received.isocalendar()
    return f"{year}-W{week:02}"
