"""A PACS that gives back what it stored, and may have changed it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import build_context, evt
from pynetdicom.events import Event
from pynetdicom.presentation import PresentationContext
from support.peer import SOP_CLASSES

from dicom_node.deliver.examine.offers import FIND, GET, MOVE
from dicom_node.demo.pacs import DemoPacs, storage_contexts

_PENDING = 0xFF00


class Archive(DemoPacs):
    """Stores, and answers C-FIND, C-GET and C-MOVE for studies.

    Parameters
    ----------
    services
        Which of FIND, GET and MOVE it offers.
    coerce
        Changes each data set before it is given back.
    ports
        Where C-MOVE sends to: AE title -> port on this machine.
    refused
        SOP classes that it does not accept.
    """

    def __init__(
        self,
        folder: Path,
        *,
        services: tuple[str, ...] = (FIND, GET, MOVE),
        coerce: Callable[[Dataset], object] = lambda _: None,
        ports: dict[str, int] | None = None,
        syntaxes: tuple[str, ...] = (ExplicitVRLittleEndian,),
        refused: tuple[str, ...] = (),
    ) -> None:
        storage = storage_contexts([c for c in SOP_CLASSES if c not in refused], syntaxes)
        for context in storage:
            context.scu_role = context.scp_role = True
        offered: list[PresentationContext] = [*storage, *map(build_context, services)]
        super().__init__(folder, contexts=offered)
        self.coerce = coerce
        self.ports = ports or {}
        self.asked: list[str] = []  # Study Instance UID of each query

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def handlers(self) -> list[Any]:
        return [
            *super().handlers(),
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_C_GET, self._get),
            (evt.EVT_C_MOVE, self._move),
        ]

    def studies(self) -> dict[str, list[Dataset]]:
        """Study Instance UID -> the data sets as they are given back."""
        found: dict[str, list[Dataset]] = {}
        for path in self.instances().values():
            ds = dcmread(path)
            self.coerce(ds)
            found.setdefault(path.parent.name, []).append(ds)
        return found

    def matching(self, identifier: Dataset) -> list[Dataset]:
        """The data sets of the study, and of the series or day, that an identifier names."""
        study = str(identifier.get("StudyInstanceUID", ""))
        self.asked.append(study)
        every = self.studies()
        found = every.get(study, []) if study else [ds for each in every.values() for ds in each]
        for keyword in ("StudyDate", "SeriesInstanceUID"):
            if wanted := identifier.get(keyword):
                found = [ds for ds in found if ds.get(keyword) == wanted]
        return found

    def _find(self, event: Event) -> Iterator[tuple[int, Dataset | None]]:
        level = str(event.identifier.QueryRetrieveLevel)
        groups: dict[str, list[Dataset]] = {}
        for ds in self.matching(event.identifier):
            groups.setdefault(str(ds[f"{level.title()}InstanceUID"].value), []).append(ds)
        for members in groups.values():
            match = Dataset()
            match.QueryRetrieveLevel, match.StudyInstanceUID = level, members[0].StudyInstanceUID
            if level == "SERIES":
                match.SeriesInstanceUID, match.Modality = (
                    members[0].SeriesInstanceUID, members[0].Modality,
                )  # fmt: skip
                match.NumberOfSeriesRelatedInstances = len(members)
            else:
                match.ModalitiesInStudy = sorted({str(ds.Modality) for ds in members})
            yield _PENDING, match

    def _get(self, event: Event) -> Iterator[Any]:
        found = self.matching(event.identifier)
        yield len(found)
        for ds in found:
            yield _PENDING, ds

    def _move(self, event: Event) -> Iterator[Any]:
        port = self.ports.get(str(event.move_destination).strip())
        if port is None:
            yield None, None
            return
        contexts = storage_contexts(SOP_CLASSES, (ExplicitVRLittleEndian,))
        yield "127.0.0.1", port, {"contexts": contexts}
        yield from self._get(event)
