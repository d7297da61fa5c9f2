"""Obeys orders at the node's fail points (ADR 0016); `sitecustomize` puts it in place of a no-op.

An order is a file of the point's name that says ``ACTION PASSES [WHO]``, such as ``kill 2 worker``:
at the second pass, in a process whose command line has that word. It is carried out once, and
renamed to ``NAME.hit``.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

VARIABLE = "CRASH_ORDERS"  # names the folder of the orders
_SLOW_SECONDS = 2.0

_passes: Counter[tuple[str, int]] = Counter()


def fail_point(name: str) -> None:
    """Pass a place of this name."""
    order = Path(os.environ[VARIABLE]) / name
    try:
        action, passes, *who = order.read_text().split()
        key = order.name, order.stat().st_mtime_ns  # an order given again is counted from zero
        if who and not set(who) & set(sys.argv):
            return
        _passes[key] += 1
        if _passes[key] < int(passes):
            return
        order.rename(order.with_name(f"{order.name}.hit"))
    except FileNotFoundError:  # no order, or another process was faster
        return
    _ACTIONS[action]()


_ACTIONS = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "kill-group": lambda: os.killpg(0, signal.SIGKILL),
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "slow": lambda: time.sleep(_SLOW_SECONDS),
}
