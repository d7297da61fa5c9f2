"""Choose the gate's limits on validation films, and measure the gate on films it never saw."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from dicom_node.config import GateConfig
from dicom_node.domain.values import Image
from dicom_node.gate import examine_look, examine_measures
from dicom_node.gate.measures import exposure
from models.gate import Gate
from models.reading import GateLimits, Look
from train.data.image_io import load_pixels
from train.data.manifest import Row
from train.data.sampler import spread
from train.gate.classifier import is_lateral, part_of
from train.gate.features import Seen
from train.gate.negatives import Picture

#: How the limits are chosen; the card quotes it.
RULE = """\
From the validation films of all sources together. Lateral, part, other, turned, inverted: the
probability that one film in 200 exceeds, but never below 0.75, so that a doubtful film is let in.
Lungs at the edge: a tenth beyond what one in 200 exceeds; distance: a tenth beyond the furthest.
Lung area, contrast: half of the least. Black, white: halfway between the worst film and a film of
nothing else.
"""
#: How the table names the laterals that folds keep from the network.
LATERALS = "lateral, by a network that never saw the patient"
_SHARE, _SURE = 0.005, 0.75
#: A gate is released only if it accepts at least this share of the frontal films that chose no
#: limit, and at most this share of the laterals.
FRONTAL_FLOOR, LATERAL_CEILING = 0.95, 0.1
_ACCEPTED = "accepted"
_REFUSE = GateConfig(polarity="refuse")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A film, the gate's outputs for it and its answer: "accepted" or the code of a refusal."""

    row: Row
    look: Look
    seen: Seen
    distance: float
    answer: str


def score(
    rows: Sequence[Row], seen: Sequence[Seen], data: Path, gates: Sequence[Gate]
) -> list[Scored]:
    """Run gates on films. A film of the wrong polarity is refused, not corrected.

    Parameters
    ----------
    rows, seen, gates
        Film, its measures by stages 1 and 2, and its gate, one each.
    data
        Folder of the films.
    """
    scored = []
    for row, one, gate in zip(rows, seen, gates, strict=True):
        pixels = load_pixels(data / row.path)
        look, distance = gate.look(pixels), gate.distance(torch.from_numpy(one.features))
        refusal = examine_look(_image(pixels), look, _REFUSE) or examine_measures(
            one.lung_area, one.lungs_at_edge, distance, gate.limits
        )
        answer = refusal.code.value if refusal else _ACCEPTED
        scored.append(Scored(row=row, look=look, seen=one, distance=distance, answer=answer))
    return scored


def choose_limits(films: Sequence[Scored], data: Path) -> GateLimits:
    """Choose the limits from validation films by `RULE`, rounded to 4 digits.

    Parameters
    ----------
    films
        Scored by a gate without limits; one at least.
    data
        Folder of the films: exposure is measured on their pixels.
    """

    def high(values: Iterable[float]) -> float:
        return float(np.quantile(list(values), 1.0 - _SHARE))

    exposures = [exposure(load_pixels(data / film.row.path)) for film in films]
    limits = {
        "turned": max(_SURE, high(1.0 - film.look.turns[0] for film in films)),
        "inverted": max(_SURE, high(film.look.inverted for film in films)),
        "distance": 1.1 * max(film.distance for film in films),
        "lung_area": 0.5 * min(film.seen.lung_area for film in films),
        "lungs_at_edge": min(1.0, 1.1 * high(film.seen.lungs_at_edge for film in films)),
        "black": 0.5 + 0.5 * max(one.black for one in exposures),
        "white": 0.5 + 0.5 * max(one.white for one in exposures),
        "contrast": 0.5 * min(one.contrast for one in exposures),
    }
    for kind in ("lateral", "part", "other"):
        limits[kind] = max(_SURE, high(film.look.kinds[kind] for film in films))
    return GateLimits(**{name: round(value, 4) for name, value in limits.items()})


class NotReleased(Exception):
    """The gate accepts too few frontal films, or too many laterals."""


def check_floors(films: Sequence[Scored], laterals: Sequence[Scored]) -> None:
    """Compare a gate's answers with `FRONTAL_FLOOR` and `LATERAL_CEILING`.

    Films of the split ``val`` do not count, because they chose the limits.

    Raises
    ------
    NotReleased
        A share is out of bounds, or there is no frontal film to measure.
    """
    frontal = _accepted([film for film in films if film.row.split != "val"])
    if not frontal >= FRONTAL_FLOOR:  # nan too
        raise NotReleased(
            f"The gate accepts {frontal:.3f} of the frontal films; at least {FRONTAL_FLOOR} are "
            "needed. Nothing was written."
        )
    if laterals and (lateral := _accepted(laterals)) > LATERAL_CEILING:
        raise NotReleased(
            f"The gate accepts {lateral:.3f} of the laterals; at most {LATERAL_CEILING} are "
            "allowed. Nothing was written."
        )


def _accepted(films: Sequence[Scored]) -> float:
    """Share of accepted films; nan without films."""
    return float(np.mean([film.answer == _ACCEPTED for film in films])) if films else float("nan")


def table(films: Sequence[Scored], laterals: Sequence[Scored]) -> str:
    """Show what became of held-out films, in all and by source and split, as a Markdown table.

    Parameters
    ----------
    films
        Frontal ones.
    laterals
        Scored by networks that never saw their patient.
    """
    groups: dict[str, list[Scored]] = defaultdict(list)
    groups["all frontal"] = list(films)
    groups["all frontal but val, which chose the limits"] = [
        film for film in films if film.row.split != "val"
    ]
    for film in films:
        groups[f"frontal, {film.row.source}, {film.row.split}"].append(film)
    groups[LATERALS] = list(laterals)
    known = sorted(name for name, group in groups.items() if group)
    return _rows({name: [film.answer for film in groups[name]] for name in known})


def changed(films: Sequence[Row], data: Path, gate: Gate) -> str:
    """Show what becomes of films turned, inverted, cut, or replaced by black or noise; Markdown.

    Parameters
    ----------
    films
        Upright frontal ones.
    data
        Their folder.
    gate
        Only its look is used, not its distance.
    """
    answers: dict[str, list[str]] = defaultdict(list)
    rng = np.random.default_rng(1)
    for row in films:
        pixels = load_pixels(data / row.path)
        for turn in (1, 2, 3):
            answers[f"turned by {90 * turn} degrees"].append(_answer(np.rot90(pixels, turn), gate))
        answers["inverted"].append(_answer(1 - pixels, gate))
        answers["cut to half or less"].append(_answer(part_of(pixels, rng), gate))
        answers["all black"].append(_answer(0 * pixels, gate))
        noise = rng.random(pixels.shape, dtype=np.float32)
        answers["noise"].append(_answer(noise, gate))
    return _rows(answers)


def held_out(rows: Sequence[Row], learned: Sequence[Row], most: int) -> list[Row]:
    """Choose frontal films that the gate did not learn from.

    Parameters
    ----------
    rows
        Of the manifest; rows that teach stage 1 are left out.
    learned
        The films that it learned from.
    most
        Films of each source and split, evenly spaced.
    """
    known = {row.path for row in learned}
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        if not row.mask and row.path not in known and not is_lateral(row):
            groups[row.source, row.split].append(row)
    return [row for _, group in sorted(groups.items()) for row in spread(group, most)]


def _answer(pixels: Picture, gate: Gate) -> str:
    pixels = np.ascontiguousarray(pixels, np.float32)
    refusal = examine_look(_image(pixels), gate.look(pixels), _REFUSE)
    return refusal.code.value if refusal else _ACCEPTED


def _image(pixels: Picture) -> Image:
    return Image(pixels=pixels, spacing_mm=None)


def _rows(answers: dict[str, list[str]]) -> str:
    lines = ["| films | n | accepted | refused as |", "|---|---|---|---|"]
    for name, given in answers.items():
        counts = Counter(given)
        accepted = counts.pop(_ACCEPTED, 0)
        codes = ", ".join(f"{code} {count}" for code, count in counts.most_common()) or "-"
        lines.append(f"| {name} | {len(given)} | {100 * accepted / len(given):.1f} % | {codes} |")
    return "\n".join(lines) + "\n"
