"""Stress on the node's port: DCMTK's senders, broken clients, hanging sockets.

After each wave, and while sockets hang, DCMTK's echoscu must be answered.
"""

from __future__ import annotations

import os
import random
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

from interop import wire
from interop.servers import echo
from interop.verdicts import Verdict, verdict
from support.film import film, phantom, write
from support.running import RunningNode

_STORESCU = ("storescu", "-R", "-pdu", "4096", "-aec", "DICOM_NODE", "127.0.0.1")
_SENDERS, _FILMS_EACH = 8, 3
_HANGING = 40  # sockets; half of them are silent, half send a byte now and then
_FUZZ_ROUNDS = 100
_RECOVERY_SECONDS = 60
_MORE_FILES_OR_THREADS = 30


def check(case: str, node: RunningNode, folder: Path) -> Verdict:
    """Run wave after wave and collect the complaints."""
    folder.mkdir(parents=True)
    receiver = next(pid for name, pid in node.pids().items() if name.startswith("receiver"))
    before = _size(receiver)
    wrong: list[str] = []
    for name, wave in (
        ("parallel senders", _senders),
        ("aborted senders", _aborts),
        ("malformed messages", _malformed),
        ("hanging sockets", _hang),
        ("fuzz", _fuzz),
        ("a real film at the end", _send),
    ):
        wrong += [f"{name}: {line}" for line in wave(node.port, folder)]
        if not _answers_again(node.port):
            wrong.append(f"{name}: no echo within {_RECOVERY_SECONDS} s")
            break
    wrong += _grown(receiver, before)
    return verdict("storm", case, wrong)


def _senders(port: int, folder: Path) -> Iterator[str]:
    """Many concurrent associations with films of hands, which are not read."""
    for sender in range(_SENDERS):
        for number in range(_FILMS_EACH):
            hand = film(phantom(256, 256), BodyPartExamined="HAND", window=None)
            write(hand, folder / str(sender) / f"{number}.dcm")
    running = [
        subprocess.Popen(
            [*_STORESCU, str(port), "+sd", folder / str(sender)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for sender in range(_SENDERS)
    ]
    for process in running:
        said = process.communicate(timeout=300)[1]
        if process.returncode:
            yield f"storescu: {said.strip()[-200:]}"


def _aborts(port: int, folder: Path) -> Iterator[str]:
    """Associations aborted by DCMTK, and senders killed in the middle."""
    path = next(folder.rglob("*.dcm"))
    for number in range(8):
        subprocess.run(
            ["echoscu", "--abort", "-to", "20", "-aec", "DICOM_NODE", "127.0.0.1", str(port)],
            capture_output=True,
            timeout=120,
        )
        with subprocess.Popen(
            [*_STORESCU, str(port), path],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            time.sleep(0.02 * number)
            process.kill()
    return iter(())


def _send(port: int, folder: Path) -> Iterator[str]:
    path = next(folder.rglob("*.dcm"))
    done = subprocess.run(
        [*_STORESCU, str(port), path], capture_output=True, text=True, timeout=120
    )
    if done.returncode:
        yield f"storescu: {done.stderr.strip()[-200:]}"


def _malformed(port: int, folder: Path) -> Iterator[str]:
    """Bytes that break the upper layer (PS3.8 9.3) or the messages in it (PS3.7 6.3, 9.3)."""
    for data in _first_words():
        _talk(port, data, associate=False)
    for data in _later_words(str(folder / "escaped").encode()):
        _talk(port, data, associate=True)
    if found := list(folder.parent.rglob("escaped*")):
        yield f"a UID became a path: {found[0]}"


def _first_words() -> Iterator[bytes]:
    yield from (b"GET / HTTP/1.1\r\nHost: node\r\n\r\n", b"\x16\x03\x01\0\xc8" + bytes(200))
    yield from (wire.pdu(kind, b"") for kind in (0x01, 0x02, 0x04, 0x05, 0x07, 0xFF))
    yield struct.pack(">BBI", 1, 0, 0xFFFFFFF0) + bytes(100)  # 4 GiB are announced
    yield wire.request()[:90]
    yield wire.request(version=0)
    yield wire.request(contexts=b"")
    yield wire.request(contexts=b"".join(wire.context(2 * i + 1, wire.CR) for i in range(128)))
    yield wire.request(contexts=wire.context(2, wire.CR))  # an even id
    yield wire.request(contexts=wire.context(1, b"1." * 1500))
    yield wire.request(contexts=struct.pack(">BBH", 0x20, 0, 60000) + b"zz")  # a length that lies
    yield wire.request(called=bytes(16), calling=b"\xff" * 16)
    yield wire.request(user=b"")
    yield wire.request(largest=1)


def _later_words(path: bytes) -> Iterator[bytes]:
    yield wire.request()  # a second request in one association
    yield wire.pdu(4, struct.pack(">I", 0))
    yield wire.pdu(4, struct.pack(">IBB", 90000, 3, 3) + b"abc")  # longer than its PDU
    yield wire.message(99, wire.store(b"1.2.3"))
    yield wire.pdu(4, wire.value(3, 3, b"\xde\xad\xbe\xef" * 20))
    yield wire.pdu(4, wire.value(3, 3, b""))
    for uid in (b"1.2.3", b"1.2" * 66, b"../../escaped", path):
        for body in (b"", os.urandom(4000), wire.data_set(uid), wire.data_set(b"1.2.999")):
            yield wire.message(3, wire.store(uid), body)
    deep = struct.pack("<HHIHHI", 0x40, 0xA730, 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF)
    yield wire.message(3, wire.store(b"1.2.4"), wire.data_set(b"1.2.4", deep * 1500))
    huge = wire.element(0x28, 0x10, b"\xff\xff") + wire.element(0x28, 0x11, b"\xff\xff")
    yield wire.message(3, wire.store(b"1.2.5"), wire.data_set(b"1.2.5", huge))
    cut = struct.pack("<HHI", 0x7FE0, 0x10, 10**6) + b"abc"
    yield wire.message(3, wire.store(b"1.2.6"), wire.data_set(b"1.2.6", cut))


def _hang(port: int, _folder: Path) -> Iterator[str]:
    """Sockets that are silent or send single bytes; other clients are served meanwhile."""
    with ExitStack() as open_sockets:
        hanging = [open_sockets.enter_context(_connect(port)) for _ in range(_HANGING)]
        for byte in wire.request()[:6]:
            for one in hanging[::2]:
                with suppress(OSError):
                    one.send(bytes([byte]))
            time.sleep(0.3)
        if not any(echo(port, timeout=20) for _ in range(2)):
            yield f"no echo while {_HANGING} sockets hang"


def _fuzz(port: int, _folder: Path) -> Iterator[str]:
    """Valid messages with a few bytes changed, the same in every run."""
    chance = random.Random(1)
    for _ in range(_FUZZ_ROUNDS):
        associate = chance.random() < 0.5
        valid = (
            wire.message(3, wire.store(b"1.2.7"), wire.data_set(b"1.2.7"))
            if associate
            else wire.request()
        )
        data = bytearray(valid)
        for _ in range(chance.randrange(1, 8)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        _talk(port, bytes(data), associate=associate, wait=0.2)
    return iter(())


def _talk(port: int, data: bytes, *, associate: bool, wait: float = 2.0) -> None:
    """Send the bytes and disconnect; the node must survive, whatever it answers."""
    with suppress(OSError), _connect(port) as peer:
        if associate:
            peer.sendall(wire.request())
            peer.recv(65536)
        peer.settimeout(wait)
        peer.sendall(data)
        peer.recv(65536)


def _connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def _answers_again(port: int) -> bool:
    deadline = time.monotonic() + _RECOVERY_SECONDS
    while not echo(port):
        if time.monotonic() > deadline:
            return False
    return True


def _size(pid: int) -> tuple[int, int]:
    """Open files and threads of a process."""
    process = Path("/proc") / str(pid)
    return len(list((process / "fd").iterdir())), len(list((process / "task").iterdir()))


def _grown(pid: int, before: tuple[int, int]) -> Iterator[str]:
    deadline = time.monotonic() + _RECOVERY_SECONDS
    try:
        while max(now - was for now, was in zip(_size(pid), before, strict=True)) > (
            _MORE_FILES_OR_THREADS
        ):
            if time.monotonic() > deadline:
                yield f"open files and threads grew from {before} to {_size(pid)}"
                return
            time.sleep(1)
    except FileNotFoundError:
        yield "the receiver died"
