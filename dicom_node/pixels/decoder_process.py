"""The child process that decodes compressed pixels, confined to just that.

A decoder is native code that is fed untrusted bytes. In this process it may crash, hang, ask for
any amount of memory or run an attacker's code: `dicom_node.confine` leaves it nothing but its two
pipes. It holds one film at a time and ends when its request pipe closes.
"""

from __future__ import annotations

import os
import re
import resource
import signal
from io import FileIO
from typing import Any

from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import decoders  # imports every decoder there is: later it could open no file
from pydicom.uid import UID

from dicom_node.confine import confine
from dicom_node.dicom.malformed import MALFORMED
from dicom_node.pixels.decode import decode_with
from dicom_node.pixels.files import quiet
from dicom_node.pixels.protocol import receive, send
from dicom_node.pixels.sandbox import LARGEST, SECONDS

MEMORY = 3 * 2**30  # bytes of address space; a film of 20 million pixels takes a tenth of it
#: Processor seconds of one process. It retires after half of them, between two films.
LIFETIME = 600
_PIPE = 1 << 16  # bytes: all that Linux keeps of what libraries complain
# What GDCM's and others' libraries say of a stream that they decode in spite of its errors.
_DAMAGE = re.compile(rb"corrupt|premature|error|warning", re.IGNORECASE)


def main() -> None:
    """Say what this kernel cannot confine, then serve requests until the pipe ends."""
    requests, answers, complaints = _pipes()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    with quiet():
        _warm_up()
        missing = _confine(requests.fileno(), answers.fileno(), complaints.fileno())
        send(answers, {"missing": missing})
        while _is_young():
            try:
                words, content = receive(requests, LARGEST)
            except EOFError:
                return
            signal.alarm(int(SECONDS) + 5)  # ends this process if its parent has died
            complaints.read(_PIPE)  # of the last film
            answer, pixels = _answer(words, content)
            answer["flawed"] = _DAMAGE.search(complaints.read(_PIPE) or b"") is not None
            signal.alarm(0)
            send(answers, answer, pixels)


def _pipes() -> tuple[FileIO, FileIO, FileIO]:
    """The pipes of requests and answers, and what libraries write to standard error."""
    requests, answers = FileIO(os.dup(0), "rb"), FileIO(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    reading, writing = os.pipe2(os.O_NONBLOCK)
    for number, target in ((null, 0), (null, 1), (writing, 2)):
        os.dup2(number, target)
    return requests, answers, FileIO(reading, "rb")


def _confine(*keep: int) -> list[str]:
    return confine(keep, memory=MEMORY, cpu_seconds=LIFETIME)


def _warm_up() -> None:
    """Let every decoder fail once, so that it has imported and opened whatever it needs."""
    for decoder in vars(decoders).values():
        for plugin in getattr(decoder, "available_plugins", ()):
            words = {"elements": _TINY, "syntax": str(decoder.UID), "plugin": plugin}
            _answer(words, bytearray(encapsulate([b"\0\0"])))


_TINY = {"Rows": 1, "Columns": 1, "BitsAllocated": 8, "BitsStored": 8, "PixelRepresentation": 0}


def _is_young() -> bool:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime < LIFETIME / 2


def _answer(words: dict[str, Any], content: bytearray) -> tuple[dict[str, Any], bytes | memoryview]:
    try:
        ds = Dataset()
        for keyword, value in words["elements"].items():
            setattr(ds, keyword, value)
        ds.PixelData = bytes(content)
        ds["PixelData"].VR = "OB"
        ds["PixelData"].is_undefined_length = True
        values = decode_with(ds, UID(words["syntax"]), words["plugin"])
    except (*MALFORMED, OSError) as error:
        return {"error": type(error).__name__}, b""
    return {}, values.data.cast("B")
