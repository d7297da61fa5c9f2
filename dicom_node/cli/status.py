"""`status`: alarms with their remedies, running processes and waiting work."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from dicom_node.cli.render import (
    NOT_FOR_DIAGNOSIS,
    ConfigOption,
    JsonOption,
    counts,
    print_json,
    print_line,
)
from dicom_node.config import load
from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from dicom_node.service.alarms import Alarm
    from dicom_node.service.engine_notes import Engines
    from dicom_node.store.status import Member, Status

# The exit statuses of a monitoring plugin (monitoring-plugins.org, Development Guidelines).
_OK, _WARNING, _CRITICAL, _UNKNOWN = range(4)

_FINISHED = frozenset({"accepted", "committed", "discarded"})  # states of a delivery


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(status)


def alone() -> None:
    """Run the command line with this command only, which starts sooner."""
    app = typer.Typer(pretty_exceptions_enable=False)
    app.callback()(lambda: None)
    register(app)
    app()


def status(
    check: Annotated[
        bool, typer.Option("--check", help="One line and an exit status, as Nagios expects.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show alarms with their remedies, running processes and waiting work. Times are UTC.

    With --check, exit status 0: nothing is wrong; 1: warning; 2: critical, as for a stopped node;
    3: the state cannot be read.
    """
    try:
        found = _look(config)
    except NodeError as error:
        if not check:
            raise
        print_line(f"DICOM_NODE UNKNOWN: {' '.join(str(error).split())}")
        sys.exit(_UNKNOWN)
    counted, alive, alarming, queue, computing = found
    if as_json:
        listed = [asdict(each) for each in alarming]
        members = _with_ages(counted["members"])
        shown = {**counted, "members": members, "audit_queue": queue, "engines": computing}
        print_json({**shown, "processes": alive, "alarms": listed})
    elif check:
        print_line(_check_line(counted, alarming))
    else:
        _print(counted, alive, alarming, queue, computing)
    if check:
        sys.exit(_exit_status(alarming))


def _look(
    config: Path | None,
) -> tuple[Status, dict[str, int], list[Alarm], dict[str, int] | None, Engines]:
    """Counts, processes, alarms, the queue to the audit repository if there is one, engines."""
    from dicom_node.service.engine_notes import engines
    from dicom_node.service.pidfile import processes
    from dicom_node.service.work_alarms import every_alarm
    from dicom_node.store.status import read_status

    settings = load(config)
    counted = read_status(settings.node.data_dir, settings.store.url)
    alive = processes(settings.run_dir)
    _forget_removed(counted, {each.name for each in settings.destinations})
    now = datetime.now(UTC)
    queue = _audit_queue(counted, now) if settings.audit.repository else None
    alarming = every_alarm(settings, config, counted, alive, now)
    return counted, alive, alarming, queue, engines(settings.run_dir, alive)


def _forget_removed(counted: Status, configured: Collection[str]) -> None:
    """Leave out destinations that are no longer configured and have nothing waiting."""
    for name, by_status in [*counted["deliveries"].items()]:
        if name not in configured and set(by_status) <= _FINISHED:
            del counted["deliveries"][name]
    for name in [*counted["breakers"]]:
        if name not in configured:
            del counted["breakers"][name]


def _exit_status(alarming: Sequence[Alarm]) -> int:
    levels = {alarm.level for alarm in alarming}
    return _CRITICAL if "critical" in levels else _WARNING if levels else _OK


def _check_line(counted: Status, alarming: Sequence[Alarm]) -> str:
    """The line of a monitoring plugin: verdict, what is wrong, performance data."""
    verdict = ("OK", "WARNING", "CRITICAL")[_exit_status(alarming)]
    said = "; ".join(alarm.sentence for alarm in alarming) or "nothing is wrong"
    waiting = counted["jobs"].get("waiting", 0)
    of_status = {
        name: sum(each.get(name, 0) for each in counted["deliveries"].values())
        for name in ("pending", "held", "withheld")
    }
    numbers = {"waiting": waiting, **of_status, "parked": counted["jobs"].get("parked", 0)}
    data = " ".join(f"{name}={count}" for name, count in numbers.items())
    return f"DICOM_NODE {verdict}: {said.replace('|', '/')} | {data}"


def _print(
    counted: Status,
    alive: Mapping[str, int],
    alarming: Sequence[Alarm],
    queue: dict[str, int] | None,
    computing: Engines,
) -> None:
    print_line(NOT_FOR_DIAGNOSIS)
    for alarm in alarming:
        print_line(f"ALARM      {alarm.sentence}")
        print_line(f"           -> {alarm.command}")
    if not alarming:
        print_line("well       nothing is wrong")
    print_line(f"node       {', '.join(sorted(alive)) if alive else 'not running'}")
    _print_members(counted["members"])
    for name, each in computing.items():
        why = f"; {'; '.join(each['why'])}" if each["why"] else ""
        print_line(f"{name:10} computes with {each['engine']}{why}")
    _print_counts(counted)
    waiting = queue["lines"] if queue else 0
    rest = f", {waiting} not sent to the repository yet" if waiting else ""
    print_line(f"audit      {counted['audit_lines']} lines{rest}")


def _with_ages(members: Sequence[Member]) -> list[dict[str, object]]:
    """The processes of all machines, with the seconds since their last heartbeat."""
    from dicom_node.service.member_alarms import ages

    age = ages(members, datetime.now(UTC))
    return [{**each, "age_seconds": round(age[each["member"]], 1)} for each in members]


def _print_members(members: Sequence[Member]) -> None:
    """Print one line for each machine: its processes, host and heartbeat."""
    from dicom_node.service.member_alarms import ages

    for name, age in ages(members, datetime.now(UTC)).items():
        own = [each for each in members if each["member"] == name]
        names = ", ".join(each["process"] for each in own)
        print_line(f"{name:10} {names} on {own[0]['host']}, seen {age:.0f} s ago")


def _print_counts(counted: Status) -> None:
    print_line(f"studies    {counted['studies']}")
    print_line(f"instances  {counts(counted['instances'])}")
    print_line(f"readings   {counts(counted['jobs'])}")
    for destination, by_status in counted["deliveries"].items():
        print_line(f"to {destination:8} {counts(by_status)}")
    for destination, breaker in counted["breakers"].items():
        if breaker["open"]:
            print_line(
                f"DOWN       {destination} since {_second(breaker['since'])}: {breaker['reason']}; "
                f"next probe {_second(breaker['next_probe'])}"
            )
    oldest = counted["oldest_waiting"]
    print_line(f"waiting    {f'since {_second(oldest)}' if oldest else 'nothing'}")


def _second(time: str | None) -> str:
    """A time in ISO 8601 for people, such as ``2026-01-31 08:00:00``."""
    return time[:19].replace("T", " ") if time else "unknown"


def _audit_queue(counted: Status, now: datetime) -> dict[str, int]:
    """How many audit lines the repository does not have yet, and the age of the oldest."""
    since = counted["audit_unsent_since"]
    age = int((now - datetime.fromisoformat(since)).total_seconds()) if since else 0
    return {"lines": counted["audit_lines"] - counted["audit_sent"], "oldest_seconds": age}
