"""Data sets as their publishers ship them, turned into manifest rows.

An adapter reads a publisher's folder and says what each film is; `train.data.split` then joins
patients and duplicates and divides them, with the shares the paper used (Tables 1 and 2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from train.data import split
from train.data.adapters import clinical, covid, lungs, padchest, rsna
from train.data.manifest import Row

_LUNGS = {"train": 0.8, "test": 0.2}
_LARGE = {"train": 0.8, "val": 0.1, "test": 0.1}
_COVID = {"train": 0.5, "val": 0.25, "test": 0.25}


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """How one data set is read and divided; no shares: its publisher divided it."""

    rows: Callable[[Path], list[Row]]
    shares: Mapping[str, float] | None


ADAPTERS = {
    "montgomery": Adapter(rows=lungs.montgomery, shares=_LUNGS),
    "shenzhen": Adapter(rows=lungs.shenzhen, shares=_LUNGS),
    "jsrt": Adapter(rows=lungs.jsrt, shares=_LUNGS),
    "padchest": Adapter(rows=padchest.padchest, shares=_LARGE),
    "rsna": Adapter(rows=rsna.rsna, shares=_LARGE),
    "ieee8023": Adapter(rows=covid.ieee8023, shares=_COVID),
    "covidx": Adapter(rows=covid.covidx, shares=None),
    "clinical": Adapter(rows=clinical.clinical, shares=_COVID),
}


def adapt(name: str, folder: Path, seed: int) -> list[Row]:
    """Read a data set and divide it; a patient or duplicate torn by the publisher leaves the test.

    Raises
    ------
    FileNotFoundError
        The folder does not look like the data set.
    """
    adapter = ADAPTERS[name]
    rows = adapter.rows(folder)
    if not rows:
        raise FileNotFoundError(f"{folder} holds no film of {name}")
    rows = split.grouped(rows, folder)
    if adapter.shares is not None:
        return split.split_by_group(rows, adapter.shares, seed)
    learned = {row.group for row in rows if row.split == "train"}
    return [row for row in rows if row.split == "train" or row.group not in learned]
