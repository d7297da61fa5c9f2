"""``make interop``: test the node with independent programs.

``PYTHONPATH=.:tests python -m interop [ROUND...] [--json] [--pictures FOLDER]``
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from interop import (
    associations,
    backfill,
    cluster,
    install,
    messages,
    monitoring,
    newcomer,
    pictures,
    roundtrip,
    servers,
    storm,
    upgrade,
    validators,
    viewer,
)
from interop.cases import Case, Round, rounds, tuned_models
from interop.roundtrip import Back
from interop.verdicts import Verdict, as_json, failed, show
from rich.console import Console
from support.film import write
from support.peer import destination, free_port
from support.running import running_node

from models import registry

_NEEDED = {"orthanc", "dcmtk"}  # to get anything to a node and back
_BROKEN = (OSError, RuntimeError, AssertionError, subprocess.SubprocessError)
_BROWSER = ("chromium", "ohif", "playwright")


def main(arguments: Sequence[str] | None = None) -> None:
    """Install the programs, run them, print their findings; exit status 1 if one finds a fault."""
    given = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("interop: terminated"))
    progress = Console(stderr=True)
    progress.print(f"programs are kept in {install.CACHE}; results go to {given.out}")
    missing = install.ready()
    verdicts: list[Verdict] = []
    if lacking := _NEEDED & set(missing):
        why = tuple(missing[name] for name in sorted(lacking))
        verdicts.append(Verdict("round trip", "all", "SKIP", why))
    else:
        for one in _run_rounds(given.rounds, given.out, given.models, missing):
            progress.print(
                f"{one.outcome}  {one.program:16} {one.case}", *one.why[:3], markup=False
            )
            verdicts.append(one)
        if given.pictures:
            pictures.make(given.out, given.pictures)
    answer = as_json(verdicts, given.strict)
    (given.out / "verdicts.json").write_text(json.dumps(answer, indent=2))
    if given.json:
        sys.stdout.write(json.dumps(answer, indent=2) + "\n")
    else:
        show(verdicts, Console(width=max(150, progress.width)))
    sys.exit(failed(verdicts, given.strict))


def _run_rounds(
    names: Sequence[str], out: Path, models: Path, missing: Mapping[str, str]
) -> Iterator[Verdict]:
    for name, check in _without_round_trip(out, missing).items():
        if not names or name in names:
            try:
                yield from check()
            except _BROKEN as error:
                yield _broken(name, error)
    if names and set(names) <= _without_round_trip(out, missing).keys():
        return
    try:
        models_dir, sick, well = tuned_models(out / "tuning", models)
    except _BROKEN as error:
        yield _broken("read", error)
        return
    chosen = [one for one in rounds(sick, well) if not names or one.name in names]
    for one in chosen:
        try:
            yield from _play(one, out / one.name, models_dir, missing, is_last=one is chosen[-1])
        except _BROKEN as error:
            yield _broken(one.name, error)


def _without_round_trip(
    out: Path, missing: Mapping[str, str]
) -> dict[str, Callable[[], Iterator[Verdict]]]:
    """What needs no round trip of films, by name."""
    return {
        associations.NAME: lambda: iter([associations.check(out / associations.NAME)]),
        backfill.NAME: lambda: backfill.check(out / backfill.NAME),
        messages.NAME: lambda: messages.check(out / messages.NAME, missing),
        newcomer.NAME: lambda: iter([newcomer.check(out / newcomer.NAME)]),
        upgrade.NAME: lambda: iter([upgrade.check(out / upgrade.NAME)]),
        monitoring.NAME: lambda: monitoring.check(out / monitoring.NAME, missing),
    }


def _broken(case: str, error: Exception) -> Verdict:
    said = str(getattr(error, "stderr", None) or error)[-500:]
    return Verdict("round trip", case, "FAIL", (f"{type(error).__name__}: {said}",))


def _play(
    one: Round, out: Path, models_dir: Path, missing: Mapping[str, str], *, is_last: bool
) -> Iterator[Verdict]:
    """Run one round: a new PACS and node, all films at once, then all programs on all cases.

    Before the last film of a cluster's round, one of its receivers is killed.
    """
    if one.in_cluster and (why := cluster.lacking(missing)):
        yield Verdict("round trip", one.name, "SKIP", why)
        return
    start = cluster.running if one.in_cluster else running_node
    with ExitStack() as servers_up:
        dicom = free_port()
        (out / "node").mkdir(parents=True)
        peer = destination(dicom, ae_title=servers.AE_TITLE)
        node = servers_up.enter_context(start(out / "node", [peer], **one.config(models_dir)))
        pacs = servers_up.enter_context(servers.orthanc(out / "pacs", one.route, dicom, node.port))
        _send(one.cases[:-1] if one.in_cluster else one.cases, out / "sent", pacs)
        if one.in_cluster:
            roundtrip.settle(pacs, node, len(one.cases) - 1)
            cluster.kill_receiver(node)
            _send(one.cases[-1:], out / "sent-late", pacs)
        roundtrip.settle(pacs, node, len(one.cases))
        yield roundtrip.check_pacs(one, pacs, node)
        if one.in_cluster:
            yield from cluster.check(one, pacs, node)
        for case in one.cases:
            yield from _case(one, case, pacs, out, missing)
        if is_last and not one.in_cluster:
            yield storm.check(f"{one.name}: the port", node, out / "storm")


def _send(cases: Sequence[Case], folder: Path, pacs: servers.Orthanc) -> None:
    for case in cases:
        write(case.film, folder / f"{case.study}.dcm")
    pacs.send(folder)


def _case(
    one: Round, case: Case, pacs: servers.Orthanc, out: Path, missing: Mapping[str, str]
) -> Iterator[Verdict]:
    name = f"{one.name}: {case.name}"
    folder = out / case.name.replace(", ", "-").replace(" ", "-")
    back, source = roundtrip.collect(pacs, case, folder)
    yield roundtrip.check(name, case.answer, back, source)
    if not back:
        return
    yield from validators.check(name, back, source, missing)
    yield roundtrip.preview(name, pacs, back)
    if not one.in_cluster:  # a viewer of one node's objects has shown what it shows
        yield _viewed(name, case, pacs, source, back, folder / "ohif", missing)


def _viewed(
    name: str,
    case: Case,
    pacs: servers.Orthanc,
    source: Path,
    back: Sequence[Back],
    out: Path,
    missing: Mapping[str, str],
) -> Verdict:
    if lacking := [missing[tool] for tool in _BROWSER if tool in missing]:
        return Verdict("ohif", name, "SKIP", tuple(lacking))
    return viewer.check(name, case.answer, pacs, source, back, out)


def _parser() -> argparse.ArgumentParser:
    stamp = f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
    parser = argparse.ArgumentParser(
        prog="interop", description="Test the node with independent programs."
    )
    parser.add_argument(
        "rounds", nargs="*", metavar="ROUND", help="3d, cluster, associations, ...; all"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--out", type=_new_folder, default=f"runs/interop/{stamp}",
                        metavar="FOLDER", help="folder for films and results")  # fmt: skip
    parser.add_argument("--models", type=Path, default=registry.DEFAULT, metavar="FOLDER",
                        help="models that read, as models/paper")  # fmt: skip
    parser.add_argument("--pictures", type=Path, metavar="FOLDER",
                        help="folder for small screenshots of the viewers")  # fmt: skip
    parser.add_argument("--strict", action="store_true", default=os.environ.get("STRICT") == "1",
                        help="a missing program is a failure; also STRICT=1")  # fmt: skip
    return parser


def _new_folder(text: str) -> Path:
    folder = Path(text).resolve()
    folder.mkdir(parents=True)
    return folder


if __name__ == "__main__":
    main()
