"""Who dies where: the node's fail points by process, and the orders given to them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

POINTS: dict[str, tuple[str, ...]] = {
    "receiver": (
        "receive.written", "receive.synced", "receive.renamed", "receive.committing",
        "receive.answering", "commitment.reported", "commitment.answering", "audit.appended",
    ),
    "worker": (
        "work.claimed", "work.decoded", "work.read", "work.composed", "work.written",
        "work.finishing", "work.finished", "audit.appended",
    ),
    "deliverer": (
        "study.opened", "deliver.claimed", "deliver.sending", "deliver.answered",
        "deliver.settled", "commitment.asking", "commitment.asked", "retention.removed-files",
        "retention.removed", "audit.appended",
    ),
    "run": ("audit.appended",),  # the supervisor, by the word on its command line
}  # fmt: skip
ANY_TIME = "any time"
#: Passed only when a deliverer starts, and once an hour.
AT_START = ("retention.removed-files", "retention.removed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One death."""

    process: str
    point: str
    passes: int
    group: bool = False  # every process of the node dies with it

    def give(self, folder: Path) -> None:
        """Put it where the processes look; whole at once."""
        part = folder / ".part"
        action = "kill-group" if self.group else "kill"
        part.write_text(f"{action} {self.passes} {self.process}")
        part.rename(folder / self.point)

    def carried_out(self, folder: Path) -> bool:
        return (folder / f"{self.point}.hit").exists()

    def withdraw(self, folder: Path) -> None:
        for name in (self.point, f"{self.point}.hit"):
            (folder / name).unlink(missing_ok=True)


def rounds(seed: int) -> Iterator[list[Order]]:
    """Without end: one order a process, all at the same time; every fourth is the whole node's."""
    draw = random.Random(seed)
    decks = {process: _deck(process, draw) for process in POINTS}
    number = 0
    while True:
        number += 1
        children = [process for process in POINTS if process != "run"]
        if number % 8 == 0:
            yield [next(decks["run"])]
        elif number % 4 == 0:
            drawn = next(decks[draw.choice(children)])
            yield [Order(process=drawn.process, point=drawn.point, passes=drawn.passes, group=True)]
        else:
            yield _apart([next(decks[process]) for process in children])


def _deck(process: str, draw: random.Random) -> Iterator[Order]:
    while True:
        points = [*POINTS[process], ANY_TIME, ANY_TIME]
        draw.shuffle(points)
        for point in points:
            passes = 1 if point in AT_START else draw.randint(1, 3)
            yield Order(process=process, point=point, passes=passes)


def _apart(orders: list[Order]) -> list[Order]:
    """One order a point: the audit trail's is everybody's."""
    return list({order.point: order for order in orders if order.point != ANY_TIME}.values()) + [
        order for order in orders if order.point == ANY_TIME
    ]
