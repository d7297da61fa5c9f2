"""What stage 2 calls the films of each group of patients: by view, sex, age, and what they show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.cascade import Settings
from train.data.films import NORMAL, NOT_NORMAL, PNEUMONIA, Film
from train.evaluation import metrics
from train.evaluation.evaluate import Prediction
from train.evaluation.metrics import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One group: the share of its films called ill, by what radiologists said; its AUC."""

    name: str
    counts: dict[str, int]
    called: dict[str, Interval]
    auc: Interval | None  # normal against opacity


def groups(predictions: Sequence[Prediction], settings: Settings) -> list[Group]:
    """Measure all films, then views, sexes and age decades, each that has a film.

    Parameters
    ----------
    predictions
        Films and logits; films of other labels than normal, pneumonia and not-normal do not count.
    settings
        Its operating point of stage 2 decides what is called ill.
    """
    decide = settings.pneumonia.decide
    ill = np.array([decide(p.pneumonia).positive for p in predictions], np.bool_)
    found = []
    for name, member in _members([p.film for p in predictions]):
        inside = [i for i, p in enumerate(predictions) if member(p.film)]
        found.append(_group(name, [predictions[i] for i in inside], ill[inside]))
    return found


def _members(films: Sequence[Film]) -> list[tuple[str, Callable[[Film], bool]]]:
    decades = sorted({decade for film in films if (decade := _decade(film)) is not None})
    views = sorted({film.view for film in films if film.view})
    sexes = sorted({film.sex for film in films if film.sex})
    return [
        ("all", lambda _: True),
        *((f"view {view}", _equals("view", view)) for view in views),
        *((f"sex {sex}", _equals("sex", sex)) for sex in sexes),
        *((f"age {ten} to {ten + 9}", _aged(ten)) for ten in decades),
    ]


def _equals(name: str, value: str) -> Callable[[Film], bool]:
    return lambda film: getattr(film, name) == value


def _aged(decade: int) -> Callable[[Film], bool]:
    return lambda film: _decade(film) == decade


def _decade(film: Film) -> int | None:
    try:
        return int(float(film.age)) // 10 * 10
    except ValueError:
        return None


def _group(name: str, own: Sequence[Prediction], ill: metrics.Bools) -> Group:
    counts, called = {}, {}
    for label in (NORMAL, PNEUMONIA, NOT_NORMAL):
        chosen = [i for i, p in enumerate(own) if p.film.label == label]
        counts[label] = len(chosen)
        if chosen:
            called[label] = metrics.share(ill[chosen], [own[i].film.group for i in chosen])
    compared = [p for p in own if p.film.label in (NORMAL, PNEUMONIA)]
    scores = np.array([p.pneumonia for p in compared])
    positive = np.array([p.film.label == PNEUMONIA for p in compared], np.bool_)
    both = min(counts[NORMAL], counts[PNEUMONIA]) > 0
    patients = [p.film.group for p in compared]

    def auc(i: NDArray[np.intp]) -> float:
        return metrics.auc(scores[i], positive[i])

    return Group(
        name=name,
        counts=counts,
        called=called,
        auc=metrics.bootstrap(auc, patients) if both else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlines:
    """Films of one label whose two lungs can be compared, and those that are warned of."""

    label: str
    compared: int
    suspicious: int


def outlines(predictions: Sequence[Prediction]) -> list[Outlines]:
    """Count them for normal and ill films: an outline must not leave an opacified part out."""
    counted = []
    for label in (NORMAL, PNEUMONIA):
        found = [p.outline for p in predictions if p.film.label == label and p.outline == p.outline]
        counted.append(Outlines(label=label, compared=len(found), suspicious=int(sum(found))))
    return counted


def outlines_table(rows: Sequence[Outlines]) -> str:
    """Rows as Markdown."""
    head = "| films | two lungs found | outlines differ suspiciously |\n|---|---|---|\n"
    return head + "".join(f"| {r.label} | {r.compared} | {r.suspicious} |\n" for r in rows)


def table(rows: Sequence[Group]) -> str:
    """Rows as Markdown."""
    labels = (NORMAL, PNEUMONIA, NOT_NORMAL)
    head = "| films | " + " | ".join(f"{label} called ill" for label in labels) + " | AUC |\n"
    lines = [
        f"| {row.name} | "
        + " | ".join(
            f"{row.called[label]} of {row.counts[label]}" if label in row.called else "-"
            for label in labels
        )
        + f" | {row.auc or '-'} |\n"
        for row in rows
    ]
    return head + "|---|---|---|---|---|\n" + "".join(lines)
