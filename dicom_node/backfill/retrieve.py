"""Let a PACS send a series: by C-MOVE to the node, C-GET (PS3.4 C.4.2, C.4.3), or WADO-RS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pydicom.dataset import Dataset
from pynetdicom import build_context

from dicom_node.deliver.association import status_of
from dicom_node.deliver.examine.offers import FIND, GET, MOVE
from dicom_node.deliver.status import sentence
from dicom_node.errors import PeerRefused, PeerUnavailable
from dicom_node.receive.contexts import FILMS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pynetdicom.presentation import PresentationContext

    from dicom_node.backfill.door import Door
    from dicom_node.deliver.examine.fetch import Caller
    from dicom_node.deliver.web_archive import WebArchive

_PENDING = 0xFF00
_SUCCESS = 0x0000
_SOME_FAILED = 0xB000  # complete, one or more failures: PS3.4 C.4.2.1.5
_UNKNOWN_DESTINATION = 0xA801  # of C-MOVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What became of the objects of a series, as the PACS counts them."""

    kept: int
    failed: int


class Way(Protocol):
    """How films are fetched."""

    name: str

    def fetch(self, study_instance_uid: str, series_instance_uid: str) -> Sent:
        """Fetch a series; when it returns, what was kept is durable.

        Raises
        ------
        PeerUnavailable
            The PACS does not answer, or not now.
        PeerRefused
            It will not send anything at all; the sentence says what to do.
        """


def services(caller: Caller) -> frozenset[str]:
    """Which of C-FIND, C-MOVE and C-GET the PACS offers; raises as `Caller.association` does."""
    with caller.association([build_context(uid) for uid in (FIND, MOVE, GET)]) as assoc:
        return frozenset(str(cx.abstract_syntax) for cx in assoc.accepted_contexts)


class ByMove:
    """C-MOVE: the PACS calls the running node, as a modality does."""

    name = "C-MOVE"

    def __init__(self, caller: Caller, address: str) -> None:
        self._caller = caller
        self._address = address  # of the node, for a person

    def fetch(self, study_instance_uid: str, series_instance_uid: str) -> Sent:
        """See `Way`."""
        title = self._caller.ae_title
        with self._caller.association([build_context(MOVE)]) as assoc:
            wanted = _identifier(study_instance_uid, series_instance_uid)
            final = _final(assoc.send_c_move(wanted, title, MOVE))
        if final.Status == _UNKNOWN_DESTINATION:
            raise PeerRefused(
                f"the peer does not know where {title} is: enter AE title {title} at "
                f"{self._address} there, and permit it to be sent to"
            )
        return _counted(final)


class ByGet:
    """C-GET: the PACS answers over the association that asks."""

    name = "C-GET"

    def __init__(self, caller: Caller, door: Door) -> None:
        self._caller = caller
        self._door = door

    def fetch(self, study_instance_uid: str, series_instance_uid: str) -> Sent:
        """See `Way`."""
        contexts = [build_context(GET), *_film_contexts()]
        with self._caller.association(contexts) as assoc, self._door.open_to(assoc):
            wanted = _identifier(study_instance_uid, series_instance_uid)
            return _counted(_final(assoc.send_c_get(wanted, GET)))


class ByWado:
    """WADO-RS (PS3.18 10.4): a DICOMweb service answers with the objects."""

    name = "WADO-RS"

    def __init__(self, archive: WebArchive, door: Door) -> None:
        self._archive = archive
        self._door = door

    def fetch(self, study_instance_uid: str, series_instance_uid: str) -> Sent:
        """See `Way`."""
        with self._archive.retrieve(study_instance_uid, series_instance_uid) as (kind, pieces):
            kept, failed = self._door.take(kind, pieces, study_instance_uid)
        return Sent(kept=kept, failed=failed)


def _film_contexts() -> Iterator[PresentationContext]:
    """A context for each transfer syntax, so that the PACS need not transcode what it keeps."""
    for sop_class in FILMS:
        for syntax in sop_class.transfer_syntaxes:
            context = build_context(sop_class.uid, syntax)
            context.scp_role = True
            yield context


def _final(responses: Iterator[tuple[Dataset, Dataset | None]]) -> Dataset:
    """The last response, with its counts."""
    last = Dataset()
    try:
        for response, _ in responses:
            last = response
    except (RuntimeError, ValueError) as error:  # pynetdicom's, if the association has ended
        raise PeerUnavailable("the peer hung up") from error
    if status_of(last) in (None, _PENDING):
        raise PeerUnavailable("the peer did not finish sending")
    return last


def _counted(final: Dataset) -> Sent:
    kept = int(final.get("NumberOfCompletedSuboperations") or 0)
    kept += int(final.get("NumberOfWarningSuboperations") or 0)
    failed = int(final.get("NumberOfFailedSuboperations") or 0)
    if final.Status not in (_SUCCESS, _SOME_FAILED) and not failed:
        raise PeerUnavailable(f"the peer answered {sentence(int(final.Status))}")
    return Sent(kept=kept, failed=failed)


def _identifier(study_instance_uid: str, series_instance_uid: str) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "SERIES"
    identifier.StudyInstanceUID = study_instance_uid
    identifier.SeriesInstanceUID = series_instance_uid
    return identifier
