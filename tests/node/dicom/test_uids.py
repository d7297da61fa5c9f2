"""UIDs derived from what an object was made from."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from pydicom.uid import UID

from dicom_node.dicom import uids

ROOT = uids.Root(
    source_sop_instance_uid="1.2.3", model_digest="aa", config_digest="bb", software_version="1"
)


def test_the_same_inputs_give_the_same_uid_in_every_release() -> None:
    """The value itself is frozen: an archive already holds objects under it."""
    assert ROOT.uid("sr") == "2.25.26438088475090305604410860842684541466"


@pytest.mark.parametrize(
    "other",
    [
        replace(ROOT, source_sop_instance_uid="1.2.4"),
        replace(ROOT, model_digest="ab"),
        replace(ROOT, config_digest="bc", software_version="1"),
        replace(ROOT, revision=2),
    ],
)
def test_another_film_model_configuration_or_revision_gives_another_uid(other: uids.Root) -> None:
    """Changed content never travels under a used UID."""
    assert other.uid("sr") != ROOT.uid("sr")


def test_each_kind_of_object_has_its_own_uid() -> None:
    """A series, its instances and the report never share a UID."""
    kinds = ["sr", "sr-series", "h2", "h3", "guided"]
    assert len({ROOT.uid(kind) for kind in kinds}) == len(kinds)


def test_neighbouring_fields_do_not_run_into_each_other() -> None:
    """Model "a" with configuration "bc" is not model "ab" with configuration "c"."""
    one = uids.Root(
        source_sop_instance_uid="1.2", model_digest="a", config_digest="bc", software_version="1"
    )
    two = uids.Root(
        source_sop_instance_uid="1.2", model_digest="ab", config_digest="c", software_version="1"
    )
    assert one.uid("sr") != two.uid("sr")


def test_a_derived_uid_is_a_legal_uid() -> None:
    """At most 64 characters, digits and dots (PS3.5 9.1)."""
    assert UID(ROOT.uid("sr")).is_valid
    assert UID(uids.device("maker", "0", "aa")).is_valid


def test_a_node_with_other_networks_is_another_device() -> None:
    """The device observer in a report changes with the model."""
    assert uids.device("maker", "0", "aa") != uids.device("maker", "0", "ab")


SECRET = bytes(range(32))
OURS = replace(ROOT, secret=SECRET)


def test_a_node_recognises_the_uids_it_derived_and_no_other() -> None:
    """With its secret; a UID of another node, a random or a damaged one is not its own."""
    uid = OURS.uid("sr")
    assert uids.is_derived(uid, SECRET)
    assert not uids.is_derived(uid, bytes(32))
    assert not uids.is_derived(ROOT.uid("sr"), SECRET)
    number = int(uid.removeprefix("2.25."))
    assert not any(uids.is_derived(f"2.25.{number ^ 1 << bit}", SECRET) for bit in range(128))
    for text in ("", "2.25.", "2.25.x", "1.2.3", "2.25.0", f"2.25.{1 << 128}", f"2.25.{'9' * 60}"):
        assert not uids.is_derived(text, SECRET)


def test_a_uid_with_a_secret_is_a_legal_uuid() -> None:
    """A UUID of version 8 (RFC 9562, PS3.5 B.2), the same each time; no secret is printed."""
    uid = OURS.uid("sr")
    assert UID(uid).is_valid
    made = uuid.UUID(int=int(uid.removeprefix("2.25.")))
    assert (made.version, made.variant) == (8, "specified in RFC 4122")
    assert replace(ROOT, secret=SECRET).uid("sr") == uid
    assert OURS.uid("sc") != uid
    assert "secret" not in repr(OURS)
