"""The paper's tables on public films: ``python -m train experiment NAME``."""

from __future__ import annotations

from collections.abc import Callable

from train.experiments.result import Result, Run
from train.experiments.table4 import table4
from train.experiments.table5 import table5

EXPERIMENTS: dict[str, Callable[[Run], Result]] = {"table4": table4, "table5": table5}
