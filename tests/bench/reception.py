"""Reception against DCMTK's storescp and Orthanc: same films, same sender, alternately."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TypeAlias

from bench import receivers
from bench.inference import picture
from bench.machine import Times, durable_megabytes_per_second, megabytes, peak_megabytes
from bench.receivers import Receiver
from bench.rows import Row
from bench.run import Run
from bench.sender import Film, Sender, send_all
from pynetdicom.sop_class import _STORAGE_CLASSES
from support.film import film, phantom, write

Start: TypeAlias = Callable[[Path], AbstractContextManager[Receiver]]
Rates: TypeAlias = dict[str, float]  # receiver -> per second

_ROUNDS = 3
_EACH = {1: 6, 4: 3, 16: 2}  # senders at once -> films of 10 MB from each
_SMALL_FILES = 40
_NOT_HERE = "not installed here"
_PEERS: dict[str, tuple[str, Start]] = {
    "storescp": ("storescp +B (not durable)", receivers.storescp),
    "Orthanc": ("Orthanc (syncs)", receivers.orthanc),
}


def films(run: Run) -> Iterator[Row]:
    """Films of 10 MB, MB/s: one sender, four, sixteen; memory before and after."""
    what = Film(film(picture()))
    with ExitStack() as stack:
        running = _start(stack, run.scratch)
        ours = running["node"]
        idle = megabytes(ours.pid)
        rates = {senders: _measure(running, what, senders) for senders in (1, 4)}
        for peer, (name, _) in _PEERS.items():
            for senders in (1, 4):
                target = "≥ 1.0, better 2" if peer == "Orthanc" else None
                yield _against(rates[senders], peer, name, senders, what, target)
        disk = durable_megabytes_per_second(run.scratch)
        alone = rates[1]["node"] * what.size / 1e6
        yield Row(
            name="reception, 1 sender / the disk alone, fsync a film",
            ratio=alone / disk,
            measured=f"{alone:.0f} / {disk:.0f} MB/s",
        )
        crowd = _measure({"node": ours}, what, 16)["node"] * what.size / 1e6
        yield Row(
            name="reception, 16 senders / 1 sender",
            ratio=crowd / alone,
            target="≥ 0.5",
            measured=f"{crowd:.0f} / {alone:.0f} MB/s",
        )
        yield Row(
            name="receiver: peak memory after 16 senders of 10 MB",
            target="≤ 120 MB",
            measured=f"{peak_megabytes(ours.pid):.0f} MB; idle {idle:.0f} MB",
        )


def _start(stack: ExitStack, scratch: Path) -> dict[str, Receiver]:
    """Start every installed receiver; all wait, and only one is used at a time."""
    starts: dict[str, Start] = {"node": receivers.node}
    starts |= {name: start for name, (_, start) in _PEERS.items() if receivers.tool(name)}
    running = {}
    for name, start in starts.items():
        (folder := scratch / name).mkdir()
        running[name] = stack.enter_context(start(folder))
    return running


def _measure(running: dict[str, Receiver], what: Film, senders: int) -> Rates:
    """Films a second of each receiver, the median of several alternating rounds."""
    each, spent = _EACH[senders], {name: [0.0] * 0 for name in running}
    for _ in range(_ROUNDS):
        for name, receiver in running.items():
            os.sync()  # unwritten data of the receiver before must not slow this one
            seconds = send_all([receiver.port], receiver.ae_title, what, senders=senders, each=each)
            spent[name].append(seconds)
    return {name: senders * each / statistics.median(seconds) for name, seconds in spent.items()}


def _against(
    rates: Rates, peer: str, name: str, senders: int, what: Film, target: str | None
) -> Row:
    row = f"reception, {senders} sender{'s' * (senders > 1)} of 10 MB / {name}"
    mine = rates["node"] * what.size / 1e6
    if peer not in rates:
        return Row(name=row, target=target, measured=f"{mine:.0f} MB/s; {peer} is {_NOT_HERE}")
    theirs = rates[peer] * what.size / 1e6
    return Row(
        name=row,
        ratio=mine / theirs,
        target=target,
        measured=f"{mine:.0f} / {theirs:.0f} MB/s, {rates['node']:.1f} / {rates[peer]:.1f} films/s",
    )


def small_files(run: Run) -> Iterator[Row]:
    """DCMTK's storescu with its default settings, small files in one association, instances/s."""
    storescu = receivers.tool("storescu")
    if storescu is None:
        yield Row(name="small files by stock storescu / storescp", measured=_NOT_HERE)
        return
    with ExitStack() as stack:
        running = _start(stack, run.scratch)
        spent: dict[str, list[float]] = {name: [] for name in running}
        for number in range(_ROUNDS):
            for name, receiver in running.items():
                folder = _small(run.scratch / f"in-{number}-{name}")
                spent[name].append(_send(storescu, receiver, folder))
        rates = {name: _SMALL_FILES / statistics.median(times) for name, times in spent.items()}
    for peer, (name, _) in _PEERS.items():
        row, target = f"small files by stock storescu / {name}", "≥ 5" * (peer == "storescp")
        if peer not in rates:
            yield Row(name=row, target=target, measured=f"{peer} is {_NOT_HERE}")
            continue
        yield Row(
            name=row,
            ratio=rates["node"] / rates[peer],
            target=target,
            measured=f"{rates['node']:.0f} / {rates[peer]:.0f} instances/s",
        )


def _small(folder: Path) -> Path:
    for number in range(_SMALL_FILES):
        write(film(phantom(128, 112), PatientID=f"P{number}"), folder / f"{number}.dcm")
    return folder


def _send(storescu: str, receiver: Receiver, folder: Path) -> float:
    command = [storescu, "-aec", receiver.ae_title, "127.0.0.1", str(receiver.port), "+sd"]
    os.sync()
    began = time.perf_counter()
    subprocess.run([*command, str(folder)], check=True, capture_output=True)
    spent = time.perf_counter() - began
    shutil.rmtree(folder)
    return spent


def associations(run: Run) -> Iterator[Row]:
    """From connecting to A-ASSOCIATE-AC: a modality, and an archive that proposes all classes."""
    film_only = [str(film(phantom(64, 64)).SOPClassUID)]
    everything = list(dict.fromkeys((*film_only, *_STORAGE_CLASSES.values())))[:128]
    (folder := run.scratch / "node").mkdir()
    with receivers.node(folder) as receiver:
        for contexts in (film_only, everything):
            spent = Times(tuple(_accept(receiver, contexts) for _ in range(4 * run.repeat)))
            yield Row(
                name=f"association accepted, {len(contexts)} presentation contexts proposed",
                target="≤ 6 ms",
                measured=f"{1000 * spent.median:.1f} ms; best {1000 * spent.best:.1f}",
            )


def _accept(receiver: Receiver, contexts: list[str]) -> float:
    sender = Sender(receiver.port, receiver.ae_title, contexts)
    sender.release()
    return sender.accept_seconds
