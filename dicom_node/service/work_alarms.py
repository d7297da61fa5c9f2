"""Alarms of the running node and of the work that waits, from the counts of `status`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from dicom_node.service import running_config
from dicom_node.service.alarms import Alarm, alarms
from dicom_node.service.member_alarms import cluster
from dicom_node.service.processes import processes_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from dicom_node.config import Config
    from dicom_node.store.status import Member, Status

_UNREAD_WAITS = 10  # times study.longest_wait_seconds
_LOG = "journalctl -u dicom-node -n 50"


def every_alarm(
    config: Config,
    config_path: Path | None,
    counted: Status,
    alive: Mapping[str, int],
    now: datetime,
) -> list[Alarm]:
    """Every alarm there is, the critical ones first.

    Parameters
    ----------
    config_path
        The file that the configuration came from, if any.
    alive
        Process ids by name, see `dicom_node.service.pidfile.processes`.
    """
    oldest_film, oldest_line = counted["oldest_undecided"], counted["audit_unsent_since"]
    members = counted["members"]
    config = running_config.with_running_roles(config)
    found = [
        *([] if is_elsewhere(config, members) else processes(config, alive)),
        *cluster(members, now),
        *destinations(counted),
        *alarms(config, now),
        *unread(config, _time(oldest_film), now),
        *undelivered(config, _time(counted["oldest_undelivered"]), now),
        *by_hand(counted),
        *unsent(config, counted["audit_lines"] - counted["audit_sent"], _time(oldest_line), now),
        *changed(config, config_path, alive),
    ]
    return sorted(found, key=lambda alarm: alarm.level != "critical")


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def is_elsewhere(config: Config, members: Sequence[Member]) -> bool:
    """Whether other machines do the work, and this one has no part in it."""
    return bool(members) and config.member not in {each["member"] for each in members}


def processes(config: Config, alive: Mapping[str, int]) -> list[Alarm]:
    """An alarm for a stopped node, or for each process that does not run."""
    if "supervisor" not in alive:
        sentence, command = "the node is not running", "systemctl start dicom-node"
        return [Alarm(code="stopped", level="critical", sentence=sentence, command=command)]
    return [
        Alarm(code="process", level="critical", sentence=f"{name} is not running", command=_LOG)
        for name in processes_of(config)
        if name not in alive
    ]


def destinations(counted: Status) -> list[Alarm]:
    """An alarm for each destination that does not answer."""
    return [
        Alarm(
            code="destination-down",
            level="critical",
            sentence=f"destination {name} is down since {_minute(breaker['since'])}: "
            f"{breaker['reason']}",
            command=f"dicom-node echo {name}",
        )
        for name, breaker in counted["breakers"].items()
        if breaker["open"]
    ]


def _minute(text: str | None) -> str:
    return f"{text[:16].replace('T', ' ')} UTC" if text else "unknown"


def by_hand(counted: Status) -> list[Alarm]:
    """Alarms for work that waits for a person: parked readings, held and withheld deliveries."""
    found = []
    if parked := counted["jobs"].get("parked", 0):
        found.append(
            Alarm(
                code="parked",
                level="warning",
                sentence=f"readings that failed too often are parked, {parked} in all",
                command="dicom-node studies --held, then retry or discard STUDY_UID",
            )
        )
    for name, by_status in counted["deliveries"].items():
        if held := by_status.get("held", 0):
            found.append(
                Alarm(
                    code="held",
                    level="warning",
                    sentence=f"{held} objects for {name} are held: refused, or tried too often",
                    command="dicom-node studies --held, then retry or discard STUDY_UID",
                )
            )
        if withheld := by_status.get("withheld", 0):
            found.append(
                Alarm(
                    code="withheld",
                    level="warning",
                    sentence=f"{withheld} objects for {name} failed the node's own check and are "
                    "withheld",
                    command="dicom-node studies --held, then show STUDY_UID",
                )
            )
    return found


def unread(config: Config, oldest: datetime | None, now: datetime) -> list[Alarm]:
    """An alarm if a film has waited for its reading far longer than it should."""
    if oldest is None:
        return []
    seconds = (now - oldest).total_seconds()
    if seconds <= _UNREAD_WAITS * config.study.longest_wait_seconds:
        return []
    return [
        Alarm(
            code="unread",
            level="critical",
            sentence=f"a film has waited {seconds / 60:.0f} minutes to be read",
            command=_LOG,
        )
    ]


def undelivered(config: Config, oldest: datetime | None, now: datetime) -> list[Alarm]:
    """An alarm if a result has waited for delivery longer than `delivery.late_minutes`."""
    if oldest is None:
        return []
    minutes = (now - oldest).total_seconds() / 60
    if minutes <= config.delivery.late_minutes:
        return []
    return [
        Alarm(
            code="undelivered",
            level="critical",
            sentence=f"a result has waited {minutes:.0f} minutes to be sent",
            command="dicom-node echo",
        )
    ]


def unsent(config: Config, lines: int, oldest: datetime | None, now: datetime) -> list[Alarm]:
    """An alarm if audit lines have waited too long for the repository."""
    repository = config.audit.repository
    if repository is None or lines == 0 or oldest is None:
        return []
    minutes = int((now - oldest).total_seconds()) // 60
    if minutes < repository.late_minutes:
        return []
    return [
        Alarm(
            code="audit-queue",
            level="warning",
            sentence=f"{lines} audit lines were not sent to the repository {repository.host}, the "
            f"oldest {minutes} minutes ago; audit.repository.late_minutes is "
            f"{repository.late_minutes:g}",
            command="dicom-node doctor tls",
        )
    ]


def changed(config: Config, config_path: Path | None, alive: Mapping[str, int]) -> list[Alarm]:
    """An alarm if the configuration is not the one that the node runs with."""
    if config_path is None or "supervisor" not in alive:
        return []
    running = running_config.running(config)
    if running is None:
        return []
    found = running_config.changes(running, config)
    keys = ", ".join((*found.restart, *found.reloadable))
    if not keys:
        return []
    return [
        Alarm(
            code="configuration-changed",
            level="warning",
            sentence=f"{config_path} is newer than the running node, which still uses the old "
            f"values of {keys}",
            command="dicom-node config check, then "
            + ("systemctl restart dicom-node" if found.restart else "dicom-node reload"),
        )
    ]
