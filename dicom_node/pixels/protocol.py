"""Messages between a process and its decoder: a JSON head, then bytes. Nothing is unpickled."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from io import RawIOBase

_LENGTHS = struct.Struct(">IQ")  # of the JSON and of the bytes
_MOST_WORDS = 4096  # bytes of JSON


def send(pipe: RawIOBase, words: dict[str, Any], content: bytes | memoryview = b"") -> None:
    """Write one message."""
    head = json.dumps(words).encode()
    body = memoryview(content).cast("B")
    for view in (memoryview(_LENGTHS.pack(len(head), body.nbytes) + head), body):
        written = 0
        while written < view.nbytes:
            written += pipe.write(view[written:]) or 0


def receive(pipe: RawIOBase, most: int) -> tuple[dict[str, Any], bytearray]:
    """Read one message of at most ``most`` bytes after its head.

    Raises
    ------
    EOFError
        The pipe has ended.
    ValueError
        The message is too long or malformed.
    """
    head_length, length = _LENGTHS.unpack(_exactly(pipe, _LENGTHS.size))
    if head_length > _MOST_WORDS or length > most:
        raise ValueError("the message is too long")
    words = json.loads(_exactly(pipe, head_length))
    if not isinstance(words, dict):
        raise ValueError("the head of the message is not a JSON object")
    return words, _exactly(pipe, length)


def _exactly(pipe: RawIOBase, count: int) -> bytearray:
    content = bytearray(count)
    view, filled = memoryview(content), 0
    while filled < count:
        got = pipe.readinto(view[filled:])
        if not got:
            raise EOFError("the pipe has ended")
        filled += got
    return content
