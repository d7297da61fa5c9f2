"""What a film's header says that its reader must know."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.objects import composed, context, small_film

from dicom_node.compose.facts import facts
from dicom_node.domain.values import Edition, Identity


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({}, {"view": "PA", "sides_stated": True, "age_stated": True}),
        ({"ViewPosition": "ap"}, {"view": "AP"}),
        ({"ViewPosition": ""}, {"view": ""}),
        ({"ViewPosition": "", "without": ["PatientOrientation"]}, {"sides_stated": False}),
        ({"without": ["PatientAge", "PatientBirthDate"]}, {"age_stated": False}),
        ({"without": ["PatientAge"]}, {"age_stated": True}),
    ],
)
def test_the_header_states_view_sides_and_age(
    elements: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Or does not, and the picture says so."""
    found = facts(small_film(**elements), context())
    assert {name: getattr(found, name) for name in expected} == expected


def test_a_second_film_of_the_same_uid_is_known_by_its_key() -> None:
    """The node files it under another one; the first film's key is its own UID."""
    source = small_film()
    assert facts(source, replace(context(), key="2.25.7")).second_film
    assert not facts(source, replace(context(), key=source.SOPInstanceUID)).second_film
    assert not facts(source, context()).second_film


@pytest.mark.parametrize("identity", Identity)
def test_a_first_film_knows_of_the_second(identity: Identity) -> None:
    """Whatever the destination may know; another UID than without the second film."""
    source = small_film()
    first = replace(context(), edition=Edition(identity))
    warned = replace(first, contested=True)
    assert facts(source, warned).second_film
    uids = [{ds.SOPInstanceUID for ds in composed(source, what=what)} for what in (first, warned)]
    assert uids[0].isdisjoint(uids[1])


def test_a_header_restricted_for_a_destination_does_not_deny_the_age() -> None:
    """The age was taken out, not missing."""
    source = small_film(without=["PatientAge", "PatientBirthDate"])
    assert facts(source, replace(context(), edition=Edition(Identity.PSEUDONYM))).age_stated
