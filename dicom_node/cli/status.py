"""`status`: which processes run, what waits, what is wrong."""

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
    """Say who is alive and what waits."""
    from dicom_node.service.alarms import alarms, untold
    from dicom_node.service.pidfile import processes
    from dicom_node.store.status import read_status

    settings = load(config)
    data_dir = settings.node.data_dir
    told, alive = read_status(data_dir), processes(data_dir)
    now = datetime.now(UTC)
    queue = _audit_queue(told, now) if settings.audit.repository else None
    alarming = alarms(settings, now)
    if queue:
        alarming += untold(settings, queue["lines"], queue["oldest_seconds"])
    if as_json:
        print_json({**told, "audit_queue": queue, "processes": alive, "alarms": alarming})
        return
    print_line(NOT_FOR_DIAGNOSIS)
    for sentence in alarming:
        print_line(f"ALARM      {sentence}")
    print_line(f"node       {', '.join(sorted(alive)) if alive else 'not running'}")
    print_line(f"studies    {told['studies']}")
    print_line(f"instances  {counts(told['instances'])}")
    print_line(f"readings   {counts(told['jobs'])}")
    for destination, by_status in told["deliveries"].items():
        print_line(f"to {destination:8} {counts(by_status)}")
    for destination, breaker in told["breakers"].items():
        if breaker["open"]:
            print_line(
                f"DOWN       {destination} since {breaker['since']}: {breaker['reason']}; "
                f"next look {breaker['next_probe']}"
            )
    if any(by_status.get("withheld") for by_status in told["deliveries"].values()):
        print_line("ALARM      objects failed the node's own check and are withheld: see `show`")
    print_line(f"waiting    since {told['oldest_waiting'] or 'nothing waits'}")
    waiting = queue["lines"] if queue else 0
    rest = f", {waiting} not told to the repository yet" if waiting else ""
    print_line(f"audit      {told['audit_lines']} lines{rest}")


def _audit_queue(told: Status, now: datetime) -> dict[str, int]:
    """How many lines the audit repository was not told yet, and the age of the oldest."""
    since = told["audit_untold_since"]
    age = int((now - datetime.fromisoformat(since)).total_seconds()) if since else 0
    return {"lines": told["audit_lines"] - told["audit_told"], "oldest_seconds": age}
