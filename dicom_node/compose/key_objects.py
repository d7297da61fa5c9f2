"""The Key Object Selection that lists the film and its main results (PS3.16 TID 2010)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import highdicom as hd
from pydicom.sequence import Sequence

from dicom_node.compose import codes, evidence, series
from dicom_node.compose.tid1500 import observer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydicom.dataset import Dataset

    from dicom_node.compose.lineage import Lineage

_POSITIVE = (
    "Pneumonia probability at or above the threshold. Research software, not for diagnostic use."
)


def key_objects(lineage: Lineage, objects: Iterable[Dataset], *, positive: bool) -> Dataset:
    """Build the document that lists the film and ``objects`` as Of Interest."""
    listed = [lineage.source, *objects]
    ds = lineage.derive(series.KEY_OBJECTS, "kos", 1)
    ds.ReferencedPerformedProcedureStepSequence = Sequence()
    evidence.point(ds, lineage, listed)
    selection = hd.ko.KeyObjectSelection(
        codes.OF_INTEREST,
        listed,
        observer_device_context=observer(lineage),
        description=_POSITIVE if positive else None,
    )
    for element in selection[0]:
        ds.add(element)
    return ds
