"""Whatever the header says, the image is finite, in [0, 1], and the same in both polarities."""

from __future__ import annotations

import contextlib
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from support.film import Stored, film

from dicom_node.config import SelectConfig
from dicom_node.errors import Refused
from dicom_node.pixels import read_dataset, to_image
from dicom_node.select_images import select

SIDE = 12
BITS = st.integers(8, 16)
NUMBERS = st.one_of(
    st.floats(-70000, 70000), st.floats(allow_nan=True, allow_infinity=True), st.just(0.0)
)
FUNCTIONS = st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID", "", "OTHER"])


def noise(bits: int, signed: bool, seed: int, low: int = 0) -> Dataset:
    """Make a film of random stored values."""
    ds = film(
        np.zeros((SIDE, SIDE), np.float32), stored=Stored(bits=bits, signed=signed), window=None
    )
    rng = np.random.default_rng(seed)
    spread = 1 << rng.integers(0, bits + 1)
    values = low + rng.integers(0, spread, size=(SIDE, SIDE))
    if signed:
        values -= 1 << (bits - 1)
    ds.PixelData = values.astype("<u1" if bits == 8 else "<u2").tobytes()
    return ds


def put(ds: Dataset, keyword: str, value: float) -> None:
    ds.add_new(keyword, "FD", value)  # any float, beyond what a DS can spell


@settings(max_examples=80, deadline=None)
@given(
    bits=BITS,
    signed=st.booleans(),
    seed=st.integers(0, 99),
    numbers=st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS),
    function=FUNCTIONS,
    photometric=st.sampled_from(["MONOCHROME1", "MONOCHROME2"]),
    padding=st.one_of(st.none(), st.integers(-40000, 70000)),
)
def test_a_picture_is_finite_and_in_range(
    bits: int,
    signed: bool,
    seed: int,
    numbers: tuple[float, float, float, float],
    function: str,
    photometric: str,
    padding: int | None,
) -> None:
    """No bit depth, sign, rescale, window, padding or polarity gives a value outside [0, 1]."""
    ds = noise(bits, signed, seed)
    keywords = ("WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept")
    for keyword, value in zip(keywords, numbers, strict=True):
        put(ds, keyword, value)
    ds.VOILUTFunction, ds.PhotometricInterpretation = function, photometric
    if padding is not None:
        put(ds, "PixelPaddingValue", padding)
    pixels = to_image(ds).pixels
    assert pixels.shape == (SIDE, SIDE)
    assert pixels.dtype == np.float32
    assert np.isfinite(pixels).all()
    assert pixels.min() >= 0
    assert pixels.max() <= 1


@settings(max_examples=60, deadline=None)
@given(
    bits=BITS,
    seed=st.integers(0, 999),
    window=st.one_of(st.none(), st.tuples(st.integers(-100, 66000), st.integers(2, 70000))),
)
def test_monochrome1_of_inverted_values_is_monochrome2(
    bits: int, seed: int, window: tuple[int, int] | None
) -> None:
    """Both ways of storing a film give the same image, with a window and without."""
    top = (1 << bits) - 1
    two = noise(bits, False, seed)
    one = noise(bits, False, seed)
    kind = "<u1" if bits == 8 else "<u2"
    one.PixelData = (top - np.frombuffer(two.PixelData, kind)).astype(kind).tobytes()
    one.PhotometricInterpretation = "MONOCHROME1"
    if window is not None:
        centre, width = window
        two.WindowCenter, two.WindowWidth = centre, width
        one.WindowCenter, one.WindowWidth = top - centre + 1, width  # LINEAR's half steps
    np.testing.assert_allclose(to_image(one).pixels, to_image(two).pixels, atol=1e-6)


@cache
def _whole_file() -> bytes:
    out = BytesIO()
    ds = film(
        np.full((SIDE, SIDE), 0.5, np.float32),
        StudyInstanceUID="1.2.3",
        SeriesInstanceUID="1.2.3.4",
        SOPInstanceUID="1.2.3.4.5",
    )
    ds.save_as(out, enforce_file_format=True)
    return out.getvalue()


@settings(max_examples=80, deadline=None)
@given(
    cut=st.integers(0, len(_whole_file())),
    changes=st.lists(
        st.tuples(st.integers(0, len(_whole_file()) - 1), st.integers(0, 255)), max_size=12
    ),
)
def test_damaged_files_are_read_or_refused(cut: int, changes: list[tuple[int, int]]) -> None:
    """A damaged file is read or refused with a code; it raises nothing else."""
    content = bytearray(_whole_file())
    for at, value in changes:
        content[at] = value
    with TemporaryDirectory() as folder, contextlib.suppress(Refused):
        path = Path(folder, "film.dcm")
        path.write_bytes(content[:cut] if cut % 2 else content)
        ds = read_dataset(path)
        select(ds, SelectConfig())
        to_image(ds)
