"""Messages to people: a webhook (JSON by HTTP POST) and mail (SMTP)."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

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
        raise PeerUnavailable(f"alerts.webhook: {type(error).__name__}") from error
    if not 200 <= status < 300:
        raise PeerUnavailable(f"alerts.webhook: HTTP {status}")


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
        raise PeerUnavailable(f"alerts.mail: {type(error).__name__}") from error


def _secret(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NodeError(f"alerts: {path} cannot be read") from error
