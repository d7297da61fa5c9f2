"""Are the node's scores those of `python -m train evaluate`? Compared on films of the test split.

``PYTHONPATH=.:tests python -m interop.honest DATA [--films 30] --out FOLDER`` wraps films of a data
folder as DICOM, reads them with the installed command, and prints both probabilities of each.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.uid import generate_uid
from rich.console import Console
from rich.table import Table
from support.film import Stored, film, write

from models import registry
from models.cascade import Cascade
from train.data.films import Film, load_pixels, read_films
from train.evaluation.evaluate import predict

#: Largest difference of a probability: one point of the score from 0 to 100.
TOLERANCE = 0.01
_NODE = "from dicom_node.cli import main; main()"
#: Some films of public collections are too small, or refused by the gate; here scores are compared.
_CONFIG = """
select: {min_side: 64}
gate: {enabled: false}
results: {summary: false, heatmaps: none}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Both probabilities of one film, in [0, 1]; ``node`` is None if it was refused."""

    name: str
    stage: str
    trained: float
    node: float | None

    @property
    def agrees(self) -> bool:
        """Whether they differ by less than the tolerance."""
        return self.node is not None and abs(self.node - self.trained) < TOLERANCE


def main(arguments: Sequence[str] | None = None) -> None:
    """Compare; exit status 1 if a film was not read or a probability differs."""
    parser = argparse.ArgumentParser(prog="interop.honest", description=__doc__)
    parser.add_argument("data", type=Path, metavar="DATA", help="a data folder, see `train`")
    parser.add_argument("--films", type=int, default=30, help="how many")
    parser.add_argument("--out", type=Path, default=Path("runs/honest"), metavar="FOLDER")
    given = parser.parse_args(arguments)
    found = compare(_drawn(read_films(given.data, ["test"]), given.films), given.out)
    _show(found)
    sys.exit(not all(each.agrees for each in found))


def compare(films: Sequence[Film], out: Path) -> list[Compared]:
    """Read the films with the evaluation's code and with the installed command."""
    cascade = registry.load(registry.DEFAULT, gate=False)
    paths = [_wrap(each, out / "films" / f"{number:03}.dcm") for number, each in enumerate(films)]
    entries = _read(paths, out)
    return [
        each
        for trained, path in zip(predict(cascade, films), paths, strict=True)
        for each in _pair(trained.film, _decided(cascade, trained), entries[path])
    ]


def _drawn(films: Sequence[Film], count: int) -> list[Film]:
    """Draw films evenly from the split, so that every source and label can be there."""
    return list(films[:: max(1, len(films) // count)])[:count]


def _wrap(one: Film, path: Path) -> Path:
    """Write the film as DX with eight bits, its grey values unchanged."""
    ds = film(load_pixels(one.path), kind="dx", stored=Stored(bits=8), PatientAge="")
    ds.PatientBirthDate = ""
    ds.PatientID = f"HONEST{path.stem}"
    ds.StudyInstanceUID = generate_uid()
    return write(ds, path)


def _read(paths: Sequence[Path], out: Path) -> dict[Path, dict[str, Any]]:
    (out / "config.yaml").write_text(_CONFIG)
    done = subprocess.run(
        [sys.executable, "-c", _NODE, "read", *paths, "--json", "--force-stage3",
         "--out", out / "results", "--config", out / "config.yaml"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if not done.stdout.strip():
        raise RuntimeError(done.stderr[-500:])
    return {Path(entry["path"]): entry for entry in json.loads(done.stdout)}


def _decided(cascade: Cascade, trained: Any) -> dict[str, float]:
    """The probabilities behind the evaluation's logits; stage 3 has none on a normal film."""
    stages = {"pneumonia": cascade.settings.pneumonia, "covid19": cascade.settings.covid19}
    return {
        name: point.decide(getattr(trained, name)).probability for name, point in stages.items()
    }


def _pair(one: Film, trained: dict[str, float], entry: dict[str, Any]) -> Iterator[Compared]:
    for stage, probability in trained.items():
        if probability == probability:  # not nan
            node = entry[stage] and entry[stage]["probability"]
            name = f"{one.source} {one.label} {one.view} {one.path.name[:16]}"
            yield Compared(name=name, stage=stage, trained=probability, node=node)


def _show(found: Sequence[Compared]) -> None:
    table = Table("film", "stage", "evaluate", "node", "difference", "agrees")
    for each in found:
        node, difference = "refused", ""
        if each.node is not None:
            node, difference = f"{each.node:.4f}", f"{each.node - each.trained:+.4f}"
        agrees = "yes" if each.agrees else "NO"
        table.add_row(each.name, each.stage, f"{each.trained:.4f}", node, difference, agrees)
    console = Console(width=130)
    console.print(table)
    agreeing = sum(each.agrees for each in found)
    console.print(f"{agreeing} of {len(found)} agree within {TOLERANCE:g}")


if __name__ == "__main__":
    main()
