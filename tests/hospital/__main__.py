"""`make hospital DATA=...`: a node at a hospital that its networks do not know, over half a year.

Children's films of kermany arrive as DICOM with verdicts; the shipped version does badly, `adapt`
makes a candidate, the candidate reads in shadow and is promoted; one that learned from shuffled
verdicts is refused. Prints what each step printed. It takes half an hour.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hospital.patients import Visit, half_year, write_films, write_verdicts
from support.running import RunningNode, running_node

from dicom_node.config import FolderDestination, ModelsConfig, load
from dicom_node.infer import identity
from models import registry
from train.adapt import candidate, site_films

_SETTINGS: dict[str, Any] = {
    "gate": {"min_age_years": 0},
    "results": {"heatmaps": "none", "previous": False},
    "retention": {"days": None},
}
_BATCH = 20  # films sent over one association
_STILL = 6  # looks at the report


def main() -> int:
    """Run the story; the exit status is 1 if it ended otherwise."""
    options = _options()
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    visits = half_year(options.data, options.films)
    pacs = out / "pacs"
    pacs.mkdir(exist_ok=True)
    folder = FolderDestination(kind="folder", name="archive", path=pacs)
    with running_node(out, [folder], **_SETTINGS) as node:
        say("films", arrive(node, visits, out / "films"))
        table = write_verdicts(visits, out / "verdicts.csv")
        say("verdicts", node.cli("verdicts", "import", str(table), "--json"))
    adapted = out / "adapted"
    say("card", learn(node, options.data, adapted))
    wrong = shuffled(node, adapted, out / "shuffled")
    outcomes = [promoted(node, folder, model) for model in (wrong, adapted / "candidate")]
    say("promoted", dict(zip(("shuffled", "adapted"), outcomes, strict=True)))
    return 0 if outcomes == [False, True] else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="hospital", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="public films, with manifest.csv")
    parser.add_argument("--films", type=int, default=400)
    parser.add_argument("--out", type=Path, default=Path("runs/hospital"))
    return parser.parse_args()


def say(title: str, what: Any) -> None:
    """Print one step."""
    sys.stdout.write(f"\n== {title}\n{what if isinstance(what, str) else json.dumps(what)}\n")
    sys.stdout.flush()


def arrive(node: RunningNode, visits: Sequence[Visit], folder: Path) -> dict[str, int]:
    """Send the films in order of their dates and wait until each was read or refused."""
    paths = write_films(visits, folder)
    for start in range(0, len(paths), _BATCH):
        node.send(paths[start : start + _BATCH])
    counted: dict[str, int] = {}

    def decided() -> bool:
        counted.update(node.cli("status", "--json")["instances"])
        return counted.get("read", 0) + counted.get("refused", 0) == len(paths)

    wait(decided, hours=1)
    return counted


def learn(node: RunningNode, data: Path, out: Path) -> str:
    """`python -m train adapt`, as a person runs it."""
    command = [sys.executable, "-m", "train", "adapt", "--from-node", str(node.config)]
    done = subprocess.run(
        [*command, "--out", str(out), "--data", str(data)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    return (out / "candidate" / "cards" / "pneumonia.md").read_text(encoding="utf-8")


def shuffled(node: RunningNode, adapted: Path, out: Path) -> Path:
    """A candidate that learned from the same films with their verdicts dealt at random."""
    config = load(node.config)
    base = site_films.base_of(config)
    cascade = registry.load(base)
    films, first = site_films.split(site_films.export(config, cascade, adapted / "films"))
    labels = [film.label for film in films]
    random.Random(1).shuffle(labels)
    dealt = [
        film if film.split == "test" else replace(film, label=label)
        for film, label in zip(films, labels, strict=True)
    ]
    places = candidate.see(cascade, [film.path for film in dealt])
    site = candidate.Site(films=dealt, places=places, first_day=first)
    candidate.make(base, cascade, site, out / "candidate")
    return out / "candidate"


def promoted(node: RunningNode, folder: FolderDestination, model: Path) -> bool:
    """Let a candidate read in shadow, print the report, and try to promote it."""
    with running_node(node.folder, [folder], **_SETTINGS, models={"shadow": str(model)}) as again:
        seen: list[int] = []
        wait(lambda: _has_read_all(again, model, seen), hours=1)
        say(f"shadow of {model}", again.run("shadow", "report").stdout[-2500:])
        done = again.run("model", "promote", str(model))
        say("promote", done.stdout + done.stderr)
        return done.returncode == 0


def _has_read_all(node: RunningNode, model: Path, seen: list[int]) -> bool:
    """Whether the candidate has read all it can be compared on: the count stands still."""
    done = node.run("shadow", "report", "--json")
    if done.returncode:
        return False
    report = json.loads(done.stdout)
    if report["candidate"]["digest"] == identity(ModelsConfig(dir=model)).digest:
        seen.append(report["studies"])
    return len(seen) > _STILL and len(set(seen[-_STILL:])) == 1


def wait(true: Callable[[], bool], hours: float) -> None:
    """Ask every few seconds."""
    deadline = time.monotonic() + hours * 3600
    while not true():
        if time.monotonic() > deadline:
            raise SystemExit("waited too long")
        time.sleep(5)


if __name__ == "__main__":
    sys.exit(main())
