"""Older films fetched from real archives, by C-MOVE and by C-GET."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from interop import servers
from interop.verdicts import Verdict, verdict
from support.film import write
from support.peer import destination, free_port
from support.receiving import SECRET, MemoryStore, now, receiver, small_film

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
