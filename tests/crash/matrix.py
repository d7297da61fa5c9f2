"""The crash matrix: a stream of studies through a node whose processes are killed all the time."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from crash.orders import ANY_TIME, AT_START, Order, rounds
from crash.pacs import CountingPacs
from crash.traffic import Traffic
from crash.verdict import Verdict, judge, waiting
from support.peer import destination, free_port
from support.running import COMMAND, RunningNode

from dicom_node.fail_points import VARIABLE
from dicom_node.processes import processes

_HERE = Path(__file__).parent
_MODALITIES = 2
_AHEAD = 10  # studies sent and not yet back
_PATIENCE_SECONDS = 25.0  # for all orders of a round
_DRAIN_SECONDS = 240.0
_NAMES = {"run": "supervisor"}


class MortalNode(RunningNode):
    """A node in a process group of its own that obeys orders and has a stand-in for networks."""

    @property
    def orders(self) -> Path:
        return self.folder / "orders"

    def start(self) -> None:
        path = os.pathsep.join(map(str, (_HERE / "stand_in", _HERE.parent)))
        environment = {**os.environ, "PYTHONPATH": path, VARIABLE: str(self.orders)}
        with (self.folder / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(
                [COMMAND, "run", "--config", self.config],
                stdout=log, stderr=log, env=environment, start_new_session=True,
            )  # fmt: skip
        self.wait_until(self.answers, seconds=120)

    def kill_group(self) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)

    def revive(self) -> None:
        """Start again what has died as a whole."""
        assert self.process is not None
        self.process.wait(30)
        self.start()


@dataclass
class Matrix:
    """Kills until there were enough, then looks at what is left."""

    folder: Path
    seed: int
    progress: Callable[[int], object] = lambda _: None
    kills: Counter[tuple[str, str]] = field(default_factory=Counter)  # (process, point)
    deliverers_killed: int = 0
    not_passed: int = 0  # orders at a point that nobody came by in time
    again: int = 0

    def run(self, wanted: int) -> Verdict:
        node = MortalNode(folder=self.folder, port=free_port())
        node.orders.mkdir()
        pacs = CountingPacs(self.folder / "pacs", node.port)
        with pacs:
            node.config.write_text(yaml.safe_dump(_settings(node, pacs.port)))
            node.start()
            (self.folder / "in").mkdir()
            traffic = Traffic(self.folder / "in", node, pacs.complete, _AHEAD)
            try:
                traffic.start(_MODALITIES)
                self._kill_until(wanted, node)
                traffic.finish()
                node.wait_until(lambda: waiting(node.data_dir) == 0, seconds=_DRAIN_SECONDS)
                code = node.stop(120)
            finally:
                traffic.stop.set()
                if node.process is not None and node.process.poll() is None:
                    node.kill_group()
                    node.process.wait()
            self.again = traffic.again
            verified = code == 0 and node.run("audit", "verify").returncode == 0
            return judge(
                traffic.studies, pacs, node.data_dir, self.deliverers_killed, verified=verified
            )

    def _kill_until(self, wanted: int, node: MortalNode) -> None:
        draw = random.Random(self.seed + 1)
        for orders in rounds(self.seed):
            if self.kills.total() >= wanted:
                return
            self._round(orders[: wanted - self.kills.total()], node, draw)
            self.progress(self.kills.total())

    def _round(self, orders: Sequence[Order], node: MortalNode, draw: random.Random) -> None:
        timed = {order: draw.uniform(0.0, 4.0) for order in orders if order.point == ANY_TIME}
        waits = [order for order in orders if order not in timed]
        for order in waits:
            order.give(node.orders)
            if order.point in AT_START and not order.group:
                timed[Order(process="deliverer", point=ANY_TIME, passes=1)] = 0.0
        began = time.monotonic()
        while (waits or timed) and time.monotonic() - began < _PATIENCE_SECONDS:
            for order in [each for each in waits if each.carried_out(node.orders)]:
                waits.remove(order)
                self._count(order, node)
            for order in [each for each in timed if time.monotonic() - began > timed[each]]:
                if _kill(order, node):
                    del timed[order]
                    self._count(order, node)
            time.sleep(0.05)
        for order in orders:
            order.withdraw(node.orders)
        self.not_passed += len(waits) + len(timed)

    def _count(self, order: Order, node: MortalNode) -> None:
        name = "whole node" if order.group else _NAMES.get(order.process, order.process)
        self.kills[name, order.point] += 1
        self.deliverers_killed += order.group or order.process == "deliverer"
        if order.group or order.process == "run":
            node.revive()


def _kill(order: Order, node: MortalNode) -> bool:
    if order.group:
        node.kill_group()
        return True
    name = _NAMES.get(order.process) or f"{order.process}-1"
    pid = processes(node.data_dir).get(name)
    if pid is None:  # being restarted just now
        return False
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _settings(node: MortalNode, pacs_port: int) -> dict[str, Any]:
    return {
        "node": {"host": "127.0.0.1", "port": node.port, "data_dir": str(node.data_dir)},
        "destinations": [destination(pacs_port).model_dump(mode="json")],
        "study": {"quiet_seconds": 0.3},
        "gate": {"enabled": False},
        "results": {"max_side": 512, "segmentation": False},
        # Nobody kills a worker five times over one film, except here.
        "workers": {"count": 1, "threads": 1, "max_attempts": 100},
        "delivery": {
            "first_retry_seconds": 0.3, "max_retry_seconds": 1.0, "timeout_seconds": 10.0,
            "commitment_wait_seconds": 0.2, "commitment_timeout_seconds": 3.0,
            "commitment_attempts": 100,
        },
        "retention": {"days": 40 / 86400},
        "spool": {"min_free_mb": 0},
    }  # fmt: skip
