"""A PACS that is asked whether it keeps what it took: it reports early, late or never."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from enum import Enum, auto
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.events import Event
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelFind,
)
from support.peer import Peer

from dicom_node.commitment.datasets import (
    event_type,
    read_report,
    read_request,
    report_data_set,
)
from dicom_node.domain.commitment import PUSH_MODEL_INSTANCE, CommitmentReport, Failure, Reference

SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]


class Style(Enum):
    """How a `CommittingPeer` answers an N-ACTION."""

    SAME = auto()  # reports on the association of the request
    NEW = auto()  # reports on one of its own, Implicit VR, as SCP
    NEVER = auto()  # says Success, and nothing more
    REFUSE = auto()  # says 0x0213
    SILENT = auto()  # does not offer storage commitment


class CommittingPeer(Peer):
    """A PACS with storage commitment, and with queries where ``listed`` says what they find.

    Parameters
    ----------
    node_port
        Where the node listens, for reports in the style NEW.
    fails
        How many of the instances of each request are reported as missing, and why.
    listed
        SOP Instance UIDs that C-FIND finds; None: no queries.
    refuses
        A status to answer C-FIND with instead.
    """

    def __init__(
        self,
        folder: Path,
        style: Style,
        *,
        node_port: int = 0,
        fails: tuple[int, int] = (0, 0x0112),
        listed: Iterable[str] | None = None,
        refuses: int = 0,
        **peer: Any,
    ) -> None:
        super().__init__(folder, **peer)
        self.style = style
        self.node_port = node_port
        self.fails = fails
        self.refuses = refuses
        self.listed = None if listed is None else set(listed)
        self.listed_class = ""  # what C-FIND says of each object
        self.says_role = True  # in the association of a report
        self.requests: list[tuple[str, tuple[Reference, ...]]] = []
        self.report_statuses: list[int | None] = []  # what the node answered
        self.heard: list[CommitmentReport] = []  # reports on what this peer asked the node
        if style is not Style.SILENT:
            self._ae.add_supported_context(StorageCommitmentPushModel, SYNTAXES, True, True)
        if listed is not None:
            self._ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind, SYNTAXES)

    def __enter__(self) -> CommittingPeer:
        super().__enter__()
        return self

    def handlers(self) -> list[Any]:
        return [
            *super().handlers(),
            (evt.EVT_N_ACTION, self._asked),
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_N_EVENT_REPORT, self._hear),
        ]

    def _asked(self, event: Event) -> tuple[int, None]:
        request = read_request(lambda: event.action_information)
        self.requests.append(request)
        if self.style is Style.REFUSE:
            return 0x0213, None
        report = {Style.SAME: self._report_here, Style.NEW: self.report_elsewhere}.get(self.style)
        if report is not None:
            threading.Thread(target=report, args=(event.assoc, request), daemon=True).start()
        return 0x0000, None

    def _hear(self, event: Event) -> tuple[int, None]:
        [context] = event.assoc.accepted_contexts
        assert (context.as_scu, context.as_scp) == (True, False)  # the node is the SCP
        self.heard.append(read_report(lambda: event.event_information))
        return 0x0000, None

    def report(self, request: tuple[str, tuple[Reference, ...]]) -> CommitmentReport:
        transaction_uid, references = request
        count, code = self.fails
        return CommitmentReport(
            transaction_uid=transaction_uid,
            kept=references[count:],
            missing=tuple(Failure(reference=each, code=code) for each in references[:count]),
        )

    def _report_here(self, assoc: Any, request: Any) -> None:
        time.sleep(0.05)  # the answer to the request comes first
        self._send(assoc, self.report(request))

    def report_elsewhere(self, _assoc: Any, request: Any) -> None:
        ae = AE("PACS")
        context = build_context(StorageCommitmentPushModel, ImplicitVRLittleEndian)
        roles: list[Any] = []
        if self.says_role:
            context.scu_role, context.scp_role = False, True
            roles = [build_role(StorageCommitmentPushModel, scp_role=True)]
        assoc = ae.associate(
            "127.0.0.1", self.node_port, contexts=[context], ext_neg=roles, ae_title="AINODE"
        )
        assert [cx.as_scp for cx in assoc.accepted_contexts] == [self.says_role]
        self._send(assoc, self.report(request))
        assoc.release()

    def _send(self, assoc: Any, report: CommitmentReport) -> None:
        said, _ = assoc.send_n_event_report(
            report_data_set(report),
            event_type(report),
            StorageCommitmentPushModel,
            PUSH_MODEL_INSTANCE,
        )
        self.report_statuses.append(said.get("Status"))

    def _find(self, event: Event) -> Iterator[tuple[int, Dataset | None]]:
        asked = event.identifier
        assert asked.QueryRetrieveLevel == "IMAGE"
        assert asked.StudyInstanceUID
        assert asked.SeriesInstanceUID
        if self.refuses:
            yield self.refuses, None
        elif asked.SOPInstanceUID in (self.listed or ()):
            found = Dataset()
            found.SOPInstanceUID = asked.SOPInstanceUID
            if "SOPClassUID" in asked:
                found.SOPClassUID = self.listed_class
            yield 0xFF00, found
