"""C-STORE status -> what we do next."""

from __future__ import annotations

import pytest
from pynetdicom.status import GENERAL_STATUS, STATUS_WARNING, STORAGE_SERVICE_CLASS_STATUS

from dicom_node.deliver.status import (
    NO_CONTEXT,
    NOT_SENT,
    STORE_STATUS,
    UNREADABLE,
    dimse_status,
    event_for,
    sentence,
)
from dicom_node.domain.states import DeliveryEvent

ACCEPTED = DeliveryEvent.ACCEPTED
UNAVAILABLE = DeliveryEvent.UNAVAILABLE
REFUSED = DeliveryEvent.REFUSED


@pytest.mark.parametrize(
    ("status", "event"),
    [
        (0x0000, ACCEPTED),
        (0xB000, ACCEPTED),
        (0xB006, ACCEPTED),
        (0xB007, ACCEPTED),
        (0xB123, ACCEPTED),
        (0x0111, ACCEPTED),
        (0xA700, UNAVAILABLE),
        (0xA7FF, UNAVAILABLE),
        (0x0110, UNAVAILABLE),
        (0x0213, UNAVAILABLE),
        (0xA900, REFUSED),
        (0xC000, REFUSED),
        (0xCFFF, REFUSED),
        (0x0122, REFUSED),
        (0x0124, REFUSED),
        (0xA800, REFUSED),  # in nobody's table
        (NO_CONTEXT, REFUSED),
        (UNREADABLE, REFUSED),
        (NOT_SENT, UNAVAILABLE),
        (None, UNAVAILABLE),
    ],
)
def test_event(status: int | None, event: DeliveryEvent) -> None:
    """Warnings are accepted, "not now" is tried again, everything else waits for a person."""
    assert event_for(status) is event


def test_warnings_are_accepted() -> None:
    """Every status the standard calls a warning of C-STORE means the object is there."""
    for status, (category, _) in STORAGE_SERVICE_CLASS_STATUS.items():
        if category == STATUS_WARNING:
            assert event_for(status) is ACCEPTED, hex(status)


def test_general_statuses_have_a_row() -> None:
    """Every general status C-STORE may carry (PS3.7 9.1.1.1.9) says what it means."""
    known = {status for row in STORE_STATUS for status in (row.first, row.last)}
    assert {0x0122, 0x0124, 0x0210, 0x0211, 0x0212} <= known & GENERAL_STATUS.keys()


def test_sentence() -> None:
    """A status reads as its number and what it means."""
    assert sentence(0xA700) == "0xA700 out of resources"
    assert sentence(0xFF01) == "0xFF01 a failure C-STORE does not define"


def test_only_the_peer_gives_dimse_statuses() -> None:
    """Our own codes never pass for an answer of the peer."""
    assert [dimse_status(code) for code in (0xA700, NO_CONTEXT, UNREADABLE, NOT_SENT, None)] == [
        0xA700,
        None,
        None,
        None,
        None,
    ]
