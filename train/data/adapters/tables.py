"""Reading publishers' tables."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path


def lines(path: Path, *, delimiter: str = ",") -> Iterator[dict[str, str]]:
    """Rows of a CSV file with a header, stripped; a missing cell is empty."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        for line in csv.DictReader(file, delimiter=delimiter):
            yield {key: (value or "").strip() for key, value in line.items() if key}


def years(text: str) -> str:
    """Whole years of "58", "58.0", "058Y" or "58yrs"; empty for anything else."""
    digits = text.strip().upper().removesuffix("YRS").removesuffix("Y").strip()
    try:
        return str(int(float(digits)))
    except ValueError:
        return ""


def sex(text: str) -> str:
    """M or F; empty for anything else."""
    letter = text.strip()[:1].upper()
    return letter if letter in ("M", "F") else ""
