"""The application with all its commands; `run`, `demo` and `config check`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from dicom_node import __version__
from dicom_node.cli import (
    audit,
    backfill,
    backup,
    conformance,
    destinations,
    docs,
    doctor,
    drift,
    erase,
    init,
    model,
    passcode,
    performance,
    read,
    rehearse,
    reload,
    replay,
    shadow,
    stats,
    status,
    store,
    studies,
    thresholds,
    verdicts,
    why,
)
from dicom_node.cli.render import NOT_FOR_DIAGNOSIS, ConfigOption, JsonOption, print_json, printable
from dicom_node.config import load

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help=f"A DICOM node that reads frontal chest radiographs. {NOT_FOR_DIAGNOSIS}",
)
app.add_typer(audit.audit, name="audit")
app.add_typer(doctor.doctor, name="doctor")
app.add_typer(shadow.shadow, name="shadow")
app.add_typer(model.model, name="model")
app.add_typer(store.store, name="store")
app.add_typer(drift.drift, name="drift")
app.add_typer(thresholds.thresholds, name="thresholds")
config_commands = typer.Typer(no_args_is_help=True, help="Check the configuration.")
app.add_typer(config_commands, name="config")
init.register(app)
docs.register(app)
status.register(app)
studies.register(app)
stats.register(app)
verdicts.register(app)
performance.register(app)
erase.register(app)
passcode.register(app)
backup.register(app)
backfill.register(app)
reload.register(app)
read.register(app)
replay.register(app)
why.register(app)
rehearse.register(app)
destinations.register(app)
conformance.register(app)


_ROLES = "DICOM_NODE__NODE__ROLES"


@app.callback(invoke_without_command=True)
def version(
    context: typer.Context,
    show: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Print the version or the help."""
    if show:
        typer.echo(f"dicom-node {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def run(
    roles: Annotated[
        list[str] | None,
        typer.Option(
            "--role", help="receiver, worker, deliverer or scheduler; may be given several times."
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Run the node until SIGTERM, with all roles of `node.roles` or those given; SIGHUP reloads."""
    from dicom_node.log import configure
    from dicom_node.service.signals import has_terminal, heed_signals
    from dicom_node.service.supervisor import Supervisor

    if roles:  # in the environment, so that they are in force after a reload, too
        os.environ[_ROLES] = json.dumps(roles)
    settings = load(config)
    configure(settings.log, "supervisor")
    Supervisor(config=settings, config_path=config).run(heed_signals(has_terminal))


@app.command(hidden=True)
def role(
    name: Annotated[str, typer.Argument(help="receiver, worker or deliverer")],
    owner: Annotated[str, typer.Option(help="Name of this process in its leases.")],
    supervisor: Annotated[
        int, typer.Option(help="Process id of the supervisor; this process ends with it.")
    ],
    config: ConfigOption = None,
) -> None:
    """Run one of the node's processes; `run` starts them."""
    from dicom_node.log import configure
    from dicom_node.service import roles
    from dicom_node.service.processes import role_named

    settings = load(config)
    configure(settings.log, owner)
    roles.run(role_named(name), owner, settings, supervisor=supervisor)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("demo"),
    models: Annotated[
        Path | None,
        typer.Option(help="Folder of the networks that read; default: those of `lite`."),
    ] = None,
) -> None:
    """Run the node and a small PACS on loopback, send public radiographs, show the results."""
    from dicom_node.demo.show import run_demo

    raise typer.Exit(run_demo(out, models))


@config_commands.command("check")
def check(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print the configuration with its defaults; try its ports, folders, files and addresses.

    Exit status 1 if the configuration has mistakes, or if a port, a folder, the bucket, a
    certificate or a destination's name cannot be used.
    """
    from dicom_node.service import start_checks
    from dicom_node.service.pidfile import processes

    settings = load(config)
    values = json.loads(settings.model_dump_json())
    runs = "supervisor" in processes(settings.run_dir)
    faults = [
        *start_checks.folder_faults(settings),
        *start_checks.bucket_faults(settings),
        *start_checks.certificate_faults(settings),
        *([] if runs else start_checks.port_faults(settings)),
        *start_checks.reload_faults(settings),
        *start_checks.destination_faults(settings),
    ]
    if as_json:
        print_json({**values, "faults": faults})
    else:
        import yaml

        typer.echo(yaml.safe_dump(values, sort_keys=False), nl=False)
        for line in start_checks.thresholds_in_words(settings):
            typer.echo(f"# {line}", err=True)
        for fault in faults:
            typer.echo(printable(f"FAULT      {fault}"), err=True)
        if runs:
            typer.echo("# the node runs: its ports were not tried", err=True)
        verdict = (
            "the configuration cannot be used as it is" if faults else "the configuration is valid"
        )
        typer.echo(f"# {verdict}", err=True)
    if faults:
        raise typer.Exit(1)
