"""The decoding process seen from outside: asked for one film at a time, replaced when it dies."""

from __future__ import annotations

import atexit
import fcntl
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from dicom_node.pixels.protocol import receive, send

if TYPE_CHECKING:
    from io import RawIOBase

SECONDS = 30.0  # for one film by one decoder; the slowest takes one, a hanging one is ended
LARGEST = 2**30  # bytes of one message; the largest detector's film has 40 MB
_PIPE = 2**20  # bytes a pipe holds; Linux gives 64 KiB, and a turn for each

# Nothing else of our environment: there may be secrets in it.
_KEPT = ("LD_LIBRARY_PATH", "LANG", "PATH")


class DecoderDied(RuntimeError):
    """The decoding process ended, or was ended, over this film."""


class Sandbox:
    """One decoding process, started when it is first needed; safe to use from all threads."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0  # a fork must not share its parent's pipes

    @property
    def pid(self) -> int | None:
        """Of the process, where there is one."""
        return self._process.pid if self._process is not None else None

    def ask(self, words: dict[str, Any], content: bytes) -> bytearray:
        """Have a film decoded; raises DecoderDied, or ValueError where it does not decode."""
        with self._lock:
            process = self._alive()
            late = threading.Event()
            timer = threading.Timer(self._seconds, _kill, (process, late))
            timer.start()
            try:
                send(cast("RawIOBase", process.stdin), words, content)  # bufsize=0: raw
                answer, pixels = receive(cast("RawIOBase", process.stdout), LARGEST)
            except (OSError, EOFError, ValueError) as error:
                how = self._reap(process)
                raise DecoderDied("took too long" if late.is_set() else how) from error
            finally:
                timer.cancel()
        if "error" in answer:
            raise ValueError(str(answer["error"]))
        return pixels

    def close(self) -> None:
        """End the process."""
        with self._lock:
            if self._process is not None and self._owner == os.getpid():
                self._reap(self._process)

    def _alive(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._owner == os.getpid():
            if self._process.poll() is None:
                return self._process
            self._reap(self._process)
        root = str(Path(__file__).parents[2])
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        environment |= {"PYTHONPATH": root, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "dicom_node.pixels.decoder_process"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=environment, cwd="/", bufsize=0,
        )  # fmt: skip
        self._owner = os.getpid()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):  # more than a user may have: slower, no worse
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)  # type: ignore[arg-type]
        return self._process

    def _reap(self, process: subprocess.Popen[bytes]) -> str:
        """Make sure it is gone; how it went, in words."""
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
    process.kill()


#: The process's own; the `Sandbox` starts with the first compressed film.
SANDBOX = Sandbox()
atexit.register(SANDBOX.close)
