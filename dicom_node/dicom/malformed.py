"""What pydicom and pynetdicom raise at bytes that are not what they claim to be."""

from __future__ import annotations

import struct
import zlib

from pydicom.errors import BytesLengthException, InvalidDicomError

#: Catch this, and no less, around everything that decodes what a peer sent or a file holds. An
#: ``OSError`` is not part of it: pydicom raises one for a sequence that is cut off, but so does a
#: disk. NotImplementedError and RecursionError are RuntimeErrors, UnicodeError is a ValueError.
MALFORMED = (
    ArithmeticError,
    AttributeError,
    BytesLengthException,
    EOFError,
    InvalidDicomError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


def is_signs(head: bytes) -> bool:
    """Whether four bytes, read as VR and 16-bit length, are signs such as ``--`` and a length.

    DCMTK reads them so, too. Without a VR they would be a length, here one above 64 KiB.
    """
    vr = head[:2]
    letters = vr.isalpha() and vr.isupper()
    return len(head) == 4 and not letters and all(0x20 < c < 0x7F for c in vr) and any(head[2:])
