"""Modalities that send one study after the other, each until the node says Success."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import dcmread
from pydicom.uid import generate_uid
from support.film import film, phantom, write
from support.running import RunningNode

_PAUSE_SECONDS = 0.2


@dataclass
class Traffic:
    """A stream of studies of one film each, held back while the node has enough to do."""

    folder: Path
    node: RunningNode
    done: Callable[[], int]
    ahead: int
    studies: list[str] = field(default_factory=list)  # Study Instance UIDs that were answered
    again: int = 0  # films sent again, because no answer came
    stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self, modalities: int) -> None:
        template = write(film(phantom(320, 288, marker=None)), self.folder / "template.dcm")
        for number in range(modalities):
            thread = threading.Thread(target=self._send, args=(number, template), daemon=True)
            thread.start()
            self._threads.append(thread)

    def finish(self) -> None:
        """Have what is under way answered for, and begin nothing more."""
        self.stop.set()
        for thread in self._threads:
            thread.join(180)
            assert not thread.is_alive(), "a film was never taken"

    def _send(self, number: int, template: Path) -> None:
        ds, path = dcmread(template), self.folder / f"{number}.dcm"
        while not self.stop.is_set():
            if len(self.studies) - self.done() >= self.ahead:
                self.stop.wait(_PAUSE_SECONDS)
                continue
            ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            write(ds, path)
            while self.node.send([path]) != [0x0000]:
                with self._lock:
                    self.again += 1
                threading.Event().wait(_PAUSE_SECONDS)
            with self._lock:
                self.studies.append(ds.StudyInstanceUID)
