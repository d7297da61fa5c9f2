"""The paper's tables, and questions of our own, on public films: ``train experiment NAME``."""

from __future__ import annotations

from collections.abc import Callable

from train.experiments.cam_variants import cam_variants
from train.experiments.figures import figures
from train.experiments.result import Result, Run
from train.experiments.table3 import table3
from train.experiments.table4 import table4
from train.experiments.table5 import table5
from train.experiments.table6 import table6
from train.experiments.table7 import table7
from train.experiments.within import within

EXPERIMENTS: dict[str, Callable[[Run], Result]] = {
    "table3": table3,
    "table4": table4,
    "table5": table5,
    "table6": table6,
    "table7": table7,
    "within": within,
    "cam": cam_variants,
    "figures": figures,
}
