"""The child process that decodes compressed pixels; `python -m dicom_node.pixels.decoder_process`.

A decoder is native code that is fed untrusted bytes. In this process it may crash, hang or ask for
any amount of memory: the address space is limited, an alarm ends it, and it cannot write files. It
holds one film at a time and ends when its request pipe closes.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from io import FileIO
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID

from dicom_node.dicom.malformed import MALFORMED
from dicom_node.pixels.decode import decode_with
from dicom_node.pixels.files import quiet
from dicom_node.pixels.protocol import receive, send
from dicom_node.pixels.sandbox import LARGEST, SECONDS

MEMORY = 3 * 2**30  # bytes of address space; a film of 20 million pixels takes a tenth of it


def main() -> None:
    """Serve requests until the pipe ends."""
    requests, answers = _pipes()
    _confine()
    with quiet():
        while True:
            try:
                words, content = receive(requests, LARGEST)
            except EOFError:
                return
            signal.alarm(int(SECONDS) + 5)  # ends this process if its parent has died
            answer, pixels = _answer(words, content)
            signal.alarm(0)
            send(answers, answer, pixels)


def _pipes() -> tuple[FileIO, FileIO]:
    """The pipes of requests and answers; standard output and error of libraries are discarded."""
    requests, answers = FileIO(os.dup(0), "rb"), FileIO(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    return requests, answers


def _confine() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold a patient's film
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


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


if __name__ == "__main__":
    main()
    sys.exit(0)
