"""All numbers of a cascade: as Markdown for the cards, as JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from models.cascade import Cascade
from train.data.films import read_films
from train.evaluation.comparisons import COMPARISONS, Row, compare
from train.evaluation.evaluate import lung_dice, predict
from train.evaluation.metrics import Interval

INTERVALS = """\
In brackets 95 % intervals: of sensitivity and specificity Wilson's score interval, the films of one
patient counting as one (Kish's effective number), so that six of six films are no certainty; of all
else 2000 bootstrap draws of whole patients.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Dice by source and convention; a row for each comparison, by stage."""

    version: str
    digests: dict[str, str]
    dice: dict[str, Interval]
    pneumonia: list[Row]
    covid19: list[Row]

    def markdown(self) -> dict[str, str]:
        """Tables by network."""
        tables = {
            "lungs": dice_table(self.dice),
            "pneumonia": table(self.pneumonia),
            "covid19": table(self.covid19),
        }
        return {name: f"{text}\n{INTERVALS}" for name, text in tables.items()}

    def json(self) -> str:
        """The same numbers for machines."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


def measure(
    cascade: Cascade,
    data: Path,
    folder: Path,
    *,
    splits: Sequence[str] = ("test", "site"),
    without: Sequence[str] = (),
) -> Results:
    """Measure on the test split and on unseen hospitals, or on the splits that are named.

    Parameters
    ----------
    cascade
        All three networks.
    data
        Folder with films and manifest.
    folder
        Keeps the scores of each film, see `store`.
    splits
        Of the labelled films. Lungs are measured on the first of them alone.
    without
        Sources of labelled films to leave out.

    Returns
    -------
    Results
        A row for each comparison that has a film.
    """
    films = [film for film in read_films(data, splits) if film.source not in without]
    predictions = predict(cascade, films, folder)
    train = read_films(data, ("train",))
    asked = [c for c in COMPARISONS if c.sides(films)[0]]
    rows = [(c.stage, compare(c, predictions, cascade.settings, train)) for c in asked]
    return Results(
        version=cascade.identity.version,
        digests=dict(cascade.identity.digests),
        dice=lung_dice(cascade, data, splits[0], folder),
        pneumonia=[row for stage, row in rows if stage == 2],
        covid19=[row for stage, row in rows if stage == 3],
    )


def table(rows: Sequence[Row]) -> str:
    """Rows as Markdown."""
    head = "| films | n - / + | AUC | sensitivity | specificity | border ring's AUC |\n"
    lines = [
        f"| {r.name} | {r.negatives} / {r.positives} | {cell(r.auc)} | {cell(r.sensitivity)} "
        f"| {cell(r.specificity)} | {cell(r.ring)} |"
        for r in rows
    ]
    return head + "|---|---|---|---|---|---|\n" + "\n".join(lines) + "\n"


def dice_table(scores: dict[str, Interval]) -> str:
    """Dice as Markdown."""
    lines = [f"| {name} | {score} |" for name, score in scores.items()]
    return "| films | mean Dice |\n|---|---|\n" + "\n".join(lines) + "\n"


def cell(interval: Interval | None) -> str:
    """An interval as a table cell; a dash for None."""
    return "-" if interval is None else str(interval)
