"""How one grey image lies in its stored values: by the header, and by the compressed stream."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dicom_node.dicom.header import number
from dicom_node.domain.values import MOST_PIXELS, RefusalCode
from dicom_node.errors import UnreadablePixels
from dicom_node.pixels.codestream import COMPRESSED, Facts, facts, fragments

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pydicom.uid import UID

#: Times the header's pixels that a stream may hold: the quotas of reception count the header's.
_MOST_TIMES = 4

#: Stored values as unsigned bit patterns, (rows, columns).
Stored: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Size and sample format of the stored values.

    ``shift`` is High Bit above Bits Stored - 1: how many bits lie below the value (PS3.5 8.1.1).
    ``differs`` names what the compressed stream says otherwise than the header. ``claimed`` is the
    header's Bits Stored if the stream holds whole words: many encoders of JPEG-LS and JPEG 2000
    code Bits Allocated, whatever lies in them.
    """

    rows: int
    columns: int
    allocated: int  # bits: 8 or 16
    stored: int  # bits, 1 to ``allocated``
    shift: int  # bits
    signed: bool
    differs: tuple[str, ...] = ()
    claimed: int | None = None  # bits


def stored_values(content: bytes | bytearray, layout: Layout) -> Stored:
    """Bytes to an array (rows, columns); ValueError if their number differs."""
    size = layout.rows, layout.columns
    if layout.allocated == 8:
        return np.frombuffer(content, np.uint8).reshape(size)
    return np.frombuffer(content, np.uint16).reshape(size)


def layout_of(ds: Dataset, syntax: UID) -> Layout:
    """Work out the layout; where header and compressed stream disagree, the stream counts.

    Raises
    ------
    UnreadablePixels
        There is no image, it is too large, or it is not grey by what its stream says.
    """
    pixels = ds.get("PixelData")
    layout = _by_header(ds)
    _check_size(layout)
    if syntax in COMPRESSED and isinstance(pixels, bytes):
        found, whole = fragments(pixels)
        if not whole:
            raise UnreadablePixels(RefusalCode.UNREADABLE, "the compressed pixels are cut off")
        said = facts(found[0], syntax) if found else None
        layout = _by_stream(layout, said) if said else layout
        _check_claim(ds, layout)
    _check_size(layout)
    if not pixels or not layout.rows or not layout.columns:
        raise UnreadablePixels(RefusalCode.UNREADABLE, "the object has no pixels")
    if layout.allocated not in (8, 16):
        reason = f"Bits Allocated is {layout.allocated}; a film has 8 or 16"
        raise UnreadablePixels(RefusalCode.UNREADABLE, reason)
    return layout


def _check_size(layout: Layout) -> None:
    if layout.rows * layout.columns > MOST_PIXELS:
        reason = f"{layout.rows} x {layout.columns} pixels exceed any detector"
        raise UnreadablePixels(RefusalCode.SIZE, reason)


def _check_claim(ds: Dataset, layout: Layout) -> None:
    said = _by_header(ds)
    if 0 < _MOST_TIMES * said.rows * said.columns < layout.rows * layout.columns:
        reason = (
            f"the compressed stream has {layout.rows} x {layout.columns} pixels, "
            f"the header says {said.rows} x {said.columns}"
        )
        raise UnreadablePixels(RefusalCode.UNREADABLE, reason)


def _by_header(ds: Dataset) -> Layout:
    rows, columns, allocated = (
        max(0, int(number(ds, name, 0))) for name in ("Rows", "Columns", "BitsAllocated")
    )
    stored = int(number(ds, "BitsStored", allocated))
    stored = stored if 1 <= stored <= allocated else allocated
    shift = int(number(ds, "HighBit", stored - 1)) - stored + 1
    return Layout(
        rows=rows,
        columns=columns,
        allocated=allocated,
        stored=stored,
        shift=shift if 0 < shift <= allocated - stored else 0,
        signed=number(ds, "PixelRepresentation", 0) == 1,
    )


def _by_stream(header: Layout, said: Facts) -> Layout:
    if said.components != 1:
        reason = f"the compressed stream has {said.components} colour components"
        raise UnreadablePixels(RefusalCode.PHOTOMETRIC, reason)
    layout = replace(
        header,
        rows=said.rows or header.rows,
        columns=said.columns or header.columns,
        signed=header.signed or bool(said.signed),
    )
    if said.precision is not None and not _coded_whole(header, said):
        allocated = 8 if said.precision <= 8 else max(16, said.precision)
        whole = said.precision == header.allocated and header.stored < said.precision
        claimed = header.stored if whole else None
        layout = replace(
            layout, allocated=allocated, stored=said.precision, shift=0, claimed=claimed
        )
    names = {
        "Rows": "rows", "Columns": "columns", "Bits Allocated": "allocated",
        "Bits Stored": "stored", "Pixel Representation": "signed",
    }  # fmt: skip
    if layout.claimed:
        del names["Bits Stored"]
    differs = [name for name, field in names.items() if _differ(header, layout, field)]
    return replace(layout, differs=tuple(differs))


def _coded_whole(header: Layout, said: Facts) -> bool:
    """Whether the encoder coded words of Bits Allocated, with whatever lies beside the value."""
    return said.precision == header.allocated and (said.whole_words or header.shift > 0)


def _differ(header: Layout, layout: Layout, field: str) -> bool:
    return bool(getattr(header, field) != getattr(layout, field))
