"""The grayscale pipeline gives what pydicom gives, wherever the header is sane."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_windowing
from support.film import Stored, film, phantom

from dicom_node.pixels.grayscale import modality, voi


def _lut(entries: int, first: int) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [entries, first, 16])
    steps = np.linspace(0, 60000, entries) ** 2 / 60000
    item.add_new("LUTData", "US", [int(step) for step in steps])
    return item


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(
    ("slope", "intercept"), [(1.0, 0.0), (2.5, -1000.0), (0.25, 300.0)], ids=["none", "up", "down"]
)
def test_rescale_and_window_agree_with_pydicom(
    bits: int, signed: bool, function: str, slope: float, intercept: float
) -> None:
    """Each VOI LUT Function after each rescale, for every stored value."""
    ds = film(phantom(16, 16), stored=Stored(bits=bits, signed=signed))
    ds.RescaleSlope, ds.RescaleIntercept, ds.VOILUTFunction = slope, intercept, function
    stored = _stored(bits, signed)
    theirs = np.asarray(apply_modality_lut(stored, ds), np.float64)
    centre, width = float(theirs.mean()), float(np.ptp(theirs)) * 0.6
    ds.WindowCenter, ds.WindowWidth = f"{centre:.3f}", f"{width:.3f}"
    ours = modality(ds, stored.astype(np.float64))
    np.testing.assert_allclose(ours, theirs)
    shown = voi(ds, ours, np.ones(ours.size, np.intp))
    assert shown is not None
    assert shown[1] == "header"
    # pydicom scales to the range that the rescaled values may take
    low = (stored.min() * slope + intercept, stored.max() * slope + intercept)
    expected = (apply_windowing(theirs, ds) - low[0]) / (low[1] - low[0])
    np.testing.assert_allclose(shown[0], expected, atol=1e-6)


@pytest.mark.parametrize("entries", [256, 4096])
def test_the_modality_lut_agrees_with_pydicom(entries: int) -> None:
    """A Modality LUT maps every value, and its ends beyond."""
    ds = film(phantom(16, 16), stored=Stored(bits=12))
    ds.ModalityLUTSequence = [_lut(entries, 100)]
    stored = _stored(12, signed=False)
    theirs = apply_modality_lut(stored, ds)
    np.testing.assert_array_equal(modality(ds, stored.astype(np.float64)), theirs)


def _stored(bits: int, signed: bool) -> NDArray[np.int64]:
    low = -(1 << (bits - 1)) if signed else 0
    return np.arange(low, low + (1 << bits))
