"""The checks before an object is taken, as tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pydicom.uid import (
    ComprehensiveSRStorage,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
)
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    Verification,
)
from pynetdicom.status import STORAGE_SERVICE_CLASS_STATUS

from dicom_node.dicom.uids import is_uid
from dicom_node.receive.checks import check_command, check_identity, check_pixels
from dicom_node.receive.contexts import ALL_SYNTAXES, FILMS, STORED, supported_contexts
from dicom_node.receive.header_scan import Header
from dicom_node.receive.store_status import STATUS, StoreFault, StoreRefused

CR = str(ComputedRadiographyImageStorage)
FILM = Header(
    sop_class_uid=CR, sop_instance_uid="1.2.3", study_instance_uid="1.2", series_instance_uid="1.3",
    rows=64, columns=48, bits_allocated=16, samples_per_pixel=1, pixel_bytes=64 * 48 * 2,
)  # fmt: skip


def test_every_fault_has_a_failure_status_of_the_storage_service() -> None:
    """No fault is answered with Success, a warning or a status that C-STORE does not know."""
    assert set(STATUS) == set(StoreFault)
    assert {STORAGE_SERVICE_CLASS_STATUS[status][0] for status in STATUS.values()} == {"Failure"}


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("1.2.840.10008.1.1", True),
        ("2.25." + "9" * 39, True),
        ("1.02.3", True),  # forbidden by PS3.5 9.1, common in the field
        ("1." + "2" * 62, True),
        ("1." + "2" * 63, False),
        ("", False),
        (".", False),
        ("1..2", False),
        ("1.2.", False),
        ("../../etc/passwd", False),
        ("/etc/x", False),
        ("1.2\n", False),
        ("1.2.٣", False),
        ("Doe^Jane", False),
    ],
)
def test_what_counts_as_a_uid(text: str, good: bool) -> None:
    """A UID is digits and dots, at most 64; nothing else reaches a path or a log."""
    assert is_uid(text) is good


@pytest.mark.parametrize(
    ("sop_class", "uid", "abstract", "fault"),
    [
        (CR, "1.2.3", CR, None),
        (CR, "1.2.3", str(ComprehensiveSRStorage), StoreFault.SOP_CLASS),
        (str(CTImageStorage), "1.2.3", str(CTImageStorage), StoreFault.SOP_CLASS),
        (CR, "../x", CR, StoreFault.UID_SYNTAX),
    ],
)
def test_the_command_is_checked(
    sop_class: str, uid: str, abstract: str, fault: StoreFault | None
) -> None:
    """The command names the class of its presentation context and a UID."""
    assert outcome(check_command, sop_class, uid, abstract) is fault


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({}, None),
        ({"sop_class_uid": "1.2"}, StoreFault.CLASS_MISMATCH),
        ({"sop_class_uid": ""}, StoreFault.CLASS_MISMATCH),
        ({"sop_instance_uid": "1.2.4"}, StoreFault.INSTANCE_MISMATCH),
        ({"study_instance_uid": ""}, StoreFault.MISSING_UID),
        ({"series_instance_uid": "x"}, StoreFault.MISSING_UID),
    ],
)
def test_command_and_data_set_agree(change: dict[str, Any], fault: StoreFault | None) -> None:
    """The data set is the object the command announced, in a study and a series."""
    assert outcome(check_identity, replace(FILM, **change), CR, "1.2.3") is fault


@pytest.mark.parametrize(
    ("change", "syntax", "fault"),
    [
        ({}, ExplicitVRLittleEndian, None),
        ({"pixel_bytes": 64 * 48 * 2 + 1}, ExplicitVRLittleEndian, None),
        ({"pixel_bytes": 64 * 48 * 2 - 1}, ExplicitVRLittleEndian, StoreFault.SHORT_PIXELS),
        ({"pixel_bytes": None}, ExplicitVRLittleEndian, StoreFault.NO_PIXELS),
        ({"pixel_bytes": 0}, JPEG2000Lossless, StoreFault.NO_PIXELS),
        ({"pixel_bytes": 10, "encapsulated": True}, JPEG2000Lossless, None),
        ({"encapsulated": True}, ExplicitVRLittleEndian, StoreFault.UNPARSABLE),
        ({"rows": 65535, "columns": 65535}, ExplicitVRLittleEndian, StoreFault.SHORT_PIXELS),
        ({"frames": 2}, ExplicitVRLittleEndian, StoreFault.SHORT_PIXELS),
        ({"samples_per_pixel": 3}, ExplicitVRLittleEndian, StoreFault.SHORT_PIXELS),
        ({"samples_per_pixel": 3, "photometric": "YBR_FULL_422", "bits_allocated": 8},
         ExplicitVRLittleEndian, None),
        ({"rows": None, "pixel_bytes": 2}, ExplicitVRLittleEndian, None),
        ({"sop_class_uid": str(ComprehensiveSRStorage), "pixel_bytes": None},
         ExplicitVRLittleEndian, None),
    ],
)  # fmt: skip
def test_pixels_are_all_there(
    change: dict[str, Any], syntax: str, fault: StoreFault | None
) -> None:
    """An image has its pixels; uncompressed ones are as many as the header says."""
    assert outcome(check_pixels, replace(FILM, **change), syntax) is fault


def test_films_come_in_every_syntax_and_all_else_uncompressed() -> None:
    """The presentation contexts are those of the tables, Verification and Storage Commitment."""
    contexts = {str(cx.abstract_syntax): cx.transfer_syntax for cx in supported_contexts()}
    assert set(contexts) == {*STORED, Verification, StorageCommitmentPushModel}
    assert all(tuple(contexts[film.uid]) == ALL_SYNTAXES for film in FILMS)
    assert len(ALL_SYNTAXES) == 15


def outcome(check: Callable[..., None], *arguments: Any) -> StoreFault | None:
    try:
        check(*arguments)
    except StoreRefused as error:
        return error.fault
    return None
