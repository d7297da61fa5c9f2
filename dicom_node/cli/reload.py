"""`reload`: the running node takes the changed configuration."""

from __future__ import annotations

import os
import signal
import time

import typer

from dicom_node.cli.render import ConfigOption, print_line
from dicom_node.config import load
from dicom_node.errors import NodeError

_WAIT_SECONDS = 15.0


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("reload")(reload_configuration)


def reload_configuration(config: ConfigOption = None) -> None:
    """Let the running node take the changed configuration, all of it or nothing.

    Destinations, allow-lists, thresholds, priorities, retention, gate and log change without a
    restart. Exit status 1, with the reason, if it has mistakes or a key changed that needs one.
    """
    from dicom_node.service import running_config
    from dicom_node.service.pidfile import processes
    from dicom_node.service.start_checks import reload_faults

    settings = load(config)
    data_dir = settings.node.data_dir
    supervisor = processes(settings.run_dir).get("supervisor")
    running = running_config.running(settings)
    if supervisor is None or running is None:
        raise NodeError(f"no node runs over {data_dir.absolute()}; its next start reads the file")
    changes = running_config.changes(running, settings)
    if changes.restart:
        keys = ", ".join(changes.restart)
        raise NodeError(f"nothing was reloaded: {keys} changed, which needs a restart of the node")
    if faults := reload_faults(settings):
        raise NodeError("nothing was reloaded: " + "\n  ".join(faults))
    if not changes.reloadable:
        print_line("nothing has changed")
        return
    os.kill(supervisor, signal.SIGHUP)
    deadline = time.monotonic() + _WAIT_SECONDS
    while running_config.running(settings) != settings:
        if time.monotonic() > deadline:
            raise NodeError("the node did not take it: its last log lines say why")
        time.sleep(0.1)
    print_line(f"reloaded: {', '.join(changes.reloadable)}")
