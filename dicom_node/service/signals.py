"""What the signals of a person or of systemd ask of the node."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """What the signals of a person or of systemd ask for."""

    stop: threading.Event = field(default_factory=threading.Event)  # drain
    reload: threading.Event = field(default_factory=threading.Event)


def heed_signals(has_terminal: Callable[[], bool]) -> Signals:
    """Drain on SIGTERM and Ctrl-C; on SIGHUP reload, or drain if the terminal was closed."""
    asked, had_terminal = Signals(), has_terminal()

    def hang_up(*_: object) -> None:
        closed = had_terminal and not has_terminal()
        (asked.stop if closed else asked.reload).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.stop.set())
    signal.signal(signal.SIGHUP, hang_up)
    return asked


def has_terminal() -> bool:
    """Whether this process has a terminal that is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
