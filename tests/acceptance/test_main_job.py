"""The installed command as processes on loopback: a film in, heatmaps and a report out."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from support.film import film, phantom, write
from support.peer import Peer, destination, free_port
from support.running import COMMAND, STAND_IN, RunningNode, running_node

SC = "1.2.840.10008.5.1.4.1.1.7"
COMPREHENSIVE_3D_SR = "1.2.840.10008.5.1.4.1.1.88.34"


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[Peer]:
    with Peer(tmp_path / "pacs") as peer:
        yield peer


@pytest.fixture
def node(tmp_path: Path, pacs: Peer) -> Iterator[RunningNode]:
    """A node whose networks are a stand-in; the first test and `read` have the real ones."""
    (tmp_path / "node").mkdir()
    with running_node(tmp_path / "node", [destination(pacs.port)], environment=STAND_IN) as running:
        yield running


def test_a_film_comes_back_as_heatmaps_and_a_report_in_its_own_study(
    tmp_path: Path, pacs: Peer
) -> None:
    """One film in; a Secondary Capture series and a report arrive in the same study and patient."""
    source = film(phantom(opacity=0.9))
    (tmp_path / "node").mkdir()
    with running_node(tmp_path / "node", [destination(pacs.port)]) as node:
        assert node.send([write(source, tmp_path / "film.dcm")]) == [0x0000]
        node.wait_until(lambda: node.delivered(2))
        assert node.run("audit", "verify").returncode == 0
        story = node.cli("show", source.StudyInstanceUID, "--json")
    assert all(d["accepted_at"] for result in story["results"] for d in result["deliveries"])
    back = [pydicom.dcmread(path) for path in pacs.instances().values()]
    assert {ds.StudyInstanceUID for ds in back} == {source.StudyInstanceUID}
    assert {str(ds.PatientID) for ds in back} == {source.PatientID}
    assert [ds.SOPClassUID for ds in back].count(COMPREHENSIVE_3D_SR) == 1
    assert [ds.SOPClassUID for ds in back].count(SC) >= 1
    assert source.SeriesInstanceUID not in {ds.SeriesInstanceUID for ds in back}


def test_what_is_not_a_frontal_chest_film_is_refused_with_a_reason(
    tmp_path: Path, pacs: Peer, node: RunningNode
) -> None:
    """A hand and a lateral are refused by name; picture and report that say so go to the PACS."""
    hand = film(BodyPartExamined="HAND")
    lateral = film(ViewPosition="LL")
    paths = [write(ds, tmp_path / f"{i}.dcm") for i, ds in enumerate((hand, lateral))]
    assert node.send(paths) == [0x0000, 0x0000]
    node.wait_until(lambda: node.delivered(4))
    for source, code in ((hand, "body-part"), (lateral, "view")):
        assert code in node.run("show", source.StudyInstanceUID, "--json").stdout
    back = [pydicom.dcmread(path) for path in pacs.instances().values()]
    assert sorted(ds.SOPClassUID for ds in back) == [SC] * 2 + [COMPREHENSIVE_3D_SR] * 2
    assert {ds.StudyInstanceUID for ds in back} == {hand.StudyInstanceUID, lateral.StudyInstanceUID}
    assert all("Not read: " in ds.to_json() for ds in back if ds.Modality == "SR")


def test_our_own_results_sent_back_to_us_go_nowhere(
    tmp_path: Path, pacs: Peer, node: RunningNode
) -> None:
    """A PACS that routes the whole study back, results included, starts nothing new."""
    source = film(phantom(opacity=0.9))
    path = write(source, tmp_path / "film.dcm")
    node.send([path])
    node.wait_until(lambda: node.delivered(2))
    first = pacs.instances()
    assert set(node.send([path, *first.values()])) == {0x0000}
    kinds = [line["kind"] for line in node.cli("audit", "tail", "-n", "100", "--json")]
    assert kinds.count("own-result-received") == len(first)
    assert kinds.count("instance-duplicate") == 1
    assert node.cli("status", "--json")["jobs"].get("waiting", 0) == 0
    assert pacs.times_stored() == dict.fromkeys(first, 1)


def test_a_dead_pacs_delays_delivery_and_loses_nothing(tmp_path: Path) -> None:
    """Results wait while the PACS is down, over a restart of the node, and arrive when it is up."""
    port = free_port()
    (tmp_path / "node").mkdir()
    with running_node(tmp_path / "node", [destination(port)], environment=STAND_IN) as node:
        source = film()
        node.send([write(source, tmp_path / "film.dcm")])
        node.wait_until(lambda: node.status()["breakers"])
        assert "delivery-deferred" in node.run("audit", "tail", "--json").stdout
        assert node.stop() == 0
        node.start()
        pacs = Peer(tmp_path / "pacs")
        pacs.port = port
        with pacs:
            node.wait_until(lambda: node.delivered(2))
            assert set(pacs.times_stored().values()) == {1}


def test_a_late_film_makes_a_revision(tmp_path: Path, pacs: Peer, node: RunningNode) -> None:
    """A film that comes after its study was read is read too, and the first is not read again."""
    first = film()
    second = film(phantom(seed=1), StudyInstanceUID=first.StudyInstanceUID)
    node.send([write(first, tmp_path / "1.dcm")])
    node.wait_until(lambda: node.delivered(2))
    before = len(pacs.instances())
    node.send([write(second, tmp_path / "2.dcm")])
    node.wait_until(lambda: len(pacs.instances()) > before)
    node.wait_until(lambda: node.delivered(before + 2))
    assert set(pacs.times_stored().values()) == {1}
    story = node.cli("show", first.StudyInstanceUID, "--json")
    kinds = [line["kind"] for line in story["audit"]]
    assert kinds.count("film-read") == 2
    assert kinds.count("study-ready") == 2


def test_read_does_the_same_on_files(tmp_path: Path) -> None:
    """`read --json` prints one entry a file, refusals included, and writes the objects."""
    frontal = write(film(phantom(opacity=0.9)), tmp_path / "in" / "a.dcm")
    write(film(ViewPosition="LL"), tmp_path / "in" / "b.dcm")
    (tmp_path / "in" / "c.dcm").write_text("no film")
    done = subprocess.run(
        [COMMAND, "read", tmp_path / "in", "--out", tmp_path / "out", "--json", "--force-stage3"],
        capture_output=True,
        text=True,
        check=True,
    )
    entries: list[dict[str, Any]] = json.loads(done.stdout)
    assert [entry["accepted"] for entry in entries] == [True, False, False]
    accepted, lateral, text = entries
    assert accepted["path"] == str(frontal)
    assert set(accepted) == {
        "path",
        "sop_instance_uid",
        "accepted",
        "error",
        "notes",
        "refusal",
        "polarity",
        "lungs",
        "pneumonia",
        "covid19",
        "explanation",
        "objects",
        "faults",
        "model",
        "seconds",
    }
    networks = {"gate", "lungs", "pneumonia", "covid19", "explain"}
    assert set(accepted["seconds"]) == {"decode", *networks, "compose", "write", "check"}
    stage = {"probability", "threshold", "positive", "point", "score"}
    assert set(accepted["covid19"]) == stage
    for item in accepted["objects"]:
        assert pydicom.dcmread(tmp_path / "out" / item["path"]).SOPClassUID == item["sop_class_uid"]
    assert (lateral["refusal"]["code"], text["refusal"]["code"]) == ("view", "file")
    assert lateral["pneumonia"] is None
    assert [item["modality"] for item in lateral["objects"]] == ["OT", "SR"]


def test_status_starts_without_torch_or_sqlalchemy(tmp_path: Path) -> None:
    """`status` imports nothing heavy: an administrator does not wait for it."""
    script = (
        "import sys; sys.argv = ['dicom-node', 'status', '--json']\n"
        "from dicom_node.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'monai', 'sqlalchemy', 'highdicom', 'numpy', 'pydicom', 'pynetdicom',\n"
        "         'rich', 'requests', 'starlette', 'cryptography', 'dicom_node.cli.app'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run(
        [COMMAND.with_name("python"), "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={"DICOM_NODE__NODE__DATA_DIR": str(tmp_path), "PATH": "/usr/bin"},
    )
    assert done.returncode == 0, done.stderr
