"""The PACS of the crash matrix: keeps count, commits on an association of its own."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter, defaultdict
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pynetdicom.events import Event
from support.commitment_pacs import CommittingPeer, Style


class CountingPacs(CommittingPeer):
    """Takes every object, and remembers how often and with which bytes."""

    def __init__(self, folder: Path, node_port: int) -> None:
        super().__init__(folder, Style.NEW, node_port=node_port)
        self.times: Counter[str] = Counter()  # SOP Instance UID -> arrivals
        self.bytes: defaultdict[str, set[str]] = defaultdict(set)  # and the SHA-256 of each
        self.studies: defaultdict[str, dict[str, str]] = defaultdict(dict)  # study -> UID -> kind
        self._counting = threading.Lock()

    def __enter__(self) -> CountingPacs:
        super().__enter__()
        return self

    def store(self, event: Event) -> int:
        content = event.encoded_dataset()
        ds = dcmread(BytesIO(content), stop_before_pixels=True)
        uid = str(ds.SOPInstanceUID)
        with self._counting:
            self.times[uid] += 1
            self.bytes[uid].add(hashlib.sha256(content).hexdigest())
            kind = f"{ds.Modality} {ds.SOPClassUID.name} {ds.SeriesNumber}/{ds.InstanceNumber}"
            self.studies[str(ds.StudyInstanceUID)][uid] = kind
        return 0x0000

    def complete(self) -> int:
        """Studies whose last object, the key object selection, is here."""
        with self._counting:
            return sum(
                any(kind.startswith("KO") for kind in objects.values())
                for objects in self.studies.values()
            )

    def report_elsewhere(self, _assoc: Any, request: Any) -> None:
        """Report until the node answers; it may be dead just now."""
        for _ in range(5):
            with suppress(Exception):
                super().report_elsewhere(_assoc, request)
                return
            time.sleep(1.0)
