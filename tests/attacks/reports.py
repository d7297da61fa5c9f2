"""Attacks by reports on a listener for HL7 messages and on a watched folder."""

from __future__ import annotations

import json
import os
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from attacks.machine import peak_memory
from attacks.target import Outcome, Target, answers, becomes, small, store, target
from support.peer import free_port
from support.reports import oru, poisoned

from dicom_node.domain.verdicts import MOST_PER_STUDY

_REPORTS = int(os.environ.get("REPORTS", "10000"))
_CONTESTED = tuple(f"C{number}" for number in range(5))  # accession numbers of the poisoned ones
_GOOD_EVERY, _GOOD_OF_A_STUDY = 10, 25
_SENDERS = 4
_MORE_MEMORY = 100  # MiB
_SLOWEST = 10.0  # seconds until an answer
_END = b"\x1c\r"


def poisoned_reports(folder: Path) -> Iterator[Outcome]:
    """Thousands of damaged, contradicting and repeated reports, by MLLP and as files."""
    drop, port = folder / "drop", free_port()
    drop.mkdir(parents=True)
    messages = list(poisoned(_REPORTS, _CONTESTED))
    files, sent = messages[::10], [each for n, each in enumerate(messages) if n % 10]
    good = -(-len(sent) // _GOOD_EVERY)
    studies = [f"G{number}" for number in range(-(-good // _GOOD_OF_A_STUDY))]
    verdicts = {"mllp": {"port": port}, "folder": str(drop)}
    with target(folder / "node", verdicts=verdicts) as node:
        store(node.port, *(small(AccessionNumber=each) for each in (*_CONTESTED, *studies)))
        becomes(lambda: answers(port), 30)
        listener = node.pids()["verdicts-1"]
        memory, began = peak_memory(listener), time.monotonic()
        for number, message in enumerate(files):
            (drop / f"{number}.hl7").write_bytes(message)
        with ThreadPoolExecutor(_SENDERS) as pool:
            senders = [pool.submit(_send, port, sent, first) for first in range(_SENDERS)]
            statuses = []
            while not all(each.done() for each in senders):
                statuses.append(store(node.port, small(), calling="MODALITY"))
                time.sleep(1)
        codes = sum((each.result()[0] for each in senders), Counter[str]())
        slowest = max(each.result()[1] for each in senders)
        taken = becomes(lambda: [each.name for each in drop.iterdir()] == ["refused"], 120)
        seconds, memory = time.monotonic() - began, peak_memory(listener) - memory
        same = node.pids().get("verdicts-1") == listener
        node.stop(120)
        fates, lines = _counted(node)
    yield Outcome(
        attack=f"{_REPORTS} poisoned reports",
        held=codes["AA"] + codes["AE"] + codes["AR"] == len(sent) and taken
        and fates.total() >= _REPORTS + good and fates["stored"] == lines,
        said=f"answers {dict(codes)}; {len(files)} files {'taken' if taken else 'NOT TAKEN'}; "
        f"counted {dict(fates)}",
    )  # fmt: skip
    yield Outcome(
        attack="good reports among them",
        held=codes["good AA"] == good and lines <= good + MOST_PER_STUDY * len(_CONTESTED),
        said=f"{codes['good AA']} of {good} stored",
    )
    yield Outcome(
        attack="the node meanwhile",
        held=same and memory < _MORE_MEMORY and slowest < _SLOWEST
        and statuses.count([0]) == len(statuses) > 0,
        said=f"{statuses.count([0])} of {len(statuses)} objects stored; {seconds:.0f} s in all, "
        f"the slowest answer {slowest:.1f} s; listener {memory:+d} MiB",
    )  # fmt: skip


def _send(port: int, messages: Sequence[bytes], first: int) -> tuple[Counter[str], float]:
    """Send a share of the messages, and good ones between; answers by MSA-1, and the slowest."""
    codes, slowest = Counter[str](), 0.0
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        for number in range(first, len(messages), _SENDERS):
            began = time.monotonic()
            codes[_answer(connection, messages[number])] += 1
            slowest = max(slowest, time.monotonic() - began)
            if number % _GOOD_EVERY == 0:
                codes["good " + _answer(connection, _good(number // _GOOD_EVERY))] += 1
    return codes, slowest


def _good(number: int) -> bytes:
    study = f"G{number // _GOOD_OF_A_STUDY}"
    return oru("Right basal pneumonia.", accession=study, control_id=f"GOOD{number}")


def _answer(connection: socket.socket, message: bytes) -> str:
    connection.sendall(b"\x0b" + message + _END)
    got = b""
    while not got.endswith(_END):
        more = connection.recv(4096)
        if not more:
            raise ConnectionError("the listener left")
        got += more
    return got.split(b"MSA|", 1)[1][:2].decode()


def _counted(node: Target) -> tuple[Counter[str], int]:
    """What the audit log counts of each fate, and how many verdicts it names."""
    fates = Counter[str]()
    for (detail,) in node.sql("SELECT detail FROM audit WHERE kind = 'verdicts-taken'"):
        fates.update({name: n for name, n in json.loads(detail).items() if name != "sources"})
    return fates, len(node.sql("SELECT 1 FROM audit WHERE kind = 'verdict-stored'"))
