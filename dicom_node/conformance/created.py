"""The input of a statement: the configuration, and the objects the node created with it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pydicom.uid import UID

from dicom_node.compose.report import SOP_CLASSES
from dicom_node.deliver.outgoing_file import OutgoingFile

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from dicom_node.config import Config
    from dicom_node.conformance.probe import Probe


@dataclass(frozen=True)
class Created:
    """The objects of all probes; the first probe was composed with ``config``."""

    config: Config
    probes: tuple[Probe, ...]

    @cached_property
    def kinds(self) -> dict[int, list[tuple[Probe, Dataset]]]:
        """Return every object by Series Number."""
        kinds: dict[int, list[tuple[Probe, Dataset]]] = {}
        for probe in self.probes:
            for ds in probe.objects:
                kinds.setdefault(int(ds.SeriesNumber), []).append((probe, ds))
        return dict(sorted(kinds.items()))

    @cached_property
    def syntaxes(self) -> dict[UID, tuple[UID, ...]]:
        """Return the proposed transfer syntaxes of each SOP class, the preferred one first."""
        made: dict[UID, dict[UID, None]] = {}
        for probe in self.probes:
            for ds in probe.objects:
                file = OutgoingFile(
                    path=Path(),
                    sop_class=ds.SOPClassUID,
                    syntax=ds.file_meta.TransferSyntaxUID,
                    size=0,
                )
                made.setdefault(file.sop_class, {}).update(dict.fromkeys(file.syntaxes))
        return {sop_class: tuple(made[sop_class]) for sop_class in sorted(made)}

    def is_made_here(self, sop_class: UID) -> bool:
        """Whether a film yields an object of this class with this configuration."""
        chosen = {SOP_CLASSES[each.sr_class] for each in self.config.destinations if each.sr_class}
        return sop_class in chosen | {ds.SOPClassUID for ds in self.probes[0].objects}
