"""Older films fetched from real archives, by C-MOVE, C-GET and WADO-RS."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import yaml
from interop import servers
from interop.verdicts import Verdict, verdict
from support.film import write
from support.peer import destination, free_port
from support.receiving import SECRET, MemoryStore, now, receiver, small_film
from support.running import COMMAND, RunningNode, running_node

from dicom_node.backfill.door import Door
from dicom_node.backfill.query import studies
from dicom_node.backfill.retrieve import ByGet, ByMove, Way
from dicom_node.config import Config, DicomDestination, NodeConfig, TlsConfig
from dicom_node.deliver.examine.fetch import Caller
from dicom_node.domain.values import BACKFILL

NAME = "backfill"
_DAY, _OTHER_DAY = date(2026, 1, 5), date(2026, 1, 6)
_FILMS = 3  # of the day; there is one of another day, too
_TITLE = "DICOM_NODE"


def check(out: Path) -> Iterator[Verdict]:
    """Fetch the films of a day from Orthanc and from DCMTK's archive, each in both ways."""
    folder = out / "films"
    folder.mkdir(parents=True)
    for number in range(_FILMS + 1):
        day = _DAY if number < _FILMS else _OTHER_DAY
        write(small_film(number, StudyDate=f"{day:%Y%m%d}"), folder / f"{number}.dcm")
    moved = MemoryStore()
    with receiver(out / "node", moved, ae_title=_TITLE) as node:
        port = node.ports[0]
        with servers.orthanc(out / "orthanc", "none", free_port(), port) as pacs:
            peer = destination(pacs.dicom, ae_title=servers.AE_TITLE)
            yield from _archive("orthanc", peer, folder, moved, out)
        moved.rows.clear()
        with _dcmqrscp(out / "dcmqrscp", port) as peer:
            yield from _archive("dcmqrscp", peer, folder, moved, out)
    yield verdict("orthanc", "backfill: the command", _command(out / "command", folder))


def _archive(
    program: str, peer: DicomDestination, films: Path, moved: MemoryStore, out: Path
) -> Iterator[Verdict]:
    command = ["storescu", "-R", "-aec", peer.ae_title, "+sd"]
    subprocess.run([*command, "127.0.0.1", str(peer.port), films], check=True, capture_output=True)
    caller = Caller(_TITLE, peer, 30.0, TlsConfig())
    got = MemoryStore()
    config = Config(node=NodeConfig(ae_title=_TITLE, data_dir=out / f"{program}-get"))
    door = Door(config, peer, got, got, now, SECRET)
    ways: tuple[tuple[Way, MemoryStore], ...] = (
        (ByMove(caller, "this machine"), moved), (ByGet(caller, door), got),
    )  # fmt: skip
    for way, store in ways:
        yield verdict(program, f"backfill: {way.name}", _complaints(caller, way, store))


def _complaints(caller: Caller, way: Way, store: MemoryStore) -> Iterator[str]:
    found = studies(caller, _DAY, ["CR", "DX"])
    if len(found) != _FILMS:
        yield f"{len(found)} studies of the day, not {_FILMS}"
    for study in found:
        store.asked_for.add(study.study_instance_uid)
        for series in study.series:
            if series.instances not in (1, None):  # DCMTK's archive does not say
                yield f"the number of instances is {series.instances}"
            sent = way.fetch(study.study_instance_uid, series.series_instance_uid)
            if (sent.kept, sent.failed) != (1, 0):
                yield f"of one film {sent.kept} came, {sent.failed} failed"
    kept = [row.priority for row in store.rows.values()]
    if kept != [BACKFILL] * _FILMS:
        yield f"priorities of the kept films: {kept}"


def _command(out: Path, films: Path) -> Iterator[str]:
    """`backfill` beside a running node: by WADO-RS, killed and started again, then by C-MOVE."""
    (out / "node").mkdir(parents=True)
    peer = destination(free_port(), ae_title=servers.AE_TITLE)
    with (
        running_node(out / "node", [peer], workers={"threads": 1}) as node,
        servers.orthanc(out / "pacs", "none", peer.port, node.port) as pacs,
    ):
        pacs.send(films)
        values = yaml.safe_load(node.config.read_text())
        url = f"http://127.0.0.1:{pacs.http}/dicom-web"
        values["destinations"].append({"name": "web", "kind": "dicomweb", "url": url})
        node.config.write_text(yaml.safe_dump(values))
        shown = _killed_after_a_study(node)
        if "of days" not in shown:
            yield f"no progress bar: {shown[-300:]!r}"
        yield from _fetched(node, "web", _DAY, {"gone": 1, "fetched": _FILMS - 1})
        yield from _fetched(node, "web", _DAY, {"gone": _FILMS, "fetched": 0})
        yield from _fetched(node, peer.name, _OTHER_DAY, {"fetched": 1})
        for study in node.cli("studies", "--json"):
            if "(backfill)" not in node.run("show", study["study_instance_uid"]).stdout:
                yield "a film is not marked as fetched by a backfill"
        node.wait_until(lambda: _read(node) == _FILMS + 1, 300)


def _read(node: RunningNode) -> int:
    return sum(each["job"] == "done" for each in node.cli("studies", "--json"))


def _fetched(node: RunningNode, name: str, day: date, fates: dict[str, int]) -> Iterator[str]:
    words = ("backfill", "--from", name, "--date", f"{day:%Y%m%d}", "--json")
    done = node.run(*words)
    studies = json.loads(done.stdout)["studies"] if done.stdout else {}
    if done.returncode or {fate: studies.get(fate) for fate in fates} != fates:
        yield f"{name}: {studies}, not {fates}: {done.stderr[-300:]}"


def _killed_after_a_study(node: RunningNode) -> str:
    """Fetch one study a minute on a terminal, and kill the command after the first; its screen."""
    ours, theirs = pty.openpty()
    command = [
        str(COMMAND),
        "backfill",
        "--config",
        str(node.config),
        "--from",
        "web",
        "--rate",
        "1",
    ]
    backfill = subprocess.Popen([*command, "--date", f"{_DAY:%Y%m%d}"], stderr=theirs)
    screen = bytearray()

    def watch() -> None:
        while backfill.poll() is None:
            screen.extend(os.read(ours, 4096))

    threading.Thread(target=watch, daemon=True).start()
    node.wait_until(lambda: node.cli("studies", "--json"), 60)
    time.sleep(2)  # the study's audit line follows its film; --rate keeps the next away
    backfill.send_signal(signal.SIGKILL)
    backfill.wait(20)
    return screen.decode(errors="replace")


@contextmanager
def _dcmqrscp(folder: Path, node: int) -> Iterator[DicomDestination]:
    """DCMTK's archive, which knows the node."""
    (folder / "films").mkdir(parents=True)
    peer = destination(free_port(), ae_title="ARCHIVE")
    settings = folder / "dcmqrscp.cfg"
    settings.write_text(
        f"NetworkTCPPort = {peer.port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
        f"HostTable BEGIN\nnode = ({_TITLE}, 127.0.0.1, {node})\nHostTable END\n"
        "VendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\nARCHIVE {folder / 'films'} RW (200, 1024mb) ANY\nAETable END\n"
    )
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(["dcmqrscp", "-c", settings], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 20
        while subprocess.run(
            ["echoscu", "-aec", "ARCHIVE", "127.0.0.1", str(peer.port)],
            capture_output=True, check=False,
        ).returncode:  # fmt: skip
            if time.monotonic() > deadline:
                raise RuntimeError(f"dcmqrscp does not start; see {folder / 'log.txt'}")
            time.sleep(0.2)
        yield peer
    finally:
        process.terminate()
        process.wait(20)
