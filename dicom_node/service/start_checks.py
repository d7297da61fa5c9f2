"""Checks before the node starts: ports, folders, certificates, secrets and destinations."""

from __future__ import annotations

import errno
import os
import socket
import tempfile
from typing import TYPE_CHECKING

from dicom_node.config import FolderDestination, WebService
from dicom_node.errors import ConfigError
from dicom_node.store.bucket import bucket_fault, missing_library
from dicom_node.tls.context import client_context, server_context
from models.operating import WeightsError, read_points

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dicom_node.config import Config, Destination
    from dicom_node.config.thresholds import ThresholdOverride

_BIND = {
    errno.EADDRINUSE: "is in use by another program",
    errno.EACCES: "may not be opened by this user (ports below 1024 need a right)",
    errno.EADDRNOTAVAIL: "cannot be opened: node.host is not an address of this machine",
}


def start_faults(config: Config) -> list[str]:
    """One sentence for each reason why the node cannot start."""
    return [
        *folder_faults(config),
        *filter(None, [missing_library(config.store)]),
        *certificate_faults(config),
        *port_faults(config),
        *report_faults(config),
        *reload_faults(config),
    ]


def reload_faults(config: Config) -> list[str]:
    """One sentence for each reason why a running node cannot take this configuration."""
    return [*threshold_faults(config), *reception_faults(config), *secret_faults(config)]


def reception_faults(config: Config) -> list[str]:
    """Whether the allow-list and the rule of priority can be used."""
    from dicom_node.receive.access import AccessList
    from dicom_node.receive.priority import PriorityRule

    faults = []
    for rule in (lambda: AccessList(config.node), lambda: PriorityRule(config.priority)):
        try:
            rule()
        except ConfigError as error:
            faults.append(str(error))
    return faults


def folder_faults(config: Config) -> list[str]:
    """Whether the data folder, or the folder it would be made in, can be written."""
    data_dir = config.node.data_dir
    parents = (data_dir, *data_dir.absolute().parents)
    folder = next(each for each in parents if each.exists())
    return [f"node.data_dir: {fault}" for fault in _not_writable(folder)]


def bucket_faults(config: Config) -> list[str]:
    """Whether the bucket of `store.files` answers.

    A node starts without it, as it does without its destinations: films are refused meanwhile.
    """
    fault = bucket_fault(config.store) if config.store.in_bucket else None
    return [] if fault is None else [f"store.files: {fault}"]


def certificate_faults(config: Config) -> list[str]:
    """Whether the files of `tls` can be loaded and belong together."""
    tls = config.tls
    if tls.certificate_file is None and tls.ca_file is None:
        return []
    try:
        (server_context if tls.certificate_file else client_context)(tls)
    except ConfigError as error:
        return [str(error)]
    return []


def port_faults(config: Config) -> list[str]:
    """Whether the ports that the node listens on are free; nothing stays open."""
    node, tls, mllp = config.node, config.tls, config.verdicts.mllp
    ports = (
        ("node.port", node.host, node.port if config.plain_is_open else None),
        ("tls.port", node.host, tls.port),
        ("http.port", config.http.host, config.http.port),
        *((("verdicts.mllp.port", mllp.host, mllp.port),) if mllp is not None else ()),
    )
    found = []
    for key, host, port in ports:
        if port is None:
            continue
        try:
            _bind(host, port)
        except OSError as error:
            reason = _BIND.get(error.errno or 0, f"cannot be opened: {error.strerror}")
            found.append(f"{key}: port {port} of {host} {reason}")
    if config.plain_is_open and node.port == tls.port:
        found.append(f"tls.port: {tls.port} is also node.port")
    return found


def _bind(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as attempt:
        # As the receiver does: connections of an earlier node that are closing do not count.
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        attempt.bind((host, port))
        attempt.listen(1)


def report_faults(config: Config) -> list[str]:
    """Whether reports can be read, and come by TLS or from the folder if so configured."""
    from dicom_node.verdicts.rules import read_rules

    verdicts, faults = config.verdicts, []
    if verdicts.rules is not None:
        try:
            read_rules(verdicts.rules)
        except ConfigError as error:
            faults.append(f"verdicts.rules: {error}")
    if verdicts.mllp is not None and verdicts.mllp.tls and config.tls.certificate_file is None:
        faults.append("verdicts.mllp.tls needs tls.certificate_file")
    if verdicts.folder is not None:
        faults += [f"verdicts.folder: {each}" for each in _not_writable(verdicts.folder)]
    return faults


def threshold_faults(config: Config) -> list[str]:
    """Whether the networks have the operating points that `thresholds` names."""
    faults = []
    for key, chosen in config.thresholds.all():
        try:
            read_points(config.models.directory, chosen)
        except WeightsError as error:
            faults.append(f"{key}: {error}")
    return faults


def thresholds_in_words(config: Config) -> list[str]:
    """A line for each choice: which probability makes a film positive; [] if there are faults."""
    if threshold_faults(config):
        return []
    lines, overrides = [], config.thresholds.overrides
    films = ["", *(f" ({_films(each)})" for each in overrides)]
    for (key, chosen), which in zip(config.thresholds.all(), films, strict=True):
        points = read_points(config.models.directory, chosen, config.models.prevalence)
        shown = zip(("pneumonia", "covid19"), points, strict=True)
        said = ", ".join(f"{n} {p.threshold:.4g} ({p.name})" for n, p in shown)
        lines.append(f"{key}{which}: {said}")
    return lines


def _films(override: ThresholdOverride) -> str:
    """The films that an override is for, such as ``CR, view AP, from PORTABLE1``."""
    view = override.view and f"view {override.view}"
    sender = override.ae_title and f"from {override.ae_title}"
    return ", ".join(filter(None, (override.modality, view, sender)))


def destination_faults(config: Config) -> list[str]:
    """Whether each destination's name resolves, its folder can be written, its secrets be read.

    Nothing is sent: `dicom-node echo` does that.
    """
    return [
        f"destination {each.name}: {fault}"
        for each in config.destinations
        for fault in _destination(each)
    ]


def _destination(destination: Destination) -> Iterator[str]:
    if isinstance(destination, FolderDestination):
        yield from _not_writable(destination.path)
    elif isinstance(destination, WebService):
        from urllib.parse import urlsplit

        yield from _not_resolved(urlsplit(destination.url).hostname or "")
        yield from _not_readable("token_file", destination.token_file)
        yield from _not_readable("ca_file", destination.ca_file)
        if destination.token_env is not None and destination.token_env not in os.environ:
            yield f"token_env: the variable {destination.token_env} is not set"
    else:
        yield from _not_resolved(destination.host)


def _not_resolved(host: str) -> Iterator[str]:
    try:
        socket.getaddrinfo(host, None)
    except (OSError, UnicodeError):  # UnicodeError: a label that is too long
        yield f"the name {host} does not resolve to an address"


def secret_faults(config: Config) -> list[str]:
    """Whether the other files that the configuration names can be read."""
    files = {
        "node.users_file": config.node.users_file,
        "http.users_file": config.http.users_file,
        "audit.signing_key_file": config.audit.signing_key_file,
        "audit.public_key_file": config.audit.public_key_file,
    }
    return [fault for key, path in files.items() for fault in _not_readable(key, path)]


def _not_readable(key: str, path: Path | None) -> Iterator[str]:
    if path is None:
        return
    try:
        path.open("rb").close()
    except OSError as error:
        yield f"{key}: {path}: {error.strerror}"


def _not_writable(folder: Path) -> Iterator[str]:
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        yield f"{folder} cannot be written: {error.strerror}"
