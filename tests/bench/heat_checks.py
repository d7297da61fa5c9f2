"""Whether cheaper forms of the heat check say the same, on positive validation films.

``python -m bench.heat_checks --data DATA [--version paper] [--films 100]``. The cheap form takes
the hottest region out of stage 2's last maps, where the logit is a sum over places: no pass at all.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch.nn import functional

from models import heat_check, registry
from models.cascade import Cascade
from models.reading import FloatMap, Reading
from train.data.films import NORMAL, load_pixels, read_films


def main(arguments: Sequence[str] | None = None) -> None:
    """Print how often the forms agree, and how many passes of stage 2 a film costs."""
    parser = argparse.ArgumentParser(prog="bench.heat_checks")
    parser.add_argument("--data", type=Path, required=True, help="folder with a manifest.csv")
    parser.add_argument("--version", choices=registry.SHIPPED, default="lite")
    parser.add_argument("--films", type=int, default=100)
    given = parser.parse_args(arguments)
    cascade = registry.load(registry.SHIPPED[given.version], folded=True)
    least, found = heat_check.least_log_odds_drop(cascade.settings.heat_drop), []
    for image, reading in _positive(cascade, given.data):
        check = reading.heat_check
        assert check is not None
        assert check.log_odds_drop is not None
        inside = check.inside_lungs >= heat_check.INSIDE_LUNGS
        by_maps = inside and _drop_by_maps(cascade, image, reading) >= least
        asked = check.log_odds_drop >= least
        found.append((bool(check.reliable), by_maps, asked, inside and asked))
        if len(found) == given.films:
            break
    count = max(1, len(found))
    sys.stdout.write(
        f"{len(found)} positive films, {sum(each[0] for each in found)} confirmed; agreement of "
        f"the form by last maps {sum(a == b for a, b, _, _ in found) / count:.1%}, of hiding the "
        f"hottest region alone {sum(a == d for a, _, _, d in found) / count:.1%}; passes a film "
        f"{sum(1 + heat_check.ELSEWHERE * each[2] for each in found) / count:.2f}\n"
    )


def _positive(cascade: Cascade, data: Path) -> Iterator[tuple[FloatMap, Reading]]:
    """Read the ill films of the validation split in an order that mixes the sources."""
    films = [film for film in read_films(data, ("val",)) if film.label != NORMAL]
    for film in sorted(films, key=lambda each: zlib.crc32(each.path.name.encode())):
        image = load_pixels(film.path)
        reading = cascade.read(image)
        if reading.pneumonia.positive:
            yield image, reading


def _drop_by_maps(cascade: Cascade, image: FloatMap, reading: Reading) -> float:
    """Return what the log odds lose if the hottest region's places add nothing to the logit."""
    with torch.inference_mode():
        features = cascade.pneumonia.features(cascade.mask(image).masked)
        weight = cascade.pneumonia.class_weight
        added = torch.einsum("bchw,c->bhw", features, weight)[0] / features[0, 0].numel()
        region = torch.from_numpy(heat_check.hottest(reading)).float()
        share = functional.adaptive_avg_pool2d(region[None], (len(added), len(added)))[0]
        lost = float((share * added).sum())
    return lost / reading.pneumonia.temperature


if __name__ == "__main__":
    main()
