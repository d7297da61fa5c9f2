"""Alerts: one message when an alarm has lasted, and one when it is over, by webhook and mail.

A message carries sentences of alarms, which hold no patient identity. At most one message is sent
in `alerts.pause_minutes`; what happens meanwhile comes together in the next.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from dicom_node.deliver.notify import mail, post
from dicom_node.dicom.files import durable_write
from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dicom_node.config import AlertsConfig
    from dicom_node.ports import Clock
    from dicom_node.service.alarms import Alarm

_LOOK_SECONDS = 30.0
_FILE = "alerts.json"

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class Alerts:
    """Sends messages about alarms; what was announced survives a restart.

    Parameters
    ----------
    look
        Returns the current alarms.
    data_dir
        Holds the list of announced alarms.
    """

    settings: AlertsConfig
    ae_title: str
    look: Callable[[], list[Alarm]]
    data_dir: Path
    clock: Clock
    since: dict[str, datetime] = field(default_factory=dict)  # alarm -> when it was first seen
    looked: datetime | None = None
    sent: datetime | None = None

    def tick(self) -> None:
        """Check the alarms if a check is due, and send a message if they changed."""
        now = self.clock()
        if self.looked is not None and now - self.looked < timedelta(seconds=_LOOK_SECONDS):
            return
        self.looked = now
        alarms = {f"{each.code}: {each.command}": each for each in self.look()}
        self.since = {key: self.since.get(key, now) for key in alarms}
        pause = timedelta(minutes=self.settings.pause_minutes)
        if self.sent is not None and now - self.sent < pause:
            return
        announced = self._announced()
        lasting = timedelta(minutes=self.settings.after_minutes)
        new = [
            alarm
            for key, alarm in alarms.items()
            if key not in announced and now - self.since[key] >= lasting
        ]
        over = {key: sentence for key, sentence in announced.items() if key not in alarms}
        if (new or over) and self._send(new, list(over.values())):
            self.sent = now
            kept = {key: text for key, text in announced.items() if key not in over}
            self._write(kept | {f"{each.code}: {each.command}": each.sentence for each in new})

    def _send(self, new: list[Alarm], over: list[str]) -> bool:
        """Send by every configured way; return False if all failed, so that the caller retries."""
        subject = f"{self.ae_title}: {len(new)} new alarms, {len(over)} over"
        lines = [f"ALARM {each.sentence}\n      {each.command}" for each in new]
        text = "\n".join([*lines, *(f"OVER  {each}" for each in over)]) + "\n"
        message: dict[str, object] = {
            "node": self.ae_title,
            "text": f"{subject}\n{text}",
            "alarms": [asdict(each) for each in new],
            "over": over,
        }
        ways: list[Callable[[], None]] = []
        if (webhook := self.settings.webhook) is not None:
            ways.append(lambda: post(webhook, message))
        if (settings := self.settings.mail) is not None:
            ways.append(lambda: mail(settings, subject, text))
        taken = False
        for way in ways:
            try:
                way()
                taken = True
            except NodeError as error:
                log.warning("alert not sent", reason=str(error))
        return taken

    def _announced(self) -> dict[str, str]:
        try:
            read: dict[str, str] = json.loads((self.data_dir / _FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return read

    def _write(self, announced: dict[str, str]) -> None:
        durable_write(
            self.data_dir / _FILE, lambda file: file.write(json.dumps(announced).encode())
        )
