"""Attacks on the machine: memory, processes, ports, the time of others' deliveries."""

from __future__ import annotations

import http.server
import os
import random
import socket
import ssl
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from attacks.target import Outcome, Target, answers, becomes, small, store, store_bytes, target
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian
from support.certificates import identity
from support.film import film
from support.peer import Peer, free_port

_INFLATED = int(os.environ.get("BOMB_MIB", "1024"))
_ELEMENTS = int(os.environ.get("ELEMENTS", "1000000"))
_MORE_MEMORY = 400  # MiB that a worker may use for a small film
_SILENT = 300  # sockets
_STORM_SECONDS = 20.0


def bombs(folder: Path) -> Iterator[Outcome]:
    """Small files that become large: zeros, elements and items behind the pixels."""
    for name, make in {"zeros": _zeros, "elements": _elements, "items": _items}.items():
        deflated = name == "zeros"
        syntax = DeflatedExplicitVRLittleEndian if deflated else ExplicitVRLittleEndian
        with target(folder / name) as node:
            ds = film(BodyPartExamined="HAND")
            worker = node.pids()["worker-1"]
            content = make(ds)
            before = peak_memory(worker)
            status = store_bytes(node.port, ds, content, syntax)
            becomes(lambda node=node, ds=ds: node.decision(ds) != "undecided", 60)  # type: ignore[misc]
            with suppress(OSError):  # the worker may have reached its limit and started again
                before = peak_memory(worker) - before
            healthy = film(BodyPartExamined="HAND")
            store(node.port, healthy, calling="MODALITY")
            read = becomes(lambda node=node, ds=healthy: node.decision(ds) == "refused", 60)  # type: ignore[misc]
            yield Outcome(
                attack=f"{len(content) / 2**20:.1f} MiB that become {name}",
                held=before < _MORE_MEMORY and read,
                said=f"answered {hex(status or 0)}, worker {before:+d} MiB, next film "
                f"{'settled' if read else 'NOT SETTLED'}",
            )


def tls_doors(folder: Path) -> Iterator[Outcome]:
    """Another peer's certificate, the plain port, no certificate, silent sockets."""
    folder.mkdir(parents=True)
    own, printer = identity(folder, "node"), identity(folder, "printer")
    er_room = identity(folder, "er_room")
    tls_port = free_port()
    files = ("certificate_file", "key_file", "ca_file")
    allowed = {"ae_title": "ER_ROOM", "address": "127.0.0.1", "certificate": "er_room"}
    with target(
        folder / "node",
        node={"plain": True, "allowed_calling": [allowed]},
        tls={"port": tls_port, **{each: str(getattr(own, each)) for each in files}},
    ) as node:
        becomes(lambda: answers(tls_port), 20)

        def call(settings: Any, port: int = tls_port) -> list[int | None]:
            context = ssl.create_default_context(cafile=str(own.ca_file))
            if settings is not None:
                context.load_cert_chain(settings.certificate_file, settings.key_file)
            return store(port, small(), calling="ER_ROOM", tls_args=(context, "localhost"))

        for attack, said in (
            ("another peer's certificate", call(printer)),
            ("no certificate", call(None)),
            ("the plain port beside TLS", store(node.port, small(), calling="ER_ROOM")),
        ):
            yield Outcome(attack=attack, held=said != [0], said=f"answered {said}")
        with ExitStack() as sockets:
            for _ in range(_SILENT):
                with suppress(OSError):
                    silent = socket.create_connection(("127.0.0.1", tls_port), 5)
                    sockets.enter_context(silent)
            time.sleep(1.5)
            said = call(er_room)
        yield Outcome(
            attack=f"{_SILENT} silent sockets at the TLS port",
            held=said == [0],
            said=f"the true peer is answered {said}",
        )


def slow_destination(folder: Path) -> Iterator[Outcome]:
    """A web service that answers a byte a second, beside a PACS."""
    folder.mkdir(parents=True)
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Dripping)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{web.server_address[1]}/dw"
    try:
        with Peer(folder / "pacs") as pacs:
            where = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": pacs.port}
            destinations = [{"name": "web", "kind": "dicomweb", "url": url}, where]
            with target(
                folder / "node", delivery={"timeout_seconds": 5}, destinations=destinations
            ) as node:
                for number in (1, 2):
                    store(node.port, film(BodyPartExamined="HAND"), calling="MODALITY")
                    came = becomes(
                        lambda number=number: len(pacs.instances()) >= number,  # type: ignore[misc]
                        40,
                    )
                yield Outcome(
                    attack="one slow destination",
                    held=came,
                    said=f"the other got the reports of {len(pacs.instances())} of 2 studies",
                )
    finally:
        web.shutdown()


def storm(folder: Path) -> Iterator[Outcome]:
    """Noise on the port from four sides while a modality sends."""
    with target(folder) as node:
        stop = threading.Event()
        noise = [threading.Thread(target=_noise, args=(node, stop, n)) for n in range(4)]
        for each in noise:
            each.start()
        sent: list[list[int | None]] = []
        slowest, until = 0.0, time.monotonic() + _STORM_SECONDS
        while time.monotonic() < until:
            began = time.monotonic()
            sent.append(store(node.port, small(), calling="MODALITY"))
            slowest = max(slowest, time.monotonic() - began)
        stop.set()
        for each in noise:
            each.join()
        alive = {name.partition("-")[0] for name in node.pids()}
        good = sent.count([0])
        yield Outcome(
            attack=f"a storm of {_STORM_SECONDS:.0f} s",
            held=good == len(sent) and alive == {"supervisor", "receiver", "worker", "deliverer"},
            said=f"{good} of {len(sent)} objects stored, the slowest in {slowest:.1f} s",
        )


def _noise(node: Target, stop: threading.Event, seed: int) -> None:
    """Random bytes, headers that promise much, sockets that hang, until ``stop``."""
    draw = random.Random(seed)
    held: list[socket.socket] = []
    while not stop.wait(0.02):
        with suppress(OSError):
            peer = socket.create_connection(("127.0.0.1", node.port), 2)
            kind = draw.randrange(4)
            if kind == 0:
                peer.sendall(draw.randbytes(draw.randrange(1, 4096)))
            elif kind == 1:
                peer.sendall(struct.pack(">BBI", draw.randrange(1, 8), 0, 0xFFFFFFFF))
            elif kind == 2:
                peer.sendall(struct.pack(">BBIHH", 1, 0, 100, 1, 0) + b"DICOM_NODE".ljust(16))
            held.append(peer)
        if len(held) > 30:
            held.pop(0).close()
    for each in held:
        each.close()


class _Dripping(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        with suppress(OSError):
            self.send_response(200)
            self.send_header("Content-Type", "application/dicom+json")
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            for _ in range(90):
                self.wfile.write(b" ")
                self.wfile.flush()
                time.sleep(1)
        self.close_connection = True

    do_GET = do_POST  # noqa: N815 - the library's name

    def log_message(self, *_: object) -> None:
        pass


def peak_memory(pid: int) -> int:
    """The most memory that the process has held, MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) // 1024
    return 0


def _encoded(ds: Dataset) -> bytes:
    file = DicomBytesIO()
    file.is_little_endian, file.is_implicit_VR = True, False
    write_dataset(file, ds)
    return file.getvalue()


def _zeros(ds: Dataset) -> bytes:
    head = struct.pack("<HH2sHI", 0x7FE1, 0x1010, b"OB", 0, _INFLATED << 20)
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    parts = [squeeze.compress(_encoded(ds) + head)]
    parts += [squeeze.compress(bytes(1 << 20)) for _ in range(_INFLATED)]
    return b"".join(parts) + squeeze.flush()


def _elements(ds: Dataset) -> bytes:
    tags = ((0x7FE1 + 2 * (n // 0xE000), 0x1000 + n % 0xE000) for n in range(_ELEMENTS))
    return _encoded(ds) + b"".join(struct.pack("<HH2sH", g, e, b"LO", 0) for g, e in tags)


def _items(ds: Dataset) -> bytes:
    body = struct.pack("<HHI", 0xFFFE, 0xE000, 0) * _ELEMENTS
    return _encoded(ds) + struct.pack("<HH2sHI", 0x7FE1, 0x1010, b"SQ", 0, len(body)) + body


ATTACKS: tuple[Callable[[Path], Iterator[Outcome]], ...] = (
    bombs,
    tls_doors,
    slow_destination,
    storm,
)
