"""What the node, DCMTK and Orthanc answer to the same association requests, byte for byte."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from field.page import PAGE, write
from interop import servers
from interop.verdicts import Verdict, verdict
from support.association_requests import ABORTED, ACCEPTED, EVEN, REJECTED, echo
from support.peer import free_port
from support.receiving import MemoryStore, association_request, proposed, receiver

NAME = "associations"
_PATIENCE = 3.0  # seconds; a longer silence is no answer
_ACCEPTED = "accepted"


def requests() -> dict[str, tuple[bytes, int]]:
    """Every request -> its bytes, and the context in which a C-ECHO follows."""
    found = {name: (association_request(**changes), 1) for name, changes in ACCEPTED.items()}
    for number in EVEN:
        request = association_request(contexts=proposed(number))
        found[f"context number {number}"] = request, number
    found |= {name: (association_request(**each[0]), 1) for name, each in REJECTED.items()}
    return found | {name: (data, 1) for name, (data, _) in ABORTED.items()}


def check(out: Path, *, page: Path = PAGE) -> Verdict:
    """Ask all three, write the table, and complain where the node is the stricter."""
    out.mkdir(parents=True)
    with (
        receiver(out / "node", MemoryStore()) as node,
        _storescp(out / "dcmtk") as dcmtk,
        servers.orthanc(out / "orthanc", "smart", free_port(), node.ports[0]) as pacs,
    ):
        ports = {"node": node.ports[0], "DCMTK": dcmtk, "Orthanc": pacs.dicom}
        with ThreadPoolExecutor(len(ports)) as pool:
            answers = dict(zip(ports, pool.map(_ask_all, ports.values()), strict=True))
    write(page, NAME, table(answers))
    return verdict("association", "requests", _stricter(answers))


def table(answers: Mapping[str, Mapping[str, str]]) -> str:
    """One row for each request."""
    peers = list(answers)
    lines = [f"| Request | {' | '.join(peers)} |", "|---" * (len(peers) + 1) + "|"]
    for name in answers[peers[0]]:
        lines.append(f"| {' | '.join([name, *(answers[peer][name] for peer in peers)])} |")
    return "\n".join(lines) + "\n"


def _stricter(answers: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    for name, said in answers["node"].items():
        others = [peer for peer in answers if answers[peer][name] == _ACCEPTED]
        if said != _ACCEPTED and others:
            yield f"{name}: {said}, and {' and '.join(others)} accept it"
        if said.startswith(("no answer", "closed")):
            yield f"{name}: {said}"


def _ask_all(port: int) -> dict[str, str]:
    return {name: _ask(port, data, context) for name, (data, context) in requests().items()}


def _ask(port: int, data: bytes, context: int) -> str:
    """What a listener answers to the bytes, and to a C-ECHO if it accepts them."""
    with socket.create_connection(("127.0.0.1", port), _PATIENCE) as peer:
        try:
            peer.sendall(data)
            answer = peer.recv(65536)
            if answer[:1] != b"\2":
                return _named(answer)
            peer.sendall(echo(context))
            reply = peer.recv(65536)
            peer.sendall(b"\5\0\0\0\0\4" + bytes(4))
        except TimeoutError:
            return "no answer"
        except OSError:
            return "closed"
    return _ACCEPTED if reply[:1] == b"\4" else f"accepted, then {_named(reply)}"


def _named(answer: bytes) -> str:
    match answer[:1]:
        case b"\3":
            return f"rejected {'/'.join(map(str, answer[7:10]))}"
        case b"\7":
            return f"aborted {answer[8]}/{answer[9]}"
        case b"":
            return "closed"
    return "another PDU"


@contextmanager
def _storescp(folder: Path) -> Iterator[int]:
    """DCMTK's storescp as it comes."""
    folder.mkdir()
    port = free_port()
    with (folder / "log.txt").open("wb") as log:
        command = ["storescp", "--fork", "-od", str(folder), str(port)]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 20
        while not servers.echo(port, 2):
            if time.monotonic() > deadline:
                raise RuntimeError(f"storescp does not start; see {folder / 'log.txt'}")
            time.sleep(0.2)
        yield port
    finally:
        process.terminate()
        process.wait(10)
