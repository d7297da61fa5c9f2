"""What `dicom-node doctor` looks at outside this machine: destinations, alerts, audit repository.

Each function yields what it found; see `dicom_node.service.examination`.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dicom_node.config import FolderDestination
from dicom_node.service.examination import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_node.config import AlertsConfig, Config, Destination

_SECONDS = 5.0  # for connecting, and for each answer
_CHECK = "dicom-node config check"
_PORTS = {"http": 80, "https": 443}


def delivery(config: Config) -> Iterator[Finding]:
    """A warning if no destination is configured."""
    if not config.destinations:
        sentence = "no destination: results stay in the data folder"
        yield Finding(about="delivery", level="warning", sentence=sentence, command=_CHECK)


def destination(config: Config, peer: Destination) -> Iterator[Finding]:
    """Whether the destination answers within a short time; nothing is sent."""
    from dicom_node.deliver.senders import Senders

    about = f"to {peer.name}"
    seconds = min(_SECONDS, config.delivery.timeout_seconds)
    answer = Senders(config.node.ae_title, [peer], seconds, config.tls).echo(peer.name)
    if answer.ok:
        took = "" if isinstance(peer, FolderDestination) else f", {answer.seconds:.2f} s"
        yield Finding(about=about, level="ok", sentence=f"{answer.reason}{took}")
        return
    command = f"dicom-node doctor destination {peer.name}"
    yield Finding(about=about, level="fault", sentence=answer.reason, command=command)


def alerts(config: Config) -> Iterator[Finding]:
    """Whether the webhook and the mail server answer, and their secrets can be read."""
    settings = config.alerts
    if settings.webhook is None and settings.mail is None:
        yield Finding(about="alerts", level="ok", sentence="off (alerts.webhook, alerts.mail)")
        return
    wrong = list(_wrong(settings))
    for sentence in wrong:
        yield Finding(about="alerts", level="warning", sentence=sentence, command=_CHECK)
    if not wrong:
        yield Finding(about="alerts", level="ok", sentence="their receivers answer")


def _wrong(settings: AlertsConfig) -> Iterator[str]:
    secrets = []
    if webhook := settings.webhook:
        url = urlsplit(webhook.url)
        port = url.port or _PORTS[url.scheme]
        yield from _unreachable("alerts.webhook", url.hostname or "", port)
        secrets.append(("alerts.webhook.token_file", webhook.token_file))
    if mail := settings.mail:
        yield from _unreachable("alerts.mail", mail.host, mail.port)
        secrets += [
            ("alerts.mail.password_file", mail.password_file),
            ("alerts.mail.ca_file", mail.ca_file),
        ]
    for key, path in secrets:
        if path is not None and not os.access(path, os.R_OK):
            yield f"{key}: {path} cannot be read"


def _unreachable(key: str, host: str, port: int) -> Iterator[str]:
    try:
        socket.create_connection((host, port), timeout=_SECONDS).close()
    except OSError as error:
        yield f"{key}: nothing answers at {host}:{port}: {error.strerror or error}"


def repository(config: Config) -> Iterator[Finding]:
    """Whether the audit repository, if there is one, takes a TLS connection; nothing is sent."""
    from dicom_node.audit.messages.transport import send

    if (to := config.audit.repository) is None:
        return
    failure = send([], to, config.tls, _SECONDS)
    said = f"{to.host}:{to.port}"
    yield Finding(
        about="repository",
        level="warning" if failure else "ok",
        sentence=f"no TLS connection to {said}: {failure}" if failure else f"{said} answers",
        command="dicom-node doctor tls" if failure else None,
    )
