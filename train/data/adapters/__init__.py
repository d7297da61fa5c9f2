"""Data sets as their publishers ship them, turned into manifest rows.

An adapter reads a publisher's folder and says what each film is; `train.data.split` then joins
patients and duplicates and divides them, with the shares the paper used (Tables 1 and 2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from train.data import split
from train.data.adapters import clinical, covid, lungs, nih, padchest, qatar, rsna, siim
from train.data.manifest import Row

_LUNGS = {"train": 0.8, "test": 0.2}
_LARGE = {"train": 0.8, "val": 0.1, "test": 0.1}
_ORDER = ("train", "val", "test")
_COVID = {"train": 0.5, "val": 0.25, "test": 0.25}


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """How one data set is read, and the share of each split; None if its publisher divided it."""

    rows: Callable[[Path], list[Row]]
    shares: Mapping[str, float] | None


ADAPTERS = {
    "montgomery": Adapter(rows=lungs.montgomery, shares=_LUNGS),
    "shenzhen": Adapter(rows=lungs.shenzhen, shares=_LUNGS),
    "jsrt": Adapter(rows=lungs.jsrt, shares=_LUNGS),
    "padchest": Adapter(rows=padchest.padchest, shares=_LARGE),
    "nih": Adapter(rows=nih.nih, shares=_LARGE),
    "rsna": Adapter(rows=rsna.rsna, shares=_LARGE),
    "ieee8023": Adapter(rows=covid.ieee8023, shares=_COVID),
    "covidx": Adapter(rows=covid.covidx, shares=None),
    "covid-qu-ex": Adapter(rows=qatar.covid_qu_ex, shares=None),
    "radiography": Adapter(rows=qatar.radiography, shares=_LARGE),
    "siim": Adapter(rows=siim.siim, shares=_COVID),
    "clinical": Adapter(rows=clinical.clinical, shares=_COVID),
}


def adapt(name: str, folder: Path, seed: int) -> list[Row]:
    """Read a data set and divide it by patient.

    A publisher's own split may hold a patient or a film in two of its parts; such a film stays in
    the first of train, val, test only.

    Parameters
    ----------
    name
        One of `ADAPTERS`.
    folder
        The data set as published.
    seed
        Of the split; unused if the publisher divided the data set.

    Returns
    -------
    list of Row
        With ``split`` and ``group``; paths are relative to ``folder``.

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
    first: dict[str, str] = {}
    for row in sorted(rows, key=lambda row: _ORDER.index(row.split)):
        first.setdefault(row.group, row.split)
    return [row for row in rows if row.split == first[row.group]]
