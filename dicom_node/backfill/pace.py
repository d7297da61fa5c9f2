"""How fast a backfill may go: never in the way of the films of today."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dicom_node.config import SpoolConfig

LONGEST_QUEUE = 16  # films that wait to be read; beyond, the backfill waits
_SPARE = 1.5  # times `spool.min_free_mb` stay free: the receiver refuses films below once
_LOOK_SECONDS = 2.0  # between two looks at what it waits for
_MIB = 2**20


@dataclass(kw_only=True)
class Pace:
    """Says when the next study may be fetched.

    Parameters
    ----------
    hindrance
        Says in a few words why the node can take no more now; empty if it can.
    per_minute
        At most so many studies a minute; None: no limit.
    """

    hindrance: Callable[[], str]
    per_minute: float | None = None
    sleep: Callable[[float], object] = time.sleep
    seconds: Callable[[], float] = time.monotonic
    _next: float = field(default=float("-inf"), init=False)

    def wait(self, say: Callable[[str], object]) -> None:
        """Return when the next study may be fetched; ``say`` gets the reason of each wait."""
        if (left := self._next - self.seconds()) > 0:
            say("waits for --rate")
            self.sleep(left)
        while why := self.hindrance():
            say(f"waits: {why}")
            self.sleep(_LOOK_SECONDS)
        if self.per_minute:
            self._next = self.seconds() + 60 / self.per_minute


def disk_is_short(data_dir: Path, spool: SpoolConfig) -> bool:
    """Whether a backfill would leave too little space for the films of today."""
    return shutil.disk_usage(data_dir).free < _SPARE * spool.min_free_mb * _MIB
