"""Encoded data sets read forward only: from a file, or from a file that is inflated meanwhile."""

from __future__ import annotations

import os
import zlib
from typing import BinaryIO, Protocol

from dicom_node.receive.store_status import StoreFault, StoreRefused

MAX_INFLATED = 512 * 2**20  # bytes; the largest radiographs are below 50 MB

_CHUNK = 64 * 2**10  # bytes


class Source(Protocol):
    """A stream of bytes that is read once, in order."""

    def peek(self, count: int) -> bytes:
        """The next bytes, without consuming them; fewer at the end."""

    def take(self, count: int) -> bytes:
        """The next bytes; fewer at the end."""

    def skip(self, count: int) -> None:
        """Skip bytes; raise StoreRefused if fewer are left."""


class FileSource:
    """A file from its current position to its end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = os.fstat(file.fileno()).st_size - file.tell()

    def peek(self, count: int) -> bytes:
        """See `Source`."""
        here = self._file.tell()
        ahead = self._file.read(count)
        self._file.seek(here)
        return ahead

    def take(self, count: int) -> bytes:
        """See `Source`."""
        taken = self._file.read(count)
        self._left -= len(taken)
        return taken

    def skip(self, count: int) -> None:
        """See `Source`."""
        self._left -= count
        if self._left < 0:
            raise StoreRefused(StoreFault.TRUNCATED, "an element is longer than the data set")
        self._file.seek(count, os.SEEK_CUR)


class InflatedSource:
    """A deflated file (PS3.5 A.5), inflated a chunk at a time and up to `MAX_INFLATED` bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)
        self._ready = b""
        self._total = 0

    def peek(self, count: int) -> bytes:
        """See `Source`."""
        while len(self._ready) < count and (more := self._inflate()):
            self._ready += more
        return self._ready[:count]

    def take(self, count: int) -> bytes:
        """See `Source`."""
        taken = self.peek(count)
        self._ready = self._ready[len(taken) :]
        return taken

    def skip(self, count: int) -> None:
        """See `Source`."""
        while count > len(self._ready):
            count -= len(self._ready)
            self._ready = self._inflate()
            if not self._ready:
                raise StoreRefused(StoreFault.TRUNCATED, "an element is longer than the data set")
        self._ready = self._ready[count:]

    def _inflate(self) -> bytes:
        """The next chunk; empty at the end."""
        more = b""
        try:
            while not more and not self._zlib.eof:
                packed = self._zlib.unconsumed_tail or self._file.read(_CHUNK)
                if not packed:
                    break
                more = self._zlib.decompress(packed, _CHUNK)
        except zlib.error as error:
            raise StoreRefused(StoreFault.UNPARSABLE, "the data set cannot be inflated") from error
        self._total += len(more)
        if self._total > MAX_INFLATED:
            raise StoreRefused(StoreFault.BOUNDS, f"inflates to more than {MAX_INFLATED >> 20} MiB")
        return more
