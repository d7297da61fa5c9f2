"""Alarms about the machines that share a database, from their heartbeats."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING

from dicom_node.service.alarms import Alarm
from dicom_node.store.status import SILENT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dicom_node.store.status import Member

_NEEDED = ("receiver", "worker", "deliverer", "scheduler")


def ages(members: Sequence[Member], now: datetime) -> dict[str, float]:
    """Seconds since the last heartbeat of each machine."""
    return {
        each["member"]: (now - datetime.fromisoformat(each["seen_at"])).total_seconds()
        for each in members
    }


def cluster(members: Sequence[Member], now: datetime) -> list[Alarm]:
    """An alarm for each silent machine, and for each role that no machine has."""
    if not members:
        return []
    age = ages(members, now)
    alive = [each for each in members if age[each["member"]] <= SILENT_SECONDS]
    has = {role for each in alive for role in each["roles"].split(",")}
    return [
        *(
            _alarm("role-missing", f"no machine is a {role}", "dicom-node run --role " + role)
            for role in _NEEDED
            if role not in has
        ),
        *_silent(members, age),
    ]


def _silent(members: Sequence[Member], age: Mapping[str, float]) -> list[Alarm]:
    processes: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for each in members:
        if age[each["member"]] > SILENT_SECONDS:
            processes[each["member"], each["host"]].append(each["process"])
    return [
        _alarm(
            "member-silent",
            f"{member} on {host} was last seen {age[member]:.0f} seconds ago: {', '.join(names)}",
            f"systemctl status dicom-node, on {host}",
        )
        for (member, host), names in processes.items()
    ]


def _alarm(code: str, sentence: str, command: str) -> Alarm:
    return Alarm(code=code, level="critical", sentence=sentence, command=command)
