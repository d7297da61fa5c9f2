"""`doctor destination`: what a destination offers, and what it does to a test study."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trustme
import yaml
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ExplicitVRLittleEndian,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
)
from support.archive import Archive
from support.certificates import identity
from support.objects import composed, small_film
from support.peer import Peer, destination, free_port
from support.receiving import MemoryStore, receiver
from typer.testing import CliRunner

from dicom_node import compose
from dicom_node.cli.app import app
from dicom_node.config import Config, TlsConfig
from dicom_node.conformance.trial_study import PATIENT_ID, trial_study
from dicom_node.deliver.examine import fetch
from dicom_node.deliver.examine.changes import Change, changes
from dicom_node.deliver.examine.offers import FIND, GET, MATRIX, MOVE, offers
from dicom_node.deliver.examine.trial import Trial, trial
from dicom_node.deliver.senders import Senders
from dicom_node.domain.clock import utc_now
from dicom_node.errors import PeerUnavailable
from dicom_node.tls.client import handshake


def coerced(ds: Dataset) -> None:
    """What archives do: another patient name, one element less, one more."""
    ds.PatientName = "ARCHIVE^TEST"
    del ds.StudyID
    ds.InstanceAvailability = "ONLINE"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The objects of one film, as files."""
    folder, paths = tmp_path_factory.mktemp("results"), []
    for number, ds in enumerate(composed(small_film(StudyID="S1"))):
        paths.append(folder / f"{number}.dcm")
        compose.write(ds, paths[-1])
    return paths


def tried(pacs: Archive, results: list[Path], *ways: str) -> Trial:
    peer = destination(pacs.port)
    caller = fetch.Caller("DICOM_NODE", peer, 5.0, TlsConfig())
    port = pacs.ports.get("DICOM_NODE", 0)
    known = {
        "C-GET": lambda study, uids: fetch.by_get(caller, study, uids),
        "C-MOVE": lambda study, uids: fetch.by_move(caller, ("127.0.0.1", port), study, uids),
    }
    senders = Senders("DICOM_NODE", [peer], 5.0)
    return trial(senders, peer.name, results, {way: known[way] for way in ways})


def test_matrix_holds_what_the_pacs_accepts_and_nothing_else(tmp_path: Path) -> None:
    """SOP classes by transfer syntaxes, services, the answer to a query, what it calls itself."""
    with Archive(tmp_path, services=(FIND, GET)) as pacs:
        found = offers("DICOM_NODE", destination(pacs.port), 5.0, TlsConfig())
    assert found.storage[SecondaryCaptureImageStorage] == (ExplicitVRLittleEndian,)
    assert found.storage[ParametricMapStorage] == ()
    assert set(found.storage) == set(MATRIX)
    assert (found.services[FIND], found.services[GET], found.services[MOVE]) == (True, True, False)
    assert found.query == "answers"
    assert found.implementation_class_uid.startswith("1.2.826")  # pynetdicom's
    assert found.maximum_pdu > 0


@pytest.mark.parametrize("way", ["C-GET", "C-MOVE"])
def test_every_changed_attribute_is_shown(tmp_path: Path, results: list[Path], way: str) -> None:
    """Changed, removed and added elements, by either way of retrieval."""
    ports = {"DICOM_NODE": free_port()}
    with Archive(tmp_path, coerce=coerced, ports=ports) as pacs:
        found = tried(pacs, results, way)
    assert found.fetched_by == way
    assert len(found.objects) == len(results)
    for each in found.objects:
        assert each.accepted
        assert each.returned
        shown = {change.attribute: (change.sent, change.returned) for change in each.changes}
        assert shown.pop("InstanceAvailability") == (None, "ONLINE")
        assert shown.pop("StudyID") == ("S1", None)
        assert shown.pop("PatientName")[1] == "ARCHIVE^TEST"
        assert shown == {}


def test_an_archive_that_changes_nothing_shows_no_change(
    tmp_path: Path, results: list[Path]
) -> None:
    """A study that came back byte by byte has no differences."""
    with Archive(tmp_path) as pacs:
        found = tried(pacs, results, "C-GET")
    assert [each.changes for each in found.objects] == [[]] * len(results)


def test_the_next_way_is_tried_if_one_fails(tmp_path: Path, results: list[Path]) -> None:
    """A PACS that cannot send to us by C-MOVE is asked by C-GET; the reason is shown."""
    with Archive(tmp_path) as pacs:
        found = tried(pacs, results, "C-MOVE", "C-GET")
    assert found.fetched_by == "C-GET"
    [reason] = found.not_fetched
    assert reason.startswith("C-MOVE: ")


class Generous(Archive):
    """Gives back everything that it keeps, whatever the query."""

    def matching(self, identifier: Dataset) -> list[Dataset]:
        return [ds for study in self.studies().values() for ds in study]


def test_objects_that_were_not_asked_for_are_not_taken(tmp_path: Path, results: list[Path]) -> None:
    """A PACS that sends more than was asked for by C-GET does not get it into the comparison."""
    wanted = str(dcmread(results[-1]).SOPInstanceUID)
    with Generous(tmp_path) as pacs:
        peer = destination(pacs.port)
        list(Senders("DICOM_NODE", [peer], 5.0).send("pacs", results))
        caller = fetch.Caller("DICOM_NODE", peer, 5.0, TlsConfig())
        taken = fetch.by_get(caller, "1.2.3", [wanted])
    assert set(taken) == {wanted}


def test_changes_inside_sequences_are_named_by_item() -> None:
    """``Sequence[2].Keyword`` says where; padding does not count."""
    ours, theirs = Dataset(), Dataset()
    for ds, second in ((ours, "B"), (theirs, "C")):
        items = [Dataset(), Dataset()]
        items[0].CodeMeaning, items[1].CodeMeaning = "A", second
        ds.ConceptCodeSequence = items
        ds.StudyID = "S1"
    assert changes(ours, theirs) == [
        Change(attribute="ConceptCodeSequence[2].CodeMeaning", sent="B", returned="C")
    ]


def test_tls_is_described(tmp_path: Path) -> None:
    """Version, cipher and the peer's certificate; an unknown authority is named as the fault."""
    ours = identity(tmp_path, "ours")
    stranger = identity(tmp_path, "stranger", trustme.CA(organization_name="Elsewhere"))
    for name, tls in (("node", identity(tmp_path, "node")), ("stranger", stranger)):
        with receiver(tmp_path / f"{name}-data", MemoryStore(), tls=tls) as node:
            peer = destination(node.ports[-1]).model_copy(update={"tls": True})
            if tls is stranger:
                with pytest.raises(PeerUnavailable, match="certificate"):
                    handshake(peer, ours, 5.0)
                continue
            found = handshake(peer, ours, 5.0)
        assert found is not None
        assert found.version in ("TLSv1.2", "TLSv1.3")
        assert "CN=node" in found.certificate.subject
        assert found.cipher


def test_a_plain_destination_has_no_handshake() -> None:
    """Nothing is connected for a destination without TLS."""
    assert handshake(destination(1), TlsConfig(), 1.0) is None


def test_trial_study_names_no_patient() -> None:
    """Every object of the test study belongs to ZZZ^TEST and says that it may be removed."""
    objects = trial_study(Config(), utc_now())
    assert {str(ds.PatientName) for ds in objects} == {"ZZZ^TEST"}
    assert {ds.PatientID for ds in objects} == {PATIENT_ID}
    assert len({ds.StudyInstanceUID for ds in objects}) == 1
    assert {ds.SOPClassUID for ds in objects} >= {
        SecondaryCaptureImageStorage,
        Comprehensive3DSRStorage,
    }


def _config(folder: Path, port: int) -> Path:
    path = folder / "config.yaml"
    peer = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": port}
    path.write_text(yaml.safe_dump({"destinations": [peer], "node": {"port": free_port()}}))
    return path


def test_command_names_what_this_configuration_needs(tmp_path: Path) -> None:
    """A PACS without queries that takes everything has no fault; one that is down has one."""
    with Peer(tmp_path / "pacs") as pacs:
        config = _config(tmp_path, pacs.port)
        done = CliRunner().invoke(
            app, ["doctor", "destination", "pacs", "--json", "--config", str(config)]
        )
        page = CliRunner().invoke(
            app, ["doctor", "destination", "pacs", "--markdown", "--config", str(config)]
        )
        text = CliRunner().invoke(app, ["doctor", "destination", "pacs", "--config", str(config)])
        assert not pacs.instances()
    found = json.loads(done.output)
    assert (done.exit_code, found["faults"]) == (0, [])
    assert found["query"] is None
    assert ExplicitVRLittleEndian in found["storage"][SecondaryCaptureImageStorage]
    assert "| Secondary Capture Image Storage |" in page.output
    assert "verdict    no fault was found" in text.output
    down = CliRunner().invoke(app, ["doctor", "destination", "pacs", "--config", str(config)])
    assert down.exit_code == 1
    assert "FAULT      it does not answer: nothing listens" in down.output


def test_command_says_which_object_the_pacs_refuses(tmp_path: Path) -> None:
    """The class that this configuration sends, and what to do."""
    refused = (Comprehensive3DSRStorage,)
    with Archive(tmp_path / "pacs", services=(FIND,), refused=refused) as pacs:
        config = _config(tmp_path, pacs.port)
        done = CliRunner().invoke(app, ["doctor", "destination", "pacs", "--config", str(config)])
    assert done.exit_code == 1
    assert "Comprehensive 3D SR Storage: permit it there, or choose another" in done.output


def test_command_sends_the_test_study_and_shows_what_changed(tmp_path: Path) -> None:
    """The study arrives, comes back, and the coerced attributes are printed."""
    with Archive(tmp_path / "pacs", coerce=coerced) as pacs:
        config = _config(tmp_path, pacs.port)
        words = ["doctor", "destination", "pacs", "--test-study", "--json", "--config", str(config)]
        done = CliRunner().invoke(app, words)
        stored = [dcmread(path) for path in pacs.instances().values()]
    found = json.loads(done.stdout)["test_study"]
    assert {str(ds.PatientName) for ds in stored} == {"ZZZ^TEST"}
    assert found["fetched_by"] == "C-GET"
    changed = {each["attribute"] for one in found["objects"] for each in one["changes"]}
    assert {"PatientName", "StudyID", "InstanceAvailability"} <= changed
