"""Keep image decoders out of the processes that decode nothing."""

from __future__ import annotations

import sys
from typing import Any, cast

# pydicom imports every decoder that is installed, and what it downloads test files with.
_NOT_NEEDED = (
    *("gdcm", "PIL", "pylibjpeg", "openjpeg", "libjpeg", "rle", "jpeg_ls"),
    *("numpy", "requests", "tqdm"),
)


def without_decoders() -> None:
    """Let later imports of decoders fail in this process, as if they were not installed.

    It saves some 40 MB, and a peer reaches that much less native code. Call it before pydicom is
    imported; what is imported already stays.
    """
    modules = cast("dict[str, Any]", sys.modules)
    for name in _NOT_NEEDED:
        modules.setdefault(name, None)
