"""What a peer wrote can neither stop a command nor act on the terminal it is printed on."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.fakes import full, instance, read
from typer.testing import CliRunner

from dicom_node.cli.app import app
from dicom_node.cli.render import csv_text, printable
from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.store.store import open_store

STUDY = "1.2"
NOW = datetime.now(UTC)

hostile = st.text(
    st.sampled_from("[]/b\\:a \x00\x07\x1b\x9b\u200e\u202e\u2066\u2028\ufeff\r\n")
    | st.characters(exclude_categories=["Cs"]),
    max_size=16,
)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one study that was read, and a row for each column a peer's words reach."""
    folder = tmp_path_factory.mktemp("printed")
    path = folder / "config.yaml"
    path.write_text(f"node: {{data_dir: {folder / 'data'}}}\n")
    store = open_store(folder / "data", lambda: NOW)
    store.inbox.add(instance(STUDY, at=NOW))
    store.jobs.open_ready(NOW)
    job = store.jobs.claim("worker-1", NOW + timedelta(minutes=1))
    assert job is not None
    store.jobs.finish(job, [read(f"{STUDY}.1")], full("pacs"))
    store.breakers.failed("pacs", "reason", NOW)
    store.close()
    return path


@pytest.mark.parametrize(
    "words",
    [
        ["show", STUDY],
        ["audit", "tail"],
        ["audit", "show", STUDY],
        ["studies"],
        ["status"],
        ["audit", "export"],
        ["show", STUDY, "--json"],
    ],
    ids=" ".join,
)
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=hostile)
@example(text="[/b]")
@example(text="[/X]")
@example(text="\x1b]0;title\x07\u202e")
def test_every_command_prints_hostile_words_as_text(
    config: Path, words: list[str], text: str
) -> None:
    """No markup, no control and no bidirectional character reaches the output."""
    _write(config.parent / "data" / "node.db", text)
    done = CliRunner().invoke(app, [*words, "--config", str(config)])
    assert done.exit_code == 0, done.exception
    assert all(each.isprintable() or each == "\n" for each in done.output)


def test_escaped_text_differs_from_other_text() -> None:
    """Brackets and letters of any language stay as they are."""
    assert printable("[/b] Thorax ä 胸") == "[/b] Thorax ä 胸"
    assert printable("a\x1b\u202e") == "a\\x1b\\u202e"


def _write(database: Path, text: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        for table, column in (
            ("instances", "calling_ae_title"),
            ("instances", "refusal_code"),
            ("instances", "refusal_reason"),
            ("jobs", "last_reason"),
            ("results", "series_description"),
            ("deliveries", "last_reason"),
            ("breakers", "last_reason"),
        ):
            connection.execute(f"UPDATE {table} SET {column} = ?", (text,))  # noqa: S608
    store = open_store(database.parent, lambda: NOW)

    store.audit.append(
        AuditEvent(
            kind=AuditKind.INSTANCE_REFUSED,
            study_instance_uid=STUDY,
            detail={"calling": text, "reason": text},
        )
    )
    store.close()


@given(st.text(alphabet=st.sampled_from("=+-@\t\r'a1,\"\n"), max_size=8))
def test_a_word_in_a_csv_file_is_no_formula(word: str) -> None:
    """A spreadsheet that opens it computes nothing; the word is still there."""
    written = csv_text(word)
    assert written.endswith(word)
    assert written[:1] not in ("=", "+", "-", "@", "\t", "\r")
