"""Who dies where: the node's fail points by process, and the orders given to them."""

from __future__ import annotations

import random
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
    "run": ("audit.appended",),  # the supervisor: the word on its command line
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

    def withdraw(self, folder: Path) -> bool:
        """Take it back; whether it has been carried out. No process dies of it afterwards."""
        (folder / self.point).unlink(missing_ok=True)
        died = self.carried_out(folder)
        (folder / f"{self.point}.hit").unlink(missing_ok=True)
        return died


class Deck:
    """One process's orders without end: each point, and two deaths at any time, shuffled."""

    def __init__(self, process: str, draw: random.Random) -> None:
        self.process = process
        self._draw = draw
        self._cards: list[str] = []

    def next(self, taken: set[str]) -> Order:
        """The next order; none at a point where another process has one."""
        if not set(self._cards) - taken:
            self._cards = [*POINTS[self.process], ANY_TIME, ANY_TIME]
            self._draw.shuffle(self._cards)
        point = next(card for card in self._cards if card not in taken)
        self._cards.remove(point)
        passes = 1 if point in AT_START else self._draw.randint(1, 2)
        return Order(process=self.process, point=point, passes=passes)
