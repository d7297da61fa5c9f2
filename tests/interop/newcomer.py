"""The first steps of README.md, as they are written, from the wheel, outside the checkout."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from interop import servers, wheels
from interop.verdicts import Verdict, verdict
from support.film import film, phantom, write

NAME = "newcomer"
_ROOT = Path(__file__).parents[2]
_NODE_PORT, _PACS_PORT = 11112, 4242  # as README.md has them
_TEN_MINUTES = 600.0


def check(out: Path) -> Verdict:
    """Follow both blocks of commands; complain of each that fails, and if nothing is committed."""
    out.mkdir(parents=True)
    place = out / "home"
    place.mkdir()
    write(film(phantom()), place / "film.dcm")
    wheels.wheel(_ROOT, place)
    environment = wheels.environment(out / "venv")
    with servers.orthanc(out / "pacs", "none", _PACS_PORT, _NODE_PORT):
        return verdict("README", "first steps", _follow(place, environment))


def commands(terminal: str) -> list[str]:
    """The commands of README.md for the first or second terminal."""
    text = (_ROOT / "README.md").read_text()
    marked = rf"<!-- {terminal} terminal: begin -->\n```\n(.*?)```"
    (block,) = re.finditer(marked, text, re.DOTALL)
    return block[1].splitlines()


def _follow(place: Path, environment: dict[str, str]) -> Iterator[str]:
    deadline = time.monotonic() + _TEN_MINUTES
    *before, run = commands("first")
    try:
        for command in before:
            _run(command, place, environment)
        with _node(run, place, environment):
            for command in commands("second"):
                said = _run(command, place, environment)
                while command.startswith("dicom-node studies") and "committed" not in said:
                    if time.monotonic() > deadline:
                        yield f"nothing is committed after {_TEN_MINUTES:.0f} s: {said}"
                        return
                    time.sleep(1)
                    said = _run(command, place, environment)
    except subprocess.CalledProcessError as error:
        yield f"{error.cmd[-1]}: {error.stdout[-300:]}{error.stderr[-300:]}"


def _run(command: str, place: Path, environment: dict[str, str]) -> str:
    return subprocess.run(
        ["bash", "-c", command], cwd=place, env=environment, capture_output=True, text=True,
        check=True, timeout=_TEN_MINUTES,
    ).stdout  # fmt: skip


@contextmanager
def _node(command: str, place: Path, environment: dict[str, str]) -> Iterator[None]:
    """The last command of the first terminal, until it says that it listens; then Ctrl-C."""
    log = place / "log.txt"
    with log.open("wb") as stream:
        node = subprocess.Popen(
            ["bash", "-c", f"exec {command}"], cwd=place, env=environment, stdout=stream,
            stderr=stream,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + _TEN_MINUTES
        while "listening" not in log.read_text():
            if node.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the node does not start: {log.read_text()[-500:]}")
            time.sleep(0.2)
        yield
    finally:
        node.send_signal(signal.SIGINT)
        node.wait(_TEN_MINUTES)
