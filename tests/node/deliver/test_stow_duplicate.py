"""A web service that says it has an object already: whether it is the one that was sent."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from pydicom import dcmread
from pydicom.uid import generate_uid
from support.film import film, phantom, write
from support.receiving import MemoryStore
from support.stow import FAILURE, WARNING, Act, Stow

from dicom_node.config import WebDestination
from dicom_node.deliver.duplicate import Duplicates
from dicom_node.deliver.senders import Senders
from dicom_node.deliver.status import event_for
from dicom_node.domain.audit import AuditKind
from dicom_node.domain.states import DeliveryEvent

SC = "1.2.840.10008.5.1.4.1.1.7"
ACCEPTED, REFUSED, UNAVAILABLE = (
    DeliveryEvent.ACCEPTED,
    DeliveryEvent.REFUSED,
    DeliveryEvent.UNAVAILABLE,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(film(phantom(64, 48, marker=None)), tmp_path / "film.dcm")


def send(
    path: Path, web: Stow, otherwise: Literal["accept", "hold"] = "accept"
) -> tuple[DeliveryEvent, str, list[AuditKind]]:
    store = MemoryStore()
    duplicates = Duplicates(
        ae_title="AINODE", timeout_seconds=5.0, otherwise=otherwise, audit=store
    )
    service = WebDestination(kind="dicomweb", name="web", url=web.url)
    [answer] = Senders("AINODE", [service], 5.0, duplicates=duplicates).send("web", [path])
    return event_for(answer), answer.reason, store.kinds()


def listed(path: Path, **other: str) -> dict[str, object]:
    """What a search says of the object in a file, with some elements changed."""
    ds = dcmread(path, stop_before_pixels=True)
    uids = {
        "00080016": str(ds.SOPClassUID),
        "00080018": str(ds.SOPInstanceUID),
        "0020000D": str(ds.StudyInstanceUID),
    } | {key.lstrip("t"): value for key, value in other.items()}
    return {tag: {"vr": "UI", "Value": [value]} for tag, value in uids.items()}


@pytest.mark.parametrize("act", [{FAILURE: 0x0111}, {FAILURE: 0xB00E}, {WARNING: 0x0111}], ids=str)
@pytest.mark.parametrize(
    ("other", "event"),
    [
        ({}, ACCEPTED),
        ({"t00080016": SC}, REFUSED),
        ({"t0020000D": generate_uid()}, UNAVAILABLE),
        (None, UNAVAILABLE),
    ],
    ids=["the same", "another class", "another study", "not listed"],
)
def test_a_search_separates_our_object_from_another(
    path: Path, act: Act, other: dict[str, str] | None, event: DeliveryEvent
) -> None:
    """Class and study are compared before "already there" counts as accepted; it is audited."""
    with Stow([act]) as web:
        web.listed = [] if other is None else [listed(path, **other)]
        became, reason, kinds = send(path, web)
        asked = [where for method, where, _ in web.requests if method == "GET"]
    assert became is event, reason
    assert "0x0111" in reason
    assert kinds == [AuditKind.DESTINATION_QUERIED]
    assert str(dcmread(path).SOPInstanceUID) in asked[0]


@pytest.mark.parametrize(("otherwise", "event"), [("accept", ACCEPTED), ("hold", REFUSED)])
@pytest.mark.parametrize(
    "answer",
    [404, 501, 302, b"<html>", b'{"00080018": 7}', b"[7]", b'[{"00080018": []}]'],
    ids=str,
)
def test_what_cannot_be_compared_is_said(
    path: Path, answer: Act, otherwise: Literal["accept", "hold"], event: DeliveryEvent
) -> None:
    """`delivery.duplicate` decides, and the reason says that nothing was compared."""
    with Stow([{FAILURE: 0x0111}, answer]) as web:
        became, reason, _ = send(path, web, otherwise)
    assert became is event
    assert "not compared" in reason


def test_a_service_that_is_busy_is_asked_again_later(path: Path) -> None:
    """503 on the search decides nothing."""
    with Stow([{FAILURE: 0x0111}, 503]) as web:
        became, reason, _ = send(path, web)
    assert became is UNAVAILABLE
    assert "not answered" in reason
