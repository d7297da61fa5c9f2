"""What was measured of each film, kept on disk: no film is measured twice by the same cascade.

A file's name holds the measure, its version, and a digest of the cascade's weights and settings. A
run that was killed continues where it stopped, and a second run takes seconds. Code is not part of
the name: a change to what a measure computes must raise its version.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from models.cascade import Cascade
from train.data.films import Film, LungFilm
from train.files import replacing

#: Version of what all measures share: how films are decoded, and the steps of the cascade. Raise
#: it when the same weights and settings give other numbers than before.
STEPS = 1

Numbers: TypeAlias = dict[str, float]
Arrays: TypeAlias = dict[str, NDArray[Any]]
AnyFilm = TypeVar("AnyFilm", Film, LungFilm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What is measured of a film, and the networks it depends on."""

    name: str  # of the file
    version: int  # raised when the same cascade and film give other numbers than before
    networks: tuple[str, ...] = ("lungs", "pneumonia", "covid19")


def fingerprint(cascade: Cascade, measure: Measure) -> str:
    """Digest everything a measure depends on but the film: 16 hex digits.

    These are the measure's name and version, `STEPS`, the weights of its networks, and the settings
    that shape their input and heatmaps. Thresholds and calibration are not: they are applied to
    what is kept.
    """
    settings, identity = cascade.settings, cascade.identity
    traits = {
        "measure": asdict(measure),
        "steps": STEPS,
        "weights": {name: identity.digests.get(name) for name in measure.networks},
        "size": settings.size,
        "mask_margin": settings.mask_margin,
        "h2_floor": settings.h2_floor,
        "lung_threshold": settings.lung_threshold,
        "h2": settings.h2,
    }
    return hashlib.sha256(json.dumps(traits, sort_keys=True).encode()).hexdigest()[:16]


def film_key(film: Film | LungFilm) -> str:
    """Name a film by its absolute path."""
    return str(film.path.resolve())


def numbers(
    measure: Measure,
    cascade: Cascade,
    films: Sequence[AnyFilm],
    one: Callable[[Cascade, AnyFilm], Numbers],
    folder: Path | None,
    key: Callable[[AnyFilm], str] = film_key,
) -> list[Numbers]:
    """Measure every film, or read what ``folder`` holds of it.

    Parameters
    ----------
    measure
        What is measured; with the cascade it names the file.
    cascade
        The networks and settings that the numbers depend on.
    films
        The films.
    one
        Measures one film; called only for films that ``folder`` does not hold.
    folder
        Of the files; made if needed. None: nothing is kept.
    key
        Names a film together with whatever else its numbers depend on.

    Returns
    -------
    list of Numbers
        One for each film, in order.
    """
    path = folder / f"{measure.name}-{fingerprint(cascade, measure)}.jsonl" if folder else None
    log = NumberLog(path) if path else None
    known = log.read() if log else {}
    found = []
    for film in track(films, measure.name):
        name = key(film)
        if name not in known:
            known[name] = one(cascade, film)
            if log:
                log.add(name, known[name])
        found.append(known[name])
    return found


def arrays(
    measure: Measure,
    cascade: Cascade,
    paths: Sequence[Path],
    one: Callable[[Cascade, Path], Arrays],
    folder: Path,
) -> list[Arrays]:
    """Measure every film, or read its arrays from ``folder``: one file for each film.

    Parameters
    ----------
    measure, cascade, folder
        As `numbers`.
    paths
        Of the films; a path names a film.
    one
        Measures one film; called only for films that ``folder`` does not hold.

    Returns
    -------
    list of Arrays
        One for each path, in order.
    """
    own = folder / f"{measure.name}-{fingerprint(cascade, measure)}"
    return [_arrays_of(path, cascade, one, own) for path in track(paths, measure.name)]


def _arrays_of(
    path: Path, cascade: Cascade, one: Callable[[Cascade, Path], Arrays], folder: Path
) -> Arrays:
    name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    kept = folder / f"{name}.npz"
    if not kept.exists():
        with replacing(kept) as part:
            np.savez(part, **one(cascade, path))  # type: ignore[arg-type]  # arrays by name
    with np.load(kept) as found:
        return dict(found)


class NumberLog:
    """Numbers on disk, one line for each film."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, Numbers]:
        """Read all whole lines; a kill may have left half of one."""
        if not self.path.exists():
            return {}
        known = {}
        for line in self.path.read_text(encoding="utf-8").splitlines():
            with suppress(json.JSONDecodeError):
                name, row = json.loads(line)
                known[name] = row
        return known

    def add(self, name: str, row: Numbers) -> None:
        """Append one film; the line break comes first, so that half a line spoils no other."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps([name, row]))
