"""Stored values to grey: the modality and VOI steps of the grayscale pipeline (PS3.3 C.11).

These functions work on tables, not on pictures. A `Table` holds one number for each value that a
pixel can take (256 or 65,536 of them), ``counts`` the number of pixels with that value.
`dicom_node.pixels.image` looks the film up in the last table. Malformed headers never raise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian

from dicom_node.dicom.header import number, numbers, text
from dicom_node.dicom.malformed import MALFORMED

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Table: TypeAlias = NDArray[np.float64]
Counts: TypeAlias = NDArray[np.intp]

#: Share of the pixels left out at each end of a window made from the pixels.
TAIL = 0.005
#: A window from the header must leave at least this share of pixels between black and white, and
#: must spread the film over at least this part of the grey scale; otherwise it is ignored.
LEAST_GREY = 0.02
#: Larger rescaled values mean that Rescale Slope or Intercept is wrong.
LARGEST_VALUE = 1e12


def modality(ds: Dataset, values: Table) -> Table:
    """Apply the Modality LUT, else Rescale Slope and Intercept (PS3.3 C.11.1)."""
    item = first_item(ds, "ModalityLUTSequence")
    looked_up = None if item is None else _look_up(item, values, byte_order(ds))
    if looked_up is not None:
        return looked_up
    slope, intercept = number(ds, "RescaleSlope", 1.0), number(ds, "RescaleIntercept", 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        rescaled = values * (slope or 1.0) + intercept
    sane = bool(np.all(np.abs(rescaled) < LARGEST_VALUE)) and np.ptp(rescaled) > 0
    return rescaled if sane else values


def voi(ds: Dataset, values: Table, counts: Counts) -> tuple[Table, str] | None:
    """Apply the header's first VOI LUT, else its first window (PS3.3 C.11.2).

    Returns
    -------
    tuple or None
        Greys in [0, 1] and their source, "lut" or "header". None if the header has neither, or if
        what it has would leave this film (almost) without contrast.
    """
    for source, apply in (("lut", _voi_lut), ("header", _window)):
        grey = apply(ds, values)
        if grey is not None and _shows_something(grey, counts):
            return grey, source
    return None


def stretch(values: Table, counts: Counts) -> Table:
    """Map the film's own range, without its tails, to [0, 1]; a uniform film becomes 0.5."""
    low, high = extent(values, counts)
    return _linear_exact(values, (low + high) / 2, (high - low) or 1.0)


def logarithm(values: Table, counts: Counts, *, dense_is_low: bool) -> Table:
    """Convert linear detector counts to values proportional to density; the order is kept.

    The beam is attenuated exponentially (Beer-Lambert law), so its logarithm is linear in
    thickness. If high values are dense, the signal is inverted: subtract from the maximum first.
    """
    if dense_is_low:
        return np.asarray(np.log1p(np.clip(values, 0, None)))
    top = values[counts > 0].max(initial=values.min())
    return np.asarray(-np.log1p(np.clip(top - values, 0, None)))


def extent(values: Table, counts: Counts) -> tuple[float, float]:
    """Lowest and highest value of the film, leaving out the share `TAIL` at either end."""
    present = np.flatnonzero(counts)
    if not present.size:
        return 0.0, 1.0
    order = present[np.argsort(values[present], kind="stable")]
    weights = counts[order]
    tail = TAIL * weights.sum()
    low = order[np.searchsorted(np.cumsum(weights), tail, side="right")]
    high = order[::-1][np.searchsorted(np.cumsum(weights[::-1]), tail, side="right")]
    return float(values[low]), float(values[high])


def _shows_something(grey: Table, counts: Counts) -> bool:
    between = counts[(grey > 0) & (grey < 1)].sum()
    low, high = extent(grey, counts)
    return bool(between >= LEAST_GREY * counts.sum()) and high - low >= LEAST_GREY


def _voi_lut(ds: Dataset, values: Table) -> Table | None:
    """The first VOI LUT, its output scaled by the bits that its data use (PS3.3 C.11.2.1.1).

    The number of bits in the descriptor is not used: writers declare 16 for 12-bit tables.
    """
    item = first_item(ds, "VOILUTSequence")
    looked_up = None if item is None else _look_up(item, values, byte_order(ds))
    if looked_up is None:
        return None
    white = (1 << int(looked_up.max()).bit_length()) - 1
    return looked_up / white if white else None


def _window(ds: Dataset, values: Table) -> Table | None:
    """The first window, with its VOI LUT Function (PS3.3 C.11.2.1.2, C.11.2.1.3)."""
    centres, widths = numbers(ds, "WindowCenter"), numbers(ds, "WindowWidth")
    if not centres or not widths or widths[0] <= 0:
        return None
    centre, width = centres[0], widths[0]
    match text(ds, "VOILUTFunction"):
        case "SIGMOID":
            return _sigmoid(values, centre, width)
        case "LINEAR_EXACT":
            return _linear_exact(values, centre, width)
        case _:
            return _linear(values, centre, width)


def _linear(values: Table, centre: float, width: float) -> Table:
    """LINEAR; a width below 1, which it cannot have, is meant as LINEAR_EXACT."""
    if width < 1:
        return _linear_exact(values, centre, width)
    if width == 1:
        return np.asarray(values > centre - 0.5, dtype=np.float64)
    return _linear_exact(values, centre - 0.5, width - 1)


def _linear_exact(values: Table, centre: float, width: float) -> Table:
    with np.errstate(over="ignore"):
        grey: Table = np.clip((values - centre) / width + 0.5, 0, 1)
    return grey


def _sigmoid(values: Table, centre: float, width: float) -> Table:
    with np.errstate(over="ignore"):
        exponent = np.clip(-4 * ((values - centre) / width), -700, 700)
    return 1 / (1 + np.exp(exponent))


def first_item(ds: Dataset, keyword: str) -> Dataset | None:
    """Return the first item of a sequence; None if there is none or it is not a sequence."""
    try:
        sequence = ds.get(keyword)
    except (OSError, *MALFORMED):
        return None
    return sequence[0] if isinstance(sequence, Sequence) and sequence else None


def _look_up(item: Dataset, values: Table, order: str) -> Table | None:
    """Map values by a look-up table; None if the item holds none."""
    lut = look_up_table(item, order)
    if lut is None:
        return None
    first, data = lut
    if values.min() < 0 and first >= 0x8000:  # parsed as US, meant as SS
        first -= 0x10000
    elif values.min() >= 0 and first < 0:  # parsed as SS, meant as US
        first += 0x10000
    index = np.clip(np.rint(values) - first, 0, data.size - 1)
    greys: Table = data[index.astype(np.intp)]
    return greys


def byte_order(ds: Dataset) -> str:
    """The byte order of OW values of a film, as NumPy spells it."""
    meta = getattr(ds, "file_meta", None)
    big = meta is not None and text(meta, "TransferSyntaxUID") == ExplicitVRBigEndian
    return ">" if big else "<"


def look_up_table(item: Dataset, order: str = "<") -> tuple[float, Table] | None:
    """Read a look-up table by its descriptor (PS3.3 C.11.1.1).

    ``order`` is the `byte_order` of the film: pydicom leaves the bytes of an OW value as they are.

    Returns
    -------
    The first stored value mapped, and the entries of the table; the descriptor's own number of
    bits is ignored. None if the descriptor is unusable or there are no entries.
    """
    descriptor = numbers(item, "LUTDescriptor")
    if len(descriptor) != 3:
        return None
    data = _lut_data(item, int(descriptor[0]) & 0xFFFF or 0x10000, order)
    return (descriptor[1], data) if data.size else None


def _lut_data(item: Dataset, entries: int, order: str) -> Table:
    data = item.get("LUTData")
    if isinstance(data, bytes):
        kind = f"{order}u2" if len(data) >= 2 * entries else "u1"
        return np.frombuffer(data[: len(data) & ~1], kind)[:entries].astype(np.float64)
    return np.array(numbers(item, "LUTData")[:entries], dtype=np.float64)
