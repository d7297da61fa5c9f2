"""The command line: every command, in process, on a store that the test fills."""

from __future__ import annotations

import json
import os
import re
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.certificates import identity
from support.commands import Commands
from support.fakes import full, reading_summary
from support.film import film, write
from support.peer import Peer, free_port
from typer.testing import CliRunner

from dicom_node.cli import main
from dicom_node.cli.app import app
from dicom_node.cli.studies import person
from dicom_node.config import load
from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.domain.conflicts import accession_key
from dicom_node.domain.states import DeliveryEvent
from dicom_node.domain.values import FilmOutcome, Instance, Refusal, RefusalCode, Settlement
from dicom_node.domain.values import Result as Made
from dicom_node.errors import NodeError
from dicom_node.service import pidfile, running_config
from dicom_node.store.secret import node_secret
from dicom_node.store.store import Store, open_store

STUDY = "1.2.840.9"


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Site(Commands):
    """A node's folder and configuration, with the command line over it."""

    store: Store


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[Peer]:
    with Peer(tmp_path / "pacs") as peer:
        yield peer


@pytest.fixture
def site(tmp_path: Path, pacs: Peer) -> Iterator[Site]:
    config = {
        "node": {"data_dir": str(tmp_path / "data"), "port": free_port(), "host": "127.0.0.1"},
        "destinations": [
            {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": pacs.port},
        ],
        "delivery": {"timeout_seconds": 2.0},
        "audit": {"checkpoint_dir": str(tmp_path / "checkpoints")},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    store = open_store(tmp_path / "data", _now)
    yield Site(tmp_path, store)
    store.close()


def _instance(uid: str) -> Instance:
    return Instance(
        sop_instance_uid=uid,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.1",
        study_instance_uid=STUDY,
        series_instance_uid="1.2.840.8",
        transfer_syntax_uid="1.2.840.10008.1.2",
        path=Path("spool") / uid,
        size=10,
        sha256="0" * 64,
        calling_ae_title="CR1",
        received_at=_now(),
    )


def _read_one_refuse_one_hold_the_result(store: Store) -> None:
    """A study with a past: two films, a result the PACS refused."""
    for uid in ("1.2.1", "1.2.2"):
        store.inbox.add(_instance(uid))
    store.jobs.open_ready(_now())
    later = _now() + timedelta(minutes=5)
    job = store.jobs.claim("worker-1", later)
    assert job is not None
    made = Made(
        sop_instance_uid="2.25.1",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.88.34",
        series_instance_uid="2.25.2",
        modality="SR",
        series_description="AI report",
        path=Path("results/2.25.1.dcm"),
    )
    refusal = Refusal(code=RefusalCode.VIEW, reason="the view is LL, which is lateral")
    outcomes = [
        FilmOutcome(
            sop_instance_uid="1.2.1",
            refusal=None,
            reading=reading_summary(0.9),
            results=(made,),
        ),
        FilmOutcome(sop_instance_uid="1.2.2", refusal=refusal, reading=None),
    ]
    store.jobs.finish(job, outcomes, full("pacs"))
    shipment = store.outbox.claim("deliverer-1", later)
    assert shipment is not None
    refused = Settlement(
        delivery_id=shipment.deliveries[0].id,
        event=DeliveryEvent.REFUSED,
        status_code=0xA900,
        reason="data set does not match SOP class",
    )
    store.outbox.settle(shipment, [refused])


def _alarms(site: Site, code: str) -> list[dict[str, str]]:
    return [alarm for alarm in site.json("status")["alarms"] if alarm["code"] == code]


def _codes(status: dict[str, Any]) -> set[str]:
    return {alarm["code"] for alarm in status["alarms"]}


def test_status_counts_everything(site: Site) -> None:
    """Films, readings and deliveries are counted by where they stand; no process runs."""
    _read_one_refuse_one_hold_the_result(site.store)
    status = site.json("status")
    assert status["instances"] == {"read": 1, "refused": 1}
    assert status["jobs"] == {"done": 1}
    assert status["deliveries"] == {"pacs": {"held": 1}}
    assert status["processes"] == {}
    assert "not running" in site.run("status").output


def test_status_leads_with_what_is_wrong_and_what_helps(site: Site) -> None:
    """Critical alarms come first, each with a command, before any count."""
    _read_one_refuse_one_hold_the_result(site.store)
    site.store.breakers.failed("pacs", "nothing listens", _now())
    alarms = site.json("status")["alarms"]
    assert [each["code"] for each in alarms] == ["stopped", "destination-down", "held"]
    assert alarms[1]["command"] == "dicom-node echo pacs"
    lines = site.run("status").output.splitlines()
    assert lines[1] == "ALARM      the node is not running"
    assert lines[2] == "           -> systemctl start dicom-node"


def _pretend_it_runs(site: Site) -> None:
    names = ("supervisor", "receiver-1", "worker-1", "deliverer-1")
    pidfile.publish(site.folder / "data", dict.fromkeys(names, os.getpid()))


def test_a_check_has_the_exit_statuses_of_a_monitoring_plugin(site: Site) -> None:
    """0 well, 1 warning, 2 critical and so a stopped node, 3 unknown; one line with numbers."""
    assert site.run("status", "--check").exit_code == 2
    _pretend_it_runs(site)
    done = site.run("status", "--check")
    assert done.exit_code == 0
    assert done.output.startswith("DICOM_NODE OK: nothing is wrong | waiting=0 pending=0")
    _read_one_refuse_one_hold_the_result(site.store)
    done = site.run("status", "--check")
    assert done.exit_code == 1
    assert "DICOM_NODE WARNING: 1 objects for pacs are held" in done.output
    assert " held=1 " in done.output
    (site.folder / "config.yaml").write_text("node: {prot: 1}")
    done = site.run("status", "--check")
    assert done.exit_code == 3
    assert done.output.startswith("DICOM_NODE UNKNOWN: ")
    assert done.output.count("\n") == 1


def test_a_missing_process_is_critical(site: Site) -> None:
    """The alarm names it."""
    pidfile.publish(site.folder / "data", {"supervisor": os.getpid(), "worker-1": os.getpid()})
    alarms = site.json("status")["alarms"]
    sentences = [each["sentence"] for each in alarms if each["code"] == "process"]
    assert sentences == ["receiver-1 is not running", "deliverer-1 is not running"]


def test_a_result_that_waits_too_long_is_an_alarm(site: Site) -> None:
    """After `delivery.late_minutes`, however often it was tried."""
    _read_one_refuse_one_hold_the_result(site.store)
    assert site.json("retry", STUDY)["deliveries"] == 1
    assert "undelivered" not in _codes(site.json("status"))
    path = site.folder / "config.yaml"
    values = yaml.safe_load(path.read_text())
    values["delivery"]["late_minutes"] = 1e-6
    path.write_text(yaml.safe_dump(values))
    assert "undelivered" in _codes(site.json("status"))


def test_a_configuration_newer_than_the_running_node_is_an_alarm(site: Site) -> None:
    """It names the keys, and `reload` or a restart; a stopped node is no case."""
    path = site.folder / "config.yaml"
    running_config.publish(load(path, {}))
    path.write_text(path.read_text() + "thresholds: {pneumonia: 0.42}\n")
    assert "configuration-changed" not in _codes(site.json("status"))
    _pretend_it_runs(site)
    (alarm,) = _alarms(site, "configuration-changed")
    assert alarm["sentence"].endswith("old values of thresholds")
    assert alarm["command"].endswith("dicom-node reload")
    path.write_text(path.read_text() + "workers: {count: 2}\n")
    (alarm,) = _alarms(site, "configuration-changed")
    assert "workers.count" in alarm["sentence"]
    assert alarm["command"].endswith("systemctl restart dicom-node")


def test_reload_says_what_needs_a_restart_and_that_no_node_runs(site: Site) -> None:
    """Nothing is signalled in either case."""
    path = site.folder / "config.yaml"
    said = str(site.run("reload").exception)
    assert "no node runs" in said
    running_config.publish(load(path, {}))
    _pretend_it_runs(site)
    assert "nothing has changed" in site.run("reload").output
    path.write_text(path.read_text() + "workers: {count: 2}\nlog: {level: debug}\n")
    assert "workers.count changed, which needs a restart" in str(site.run("reload").exception)


def test_studies_lists_a_line_a_study(site: Site) -> None:
    """Read and refused films and deliveries are in the row."""
    _read_one_refuse_one_hold_the_result(site.store)
    (row,) = site.json("studies")
    assert (row["study_instance_uid"], row["read"], row["refused"]) == (STUDY, 1, 1)
    assert row["deliveries"] == {"held": 1}
    (line,) = (each for each in site.run("studies").output.splitlines() if each.startswith(STUDY))
    for cell in ("CR1", "1 read, 1 refused", "above", "1 held"):
        assert cell in line
    usual = line.replace("1 read, ", "").replace(STUDY, "9" * 39)
    assert len(usual) <= 100


def test_show_prints_everything_about_a_study(site: Site) -> None:
    """Reasons, probabilities, objects, deliveries and audit lines are all there."""
    _read_one_refuse_one_hold_the_result(site.store)
    detail = site.json("show", STUDY)
    by_uid = {instance["sop_instance_uid"]: instance for instance in detail["instances"]}
    assert by_uid["1.2.2"]["refusal_code"] == "view"
    assert by_uid["1.2.1"]["reading"]["pneumonia"]["probability"] == 0.9
    assert detail["results"][0]["deliveries"][0]["status"] == "held"
    assert {"study-ready", "film-read", "film-refused", "delivery-held"} <= {
        line["kind"] for line in detail["audit"]
    }
    output = site.run("show", STUDY).output
    assert "NOT FOR DIAGNOSTIC USE" in output
    assert "lateral" in output


def test_studies_are_found_by_time_sender_result_and_trouble(site: Site) -> None:
    """Each option alone finds the study or leaves it out."""
    _read_one_refuse_one_hold_the_result(site.store)
    for words, found in (
        (["--since", "1h"], True),
        (["--since", "2999-01-31"], False),
        (["--since", "2020-01-31T08:00+01:00"], True),
        (["--from", "CR1"], True),
        (["--from", "CR2"], False),
        (["--result", "above"], True),
        (["--result", "near"], False),
        (["--result", "below"], False),
        (["--held"], True),
        (["--refused"], True),
    ):
        assert [row["study_instance_uid"] for row in site.json("studies", *words)] == (
            [STUDY] if found else []
        ), words
    site.store.outbox.discard(STUDY)
    assert site.json("studies", "--held") == []
    assert isinstance(site.run("studies", "--since", "yesterday").exception, NodeError)


def test_show_takes_the_first_characters_of_a_uid(site: Site) -> None:
    """If they fit one study; otherwise the studies are named."""
    _read_one_refuse_one_hold_the_result(site.store)
    assert site.json("show", STUDY[:7])["study_instance_uid"] == STUDY
    site.store.inbox.add(replace(_instance("1.2.3"), study_instance_uid=STUDY + "1"))
    assert site.json("show", STUDY)["study_instance_uid"] == STUDY
    done = site.run("show", STUDY[:7])
    assert f"several studies begin with {STUDY[:7]}: {STUDY}, {STUDY}1" in str(done.exception)


def test_show_takes_an_accession_number(site: Site) -> None:
    """The database holds its digest only; several studies with one are named."""
    key = accession_key(node_secret(site.folder / "data"), "A4711")
    for number, study in enumerate((STUDY, STUDY + "1")):
        film = replace(_instance(f"1.2.{number}"), study_instance_uid=study)
        site.store.inbox.add(film, accession=key)
        if number == 0:
            assert site.json("show", "A4711")["study_instance_uid"] == STUDY
    done = site.run("show", "A4711")
    assert "several studies have the accession number A4711: " in str(done.exception)


def test_an_unknown_study_is_an_error(site: Site) -> None:
    """A typing error in a UID is not an empty page."""
    done = site.run("show", "1.2.3.4.5")
    assert isinstance(done.exception, NodeError)
    assert "no study with the UID or accession number 1.2.3.4.5" in str(done.exception)


def test_retry_wakes_what_is_held_once(site: Site) -> None:
    """A held delivery goes out again; a second retry finds nothing."""
    _read_one_refuse_one_hold_the_result(site.store)
    assert site.json("retry", STUDY) == {"readings": 0, "deliveries": 1}
    assert site.json("retry") == {"readings": 0, "deliveries": 0}
    assert site.json("status")["deliveries"] == {"pacs": {"pending": 1}}


def test_discard_gives_up_what_is_held(site: Site) -> None:
    """For good, with a line for each object; if nothing is held, that is an error."""
    _read_one_refuse_one_hold_the_result(site.store)
    assert site.json("discard", STUDY) == {"readings": 0, "deliveries": 1}
    assert site.json("status")["deliveries"] == {"pacs": {"discarded": 1}}
    assert site.json("audit", "tail", "-n", "1")[0]["kind"] == "delivery-discarded"
    assert site.json("retry", STUDY) == {"readings": 0, "deliveries": 0}
    assert isinstance(site.run("discard", STUDY).exception, NodeError)


def test_a_removed_destination_leaves_status_when_its_rest_is_discarded(site: Site) -> None:
    """One command for all of its studies; while something is held, `status` shows it."""
    _read_one_refuse_one_hold_the_result(site.store)
    site.store.breakers.failed("pacs", "nothing listens", _now())
    path = site.folder / "config.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "destinations": []}))
    assert site.json("status")["deliveries"] == {"pacs": {"held": 1}}
    assert site.json("discard", "--destination", "pacs") == {"deliveries": 1}
    status = site.json("status")
    assert (status["deliveries"], status["breakers"]) == ({}, {})
    for words in (["discard", "--destination", "pacs"], ["discard"]):
        assert isinstance(site.run(*words).exception, NodeError)


def test_a_destination_that_is_down_is_named(site: Site) -> None:
    """With the reason, and when it is looked at next."""
    for _ in range(2):
        site.store.breakers.failed("pacs", "nothing listens", _now())
    assert site.json("status")["breakers"]["pacs"]["failures"] == 2
    (line,) = (each for each in site.run("status").output.splitlines() if each.startswith("DOWN"))
    assert re.fullmatch(
        r"DOWN       pacs since [\d-]{10} [\d:]{8}: nothing listens; next probe [\d-]{10} [\d:]{8}",
        line,
    )


def test_a_study_is_read_again_on_request(site: Site) -> None:
    """Its film that was read, once; while that waits, asking again is a mistake."""
    _read_one_refuse_one_hold_the_result(site.store)
    assert site.json("reread", STUDY) == {"films": 1}
    assert site.json("status")["jobs"] == {"done": 1, "waiting": 1}
    again = site.run("reread", STUDY)
    assert isinstance(again.exception, NodeError)
    assert "being read now" in str(again.exception)


def test_audit_verifies_and_exports(site: Site) -> None:
    """A whole chain verifies; every line comes out as JSON; the tail is the end of it."""
    _read_one_refuse_one_hold_the_result(site.store)
    assert site.json("audit", "checkpoint")["sequence"] == site.store.audit.head()[0]
    verified = site.json("audit", "verify")
    assert (verified["ok"], verified["problems"], verified["checkpoints"]) == (True, [], 1)
    exported = [json.loads(line) for line in site.run("audit", "export").output.splitlines()]
    assert [line["sequence"] for line in exported] == list(range(1, len(exported) + 1))
    assert site.json("audit", "tail", "-n", "1")[0] == exported[-1]
    assert "delivery-held" in [line["kind"] for line in site.json("audit", "show", STUDY)]


def test_audit_verify_fails_where_a_line_was_edited(site: Site) -> None:
    """A row that was edited in the database is found; the exit status is 1."""
    site.store.audit.append(AuditEvent(kind=AuditKind.NODE_STARTED, detail={"port": 1}))
    site.json("audit", "checkpoint")
    database = sqlite3.connect(site.folder / "data" / "node.db")
    database.execute("UPDATE audit SET detail = '{\"port\":2}'")
    database.commit()
    database.close()
    done = site.run("audit", "verify")
    assert done.exit_code == 1
    assert "line 1" in done.output
    assert "no checkpoint covers" in done.output
    assert site.store.audit.tail(1)[0].event.kind is AuditKind.AUDIT_BROKEN


def test_audit_verify_says_how_far_the_last_checkpoint_covers(site: Site) -> None:
    """The lines after it are chained and no more; without a checkpoint, all of them."""
    site.store.audit.append(*[AuditEvent(kind=AuditKind.STUDY_READY)] * 3)
    assert "no checkpoint covers any of its 3 lines" in site.run("audit", "verify").output
    site.json("audit", "checkpoint")
    site.store.audit.append(*[AuditEvent(kind=AuditKind.STUDY_READY)] * 2)
    verified = site.json("audit", "verify")
    assert (verified["lines"], verified["covered"]["line"]) == (5, 3)
    output = site.run("audit", "verify").output
    assert "lines 1 to 3 of 5 are covered by an unsigned checkpoint" in output
    assert "2 after them are only chained" in output


def test_a_checkpoint_of_a_cut_audit_log_raises_an_alert(site: Site) -> None:
    """The alert is covered by the checkpoint; exit status 1."""
    site.store.audit.append(*[AuditEvent(kind=AuditKind.STUDY_READY)] * 3)
    site.json("audit", "checkpoint")
    with closing(sqlite3.connect(site.folder / "data" / "node.db")) as database, database:
        database.execute("DELETE FROM audit WHERE sequence >= 2")
    done = site.run("audit", "checkpoint")
    assert done.exit_code == 1
    assert "BROKEN     line 3: missing, but checkpoint 1 recorded it" in done.output
    [alert] = site.store.audit.tail(1)
    assert (alert.sequence, alert.event.kind) == (2, AuditKind.AUDIT_BROKEN)


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["audit", "tail"], "audit tail"),
        (["audit", "show", STUDY], "audit show"),
        (["audit", "export"], "audit export"),
        (["show", STUDY], "show"),
    ],
)
def test_who_reads_the_audit_log_is_recorded_in_it(
    site: Site, words: list[str], command: str
) -> None:
    """Before anything is printed; if it cannot be recorded, nothing is printed."""
    _read_one_refuse_one_hold_the_result(site.store)
    assert site.run(*words).exit_code == 0
    [line] = site.store.audit.tail(1)
    assert line.event.kind is AuditKind.AUDIT_READ
    assert line.event.detail == {"command": command, "user": person()}
    with closing(sqlite3.connect(site.folder / "data" / "node.db")) as database, database:
        database.execute(
            "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
    done = site.run(*words)
    assert isinstance(done.exception, NodeError)
    assert STUDY not in done.stdout


def test_lines_that_wait_for_the_repository_are_counted_and_alarm_when_old(site: Site) -> None:
    """Depth and age of the queue in `status --json`; a sentence after `late_minutes`."""
    assert site.json("status")["audit_queue"] is None
    path = site.folder / "config.yaml"
    settings = yaml.safe_load(path.read_text())
    settings["tls"] = {"ca_file": str(identity(site.folder, "node").ca_file)}
    settings["audit"]["repository"] = {"host": "logs", "late_minutes": 30}
    path.write_text(yaml.safe_dump(settings))
    store = open_store(site.folder / "data", lambda: _now() - timedelta(minutes=20))
    store.audit.append(*[AuditEvent(kind=AuditKind.STUDY_READY)] * 3)
    store.audit.advance("repository", 1)
    store.close()
    status = site.json("status")
    assert status["audit_queue"]["lines"] == 2
    assert 1200 <= status["audit_queue"]["oldest_seconds"] < 1260
    assert _codes(status) == {"stopped"}
    settings["audit"]["repository"]["late_minutes"] = 15
    path.write_text(yaml.safe_dump(settings))
    output = site.run("status").output
    assert "ALARM      2 audit lines were not sent to the repository logs, the oldest 20" in output
    site.store.audit.advance("repository", 3)
    assert site.json("status")["audit_queue"] == {"lines": 0, "oldest_seconds": 0}
    assert _codes(site.json("status")) == {"stopped"}


def test_a_report_of_the_audit_log_counts_who_called_what_left_and_who_looked(site: Site) -> None:
    """By peer, destination and user; with the state of the hash chain and without identity."""
    peer: dict[str, object] = {"calling": "CR1", "called": "DICOM_NODE", "address": "10.0.0.5"}
    rejected = {**peer, "calling": "XX"}
    accepted: dict[str, object] = {"destination": "pacs", "attempt": 1}
    site.store.audit.append(
        AuditEvent(kind=AuditKind.ASSOCIATION_ACCEPTED, detail=peer),
        AuditEvent(kind=AuditKind.ASSOCIATION_REJECTED, detail=rejected),
        AuditEvent(kind=AuditKind.DELIVERY_ACCEPTED, study_instance_uid=STUDY, detail=accepted),
        AuditEvent(kind=AuditKind.STUDY_ERASED, study_instance_uid=STUDY),
    )
    site.run("audit", "tail")
    report = site.json("audit", "report", "--since", "1h")
    assert report["called"] == {"CR1 at 10.0.0.5": 1}
    assert report["rejected"] == {"XX at 10.0.0.5": 1}
    assert report["sent"] == {"pacs": {"objects": 1, "studies": 1}}
    assert report["looked_at"] == {f"{person()}: audit tail": 1}
    assert report["removed"] == {"study-erased": 1}
    assert report["problems"] == []
    assert site.json("audit", "report", "--since", "2999-01-01")["lines"] == 0
    said = site.run("audit", "report").output
    assert "the hash chain is intact" in said
    assert "What left, and to which destination" in said.splitlines()
    _alter_an_audit_line(site)
    assert site.run("audit", "report").exit_code == 1


def _alter_an_audit_line(site: Site) -> None:
    with closing(sqlite3.connect(site.folder / "data" / "node.db")) as raw:
        raw.execute("UPDATE audit SET detail = '{}' WHERE sequence = 1")
        raw.commit()


def test_echo_says_who_answers(site: Site, pacs: Peer) -> None:
    """A PACS that answers is exit status 0; one that is down, or unknown, is not."""
    assert site.json("echo", "pacs")["pacs"]["ok"] is True
    assert site.run("echo", "--self").exit_code == 1
    assert isinstance(site.run("echo", "elsewhere").exception, NodeError)
    pacs.stop()
    assert site.run("echo").exit_code == 1


def test_send_stores_files_and_folders(site: Site, pacs: Peer) -> None:
    """Every file goes out in one association; what is no DICOM file makes the exit status 1."""
    folder = site.folder / "films"
    for number in range(2):
        write(film(), folder / f"{number}.dcm")
    assert [answer["status"] for answer in site.json("send", "pacs", str(folder))] == [0, 0]
    assert len(pacs.instances()) == 2
    assert pacs.associations == 1
    (folder / "text.dcm").write_text("no film")
    assert site.run("send", "pacs", str(folder)).exit_code == 1


def test_config_check_prints_the_configuration_or_every_mistake(site: Site) -> None:
    """Defaults are filled in; a mistake is an error."""
    assert site.json("config", "check")["study"]["quiet_seconds"] == 5.0
    assert "quiet_seconds: 5.0" in site.run("config", "check").output
    with (site.folder / "config.yaml").open("a") as file:
        file.write("thresholds: {overrides: [{view: AP, ae_title: CR1, pneumonia: 0.42}]}\n")
    said = site.run("config", "check").output
    assert "thresholds.overrides.0 (view AP, from CR1): pneumonia 0.42 (site)" in said
    (site.folder / "config.yaml").write_text("node: {port: 0}\nstudy: {quiet_seconds: x}")
    error = str(site.run("config", "check").exception)
    assert "node.port" in error
    assert "study.quiet_seconds" in error


def test_config_check_tries_what_needs_no_running_node(site: Site) -> None:
    """A port in use and a name that does not resolve are faults; the exit status is 1."""
    values = yaml.safe_load((site.folder / "config.yaml").read_text())
    with socket.create_server(("127.0.0.1", 0)) as other:
        values["node"]["port"] = other.getsockname()[1]
        values["destinations"][0]["host"] = "pacs.invalid"
        (site.folder / "config.yaml").write_text(yaml.safe_dump(values))
        done = site.run("config", "check", "--json")
        assert done.exit_code == 1
        port, name = json.loads(done.stdout)["faults"]
        assert port.startswith("node.port: port")
        assert name.startswith("destination pacs: the name pacs.invalid")
        assert "FAULT      node.port: port" in site.run("config", "check").output


def test_looking_never_makes_a_database(tmp_path: Path) -> None:
    """A mistyped data folder is an error, not a new empty node."""
    config = tmp_path / "config.yaml"
    config.write_text(f"node: {{data_dir: {tmp_path / 'nowhere'}}}")
    for words in (["status"], ["studies"], ["audit", "verify"]):
        done = CliRunner().invoke(app, [*words, "--config", str(config)])
        assert isinstance(done.exception, NodeError)
    assert not (tmp_path / "nowhere").exists()


def test_an_error_of_ours_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback for what the node says no to."""
    monkeypatch.setattr("sys.argv", ["dicom-node", "status", "--config", "/nowhere.yaml"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("dicom-node: ")
    assert "Traceback" not in error
