"""No line of the audit log can be changed, removed or inserted unseen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fakes import StoreHarness, store_harness
from support.postgres import Postgres

from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.store.plain import SQLITE

texts = st.text(max_size=12)
storable = texts.filter(lambda text: "\0" not in text)  # PostgreSQL keeps no NUL in a text
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
uids = st.none() | st.from_regex(r"1\.[0-9]{1,5}", fullmatch=True)
events = st.builds(
    AuditEvent,
    kind=st.sampled_from(AuditKind),
    study_instance_uid=uids,
    sop_instance_uid=uids,
    detail=st.dictionaries(texts, json_values, max_size=3),
)
logs = st.lists(st.lists(events, max_size=3), min_size=2, max_size=4).filter(
    lambda log: sum(map(len, log)) >= 3
)
COLUMNS = ("at", "kind", "study_instance_uid", "sop_instance_uid", "detail", "previous_hash")


@pytest.fixture(scope="module", params=[SQLITE, "postgresql"])
def node(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StoreHarness]:
    url = SQLITE
    if request.param != SQLITE:
        server: Postgres = request.getfixturevalue("server")
        url = server.url(server.create())
    with store_harness(tmp_path_factory.mktemp("audit"), url) as made:
        yield made


def _write(node: StoreHarness, log: list[list[AuditEvent]]) -> int:
    """Start a new audit log with these appends; how many lines it has."""
    node.sql("DELETE FROM audit")
    for appended in log:
        node.store.audit.append(*appended)
    return sum(map(len, log))


@settings(max_examples=20, deadline=None)
@given(logs)
def test_an_untouched_log_verifies_and_returns_what_was_written(
    node: StoreHarness, log: list[list[AuditEvent]]
) -> None:
    """Whatever the details hold, however they were grouped into appends."""
    _write(node, log)
    assert node.store.audit.verify() == []
    said = [event for appended in log for event in appended]
    assert [line.event for line in node.store.audit.all()] == said


@settings(max_examples=25, deadline=None)
@given(logs, st.data())
def test_an_edited_line_is_found(
    node: StoreHarness, log: list[list[AuditEvent]], data: st.DataObject
) -> None:
    """Any other text in any column of any line, or nothing in place of one."""
    line = data.draw(st.integers(1, _write(node, log)))
    column = data.draw(st.sampled_from((*COLUMNS, "hash")))
    (row,) = node.sql(f"SELECT {column} FROM audit WHERE sequence = :n", n=line)  # noqa: S608
    other = data.draw(storable.filter(lambda text: text != row[column]))
    node.sql(f"UPDATE audit SET {column} = :v WHERE sequence = :n", v=other, n=line)  # noqa: S608
    assert any(f"line {line}:" in problem for problem in node.store.audit.verify())


@settings(max_examples=20, deadline=None)
@given(logs, st.data())
def test_a_deleted_line_is_found(
    node: StoreHarness, log: list[list[AuditEvent]], data: st.DataObject
) -> None:
    """Also where the lines after it are renumbered."""
    lines = _write(node, log)
    gone = data.draw(st.integers(1, lines - 1))
    node.sql("DELETE FROM audit WHERE sequence = :n", n=gone)
    assert node.store.audit.verify() != []
    for line in range(gone + 1, lines + 1):
        node.sql("UPDATE audit SET sequence = :m WHERE sequence = :n", m=line - 1, n=line)
    assert node.store.audit.verify() != []


@settings(max_examples=20, deadline=None)
@given(logs, st.data())
def test_an_inserted_or_moved_line_is_found(
    node: StoreHarness, log: list[list[AuditEvent]], data: st.DataObject
) -> None:
    """A copy of an honest line in another place is not an honest line."""
    lines = _write(node, log)
    source, place = data.draw(
        st.permutations(range(1, lines + 1)).map(lambda order: (order[0], order[1]))
    )
    columns = ", ".join((*COLUMNS, "hash"))
    copy = [dict(row) for row in node.sql(f"SELECT {columns} FROM audit ORDER BY sequence")]  # noqa: S608
    copy.insert(place - 1, copy[source - 1] if data.draw(st.booleans()) else copy.pop(source - 1))
    _replace(node, copy)
    said = [event for appended in log for event in appended]
    honest = [line.event for line in node.store.audit.all()] == said
    assert node.store.audit.verify() != [] or honest


def _replace(node: StoreHarness, rows: list[dict[str, object]]) -> None:
    node.sql("DELETE FROM audit")
    names = (*COLUMNS, "hash")
    marks = ", ".join(f":{name}" for name in names)
    for sequence, row in enumerate(rows, 1):
        node.sql(
            f"INSERT INTO audit (sequence, {', '.join(names)}) VALUES (:sequence, {marks})",  # noqa: S608
            sequence=sequence, **row,
        )  # fmt: skip
