"""Untrusted compressed pixels are decoded in a child process that may crash."""

from __future__ import annotations

import os
import resource
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID, JPEG2000Lossless, JPEGLSLossless, RLELossless
from support.film import film, phantom
from support.receiving import eventually

from dicom_node.domain.values import RefusalCode
from dicom_node.errors import UnreadablePixels
from dicom_node.pixels import decode, to_image
from dicom_node.pixels.sandbox import Sandbox


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A decoder process of the test's own, with a short time limit."""
    own = Sandbox(seconds=5.0)
    monkeypatch.setattr(decode, "SANDBOX", own)
    yield own
    own.close()


def compressed(syntax: UID = RLELossless, **elements: Any) -> Dataset:
    ds: Dataset = film(phantom(64, 48, marker=None), syntax=syntax, **elements)
    return ds


def stopped(sandbox: Sandbox) -> int:
    """Start the process and stop it (SIGSTOP); return its id."""
    to_image(compressed())
    assert sandbox.pid is not None
    os.kill(sandbox.pid, signal.SIGSTOP)
    return sandbox.pid


def test_the_pixels_are_the_same_as_decoded_here(sandbox: Sandbox) -> None:
    """The child decodes to the same values as this process, for every codec."""
    for syntax in (RLELossless, JPEGLSLossless, JPEG2000Lossless):
        ds = compressed(syntax)
        found = decode.decode(ds)
        assert np.array_equal(found.values, decode.decode_with(ds, syntax, found.decoder))


def test_one_process_serves_many_films_and_holds_no_networks(sandbox: Sandbox) -> None:
    """The process is kept between films and does not load torch."""
    to_image(compressed())
    first = sandbox.pid
    to_image(compressed(JPEG2000Lossless))
    assert sandbox.pid == first
    assert "torch" not in Path(f"/proc/{first}/maps").read_text()


def test_uncompressed_films_need_no_process(sandbox: Sandbox) -> None:
    """Native pixels are read by numpy in this process."""
    to_image(film(phantom(64, 48, marker=None)))
    assert sandbox.pid is None


def test_a_decoder_that_crashes_costs_its_film_and_nothing_else(sandbox: Sandbox) -> None:
    """The film is refused with a reason; a new process decodes the next film."""
    pid = stopped(sandbox)

    def crash() -> None:
        os.kill(pid, signal.SIGSEGV)
        os.kill(pid, signal.SIGCONT)

    timer = threading.Timer(0.2, crash)
    timer.start()
    with pytest.raises(
        UnreadablePixels, match=r"the decoder died on the pixels.*SIGSEGV"
    ) as caught:
        to_image(compressed())
    timer.join()
    assert caught.value.code == RefusalCode.UNREADABLE
    to_image(compressed())
    assert sandbox.pid not in (None, pid)


def test_a_decoder_that_hangs_is_ended(sandbox: Sandbox) -> None:
    """Past its time limit the process is killed and the film is refused."""
    stopped(sandbox)
    sandbox.seconds = 0.3
    started = time.monotonic()
    with pytest.raises(UnreadablePixels, match="took too long"):
        to_image(compressed())
    assert time.monotonic() - started < 2


def test_a_process_that_died_between_films_is_replaced_unnoticed(sandbox: Sandbox) -> None:
    """A film is not refused because the process crashed before it."""
    to_image(compressed())
    assert sandbox.pid is not None
    os.kill(sandbox.pid, signal.SIGKILL)
    assert eventually(lambda: Path(f"/proc/{sandbox.pid}/stat").read_text().split()[2] == "Z")
    to_image(compressed())


@pytest.mark.parametrize(
    ("syntax", "marker", "offset"),
    [(JPEG2000Lossless, b"\xff\x51", 6), (JPEGLSLossless, b"\xff\xf7", 5)],
    ids=["JPEG 2000", "JPEG-LS"],
)
def test_a_stream_that_claims_to_be_huge_is_refused(
    sandbox: Sandbox, syntax: UID, marker: bytes, offset: int
) -> None:
    """65535 x 65535 in the stream behind a small header: refused in bounded time and memory."""
    ds = compressed(syntax)
    stream = bytearray(ds.PixelData)
    at = stream.index(marker) + offset
    huge = struct.pack(">II" if syntax == JPEG2000Lossless else ">HH", 65535, 65535)
    stream[at : at + len(huge)] = huge
    ds.PixelData = bytes(stream)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UnreadablePixels):
        to_image(ds)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024  # KiB


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_a_header_that_claims_to_be_huge_is_refused_before_anything_is_asked(
    sandbox: Sandbox, syntax: UID
) -> None:
    """A pixel bomb: 65535 x 65535 in the header."""
    ds = compressed(syntax)
    ds.Rows = ds.Columns = 65535
    with pytest.raises(UnreadablePixels) as caught:
        to_image(ds)
    assert caught.value.code == RefusalCode.SIZE
    assert sandbox.pid is None


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_truncated_streams_do_not_kill_the_reader(
    sandbox: Sandbox, syntax: UID, share: float
) -> None:
    """A truncated stream decodes or is refused; a truncated JPEG-LS stream hangs its decoder."""
    ds = compressed(syntax)
    to_image(ds)
    sandbox.seconds = 1.0
    ds.PixelData = ds.PixelData[: int(len(ds.PixelData) * share)]
    with suppress(UnreadablePixels):
        to_image(ds)
    sandbox.seconds = 5.0
    to_image(compressed())


def test_the_logs_of_libraries_stay_shut_when_they_are_imported_later() -> None:
    """pydicom quotes header values in its warnings; they are not shown, whenever it is imported."""
    code = (
        "from dicom_node.config import LogConfig; from dicom_node.log import configure\n"
        "configure(LogConfig(), 'test')\n"
        "import pydicom, pynetdicom, logging, threading\n"
        "logging.getLogger('pydicom').warning('Secret^Name')\n"
        "logging.getLogger('pynetdicom.acse').error('Secret^Name')\n"
        "t = threading.Thread(target=lambda: int('Secret^Name')); t.start(); t.join()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Secret" not in done.stdout + done.stderr
    assert "thread died" in done.stderr
