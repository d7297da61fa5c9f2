"""Locks on UIDs: who keeps an object keeps others from the same study and UID."""

from __future__ import annotations

import threading
from pathlib import Path

from dicom_node.receive.locks import UidLocks


def test_another_process_waits_until_the_lock_is_free(tmp_path: Path) -> None:
    """Two objects over one folder stand for two processes: they share the files, not memory."""
    ours, theirs, order = UidLocks(tmp_path), UidLocks(tmp_path), []

    def keep() -> None:
        with theirs.held("1.2.3", "1.2"):
            order.append("theirs")

    with ours.held("1.2", "1.2.3"):
        waiting = threading.Thread(target=keep)
        waiting.start()
        waiting.join(0.1)
        order.append("ours")
    waiting.join(5)
    assert order == ["ours", "theirs"]


def test_a_study_and_an_instance_of_one_uid_do_not_block_each_other(tmp_path: Path) -> None:
    """A file may give both the same UID; the lock is then taken once."""
    with UidLocks(tmp_path).held("1.2", "1.2"):
        assert list(tmp_path.iterdir())
