"""Required attributes of each IOD, by type (PS3.3; PS3.5 7.4).

The table is an extract of highdicom's copy of the standard; `tests/support/iod_tables.py` writes
it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from pydicom.datadict import keyword_for_tag
from pydicom.tag import Tag
from pydicom.uid import (
    GrayscaleSoftcopyPresentationStateStorage,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from dicom_node.compose import inherited

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pydicom.tag import BaseTag

#: Sequences copied from the film: the archive has stored their content before.
INHERITED = frozenset(
    {
        *inherited.PATIENT,
        *inherited.STUDY,
        *inherited.SITE,
        "RequestAttributesSequence",
        "ReferencedRequestSequence",
        "PerformedProcedureCodeSequence",
    }
)

# Type 1C and 2C attributes whose condition can be evaluated: SOP class (empty: any), attribute,
# whether it must have a value, the condition, the condition in words
_Condition = tuple[str, str, bool, "Callable[[Dataset], bool]", str]
_CONDITIONS: tuple[_Condition, ...] = (
    ("", "PlanarConfiguration", True, lambda ds: ds.get("SamplesPerPixel", 1) > 1, "colour"),
    (
        "",
        "VerifyingObserverSequence",
        True,
        lambda ds: ds.get("VerificationFlag") == "VERIFIED",
        "verified",
    ),
    (
        SecondaryCaptureImageStorage,
        "PatientOrientation",
        False,
        lambda ds: "ImageOrientationPatient" not in ds,
        "no Image Orientation (Patient)",
    ),
    *(
        (
            SegmentationStorage,
            keyword,
            True,
            lambda ds: ds.get("SegmentationType") == "FRACTIONAL",
            "fractional",
        )
        for keyword in ("SegmentationFractionalType", "MaximumFractionalValue")
    ),
    (
        GrayscaleSoftcopyPresentationStateStorage,
        "GraphicLayerSequence",
        True,
        lambda ds: "GraphicAnnotationSequence" in ds,
        "graphics",
    ),
    (
        GrayscaleSoftcopyPresentationStateStorage,
        "PresentationLUTShape",
        True,
        lambda ds: "PresentationLUTSequence" not in ds,
        "no Presentation LUT Sequence",
    ),
)

# Required functional groups, shared or per frame; PS3.3 A.51.5, A.75.4
_GROUPS: dict[str, tuple[str, ...]] = {
    SegmentationStorage: ("FrameContentSequence", "SegmentIdentificationSequence"),
    ParametricMapStorage: (
        "FrameContentSequence",
        "PixelMeasuresSequence",
        "RealWorldValueMappingSequence",
        "ParametricMapFrameTypeSequence",
    ),
}


def check_attributes(ds: Dataset) -> Iterator[str]:
    """Yield the attributes that are missing, or empty although they need a value."""
    sop_class = str(ds.get("SOPClassUID", ""))
    required = _required().get(sop_class)
    if required is None:
        yield "SOPClassUID is not one of those the node creates"
        return
    yield from _missing(ds, required, "")
    for of_class, keyword, filled, applies, when in _CONDITIONS:
        if of_class in ("", sop_class) and applies(ds):
            tag = Tag(keyword) if keyword in ds else None
            yield from _absent(ds, tag, filled, f"{keyword} (where: {when})")
    shared = [*(ds.get("SharedFunctionalGroupsSequence") or ())]
    for frame in ds.get("PerFrameFunctionalGroupsSequence") or ():
        for keyword in _GROUPS.get(sop_class, ()):
            if not any(groups.get(keyword) for groups in [frame, *shared]):
                yield f"the functional group {keyword} is missing"


def _missing(ds: Dataset, required: dict[str, Any], path: str) -> Iterator[str]:
    there = {keyword_for_tag(each.tag): each.tag for each in ds.elements()}
    for keyword, (kind, below) in required.items():
        tag = there.get(keyword)
        if kind != "3":
            yield from _absent(ds, tag, kind == "1", f"{path}{keyword}")
        if below and tag is not None:
            for item in ds[tag].value or ():
                yield from _missing(item, below, f"{path}{keyword} > ")


def _absent(ds: Dataset, tag: BaseTag | None, filled: bool, name: str) -> Iterator[str]:
    if tag is None:
        yield f"{name} is missing"
    elif filled and ds[tag].is_empty:
        yield f"{name} is empty"


@cache
def _required() -> dict[str, dict[str, Any]]:
    """Return SOP class UID -> keyword -> type and the same for its items."""
    text = (files("dicom_node.check_objects") / "attributes.json").read_text(encoding="utf-8")
    return {
        sop_class: tree
        for classes, tree in json.loads(text).items()
        for sop_class in classes.split()
    }
