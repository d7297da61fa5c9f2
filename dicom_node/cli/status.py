"""`status`: which processes run, what is waiting, which alarms are on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dicom_node.cli.render import (
    NOT_FOR_DIAGNOSIS,
    ConfigOption,
    JsonOption,
    counts,
    print_json,
    print_line,
)
from dicom_node.config import load

if TYPE_CHECKING:
    import typer

    from dicom_node.store.status import Status


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(status)


def status(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show running processes, counts and alarms."""
    from dicom_node.service.alarms import alarms, unread, unsent
    from dicom_node.service.pidfile import processes
    from dicom_node.store.status import read_status

    settings = load(config)
    data_dir = settings.node.data_dir
    counted, alive = read_status(data_dir), processes(data_dir)
    now = datetime.now(UTC)
    queue = _audit_queue(counted, now) if settings.audit.repository else None
    oldest = counted["oldest_undecided"]
    alarming = alarms(settings, now)
    alarming += unread(settings, datetime.fromisoformat(oldest) if oldest else None, now)
    if queue:
        alarming += unsent(settings, queue["lines"], queue["oldest_seconds"])
    if as_json:
        print_json({**counted, "audit_queue": queue, "processes": alive, "alarms": alarming})
        return
    print_line(NOT_FOR_DIAGNOSIS)
    for sentence in alarming:
        print_line(f"ALARM      {sentence}")
    print_line(f"node       {', '.join(sorted(alive)) if alive else 'not running'}")
    _print_counts(counted)
    waiting = queue["lines"] if queue else 0
    rest = f", {waiting} not sent to the repository yet" if waiting else ""
    print_line(f"audit      {counted['audit_lines']} lines{rest}")


def _print_counts(counted: Status) -> None:
    print_line(f"studies    {counted['studies']}")
    print_line(f"instances  {counts(counted['instances'])}")
    print_line(f"readings   {counts(counted['jobs'])}")
    for destination, by_status in counted["deliveries"].items():
        print_line(f"to {destination:8} {counts(by_status)}")
    for destination, breaker in counted["breakers"].items():
        if breaker["open"]:
            print_line(
                f"DOWN       {destination} since {breaker['since']}: {breaker['reason']}; "
                f"next probe {breaker['next_probe']}"
            )
    if any(by_status.get("withheld") for by_status in counted["deliveries"].values()):
        print_line("ALARM      results failed the node's own check and are withheld: see `show`")
    oldest = counted["oldest_waiting"]
    print_line(f"waiting    {f'since {oldest}' if oldest else 'nothing'}")


def _audit_queue(counted: Status, now: datetime) -> dict[str, int]:
    """How many audit lines the repository does not have yet, and the age of the oldest."""
    since = counted["audit_unsent_since"]
    age = int((now - datetime.fromisoformat(since)).total_seconds()) if since else 0
    return {"lines": counted["audit_lines"] - counted["audit_sent"], "oldest_seconds": age}
