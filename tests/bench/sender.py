"""A C-STORE SCU that costs almost nothing, so that the receiver is what is measured.

All PDUs of a film are prepared before the clock starts; sending is one write to the socket and one
read of the answer (PS3.8 9.3, PS3.7 9.3.1).
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Sequence
from io import BytesIO
from itertools import count

from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian

_TIMEOUT_SECONDS = 120.0
_LARGEST_PDU = 128 * 2**10  # bytes; if the acceptor sets no limit
_UID_ROOT = f"1.2.826.0.1.3680043.10.{time.time_ns()}."
_numbers = count(10**9)  # every UID of a run is new, and as long as every other


class Sender:
    """One association.

    Parameters
    ----------
    contexts
        SOP classes to propose, each in Explicit VR Little Endian; films go by the first.
    """

    def __init__(self, port: int, called: str, contexts: Sequence[str]) -> None:
        self._sop_class = contexts[0].encode()
        asked = request(called, contexts)
        began = time.perf_counter()
        self._socket = socket.create_connection(("127.0.0.1", port), _TIMEOUT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(asked)
        answer = self._read(expected=2)
        self.accept_seconds = time.perf_counter() - began
        self.sent_at = 0.0  # when the last byte of the last film was handed over; perf_counter
        self._largest = _maximum_length(answer)

    def laid_out(self, film: Film) -> bytes:
        """The film under a new UID as the bytes of a C-STORE-RQ."""
        uid = new_uid()
        command = b"".join(
            _command(tag, value)
            for tag, value in (
                (0x0002, self._sop_class),
                (0x0100, b"\1\0"),
                (0x0110, b"\1\0"),
                (0x0700, b"\0\0"),
                (0x0800, b"\0\0"),
                (0x1000, uid),
            )
        )
        command = _command(0, struct.pack("<I", len(command))) + command
        return b"".join((_pdata(3, command), *self._fragments(film.under(uid))))

    def _fragments(self, content: bytes) -> list[bytes]:
        step = self._largest - 6  # of a PDV's own length, context and control, PS3.8 9.3.5.1
        return [
            _pdata(2 if start + step >= len(content) else 0, content[start : start + step])
            for start in range(0, len(content), step)
        ]

    def store(self, message: bytes) -> None:
        """Send a prepared message and wait for Success."""
        self._socket.sendall(message)
        self.sent_at = time.perf_counter()
        answer = self._read(expected=4)
        at = answer.find(struct.pack("<HHI", 0, 0x0900, 2))
        status = struct.unpack_from("<H", answer, at + 8)[0] if at >= 0 else None
        if status != 0:
            raise RuntimeError(f"C-STORE was answered {status}")

    def release(self) -> None:
        """Release the association and close the connection."""
        self._socket.sendall(struct.pack(">BBII", 5, 0, 4, 0))
        self._read(expected=6)
        self._socket.close()

    def _read(self, expected: int) -> bytes:
        head = self._exactly(6)
        if head[0] != expected:
            raise RuntimeError(f"a PDU of type {head[0]} came instead of {expected}")
        return self._exactly(struct.unpack(">I", head[2:])[0])

    def _exactly(self, size: int) -> bytes:
        content = b""
        while len(content) < size:
            if not (some := self._socket.recv(size - len(content))):
                raise ConnectionError("the receiver closed the connection")
            content += some
        return content


class Film:
    """An encoded data set whose SOP Instance UID can be replaced by one of the same length."""

    def __init__(self, ds: Dataset) -> None:
        ds.SOPInstanceUID = placeholder = new_uid().decode()
        stream = BytesIO()
        dcmwrite(stream, ds, implicit_vr=False, little_endian=True)
        self._head, _, self._tail = stream.getvalue().partition(placeholder.encode())
        self.sop_class = str(ds.SOPClassUID)
        self.size = len(stream.getvalue())  # bytes

    def under(self, uid: bytes) -> bytes:
        """The encoded data set with this UID."""
        return b"".join((self._head, uid, self._tail))


def new_uid() -> bytes:
    """A new UID, always of the same length."""
    return f"{_UID_ROOT}{next(_numbers)}".encode()


def request(called: str, contexts: Sequence[str]) -> bytes:
    """An A-ASSOCIATE-RQ, PS3.8 9.3.2."""
    proposed = b"".join(
        _item(0x20, bytes((2 * number + 1, 0, 0, 0)) + _item(0x30, sop_class.encode())
              + _item(0x40, ExplicitVRLittleEndian.encode()))
        for number, sop_class in enumerate(contexts)
    )  # fmt: skip
    user = _item(0x51, struct.pack(">I", _LARGEST_PDU)) + _item(0x52, b"1.2.826.0.1.3680043.10.1")
    content = (
        b"\0\1\0\0" + called.encode().ljust(16) + b"BENCH".ljust(16) + bytes(32)
        + _item(0x10, b"1.2.840.10008.3.1.1.1") + proposed + _item(0x50, user)
    )  # fmt: skip
    return struct.pack(">BBI", 1, 0, len(content)) + content


def send_all(ports: Sequence[int], called: str, film: Film, *, senders: int, each: int) -> float:
    """Seconds from the first byte to the last Success of several concurrent senders.

    The senders take the ports in turn.
    """
    ready = threading.Barrier(senders + 1)
    failures: list[BaseException] = []

    def work(sender: Sender, messages: list[bytes]) -> None:
        ready.wait()
        try:
            for message in messages:
                sender.store(message)
        except (OSError, RuntimeError) as error:
            failures.append(error)

    links = [
        Sender(ports[number % len(ports)], called, [film.sop_class]) for number in range(senders)
    ]
    threads = [
        threading.Thread(target=work, args=(link, [link.laid_out(film) for _ in range(each)]))
        for link in links
    ]
    for thread in threads:
        thread.start()
    ready.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    spent = time.perf_counter() - began
    if failures:
        raise RuntimeError(f"a sender failed: {failures[0]}") from failures[0]
    for link in links:
        link.release()
    return spent


def _maximum_length(accept: bytes) -> int:
    """The acceptor's limit of a P-DATA-TF, from its User Information (PS3.8 D.1); checks result."""
    position, largest = 68, _LARGEST_PDU
    while position < len(accept):
        kind, length = struct.unpack_from(">BxH", accept, position)
        if kind == 0x21 and accept[position + 4] == 1 and accept[position + 6] != 0:
            raise RuntimeError("the receiver does not take the first presentation context")
        if kind == 0x50:
            (asked,) = struct.unpack_from(">I", accept, position + 8)
            largest = asked or _LARGEST_PDU
        position += 4 + length
    return min(largest, _LARGEST_PDU)


def _pdata(control: int, content: bytes) -> bytes:
    """A P-DATA-TF of one PDV in context 1, PS3.8 9.3.5."""
    return struct.pack(">BBIIBB", 4, 0, len(content) + 6, len(content) + 2, 1, control) + content


def _item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(content)) + content


def _command(element: int, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HHI", 0, element, len(value)) + value
