"""Fetch a study back from a destination: C-GET, C-MOVE to this machine, or WADO-RS."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE, _config, build_context, evt

from dicom_node.deliver.association import association, status_of
from dicom_node.deliver.examine.offers import GET, MATRIX, MOVE
from dicom_node.deliver.status import sentence
from dicom_node.errors import PeerUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from pynetdicom.association import Association
    from pynetdicom.events import Event
    from pynetdicom.presentation import PresentationContext

    from dicom_node.config import DicomDestination, TlsConfig, WebDestination

_SUCCESS = 0x0000
_NOT_ASKED_FOR = 0xC000  # cannot understand, PS3.4 B.2.3
_PENDING = 0xFF00
_SOME_FAILED = 0xB000  # PS3.4 C.4.2.1.5: complete, one or more failures


class Fetched:
    """Takes the instances that were asked for, and no others."""

    def __init__(self, sop_instance_uids: Iterable[str]) -> None:
        self._wanted = frozenset(sop_instance_uids)
        self.found: dict[str, Dataset] = {}

    def store(self, event: Event) -> int:
        """Handle a C-STORE."""
        if _config.STORE_RECV_CHUNKED_DATASET:  # another part of this process spools to disk
            content = event.dataset_path.read_bytes()
        else:
            content = event.encoded_dataset()
        ds = dcmread(BytesIO(content))
        uid = str(ds.get("SOPInstanceUID", ""))
        if uid not in self._wanted:
            return _NOT_ASKED_FOR
        self.found[uid] = ds
        return _SUCCESS


class Caller(NamedTuple):
    """Who calls which PACS, and how."""

    ae_title: str
    peer: DicomDestination
    timeout_seconds: float
    tls: TlsConfig

    def association(
        self, contexts: Sequence[PresentationContext]
    ) -> AbstractContextManager[Association]:
        """Hold an association; see `dicom_node.deliver.association`."""
        return association(self.ae_title, self.peer, contexts, self.timeout_seconds, self.tls)


def by_get(
    caller: Caller, study_instance_uid: str, sop_instance_uids: Sequence[str]
) -> dict[str, Dataset]:
    """Fetch by C-GET (PS3.4 C.4.3), on the same association.

    Raises
    ------
    PeerUnavailable
        There is no association, or the PACS does not finish.
    """
    fetched = Fetched(sop_instance_uids)
    with caller.association([build_context(GET), *_each_syntax()]) as assoc:
        assoc.bind(evt.EVT_C_STORE, fetched.store)
        _finish(assoc.send_c_get(_identifier(study_instance_uid), GET))
    return fetched.found


def by_move(
    caller: Caller,
    listen: tuple[str, int],
    study_instance_uid: str,
    sop_instance_uids: Sequence[str],
) -> dict[str, Dataset]:
    """Fetch by C-MOVE (PS3.4 C.4.2) to our AE title, which listens at ``listen`` meanwhile.

    Raises
    ------
    PeerUnavailable
        The port is in use, there is no association, or the PACS does not finish.
    """
    fetched = Fetched(sop_instance_uids)
    ae = AE(caller.ae_title)
    ae.supported_contexts = [build_context(uid, list(each)) for uid, each in MATRIX.items()]
    handlers: list[Any] = [(evt.EVT_C_STORE, fetched.store)]
    try:
        server = ae.start_server(listen, block=False, evt_handlers=handlers)
    except OSError as error:
        raise PeerUnavailable(
            f"port {listen[1]} is in use: stop the node, so that C-MOVE can be tried"
        ) from error
    try:
        with caller.association([build_context(MOVE)]) as assoc:
            _finish(assoc.send_c_move(_identifier(study_instance_uid), caller.ae_title, MOVE))
    finally:
        if server is not None:
            server.shutdown()
    return fetched.found


def by_wado(
    service: WebDestination,
    timeout_seconds: float,
    study_instance_uid: str,
    sop_instance_uids: Sequence[str],
) -> dict[str, Dataset]:
    """Fetch the data sets without pixels by WADO-RS.

    Raises
    ------
    PeerUnavailable
        The service does not answer, or not with DICOM JSON.
    """
    from dicom_node.deliver.stow import StowSender  # takes half a second to import

    found = StowSender([service], timeout_seconds).metadata(service.name, study_instance_uid)
    by_uid = {str(ds.get("SOPInstanceUID", "")): ds for ds in found}
    return {uid: by_uid[uid] for uid in sop_instance_uids if uid in by_uid}


def _finish(responses: Iterator[tuple[Dataset, Dataset | None]]) -> None:
    status: int | None = None
    try:
        for response, _ in responses:
            status = status_of(response)
    except RuntimeError as error:  # pynetdicom's, between two messages
        raise PeerUnavailable("the peer hung up") from error
    if status is None or status == _PENDING:
        raise PeerUnavailable("no answer")
    if status not in (_SUCCESS, _SOME_FAILED):
        raise PeerUnavailable(f"the peer answered {sentence(status)}")


def _identifier(study_instance_uid: str) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "STUDY"
    identifier.StudyInstanceUID = study_instance_uid
    return identifier


def _each_syntax() -> Iterator[PresentationContext]:
    """A context for each transfer syntax, so that the PACS need not transcode what it keeps."""
    for uid, syntaxes in MATRIX.items():
        for syntax in syntaxes:
            context = build_context(uid, syntax)
            context.scp_role = True
            yield context
