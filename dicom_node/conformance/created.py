"""What a statement is made of: the configuration, and everything the node was seen to create."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pydicom.uid import UID

from dicom_node.deliver.outgoing_file import OutgoingFile

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from dicom_node.config import Config
    from dicom_node.conformance.probe import Probe


@dataclass(frozen=True)
class Created:
    """The node under one configuration. The first probe was made under it, the others beside it."""

    config: Config
    probes: tuple[Probe, ...]

    @cached_property
    def kinds(self) -> dict[int, list[tuple[Probe, Dataset]]]:
        """Series Number -> every object seen in such a series."""
        kinds: dict[int, list[tuple[Probe, Dataset]]] = {}
        for probe in self.probes:
            for ds in probe.objects:
                kinds.setdefault(int(ds.SeriesNumber), []).append((probe, ds))
        return dict(sorted(kinds.items()))

    @cached_property
    def syntaxes(self) -> dict[UID, tuple[UID, ...]]:
        """SOP class -> the transfer syntaxes it is offered in, the preferred first."""
        made: dict[UID, dict[UID, None]] = {}
        for probe in self.probes:
            for ds in probe.objects:
                parcel = OutgoingFile(
                    path=Path(),
                    sop_class=ds.SOPClassUID,
                    syntax=ds.file_meta.TransferSyntaxUID,
                    size=0,
                )
                made.setdefault(parcel.sop_class, {}).update(dict.fromkeys(parcel.syntaxes))
        return {sop_class: tuple(made[sop_class]) for sop_class in sorted(made)}

    def is_made_here(self, sop_class: UID) -> bool:
        """Whether a film yields it under this configuration."""
        return any(ds.SOPClassUID == sop_class for ds in self.probes[0].objects)
