"""Functional groups (PS3.3 C.7.6.16) of an image with one frame and one dimension (C.7.6.17)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.valuerep import DSfloat

from dicom_node.compose.lineage import item
from dicom_node.compose.source_reference import source_item

if TYPE_CHECKING:
    from pydicom.sr.coding import Code

    from dicom_node.compose.lineage import Lineage
    from dicom_node.domain.values import Image


def one_frame(
    ds: Dataset,
    lineage: Lineage,
    dimension: tuple[str, str],
    *,
    shared: Mapping[str, Dataset],
    own: Mapping[str, Dataset],
) -> None:
    """Write the functional groups of a single frame.

    Parameters
    ----------
    dimension
        Keywords of the functional group and of the attribute in it that index the frames.
    shared, own
        Functional groups by keyword: shared by all frames, and per frame.
    """
    group, attribute = dimension
    uid = lineage.root.uid(f"dimension {attribute}")
    pointer = values(
        DimensionOrganizationUID=uid,
        DimensionIndexPointer=Tag(attribute),
        FunctionalGroupPointer=Tag(group),
        DimensionDescriptionLabel=attribute,
    )
    ds.DimensionOrganizationSequence = Sequence([values(DimensionOrganizationUID=uid)])
    ds.DimensionIndexSequence = Sequence([pointer])
    ds.NumberOfFrames = 1
    ds.SharedFunctionalGroupsSequence = Sequence([_groups(shared)])
    content = values(DimensionIndexValues=[1])
    ds.PerFrameFunctionalGroupsSequence = Sequence(
        [_groups({"FrameContentSequence": content, **own})]
    )


def derivation(source: Dataset, how: Code, *, same_pixels: bool) -> Dataset:
    """Build the Derivation Image group, which names the source film (C.7.6.16.2.6)."""
    return values(
        DerivationCodeSequence=Sequence([item(how)]),
        SourceImageSequence=Sequence([source_item(source, same_pixels=same_pixels)]),
    )


def pixel_measures(image: Image, shape: tuple[int, ...]) -> Dataset:
    """Build the Pixel Measures group (C.7.6.16.2.1) of a frame that covers the whole film.

    In millimetres, or in film pixels if the film has no spacing.
    """
    film = np.array(image.pixels.shape) / shape * (image.spacing_mm or (1.0, 1.0))
    spacing = [DSfloat(float(value), auto_format=True) for value in film]
    return values(PixelSpacing=spacing, SliceThickness=1)


def values(**elements: object) -> Dataset:
    """Build a data set with these elements."""
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def _groups(groups: Mapping[str, Dataset]) -> Dataset:
    return values(**{keyword: Sequence([group]) for keyword, group in groups.items()})
