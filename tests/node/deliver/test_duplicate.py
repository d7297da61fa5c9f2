"""A PACS that says it has an object already: whether it is the one that was sent."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from pydicom import dcmread
from support.commitment_pacs import CommittingPeer, Style
from support.film import film, phantom, write
from support.peer import destination
from support.receiving import MemoryStore

from dicom_node.deliver.duplicate import Duplicates
from dicom_node.deliver.scu import StoreSender
from dicom_node.deliver.status import event_for
from dicom_node.domain.audit import AuditKind
from dicom_node.domain.states import DeliveryEvent

CR, SC = "1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.7"
ACCEPTED, REFUSED, UNAVAILABLE = (
    DeliveryEvent.ACCEPTED,
    DeliveryEvent.REFUSED,
    DeliveryEvent.UNAVAILABLE,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(film(phantom(64, 48, marker=None)), tmp_path / "film.dcm")


def send(
    path: Path, peer: CommittingPeer, otherwise: Literal["accept", "hold"] = "accept"
) -> tuple[DeliveryEvent, int | None, str, list[AuditKind]]:
    store = MemoryStore()
    duplicates = Duplicates(
        ae_title="AINODE", timeout_seconds=5.0, otherwise=otherwise, audit=store
    )
    sender = StoreSender("AINODE", [destination(peer.port)], 5.0, duplicates=duplicates)
    [answer] = sender.send("pacs", [path])
    return event_for(answer), answer.status, answer.reason, store.kinds()


@pytest.mark.parametrize(
    ("listed", "sop_class", "event"),
    [(True, "its own", ACCEPTED), (True, SC, REFUSED), (False, "", UNAVAILABLE)],
    ids=["the same", "another class", "not in the study"],
)
def test_a_query_separates_our_object_from_another(
    tmp_path: Path, path: Path, listed: bool, sop_class: str, event: DeliveryEvent
) -> None:
    """Class and study are compared before 0x0111 counts as accepted; the query is audited."""
    ds = dcmread(path)
    uids = [str(ds.SOPInstanceUID)] if listed else []
    with CommittingPeer(tmp_path / "pacs", Style.NEVER, listed=uids, acts=[0x0111]) as peer:
        peer.listed_class = str(ds.SOPClassUID) if sop_class == "its own" else sop_class
        became, _, reason, kinds = send(path, peer)
    assert became is event, reason
    assert "0x0111" in reason
    assert kinds == [AuditKind.DESTINATION_QUERIED]


@pytest.mark.parametrize(("otherwise", "event"), [("accept", ACCEPTED), ("hold", REFUSED)])
def test_what_cannot_be_compared_is_said(
    tmp_path: Path, path: Path, otherwise: Literal["accept", "hold"], event: DeliveryEvent
) -> None:
    """`delivery.duplicate` decides, and the reason says that nothing was compared."""
    with CommittingPeer(tmp_path / "pacs", Style.NEVER, acts=[0x0111]) as peer:
        became, status, reason, _ = send(path, peer, otherwise)
    assert (became, status) == (event, 0x0111)
    assert "not compared" in reason
