"""Verdicts from a CSV file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from dicom_node.domain.conflicts import accession_key
from dicom_node.domain.verdicts import Finding, Source, Verdict
from dicom_node.errors import NodeError
from dicom_node.verdicts.spreadsheet import Sheet, finding_named, read_sheet

NOW = datetime(2026, 5, 6, 7, 8, tzinfo=UTC)
SECRET = b"secret of a node"


def _read(folder: Path, text: str) -> Sheet:
    path = folder / "verdicts.csv"
    path.write_text(text, encoding="utf-8")
    return read_sheet(path, SECRET, NOW)


def test_a_row_is_a_verdict_by_study_or_accession_number(tmp_path: Path) -> None:
    """Columns are found by name; a date without time is midnight UTC, no date is now."""
    sheet = _read(
        tmp_path,
        "\ufeffAccession Number;Study Instance UID;Finding;Date;Who\n"
        "A 17 ;;COVID-19;2026-01-31;R7\n"
        ";1.2.3;Normal;2026-01-31T08:00+01:00;\n"
        "A18;;pneumonia;;\n",
    )
    assert sheet.unreadable == []
    assert sheet.verdicts == [
        Verdict(
            finding=Finding.COVID19, source=Source.CSV, given_by="R7",
            given_at=datetime(2026, 1, 31, tzinfo=UTC),
            accession_keys=(accession_key(SECRET, "A 17"),),
        ),
        Verdict(
            finding=Finding.NORMAL, source=Source.CSV, study_instance_uid="1.2.3",
            given_at=datetime(2026, 1, 31, 7, tzinfo=UTC),
        ),
        Verdict(
            finding=Finding.PNEUMONIA, source=Source.CSV, given_at=NOW,
            accession_keys=(accession_key(SECRET, "A18"),),
        ),
    ]  # fmt: skip


def test_a_bad_row_is_named_and_stops_nothing(tmp_path: Path) -> None:
    """Each with its line number and reason; the rows after it are read."""
    sheet = _read(
        tmp_path,
        "study,finding,date\n1.2,cold,\n,normal,\n1.2,normal,yesterday\nMUELLER,normal,\n1.2\n"
        "1.2,normal,0001-01-01T00:00+14:00\n1.2,normal,9999-12-31T23:59-14:00\n"
        "\n1.2,normal,2026-01-01\n",
    )
    assert [line for line, _ in sheet.unreadable] == [2, 3, 4, 5, 6, 7, 8]
    assert len(sheet.verdicts) == 1
    assert not any("MUELLER" in reason or "cold" in reason for _, reason in sheet.unreadable)


@pytest.mark.parametrize("text", ["", "name,birthday\n", "finding\nnormal\n", "study\n1.2\n"])
def test_a_file_without_the_columns_is_refused(tmp_path: Path, text: str) -> None:
    """It is not a list of verdicts."""
    with pytest.raises(NodeError, match="must name the columns"):
        _read(tmp_path, text)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """With its name."""
    with pytest.raises(NodeError, match=r"none\.csv cannot be read"):
        read_sheet(tmp_path / "none.csv", SECRET, NOW)


@pytest.mark.parametrize("finding", Finding)
def test_a_finding_is_read_in_the_spelling_it_is_written_in(finding: Finding) -> None:
    """Also in capitals."""
    assert finding_named(finding.value.upper()) is finding


def test_a_digest_of_an_accession_number_says_nothing_without_the_secret() -> None:
    """It depends on the secret, not on padding; an empty number has none."""
    assert accession_key(SECRET, "A17 ") == accession_key(SECRET, "A17")
    assert accession_key(SECRET, "A17") != accession_key(b"another", "A17")
    assert "A17" not in accession_key(SECRET, "A17")
    assert accession_key(SECRET, "  ") == ""
