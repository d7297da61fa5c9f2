"""Messages to people: a webhook (JSON by HTTP POST) and mail (SMTP)."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests

from dicom_node.errors import NodeError, PeerUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    from dicom_node.config import MailConfig, WebhookConfig

_SECONDS = 10.0  # for connecting, and for each answer


def post(webhook: WebhookConfig, message: dict[str, Any]) -> None:
    """Send a message as JSON.

    Raises
    ------
    NodeError
        The service did not take it, or the token cannot be read.
    """
    headers = {}
    if webhook.token_file is not None:
        headers["Authorization"] = f"Bearer {_secret(webhook.token_file)}"
    try:
        with requests.post(
            webhook.url, json=message, headers=headers, timeout=_SECONDS, allow_redirects=False,
            stream=True,
        ) as answer:  # fmt: skip
            status = answer.status_code
    except requests.RequestException as error:
        host = urlsplit(webhook.url).netloc  # the path may be a secret
        raise PeerUnavailable(f"alerts.webhook: {host} {_meaning(error)}") from error
    if not 200 <= status < 300:
        raise PeerUnavailable(f"alerts.webhook: HTTP {status}")


def _meaning(error: requests.RequestException) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return "has a certificate that is not trusted"
    if isinstance(error, requests.Timeout):
        return f"gave no answer within {_SECONDS:g} s"
    if isinstance(error, requests.ConnectionError):
        return "cannot be reached"
    return f"cannot be asked: {type(error).__name__}"


def mail(settings: MailConfig, subject: str, text: str) -> None:
    """Send a message by mail.

    Raises
    ------
    NodeError
        The server did not take it, or the password cannot be read.
    """
    message = EmailMessage()
    message["Subject"], message["From"] = subject, settings.sender
    message["To"] = ", ".join(settings.recipients)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no automatic reply, please
    message.set_content(text)
    try:
        with smtplib.SMTP(settings.host, settings.port, timeout=_SECONDS) as server:
            if settings.starttls:
                server.starttls(context=ssl.create_default_context(cafile=settings.ca_file))
            if settings.user is not None and settings.password_file is not None:
                server.login(settings.user, _secret(settings.password_file))
            server.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        # The server's own words are left out: they may repeat the recipients.
        system = None if isinstance(error, smtplib.SMTPException) else error.strerror
        reason = f"{settings.host}:{settings.port}: {system or type(error).__name__}"
        raise PeerUnavailable(f"alerts.mail: {reason}") from error


def _secret(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NodeError(f"alerts: {path} cannot be read") from error
