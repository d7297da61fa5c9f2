"""The application with all its commands; `run`, `demo` and `config check`."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from dicom_node import __version__
from dicom_node.cli import audit, conformance, destinations, doctor, erase, read, status, studies
from dicom_node.cli.render import NOT_FOR_DIAGNOSIS, ConfigOption, JsonOption, print_json, printable
from dicom_node.config import load
from dicom_node.errors import NodeError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help=f"A DICOM node that reads frontal chest radiographs. {NOT_FOR_DIAGNOSIS}",
)
app.add_typer(audit.audit, name="audit")
app.add_typer(doctor.doctor, name="doctor")
config_commands = typer.Typer(no_args_is_help=True, help="Check the configuration.")
app.add_typer(config_commands, name="config")
status.register(app)
studies.register(app)
erase.register(app)
read.register(app)
destinations.register(app)
conformance.register(app)


def main() -> None:
    """Run the command line; print a NodeError as one sentence and exit with status 1.

    Every file that a command or a process of the node makes belongs to its user alone.
    """
    os.umask(0o077)
    try:
        app()
    except NodeError as error:
        sentence = "\n".join(map(printable, str(error).splitlines()))
        sys.stderr.write(f"dicom-node: {sentence}\n")
        sys.exit(1)


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
def run(config: ConfigOption = None) -> None:
    """Run the node (receiver, workers and deliverer) until SIGTERM."""
    from dicom_node.log import configure
    from dicom_node.service.supervisor import Supervisor

    settings = load(config)
    configure(settings.log, "supervisor")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    Supervisor(config=settings, config_path=config).run(stop)


@app.command(hidden=True)
def role(
    name: Annotated[str, typer.Argument(help="receiver, worker or deliverer")],
    owner: Annotated[str, typer.Option(help="Name of this process in its leases.")],
    supervisor: Annotated[
        int, typer.Option(help="Process id of the supervisor, with which it ends.")
    ],
    config: ConfigOption = None,
) -> None:
    """Run one of the node's processes; `run` starts them."""
    from dicom_node.log import configure
    from dicom_node.service import roles

    settings = load(config)
    configure(settings.log, owner)
    roles.run(roles.role_named(name), owner, settings, supervisor=supervisor)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("demo"),
) -> None:
    """Run the node and a small PACS on loopback, send public radiographs, show the results."""
    from dicom_node.demo.show import run_demo

    raise typer.Exit(run_demo(out))


@config_commands.command("check")
def check(
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the configuration with its defaults, or every mistake in it."""
    settings = load(config)
    if as_json:
        print_json(json.loads(settings.model_dump_json()))
    else:
        import yaml

        typer.echo(
            yaml.safe_dump(json.loads(settings.model_dump_json()), sort_keys=False), nl=False
        )
        typer.echo("# the configuration is valid", err=True)
