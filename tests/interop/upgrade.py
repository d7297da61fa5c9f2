"""From version 0.1.0 to this one and back: the oldest release's own wheel makes the database."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from interop import wheels
from interop.verdicts import Verdict, verdict
from support.film import film, phantom, write
from support.peer import free_port, send_files

NAME = "upgrade"
_ROOT = Path(__file__).parents[2]
_OLDEST = "20a6deb"  # the last commit of version 0.1.0
_PATIENCE = 300.0


def check(out: Path) -> Verdict:
    """Read a film with 0.1.0, open its database with this version, and go back."""
    out.mkdir(parents=True)
    try:
        old, new = _installed(_OLDEST, out / "old"), _installed("HEAD", out / "new")
    except subprocess.CalledProcessError as error:
        if error.cmd[0] == "git":
            return Verdict("upgrade", "0.1.0", "SKIP", (f"no commit {_OLDEST} in this checkout",))
        raise
    return verdict("upgrade", "0.1.0 and back", _complaints(out, old, new))


def _installed(commit: str, folder: Path) -> dict[str, str]:
    """The environment of a virtual environment with the wheel of a commit."""
    folder.mkdir()
    archive = folder / "source.tar"
    subprocess.run(
        ["git", "-C", _ROOT, "archive", "-o", archive, commit], check=True, capture_output=True
    )
    with tarfile.open(archive) as packed:
        packed.extractall(folder / "source", filter="data")
    wheels.wheel(folder / "source", folder)
    environment = wheels.environment(folder / "venv")
    (built,) = folder.glob("*.whl")
    subprocess.run(
        ["pip", "install", "--quiet", "--no-deps", built],  # no-deps: 0.1.0 had other bounds
        check=True, capture_output=True, env=environment,
    )  # fmt: skip
    return environment


def _complaints(out: Path, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    config, data = out / "config.yaml", out / "data"
    port = free_port()
    peer = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": free_port()}
    node = {"host": "127.0.0.1", "port": port, "data_dir": str(data)}
    config.write_text(
        yaml.safe_dump({"node": node, "destinations": [peer], "spool": {"min_free_mb": 0}})
    )
    write(film(phantom()), out / "film.dcm")
    _read_one(config, port, out / "film.dcm", old)
    shutil.copytree(data, out / "backup")
    before = _json(config, old, "studies")
    after = _json(config, new, "studies")
    if [each["study_instance_uid"] for each in before] != [
        each["study_instance_uid"] for each in after
    ]:
        yield f"studies before: {before}; after: {after}"
    if [each["read"] for each in after] != [1] or not after[0]["deliveries"].get("pending"):
        yield f"the reading or its deliveries are lost: {after}"
    for words in (("audit", "verify"), ("doctor", "store")):
        if (done := _run(config, new, *words)).returncode:
            yield f"{' '.join(words)} after the upgrade: {done.stdout}{done.stderr}"
    refused = _run(config, old, "studies")
    if refused.returncode != 1 or "newer" not in refused.stderr:
        yield f"0.1.0 does not refuse the newer database by name: {refused}"
    if (done := _run(config, new, "studies")).returncode:
        yield f"the refusal changed the database: {done.stderr}"
    shutil.rmtree(data)
    shutil.copytree(out / "backup", data)
    if _json(config, old, "studies") != before:
        yield "0.1.0 does not read the backup made before the upgrade"


def _read_one(config: Path, port: int, path: Path, environment: Mapping[str, str]) -> None:
    """Run the node until it has read a film and cannot deliver it."""
    with (config.parent / "log.txt").open("wb") as log:
        node = subprocess.Popen(
            ["dicom-node", "run", "--config", config],
            env=environment,
            stdout=log,
            stderr=log,
            cwd=config.parent,  # not the checkout, whose packages its processes would import
        )
    try:
        deadline = time.monotonic() + _PATIENCE
        sent = False
        while not sent or not (_json(config, environment, "studies") or [{"read": 0}])[0]["read"]:
            if time.monotonic() > deadline or node.poll() is not None:
                raise RuntimeError(f"no film was read; see {config.parent / 'log.txt'}")
            time.sleep(1)
            sent = sent or send_files("127.0.0.1", port, [path], called="DICOM_NODE")[0][0] == 0
    finally:
        node.send_signal(signal.SIGTERM)
        node.wait(120)


def _json(config: Path, environment: Mapping[str, str], *words: str) -> list[dict[str, Any]]:
    done = _run(config, environment, *words, "--json")
    found: list[dict[str, Any]] = json.loads(done.stdout or "[]")
    return found


def _run(
    config: Path, environment: Mapping[str, str], *words: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["dicom-node", *words, "--config", config], env=environment, capture_output=True,
        text=True, check=False, cwd=config.parent,
    )  # fmt: skip
