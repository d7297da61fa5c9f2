"""A lease as its holder sees it: when to renew it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dicom_node.ports import Clock

_FRESH = 0.01  # of its length: what was renewed so short a time ago need not be renewed again


@dataclass(slots=True)
class HeldLease:
    """What is left of a lease.

    Parameters
    ----------
    seconds
        Its length.
    """

    clock: Clock
    seconds: float
    _since: datetime = field(init=False)

    def __post_init__(self) -> None:
        self._since = self.clock()

    def extended(self) -> datetime:
        """Until when it holds if it is taken or renewed now."""
        self._since = self.clock()
        return self._since + timedelta(seconds=self.seconds)

    @property
    def fresh(self) -> bool:
        """Whether it was taken or renewed a moment ago: no other process can hold the work."""
        age = self.clock() - self._since
        return timedelta() <= age < timedelta(seconds=_FRESH * self.seconds)
