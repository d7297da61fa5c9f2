"""The wall times of named steps."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Spans:
    """Seconds by step, in the order in which the steps first began."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Add the time of a ``with`` block to a step."""
        began, before = perf_counter(), self.seconds.setdefault(name, 0.0)
        try:
            yield
        finally:
            self.seconds[name] = before + perf_counter() - began
