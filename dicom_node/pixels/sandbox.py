"""The decoding process seen from outside: asked for one film at a time, replaced when it dies."""

from __future__ import annotations

import atexit
import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import structlog

from dicom_node.pixels.protocol import receive, send

if TYPE_CHECKING:
    from io import RawIOBase

SECONDS = 30.0  # a decoder may take for one film; the slowest takes one second
START_SECONDS = 60.0  # for a new process to import its decoders; it takes one
LARGEST = 2**30  # bytes of one message; a film of the largest detector has 40 MB
_PIPE = 2**20  # bytes of pipe buffer; with Linux's 64 KiB each film takes many context switches

# The environment may hold secrets: only what starts Python is passed on.
_KEPT = ("LD_LIBRARY_PATH",)
# The child, found where this package was found, without PYTHON* variables; numpy's library must not
# start threads, which could not be confined.
_CODE = (
    "import os, sys; sys.path.insert(0, sys.argv[1]); "
    "os.environ.update(OMP_NUM_THREADS='1', OPENBLAS_NUM_THREADS='1'); "
    "import dicom_node.pixels.decoder_process as child; child.main()"
)

log = structlog.get_logger()


_RETIRED = "exit status 0"


class DecoderDied(RuntimeError):
    """The decoder process crashed or was killed while it decoded this film."""


class Sandbox:
    """One decoder process, started when it is first needed; safe to use from any thread.

    Attributes
    ----------
    seconds
        Time limit of one film.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._greeted = False
        self._missing: tuple[str, ...] = ()
        self._owner = 0  # after a fork the child must not use its parent's pipes

    @property
    def pid(self) -> int | None:
        """Process id of the decoder, None if it is not running."""
        return self._process.pid if self._process is not None else None

    def ask(self, words: dict[str, Any], content: bytes) -> tuple[dict[str, Any], bytearray]:
        """Send one request; return what the decoder says, and the decoded bytes.

        Raises
        ------
        DecoderDied
            The process crashed, or did not answer in time.
        ValueError
            The pixels do not decode.
        """
        with self._lock:
            answer, pixels = self._exchange(words, content)
        if "error" in answer:
            raise ValueError(str(answer["error"]))
        return answer, pixels

    def start(self) -> None:
        """Start the process, without waiting until it is ready."""
        with self._lock:
            self._alive()

    def missing(self) -> tuple[str, ...]:
        """Start the process if need be; return what this kernel cannot confine."""
        with self._lock:
            self._greet(self._alive())
            return self._missing

    def close(self) -> None:
        """End the process."""
        with self._lock:
            if self._process is not None and self._owner == os.getpid():
                self._reap(self._process)

    def _exchange(self, words: dict[str, Any], content: bytes) -> tuple[dict[str, Any], bytearray]:
        """Send a request and wait for the answer; a process that has just retired is replaced."""
        for _ in range(2):
            process, late = self._alive(), threading.Event()
            try:
                self._greet(process)
                with self._time_limit(process, self.seconds) as late:
                    send(cast("RawIOBase", process.stdin), words, content)  # bufsize=0: raw
                    return receive(cast("RawIOBase", process.stdout), LARGEST)
            except (OSError, EOFError, ValueError) as error:
                how = self._reap(process)
                if how != _RETIRED:
                    raise DecoderDied("took too long" if late.is_set() else how) from error
        raise DecoderDied(_RETIRED)

    @contextmanager
    def _time_limit(
        self, process: subprocess.Popen[bytes], seconds: float
    ) -> Iterator[threading.Event]:
        """Kill the process after so many seconds; the event is set if that happened."""
        late = threading.Event()
        timer = threading.Timer(seconds, _kill, (process, late))
        timer.start()
        try:
            yield late
        finally:
            timer.cancel()

    def _greet(self, process: subprocess.Popen[bytes]) -> None:
        """Read the first message of a new process: what it could not confine."""
        if self._greeted:
            return
        with self._time_limit(process, START_SECONDS):
            words, _ = receive(cast("RawIOBase", process.stdout), LARGEST)
        self._missing, self._greeted = tuple(words.get("missing", ())), True
        if self._missing:
            log.warning("the decoder is not fully confined", missing=", ".join(self._missing))

    def _alive(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._owner == os.getpid():
            if self._process.poll() is None:
                return self._process
            self._reap(self._process)
        root = str(Path(__file__).parents[2])
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        self._process = subprocess.Popen(  # noqa: S603 - every argument is ours
            [sys.executable, "-E", "-P", "-c", _CODE, root],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=environment, cwd="/", bufsize=0,
        )  # fmt: skip
        self._greeted = False
        self._owner = os.getpid()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):  # above the user's limit: slower, nothing else
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)  # type: ignore[arg-type]
        return self._process

    def _reap(self, process: subprocess.Popen[bytes]) -> str:
        """End the process if it still runs; describe how it ended."""
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        try:
            code = process.wait(1.0)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        self._process = None
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


def _kill(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    with suppress(PermissionError):  # it runs as another user; its own alarm ends it
        process.kill()


#: One for each process; its child starts with the first compressed film.
SANDBOX = Sandbox()
atexit.register(SANDBOX.close)
