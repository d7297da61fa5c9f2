"""The receiver holds no image decoder."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import sys
from dicom_node.service.lean import without_decoders
without_decoders()
import dicom_node.receive.scp, dicom_node.commitment.receive
print(*(name for name, module in sys.modules.items() if module is not None))
"""


def test_the_receiver_loads_neither_decoders_nor_networks() -> None:
    """What a peer sends is within reach of no decoder, and needs no memory for one."""
    found = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True
    )
    loaded = set(found.stdout.split())
    assert "pynetdicom" in loaded
    assert not loaded & {"torch", "numpy", "gdcm", "PIL", "pylibjpeg", "openjpeg", "jpeg_ls"}
