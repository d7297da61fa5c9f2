"""The audit log: what is written, and what tampering leaves behind."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.fakes import START, FakeClock, StoreHarness

from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.errors import AuditLineAltered, StoreWriteError
from dicom_node.store.audit import GENESIS, AuditLog, as_json
from dicom_node.store.store import open_store

EVENT = AuditEvent(
    kind=AuditKind.FILM_READ,
    study_instance_uid="1.2",
    sop_instance_uid="1.2.1",
    detail={"b": [1, None, "Ä"], "a": 0.1},
)


def test_a_line_is_read_as_it_was_written(node: StoreHarness) -> None:
    """Sequence from 1, time, event; chained to nothing before it."""
    node.store.audit.append(EVENT)
    (line,) = node.store.audit.tail(5)
    assert (line.sequence, line.at, line.event) == (1, START, EVENT)
    assert line.previous_hash == GENESIS
    assert as_json(line)["detail"] == EVENT.detail


def test_lines_are_listed_by_study_from_the_end_or_all(node: StoreHarness) -> None:
    """Always oldest first."""
    for study in ("1.2", "1.3", "1.2"):
        node.store.audit.append(AuditEvent(kind=AuditKind.STUDY_READY, study_instance_uid=study))
    audit = node.store.audit
    assert [line.sequence for line in audit.tail(2)] == [2, 3]
    assert [line.sequence for line in audit.of_study("1.2")] == [1, 3]
    assert [line.sequence for line in audit.all()] == [1, 2, 3]


def test_several_processes_write_one_chain(tmp_path: Path, database: str) -> None:
    """No number twice, none left out, and the chain holds."""
    stores = [open_store(tmp_path, FakeClock(), database) for _ in range(3)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda n: stores[n % 3].audit.append(EVENT, EVENT), range(12)))
    assert [line.sequence for line in stores[0].audit.all()] == list(range(1, 25))
    assert stores[0].audit.verify() == []
    for store in stores:
        store.close()


def test_a_long_log_is_walked_in_pages(node: StoreHarness) -> None:
    """Lines on both sides of a page's edge are seen once."""
    log = AuditLog(node.store._engine, node.clock, rows_at_a_time=4)
    log.append(*[EVENT] * 12)
    assert [line.sequence for line in log.all()] == list(range(1, 13))
    assert log.verify() == []


@pytest.mark.parametrize(
    ("tampering", "found"),
    [
        ("UPDATE audit SET detail = '{}' WHERE sequence = 3", ["line 3: content"]),
        ("UPDATE audit SET hash = previous_hash WHERE sequence = 3",
         ["line 3: content", "line 4: does not follow"]),
        ("UPDATE audit SET detail = x'00ff' WHERE sequence = 3", ["line 3: content"]),
        ("DELETE FROM audit WHERE sequence = 3", ["line 3 to 3: missing"]),
        ("DELETE FROM audit WHERE sequence < 3", ["line 1 to 2: missing"]),
        ("UPDATE audit SET sequence = -1 WHERE sequence = 1",
         ["line -1: before the first", "line 1 to 1: missing"]),
        ("INSERT INTO audit SELECT 0, at, kind, study_instance_uid, sop_instance_uid, detail,"
         " previous_hash, hash FROM audit WHERE sequence = 1", ["line 0: before the first"]),
        ("INSERT INTO audit SELECT 6, at, kind, study_instance_uid, sop_instance_uid, detail,"
         " previous_hash, hash FROM audit WHERE sequence = 5",
         ["line 6: does not follow", "line 6: content"]),
    ],
)  # fmt: skip
def test_verify_names_the_line_that_was_touched(
    node: StoreHarness, tampering: str, found: list[str]
) -> None:
    """And only the lines that were touched, not all that follow."""
    node.store.audit.append(*[EVENT] * 5)
    assert node.store.audit.verify() == []
    node.sql(tampering)
    problems = node.store.audit.verify()
    assert len(problems) == len(found)
    assert all(problem.startswith(start) for problem, start in zip(problems, found, strict=True))


@pytest.mark.parametrize("column", ["kind", "detail", "at"])
def test_a_line_made_unreadable_is_named(node: StoreHarness, column: str) -> None:
    """Verify still walks past it; reading says which line, without a traceback."""
    node.store.audit.append(EVENT, EVENT)
    node.sql(f"UPDATE audit SET {column} = 'x' WHERE sequence = 2")  # noqa: S608
    assert len(node.store.audit.verify()) == 1
    with pytest.raises(AuditLineAltered, match="audit line 2"):
        node.store.audit.tail(1)


def test_a_line_of_an_older_version_is_read_and_printed_as_written(node: StoreHarness) -> None:
    """It means the kind's present name, is intact, and its printed columns give its hash."""
    columns = [GENESIS, 1, START.isoformat(), "pledge-asked", None, None, "{}"]
    body = json.dumps(columns, separators=(",", ":"))
    node.sql(
        "INSERT INTO audit (sequence, at, kind, detail, previous_hash, hash)"
        " VALUES (1, :at, 'pledge-asked', '{}', :previous, :hash)",
        at=START.isoformat(),
        previous=GENESIS,
        hash=hashlib.sha256(body.encode()).hexdigest(),
    )
    assert node.store.audit.verify() == []
    assert node.kinds() == [AuditKind.COMMITMENT_ASKED]
    (sent,) = node.store.audit.after(0, 1)
    assert sent.event.kind is AuditKind.COMMITMENT_ASKED
    assert as_json(sent)["kind"] == "pledge-asked"
    node.store.audit.append(EVENT)
    assert node.store.audit.verify() == []


def test_what_cannot_be_written_is_an_error(node: StoreHarness) -> None:
    """Without an audit line the caller gets an error, and its transaction is undone."""
    node.sql("ALTER TABLE audit RENAME TO moved")
    with pytest.raises(StoreWriteError, match="audit"):
        node.store.audit.append(EVENT)
    with pytest.raises(StoreWriteError):
        node.receive()
    assert node.rows("instances") == node.rows("studies") == []


def test_a_detail_that_is_not_json_is_not_written(node: StoreHarness) -> None:
    """NaN has no place in a record that others must be able to parse."""
    with pytest.raises(ValueError, match="JSON"):
        node.store.audit.append(AuditEvent(kind=AuditKind.FILM_READ, detail={"p": float("nan")}))
    assert node.store.audit.tail(1) == []
