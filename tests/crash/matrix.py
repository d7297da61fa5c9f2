"""The crash matrix: a stream of studies through a node whose processes are killed all the time."""

from __future__ import annotations

import math
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from crash.orders import ANY_TIME, AT_START, POINTS, Deck, Order
from crash.pacs import CountingPacs
from crash.stand_in.obedience import VARIABLE
from crash.traffic import Traffic
from crash.verdict import Verdict, examine, waiting
from support.peer import destination, free_port
from support.running import COMMAND, STAND_IN, RunningNode

from dicom_node.service.pidfile import processes

_MODALITIES = 2
_AHEAD = 10  # studies sent and not yet back
_BETWEEN = 11  # children's deaths between two of all or of the supervisor
_SUPERVISORS = 0.3
_LOOK_SECONDS = 0.05
_PATIENCE_SECONDS = 40.0  # for a process to pass a point
_DRAIN_SECONDS = 300.0
_NAMES = {"run": "supervisor"}


class MortalNode(RunningNode):
    """A node in a process group of its own that obeys orders and has a stand-in for networks."""

    @property
    def orders(self) -> Path:
        return self.folder / "orders"

    def start(self) -> None:
        environment = {**os.environ, **STAND_IN, VARIABLE: str(self.orders)}
        with (self.folder / "log.txt").open("ab") as log:
            self.process = subprocess.Popen(
                [COMMAND, "run", "--config", self.config],
                stdout=log, stderr=log, env=environment, start_new_session=True,
            )  # fmt: skip

    @property
    def run_dir(self) -> Path:
        return self.data_dir

    def kill_group(self) -> None:
        assert self.process is not None
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

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
    progress: Callable[[], object]
    deadline: float = math.inf  # monotonic seconds; no process is killed after it
    kills: Counter[tuple[str, str]] = field(default_factory=Counter)  # (process, point)
    deliverers_killed: int = 0
    not_passed: int = 0  # orders at a point that no process passed in time
    again: int = 0

    def run(self, wanted: int) -> Verdict:
        """Kill so often; the node is gone afterwards, whatever happened."""
        node = MortalNode(folder=self.folder, port=free_port())
        for name in ("orders", "in"):
            (self.folder / name).mkdir(parents=True)
        with CountingPacs(self.folder / "pacs", node.port) as pacs:
            node.config.write_text(yaml.safe_dump(settings(node, pacs.port)))
            node.start()
            traffic = Traffic(self.folder / "in", node, pacs.complete, _AHEAD)
            try:
                traffic.start(_MODALITIES)
                self._kill_until(wanted, node)
                traffic.finish()
                node.wait_until(lambda: waiting(node.data_dir) == 0, seconds=_DRAIN_SECONDS)
                code = node.stop(120)
            finally:
                traffic.stop.set()
                node.kill_group()
            self.again = traffic.again
            verified = code == 0 and node.run("audit", "verify").returncode == 0
            return examine(
                traffic.studies, pacs, node.data_dir, self.deliverers_killed, verified=verified
            )

    def _kill_until(self, wanted: int, node: MortalNode) -> None:
        draw = random.Random(self.seed)
        decks = {process: Deck(process, draw) for process in POINTS}
        between = min(_BETWEEN, wanted // 2)  # a few deaths are of both kinds too
        while (left := wanted - self.kills.total()) > 0 and time.monotonic() < self.deadline:
            children = [decks[process] for process in POINTS if process != "run"]
            self._one_by_one([(node, deck) for deck in children], min(left, between), draw)
            if self.kills.total() < wanted:
                # A supervisor waits longer after each death of a child; a new one does not.
                victim = decks["run"] if draw.random() < _SUPERVISORS else draw.choice(children)
                self._altogether(victim.next({*AT_START}), node, draw)

    def _one_by_one(
        self, victims: Sequence[tuple[MortalNode, Deck]], wanted: int, draw: random.Random
    ) -> None:
        """Each process has an order all the time, until so many have died."""
        given: dict[int, _Given] = {}  # by the number of its victim
        enough = self.kills.total() + wanted
        while self.kills.total() < enough and time.monotonic() < self.deadline:
            for number, (node, deck) in enumerate(victims):
                if number not in given:
                    same = (each for each in given if victims[each][0] is node)
                    taken = {given[each].order.point for each in same} - {ANY_TIME}
                    given[number] = self._give(deck.next(taken), node, draw)
                if self._is_over(given[number], node):
                    del given[number]
                if self.kills.total() >= enough:
                    break
            time.sleep(_LOOK_SECONDS)
        for number, each in given.items():
            node = victims[number][0]
            if each.order.withdraw(node.orders):
                self._count(each.order, node)

    def _altogether(self, order: Order, node: MortalNode, draw: random.Random) -> None:
        """The whole node dies at one process's point, or the supervisor does alone."""
        given = self._give(replace(order, group=order.process != "run"), node, draw)
        while not self._is_over(given, node):
            time.sleep(_LOOK_SECONDS)

    def _give(self, order: Order, node: MortalNode, draw: random.Random) -> _Given:
        now = time.monotonic()
        if order.point == ANY_TIME:
            return _Given(order, now + draw.uniform(0.0, 4.0))
        order.give(node.orders)
        if order.point in AT_START or order.process == "run":
            # Only a start, or a death that the supervisor writes down, comes by there.
            first = Order(process="deliverer", point=ANY_TIME, passes=1)
            if _kill(first, node):
                self._count(first, node)
        return _Given(order, now + _PATIENCE_SECONDS)

    def _is_over(self, given: _Given, node: MortalNode) -> bool:
        order, late = given.order, time.monotonic() > given.until
        if order.point == ANY_TIME:
            over = died = late and _kill(order, node)
        else:
            over = late or order.carried_out(node.orders)
            died = over and order.withdraw(node.orders)
            self.not_passed += over and not died
        if died:
            self._count(order, node)
        return over

    def _count(self, order: Order, node: MortalNode) -> None:
        name = "whole node" if order.group else _NAMES.get(order.process, order.process)
        self.kills[name, order.point] += 1
        self.deliverers_killed += order.group or order.process == "deliverer"
        self.progress()
        if order.group or order.process == "run":
            node.revive()


@dataclass(frozen=True, slots=True)
class _Given:
    order: Order
    until: float  # monotonic seconds; of a death at any time: when


def _kill(order: Order, node: MortalNode) -> bool:
    if order.group:
        node.kill_group()
        return True
    name = _NAMES.get(order.process) or f"{order.process}-1"
    pid = processes(node.run_dir).get(name)
    if pid is None:  # being restarted just now
        return False
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def settings(node: MortalNode, pacs_port: int) -> dict[str, Any]:
    return {
        "node": {"host": "127.0.0.1", "port": node.port, "data_dir": str(node.data_dir)},
        "destinations": [destination(pacs_port).model_dump(mode="json")],
        "study": {"quiet_seconds": 0.3},
        "gate": {"enabled": False},
        # More objects a film: more places to die in.
        "results": {"picture_width": 512, "segmentation": True, "key_objects": True},
        # Only here is a worker killed five times over one film.
        "workers": {"count": 1, "threads": 1, "max_attempts": 100},
        "delivery": {
            "first_retry_seconds": 0.3, "max_retry_seconds": 1.0, "timeout_seconds": 10.0,
            "commitment_wait_seconds": 0.2, "commitment_timeout_seconds": 3.0,
            "commitment_attempts": 100,
        },
        "retention": {"days": 40 / 86400},
        "spool": {"min_free_mb": 0},
    }  # fmt: skip
