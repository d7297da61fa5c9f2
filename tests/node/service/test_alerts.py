"""Messages about alarms, received by a real HTTP and a real SMTP server on loopback."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from support.fakes import FakeClock
from support.peer import free_port

from dicom_node.config import AlertsConfig
from dicom_node.service.alarms import Alarm
from dicom_node.service.alerts import Alerts

HELD = Alarm(code="held", level="warning", sentence="2 objects are held", command="retry")
DISK = Alarm(code="disk", level="critical", sentence="films are rejected", command="df")


@dataclass
class Site:
    """A node with alarms, and the messages that came to the webhook."""

    url: str
    folder: Path
    alarms: list[Alarm] = field(default_factory=list)
    got: list[dict[str, Any]] = field(default_factory=list)
    status: int = 204
    clock: FakeClock = field(default_factory=FakeClock)

    def alerts(self, **more: Any) -> Alerts:
        return Alerts(
            settings=AlertsConfig.model_validate({"webhook": {"url": self.url}, **more}),
            ae_title="NODE",
            look=lambda: self.alarms,
            data_dir=self.folder,
            clock=self.clock,
        )

    def run(self, alerts: Alerts, minutes: int) -> None:
        for _ in range(2 * minutes):
            self.clock.tick(30)
            alerts.tick()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(made.status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        made = Site(f"http://127.0.0.1:{server.server_port}/hook", tmp_path)
        yield made
        server.shutdown()


def test_one_message_when_an_alarm_has_lasted_and_one_when_it_is_over(site: Site) -> None:
    """However long it lasts, and however often its numbers change."""
    alerts = site.alerts()
    site.alarms = [HELD]
    site.run(alerts, 4)
    assert site.got == []
    site.run(alerts, 60)
    [first] = site.got
    assert [each["sentence"] for each in first["alarms"]] == ["2 objects are held"]
    site.alarms = [Alarm(code="held", level="warning", sentence="3 objects", command="retry")]
    site.run(alerts, 60)
    assert len(site.got) == 1
    site.alarms = []
    site.run(alerts, 60)
    assert site.got[1]["over"] == ["2 objects are held"]
    assert len(site.got) == 2


def test_a_short_alarm_is_no_message(site: Site) -> None:
    """A process that was started again at once wakes no person."""
    alerts = site.alerts()
    for _ in range(10):
        site.alarms = [DISK]
        site.run(alerts, 2)
        site.alarms = []
        site.run(alerts, 2)
    assert site.got == []


def test_messages_keep_a_pause(site: Site) -> None:
    """What happens in it comes together afterwards."""
    alerts = site.alerts(pause_minutes=60)
    site.alarms = [HELD]
    site.run(alerts, 10)
    site.alarms = [DISK]
    site.run(alerts, 40)
    assert len(site.got) == 1
    site.run(alerts, 30)
    assert (site.got[1]["alarms"][0]["code"], len(site.got[1]["over"])) == ("disk", 1)


def test_a_restart_announces_nothing_twice(site: Site) -> None:
    """The list of announced alarms is in the data folder."""
    site.alarms = [HELD]
    site.run(site.alerts(), 10)
    site.run(site.alerts(), 30)
    assert len(site.got) == 1


def test_a_message_that_was_not_taken_is_sent_again(site: Site) -> None:
    """The log says why."""
    site.alarms, site.status = [HELD], 500
    alerts = site.alerts()
    with capture_logs() as logs:
        site.run(alerts, 6)
    assert {each["reason"] for each in logs} == {"alerts.webhook: HTTP 500"}
    site.status, tried = 200, len(site.got)
    site.run(alerts, 30)
    assert len(site.got) == tried + 1


@contextmanager
def _smtp_server() -> Iterator[tuple[int, list[str]]]:
    """A mail server that takes everything; yields its port and the messages."""
    mails: list[str] = []

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 test\r\n")
            while line := self.rfile.readline().upper():
                if line.startswith(b"DATA"):
                    self.wfile.write(b"354 go on\r\n")
                    mails.append(b"".join(iter(self.rfile.readline, b".\r\n")).decode())
                if line.startswith(b"QUIT"):
                    self.wfile.write(b"221 bye\r\n")
                    return
                self.wfile.write(b"250 ok\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_address[1], mails
        server.shutdown()


def test_a_message_comes_by_mail_even_if_the_webhook_is_down(site: Site) -> None:
    """With the sentence, the command that helps, and the header that stops automatic replies."""
    site.url = f"http://127.0.0.1:{free_port()}/"
    site.alarms = [HELD]
    with _smtp_server() as (port, mails):
        settings = {
            "host": "127.0.0.1", "port": port, "starttls": False,
            "sender": "node@hospital", "recipients": ["it@hospital"],
        }  # fmt: skip
        site.run(site.alerts(mail=settings), 10)
    [text] = mails
    assert "Subject: NODE: 1 new alarms, 0 over" in text
    assert "To: it@hospital" in text
    assert "Auto-Submitted: auto-generated" in text
    assert "ALARM 2 objects are held" in text


def test_a_receiver_that_is_away_is_named_without_the_path_of_its_url(site: Site) -> None:
    """The path of a webhook may be its secret."""
    port = free_port()
    site.url, site.alarms = f"http://127.0.0.1:{port}/secret", [HELD]
    mail = {"host": "127.0.0.1", "port": port, "sender": "a", "recipients": ["b"]}
    with capture_logs() as logs:
        site.run(site.alerts(mail=mail), 6)
    assert {each["reason"] for each in logs} == {
        f"alerts.webhook: 127.0.0.1:{port} cannot be reached",
        f"alerts.mail: 127.0.0.1:{port}: Connection refused",
    }


def test_a_mail_server_that_must_encrypt_and_cannot_gets_nothing(site: Site) -> None:
    """STARTTLS is the default; without it the message stays here."""
    site.url = f"http://127.0.0.1:{free_port()}/"
    site.alarms = [HELD]
    with _smtp_server() as (port, mails):
        settings = {"host": "127.0.0.1", "port": port, "sender": "a", "recipients": ["b"]}
        site.run(site.alerts(mail=settings), 6)
    assert mails == []
