"""What the node needs of a shared folder holds between two mounts of one folder."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pytest
from support.mounts import mounted

from dicom_node.dicom.files import durable_rename, durable_write
from dicom_node.errors import NodeError
from dicom_node.receive.locks import UidLocks
from dicom_node.service.folder_lock import only_node


@pytest.fixture
def mounts(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    (tmp_path / "shared").mkdir()
    with ExitStack() as both:
        try:
            first, second = (
                both.enter_context(mounted(tmp_path / "shared", tmp_path / name))
                for name in ("one", "two")
            )
        except OSError as error:
            pytest.skip(str(error))
        yield first, second


def test_a_film_kept_by_one_machine_is_whole_for_another(mounts: tuple[Path, Path]) -> None:
    """Also if the other one looked for it before, and also if it replaces an older one."""
    here, there = mounts
    (here / "instances").mkdir()
    film = Path("instances/film.dcm")
    assert not (there / film).exists()
    for content in (os.urandom(3_000_000), b"sent again"):
        durable_write(here / "film.part", partial(_write, content))
        durable_rename(here / "film.part", here / film)
        assert (there / film).read_bytes() == content


def _write(content: bytes, file: BinaryIO) -> None:
    file.write(content)


def test_two_machines_do_not_keep_objects_of_one_study_at_once(mounts: tuple[Path, Path]) -> None:
    """The second one goes on when the first one is done."""
    here, there = (UidLocks(mount) for mount in mounts)
    entered = threading.Event()

    def enter() -> None:
        with there.held("1.2.3"):
            entered.set()

    with here.held("1.2.3"):
        other = threading.Thread(target=enter, daemon=True)
        other.start()
        assert not entered.wait(0.3)
    assert entered.wait(10)
    other.join()


def test_a_name_is_used_by_one_machine(mounts: tuple[Path, Path]) -> None:
    """Two machines with the same `node.member`: the second one does not start."""
    here, there = (mount / "members" / "reader-1" for mount in mounts)
    with (
        only_node(here, threading.Event()),
        pytest.raises(NodeError, match="another node runs"),
        only_node(there, threading.Event()),
    ):
        pass
