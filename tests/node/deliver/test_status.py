"""C-STORE status -> what we do next."""

from __future__ import annotations

import pytest
from pynetdicom.status import GENERAL_STATUS, STATUS_WARNING, STORAGE_SERVICE_CLASS_STATUS
from support.answers import NO_ANSWER, NOT_ACCEPTED, NOT_SENT, UNREADABLE, Said, answer
from support.answers import UNAVAILABLE as NO_WAY

from dicom_node.deliver.status import (
    STORE_STATUS,
    answered,
    broken_off,
    event_for,
    not_accepted,
    sentence,
    unavailable,
    unreadable,
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
        (0xA800, REFUSED),  # in no table
        (NOT_ACCEPTED, REFUSED),
        (UNREADABLE, REFUSED),
        (NOT_SENT, UNAVAILABLE),
        (NO_WAY, UNAVAILABLE),
        (NO_ANSWER, DeliveryEvent.UNANSWERED),
    ],
)
def test_event(status: Said, event: DeliveryEvent) -> None:
    """Warnings are accepted, "not now" is tried again, everything else waits for a person."""
    assert event_for(answer(status)) is event


def test_warnings_are_accepted() -> None:
    """Every status the standard calls a warning of C-STORE means the object is there."""
    for status, (category, _) in STORAGE_SERVICE_CLASS_STATUS.items():
        if category == STATUS_WARNING:
            assert event_for(answer(status)) is ACCEPTED, hex(status)


def test_general_statuses_have_a_row() -> None:
    """Every general status C-STORE may carry (PS3.7 9.1.1.1.9) says what it means."""
    known = {status for row in STORE_STATUS for status in (row.first, row.last)}
    assert {0x0122, 0x0124, 0x0210, 0x0211, 0x0212} <= known & GENERAL_STATUS.keys()


def test_sentence() -> None:
    """A status reads as its number and what it means."""
    assert sentence(0xA700) == "0xA700 out of resources"
    assert sentence(0xFF01) == "0xFF01 a failure C-STORE does not define"


def test_only_the_peer_gives_dimse_statuses() -> None:
    """An object without an answer has no status that could pass for one."""
    assert answered(0xA700).status == 0xA700
    made = [unavailable("x"), unreadable("x"), not_accepted("x")]
    made += broken_off(Exception("x"), sent=True, behind=1)
    assert {one.status for one in made} == {None}
