"""Functional groups of an image with one frame (PS3.3 C.7.6.16) and one dimension (C.7.6.17)."""

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
    """Give an image its one frame.

    Parameters
    ----------
    dimension
        The functional group and the attribute in it that number the frames.
    shared, own
        Functional group by keyword: those of all frames, and those of each.
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
    """The group that names the film a frame was made of (C.7.6.16.2.6)."""
    return values(
        DerivationCodeSequence=Sequence([item(how)]),
        SourceImageSequence=Sequence([source_item(source, same_pixels=same_pixels)]),
    )


def pixel_measures(image: Image, shape: tuple[int, ...]) -> Dataset:
    """The group of spacings (C.7.6.16.2.1) of a frame of this shape over the whole film.

    In millimetres; in pixels of the film where it does not say.
    """
    film = np.array(image.pixels.shape) / shape * (image.spacing_mm or (1.0, 1.0))
    spacing = [DSfloat(float(value), auto_format=True) for value in film]
    return values(PixelSpacing=spacing, SliceThickness=1)


def values(**elements: object) -> Dataset:
    """A data set of these elements."""
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def _groups(groups: Mapping[str, Dataset]) -> Dataset:
    return values(**{keyword: Sequence([group]) for keyword, group in groups.items()})
