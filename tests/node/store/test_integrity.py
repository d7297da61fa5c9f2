"""A damaged database is found before it is written to, and left as it was found."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.fakes import store_harness

from dicom_node.errors import DatabaseDamaged
from dicom_node.store.integrity import damage, refuse_damaged
from dicom_node.store.plain import DATABASE

_PAGE = 4096


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database with a few studies in it."""
    with store_harness(tmp_path) as node:
        for number in range(12):
            node.receive(f"1.2.{number}")
            node.open_ready()
            node.finish(node.claim(), "pacs")
    return tmp_path / DATABASE


def spoil(database: Path, page: int, content: bytes = b"\xa5" * _PAGE) -> bytes:
    """Write over a page; what the file is now."""
    whole = bytearray(database.read_bytes())
    whole[page * _PAGE : page * _PAGE + len(content)] = content
    database.write_bytes(bytes(whole))
    return bytes(whole)


def test_a_whole_database_is_said_to_be_whole(database: Path) -> None:
    """Quickly and thoroughly; so is none at all, which the first start finds."""
    assert damage(database.parent) == damage(database.parent, thorough=True) == []
    refuse_damaged(database.parent)
    refuse_damaged(database.parent / "nowhere")


def test_every_spoiled_page_is_found_and_stays_as_it_is(database: Path) -> None:
    """Whichever page it is; the file is the same afterwards, to the byte."""
    sound = database.read_bytes()
    pages = len(sound) // _PAGE
    assert pages > 20
    for page in range(pages):
        database.write_bytes(sound)
        spoiled = spoil(database, page)
        with pytest.raises(DatabaseDamaged, match=r"database-damaged: .*node\.db"):
            refuse_damaged(database.parent)
        assert database.read_bytes() == spoiled


def test_a_file_cut_short_is_damaged(database: Path) -> None:
    """As after a copy that ran out of room."""
    database.write_bytes(database.read_bytes()[: 5 * _PAGE + 100])
    assert damage(database.parent)


def test_what_is_no_database_is_damaged(tmp_path: Path) -> None:
    """A file that never was one is not made one."""
    (tmp_path / DATABASE).write_bytes(b"hello" * 1000)
    with pytest.raises(DatabaseDamaged):
        refuse_damaged(tmp_path)
