"""Reading publishers' tables and pairing films with masks."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from train.data.manifest import Row


def lines(path: Path) -> Iterator[dict[str, str]]:
    """Rows of a CSV file with a header, by column, stripped; a missing cell is empty."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        for line in csv.DictReader(file):
            yield {key: (value or "").strip() for key, value in line.items() if key}


def years(text: str) -> str:
    """Whole years of "58", "58.0", "058Y" or "58yrs"; empty for anything else."""
    digits = text.strip().upper().removesuffix("YRS").removesuffix("Y").strip()
    try:
        return str(int(float(digits)))
    except (ValueError, OverflowError):
        return ""


def sex(text: str) -> str:
    """M or F; empty for anything else."""
    letter = text.strip()[:1].upper()
    return letter if letter in ("M", "F") else ""


def if_there(path: Path, folder: Path) -> str:
    """The path relative to ``folder``, as a manifest has it; empty if there is no such file."""
    return path.relative_to(folder).as_posix() if path.is_file() else ""


def with_lung_row(row: Row, convention: str) -> list[Row]:
    """A labelled film, and the same film once more for stage 1 if it has a lung mask.

    Parameters
    ----------
    row
        With the mask, if there is one, in ``lung_mask``.
    convention
        Of the mask; begins with `AERATED` or `FIELD`.

    Returns
    -------
    list of Row
        ``row`` itself, then perhaps a second row with the mask in ``mask``.
    """
    if not row.lung_mask:
        return [row]
    lungs = replace(row, mask=row.lung_mask, convention=convention, lung_mask="", infection_mask="")
    return [row, lungs]
