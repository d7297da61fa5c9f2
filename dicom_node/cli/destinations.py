"""`echo` and `send`: connect to a destination by hand."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dicom_node.cli.render import ConfigOption, JsonOption, print_json, print_line, print_table
from dicom_node.config import load
from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from dicom_node.config import Config, Destination


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (echo, send):
        app.command()(command)


def echo(
    destination: Annotated[
        str | None, typer.Argument(help="The destination; all if omitted.")
    ] = None,
    own: Annotated[bool, typer.Option("--self", help="Test the node's own receiver.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Test the connection to a destination, or to all; exit status 1 if one does not answer."""
    from dicom_node.deliver.senders import Senders

    settings = load(config)
    peers: dict[str, Destination] = {each.name: each for each in settings.destinations}
    if own:
        peers = {"self": _own_receiver(settings)}
    elif destination is not None:
        peers = {destination: named(settings, destination)}
    sender = Senders(
        settings.node.ae_title,
        list(peers.values()),
        settings.delivery.timeout_seconds,
        settings.tls,
    )
    answers = {name: sender.echo(name) for name in peers}
    if as_json:
        print_json({name: asdict(answer) for name, answer in answers.items()})
    for name, answer in answers.items():
        if not as_json:
            print_line(f"{name}: {'answers' if answer.ok else 'NO'}, {answer.reason}")
    if not all(answer.ok for answer in answers.values()):
        raise typer.Exit(1)


def send(
    destination: Annotated[str, typer.Argument(help="The destination's name.")],
    paths: Annotated[list[Path], typer.Argument(help="DICOM files, or folders of them.")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Send files to a destination; exit status 1 if one was not accepted."""
    from dicom_node.cli.read import files_of
    from dicom_node.deliver.senders import Senders

    settings = load(config)
    peer = named(settings, destination)
    sender = Senders(
        settings.node.ae_title, [peer], settings.delivery.timeout_seconds, settings.tls
    )
    files = files_of(paths)
    answers = [
        {"path": str(path), "status": answer.status, "reason": answer.reason}
        for path, answer in zip(files, sender.send(destination, files), strict=True)
    ]
    if as_json:
        print_json(answers)
    else:
        print_table("", ["file", "status", "answer"], (_answer(each) for each in answers))
    if any(answer["status"] != 0 for answer in answers):
        raise typer.Exit(1)


def _answer(answer: dict[str, Any]) -> list[object]:
    status = answer["status"]
    return [answer["path"], "none" if status is None else f"0x{status:04X}", answer["reason"]]


def _own_receiver(config: Config) -> Destination:
    """The node's own receiver, over TLS if it has no plain port."""
    from dicom_node.config import DicomDestination

    node, own = config.node, config.tls.certificate_file
    name = None
    if not config.plain_is_open and own is not None:
        from dicom_node.tls.certificates import describe

        name = next((name for each in describe(own)[:1] for name in each.names), None)
    return DicomDestination(
        name="self",
        ae_title=node.ae_title,
        host="127.0.0.1" if node.host == "0.0.0.0" else node.host,  # noqa: S104 - any address
        port=node.port if config.plain_is_open else config.tls.port or node.port,
        tls=not config.plain_is_open,
        tls_name=name,
    )


def named(config: Config, name: str) -> Destination:
    """The destination of this name; raises NodeError if there is none."""
    for destination in config.destinations:
        if destination.name == name:
            return destination
    names = ", ".join(each.name for each in config.destinations) or "none"
    raise NodeError(f"no destination {name} in the configuration (configured: {names})")
