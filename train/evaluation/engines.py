"""Measure this machine's engines against the reference, float32 on the processor.

``python -m train.evaluation.engines MODELS --data DATA`` writes the result into the manifest of a
models directory, `train export` does so for a new one. A signed manifest must be signed again.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from models import registry
from models.cascade import Cascade
from models.engine import Engine, Machine
from models.manifest import Measured
from models.reading import Reading
from train.data.films import Film, load_pixels, read_films
from train.data.sampler import spread_kinds

_ENOUGH = 10  # validation films of each source and label


def measured(
    directory: Path, data: Path, engines: Sequence[Engine] | None = None
) -> tuple[Measured, ...]:
    """Compare engines on validation films, all stages; by default all that this machine has."""
    if engines is None:
        engines = Machine.here().engines()
    films = spread_kinds(read_films(data, ("val",)), _ENOUGH)
    return tuple(_measured(directory, films, engine) for engine in engines)


def _measured(directory: Path, films: Sequence[Film], engine: Engine) -> Measured:
    reference = registry.load(directory, gate=False, folded=True)
    other = registry.load(directory, gate=False, folded=True, engine=engine)
    pairs = [(_read(reference, film), _read(other, film)) for film in films]
    machine = torch.cuda.get_device_name() if engine.kind == "cuda" else platform.processor()
    return Measured(
        engine=engine.name,
        machine=machine or platform.machine(),
        films=len(films),
        largest_difference=max(
            abs(one - two)
            for before, after in pairs
            for one, two in zip(_probabilities(before), _probabilities(after), strict=True)
        ),
        least_correlation=min(
            _correlation(one, two)
            for before, after in pairs
            for one, two in zip(_maps(before), _maps(after), strict=True)
        ),
        changed_decisions=sum(_decisions(one) != _decisions(two) for one, two in pairs),
    )


def _read(cascade: Cascade, film: Film) -> Reading:
    return cascade.read(load_pixels(film.path), force_stage3=True)


def _probabilities(reading: Reading) -> list[float]:
    stages = (reading.pneumonia, reading.covid19)
    return [stage.probability for stage in stages if stage is not None]


def _decisions(reading: Reading) -> tuple[object, ...]:
    check = reading.heat_check.reliable if reading.heat_check else None
    covid19 = reading.covid19.positive if reading.covid19 else None
    return reading.pneumonia.positive, covid19, check


def _maps(reading: Reading) -> Iterator[np.ndarray]:
    for each in (reading.h2, reading.h3, reading.guided):
        if each is not None:
            yield each


def _correlation(one: np.ndarray, two: np.ndarray) -> float:
    if np.array_equal(one, two):  # two empty maps, too
        return 1.0
    if not (one.std() and two.std()):
        return 0.0
    return min(1.0, float(np.corrcoef(one.ravel(), two.ravel())[0, 1]))


def main() -> None:
    """Measure and write the manifest."""
    parser = argparse.ArgumentParser(prog="train.evaluation.engines", description=__doc__)
    parser.add_argument("models", type=Path, help="models directory")
    parser.add_argument("--data", type=Path, required=True, help="folder with a manifest.csv")
    given = parser.parse_args()
    manifest = registry.read_manifest(given.models)
    found = measured(given.models, given.data)
    kept = [each for each in manifest.engines if each.engine not in {new.engine for new in found}]
    engines = tuple([*kept, *found])
    registry.write_manifest(manifest.model_copy(update={"engines": engines}), given.models)
    for each in found:
        verdict = "agrees" if each.agrees else "is not used"
        sys.stdout.write(f"{each.engine} {verdict}: {each.model_dump_json()}\n")
    if not found:
        sys.stdout.write("this machine has nothing but cpu fp32\n")


if __name__ == "__main__":
    main()
