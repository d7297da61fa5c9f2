"""Twenty films read before and after a change: the answers must be the same.

``python -m bench.golden record|compare FILE --data DATA`` reads test films of a data folder with
both packaged versions, all stages. FILE stays outside the repository: it says what the networks
make of those films.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from models import registry
from models.reading import FloatMap, Reading
from train.data.films import Film, load_pixels, read_films

#: By how much a probability may move.
CLOSE = 1e-4
_COUNT = 20
_MAPS = ("h2", "h3", "guided")
_BLOCKS = 8  # a side; the means of a map that are kept

Answer: TypeAlias = dict[str, Any]


def answer(reading: Reading) -> Answer:
    """What of a reading is compared: decisions, probabilities, block means of the maps."""
    assert reading.covid19 is not None
    check = reading.heat_check
    maps = {name: heat for name in _MAPS if (heat := getattr(reading, name)) is not None}
    return {
        "pneumonia": reading.pneumonia.probability,
        "covid19": reading.covid19.probability,
        "positive": [reading.pneumonia.positive, reading.covid19.positive],
        "reliable": None if check is None else check.reliable,
        "maps": {name: _blocks(heat) for name, heat in maps.items()},
    }


def differences(before: Answer, after: Answer) -> dict[str, float]:
    """How far two answers for one film are apart; ``decisions`` counts those that changed."""
    pairs = [
        (one, other)
        for name in before["maps"]
        for one, other in zip(before["maps"][name], after["maps"][name], strict=True)
    ]
    return {
        "pneumonia": abs(before["pneumonia"] - after["pneumonia"]),
        "covid19": abs(before["covid19"] - after["covid19"]),
        "maps": max(abs(one - other) for one, other in pairs),
        "decisions": sum(map(bool.__ne__, before["positive"], after["positive"])),
        "heat checks": float(before["reliable"] is not after["reliable"]),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Record the answers, or compare them with recorded ones; exits with 1 if they differ."""
    parser = argparse.ArgumentParser(prog="bench.golden", description="Compare answers.")
    parser.add_argument("what", choices=("record", "compare"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder with a manifest.csv")
    given = parser.parse_args(arguments)
    found = dict(_answers(given.data))
    if given.what == "record":
        given.file.write_text(json.dumps(found), encoding="utf-8")
        return
    before = json.loads(given.file.read_text(encoding="utf-8"))
    apart = [differences(before[name], found[name]) for name in before]
    worst = {key: max(each[key] for each in apart) for key in ("pneumonia", "covid19", "maps")}
    counts = {key: int(sum(e[key] for e in apart)) for key in ("decisions", "heat checks")}
    moved = ", ".join(f"{key} {value:.1e}" for key, value in worst.items())
    sys.stdout.write(f"{len(apart)} readings; largest difference: {moved}; changed: {counts}\n")
    if counts["decisions"] or max(worst["pneumonia"], worst["covid19"]) > CLOSE:
        sys.exit("the answers differ")


def _answers(data: Path) -> Iterator[tuple[str, Answer]]:
    """Read every film with every version."""
    films = _chosen(read_films(data, ("test",)))
    for version, folder in registry.SHIPPED.items():
        cascade = registry.load(folder, folded=True)
        for film in films:
            reading = cascade.read(load_pixels(film.path), force_stage3=True)
            yield f"{version} {film.path.relative_to(data)}", answer(reading)


def _chosen(films: Sequence[Film]) -> Sequence[Film]:
    """Every n-th film, so that all labels and sources are among them."""
    ordered = sorted(films, key=lambda film: (film.label, film.source, str(film.path)))
    return ordered[:: max(1, len(ordered) // _COUNT)][:_COUNT]


def _blocks(heat: FloatMap) -> list[float]:
    side = heat.shape[0] // _BLOCKS
    means = heat.reshape(_BLOCKS, side, _BLOCKS, side).mean(axis=(1, 3))
    return [float(value) for value in means.ravel()]


if __name__ == "__main__":
    main()
