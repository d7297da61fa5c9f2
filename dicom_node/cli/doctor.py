"""`doctor` and its parts: database, bucket, files' modes, TLS, sandbox, a destination."""

from __future__ import annotations

import ssl
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from dicom_node.cli.doctor_destination import destination
from dicom_node.cli.render import ConfigOption, JsonOption, print_json, print_line
from dicom_node.config import load
from dicom_node.errors import ConfigError, NodeError
from dicom_node.store.plain import SQLITE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dicom_node.config import TlsConfig

doctor = typer.Typer()
doctor.command("destination")(destination)


@doctor.callback(invoke_without_command=True)
def doctor_all(
    context: typer.Context, as_json: JsonOption = False, config: ConfigOption = None
) -> None:
    """Look at everything that the node depends on, or at one part of it; nothing is changed.

    Configuration, ports, disk, memory, clock, database, bucket, files, certificates, decoder, page,
    verdicts, networks, and receivers of alerts, audit lines and results by a connection test.

    Exit status 0: nothing is wrong; 1: warnings; 2: faults.
    """
    part = context.invoked_subcommand
    if part is None:
        from dicom_node.cli.doctor_all import everything

        everything(config, as_json=as_json)
    for name in ("as_json", "config"):
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise NodeError(f"give --json and --config after {part}")


@doctor.command("store")
def store(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Check the database for damage without writing to it; exit status 1 if it is damaged.

    It takes about a second for every 100 MiB. The node may keep running.
    """
    from dicom_node.store.integrity import damage

    settings = load(config)
    if settings.store.url != SQLITE:
        raise NodeError("the state is in PostgreSQL: check it with pg_amcheck")
    data_dir = settings.node.data_dir
    found = damage(data_dir, thorough=True)
    if as_json:
        print_json({"data_dir": str(data_dir), "damage": found})
    else:
        _print_findings("DAMAGED", found, bad="database-damaged", good="the database is intact")
    _exit_if(found)


@doctor.command("bucket")
def bucket(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Put an object into the bucket, fetch, list and remove it; exit status 1 on a fault.

    The node may keep running.
    """
    from dicom_node.store.bucket import bucket

    settings = load(config)
    if not settings.store.in_bucket:
        raise NodeError("films and results are in the data folder (store.files)")
    found = bucket(settings.store, settings.node.data_dir).trial()
    if as_json:
        print_json({"files": settings.store.files, "faults": found})
    else:
        _print_findings("FAULT", found, bad="the bucket cannot be used", good="the bucket is good")
    _exit_if(found)


@doctor.command("files")
def files(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Check that only the node's user can use its files; exit status 1 if others can."""
    from dicom_node.service.file_modes import faults

    settings = load(config)
    found = faults(settings, config)
    if as_json:
        print_json({"data_dir": str(settings.node.data_dir), "faults": found})
    else:
        _print_findings("FAULT", found, bad="others have access", good="the files are private")
    _exit_if(found)


@doctor.command("tls")
def tls(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show the node's certificate, trusted CAs and TLS profile; exit status 1 on a fault."""
    from dicom_node.service.alarms import unbound_titles

    settings = load(config)
    if settings.tls.certificate_file is None and settings.tls.ca_file is None:
        raise NodeError("TLS is not configured (tls.certificate_file, tls.ca_file)")
    found = {**examine(settings.tls), "unbound_titles": list(unbound_titles(settings))}
    if as_json:
        print_json(found)
    else:
        _print(found)
    _exit_if(found["faults"])


@doctor.command("sandbox")
def sandbox(as_json: JsonOption = False) -> None:
    """Check that this machine confines the decoder of compressed pixels; exit status 1 if not."""
    from dicom_node.pixels.sandbox import SANDBOX

    missing = SANDBOX.missing()
    if as_json:
        print_json({"missing": list(missing)})
    else:
        _print_findings(
            "MISSING",
            missing,
            bad="the decoder is not fully confined",
            good="the decoder is confined",
        )
    _exit_if(missing)


def _print_findings(kind: str, found: Sequence[str], *, bad: str, good: str) -> None:
    for sentence in found:
        print_line(f"{kind:<10} {sentence}")
    print_line(f"verdict    {bad if found else good}")


def _exit_if(found: Sequence[str]) -> None:
    """End with exit status 1 if anything was found."""
    if found:
        raise typer.Exit(1)


def examine(settings: TlsConfig) -> dict[str, Any]:
    """Return everything that `doctor tls` prints, as JSON values."""
    from dicom_node.domain.clock import utc_now
    from dicom_node.tls.context import PROFILES, client_context, server_context

    now = utc_now()
    faults: list[str] = []
    try:
        (server_context if settings.certificate_file else client_context)(settings)
    except ConfigError as error:
        faults.append(str(error))
    chain, certificates, trusted = (
        _tried(faults, _chain, settings),
        _tried(faults, _describe, settings.certificate_file),
        _tried(faults, _describe, settings.ca_file),
    )
    faults += [
        f"{each['subject']} expired" for each in (*certificates, *trusted) if each["days_left"] < 0
    ]
    return {
        "profile": PROFILES[settings.profile],
        "openssl": ssl.OPENSSL_VERSION,
        "port": settings.port,
        "mutual": settings.mutual,
        "certificates": certificates,
        "chain": chain,
        "trusted": trusted,
        "checked_at": now.isoformat(timespec="seconds"),
        "faults": list(dict.fromkeys(faults)),
    }


def _tried(faults: list[str], ask: Any, about: Any) -> Any:
    try:
        return ask(about)
    except ConfigError as error:
        faults.append(str(error))
        return []


def _chain(settings: TlsConfig) -> list[str]:
    from dicom_node.tls.certificates import chain_of

    return list(chain_of(settings))


def _describe(path: Path | None) -> list[dict[str, Any]]:
    from dicom_node.domain.clock import utc_now
    from dicom_node.tls.certificates import describe

    now = utc_now()
    return [
        {
            **asdict(each),
            "not_before": each.not_before.isoformat(),
            "not_after": each.not_after.isoformat(),
            "days_left": each.days_left(now),
        }
        for each in (describe(path) if path else [])
    ]


def _print(found: dict[str, Any]) -> None:
    print_line(f"profile    {found['profile']}")
    print_line(f"library    {found['openssl']}")
    print_line(f"listens    {found['port'] or 'no TLS port'}")
    print_line(
        f"callers    {'must present a certificate' if found['mutual'] else 'need no certificate'}"
    )
    if titles := found["unbound_titles"]:
        print_line(f"WARNING    any certificate may use the AE title {' or '.join(titles)}")
    for title, key in (("ours", "certificates"), ("trusted", "trusted")):
        for each in found[key]:
            print_line(f"{title:10} {each['subject']}, {each['key']}")
            print_line(f"           names    {', '.join(each['names']) or 'none'}")
            print_line(f"           signed   {each['issuer']}")
            print_line(f"           until    {each['not_after'][:10]}, {each['days_left']} days")
    for depth, subject in enumerate(found["chain"]):
        print_line(f"chain      {'  ' * depth}{subject}")
    for fault in found["faults"]:
        print_line(f"FAULT      {fault}")
    if not found["faults"]:
        print_line("verdict    TLS is configured correctly")
