"""`verdict` and `verdicts` at the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.commands import Commands
from support.fakes import instance
from support.reports import oru

from dicom_node.domain.clock import utc_now
from dicom_node.domain.conflicts import accession_key
from dicom_node.errors import NodeError
from dicom_node.store.secret import node_secret
from dicom_node.store.store import open_store


@pytest.fixture
def site(tmp_path: Path) -> Commands:
    """A node with two studies; the second has the accession number A17."""
    data = tmp_path / "data"
    (tmp_path / "config.yaml").write_text(f"node: {{data_dir: {data}}}\n")
    store = open_store(data, utc_now)
    store.inbox.add(instance("1.2"))
    store.inbox.add(instance("1.3"), accession=accession_key(node_secret(data), "A17"))
    store.close()
    return Commands(tmp_path)


def test_a_verdict_is_stored_and_superseded(site: Commands) -> None:
    """The list says which of them counts."""
    assert "stored" in site.run("verdict", "1.2", "normal", "--at", "2026-01-01").stdout
    assert "stored already" not in site.run("verdict", "1.2", "pneumonia", "--by", "R7").stdout
    rows = site.json("verdicts", "list", "--study", "1.2")
    assert [(row["finding"], row["superseded"]) for row in rows] == [
        ("pneumonia", False), ("normal", True),
    ]  # fmt: skip
    assert rows[0]["given_by"] == "R7"
    assert "superseded" in site.run("verdicts", "list").stdout


def test_a_verdict_on_an_unknown_study_is_refused(site: Commands) -> None:
    """In a sentence."""
    done = site.run("verdict", "9.9", "normal")
    assert isinstance(done.exception, NodeError)
    assert "never received" in str(done.exception)


def test_a_file_is_imported_whatever_it_holds(site: Commands) -> None:
    """What came to nothing is counted, with the lines that could not be read."""
    file = site.folder / "verdicts.csv"
    rows = ["A17,covid-19", "A99,normal", *["A17,nonsense"] * 12]
    file.write_text("\n".join(["accession,finding", *rows]))
    text = site.run("verdicts", "import", str(file)).stdout
    assert "1 stored" in text
    assert "1 not stored: this node does not have the study" in text
    assert "and 2 more lines" in text
    again = site.json("verdicts", "import", str(file))
    assert (again["unknown"], again["unreadable"]) == (1, 12)
    assert again["unreadable_lines"][0]["line"] == 4
    assert site.json("verdicts", "list")[0]["finding"] == "covid19"


def test_names_and_report_texts_of_a_file_are_kept_nowhere(site: Commands) -> None:
    """Nor the accession number: not in the data folder, not in what is printed."""
    private = ("MUSTERMANN", "19510203", "basal infiltrate", "A17", "A99")
    file = site.folder / "verdicts.csv"
    rows = ["A17,covid19", "A99,normal", "A17,basal infiltrate"]
    people = [f"{row},MUSTERMANN^ERIKA,19510203,a basal infiltrate" for row in rows]
    file.write_text("\n".join(["accession,finding,patient name,birth date,report", *people]))
    printed = site.run("verdicts", "import", str(file)).stdout + site.run("audit", "tail").stdout
    files = [path for path in (site.folder / "data").rglob("*") if path.is_file()]
    kept = b"\n".join(path.read_bytes() for path in files)
    assert b"covid19" in kept
    for text in private:
        assert text not in printed
        assert text.encode() not in kept


def test_a_flood_of_contradictions_and_nonsense_stops_nothing(site: Commands) -> None:
    """Of a thousand rows each is counted, the newest counts, and the audit log stays intact."""
    kinds = ["1.2,normal,2026-01-01", "1.2,pneumonia,2026-01-02", "9.9,normal,", "\x00,\x1b[2J,"]
    file = site.folder / "verdicts.csv"
    file.write_text("\n".join(["study,finding,date", *kinds * 250]))
    tally = site.json("verdicts", "import", str(file))
    assert (tally["stored"], tally["same"]) == (2, 498)
    assert (tally["unknown"], tally["unreadable"]) == (250, 250)
    newest = site.json("verdicts", "list", "--study", "1.2")[0]
    assert (newest["finding"], newest["superseded"]) == ("pneumonia", False)
    assert site.json("audit", "verify")["ok"]


def test_a_report_is_tried_and_nothing_is_stored(site: Commands) -> None:
    """The answer names the rule, the words and the cue of each finding."""
    report = site.folder / "report.txt"
    report.write_text("No effusion.\nPneumonia cannot be excluded.")
    [tried] = site.json("verdicts", "try", str(report))
    assert (tried["finding"], tried["rule"]) == ("unknown", "doubt")
    assert tried["mentions"][1]["cue"] == "cannot be excluded"
    assert "pneumonia: 'pneumonia' doubted" in site.run("verdicts", "try", str(report)).stdout
    rules = site.folder / "rules.yaml"
    rules.write_text("rules: [{name: mine, finding: other, phrases: [excluded]}]")
    [own] = site.json("verdicts", "try", str(report), "--rules", str(rules))
    assert (own["finding"], own["rule"]) == ("other", "mine")
    assert site.json("verdicts", "list") == []


def test_messages_of_a_file_or_folder_are_imported_and_stay(site: Commands) -> None:
    """What came to nothing is counted; the same folder again stores nothing."""
    folder = site.folder / "messages"
    folder.mkdir()
    (folder / "a.hl7").write_bytes(oru("Pneumonia.") + b"\r" + oru("x", accession="A99"))
    (folder / "b.txt").write_bytes(b"no message")
    tally = site.json("verdicts", "import", str(folder))
    assert (tally["stored"], tally["undecided"], tally["unreadable"]) == (1, 1, 1)
    assert site.json("verdicts", "import", str(folder / "a.hl7"))["same"] == 1
    assert "no rule made anything" in site.run("verdicts", "import", str(folder)).stdout
    assert len(list(folder.iterdir())) == 2
    [first, second] = site.json("verdicts", "try", str(folder / "a.hl7"))
    assert (first["finding"], first["status"], second["finding"]) == ("pneumonia", "F", None)
    assert "status F: pneumonia" in site.run("verdicts", "try", str(folder / "a.hl7")).stdout
