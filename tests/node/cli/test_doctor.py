"""`doctor` alone: everything is looked at, whatever is broken, and nothing is changed."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml
from support.certificates import identity
from support.commands import Commands
from support.peer import destination, free_port
from support.postgres import Postgres
from support.receiving import MemoryStore, receiver

from dicom_node.cli.doctor_all import Look, examine, looks
from dicom_node.config import Config, TlsConfig
from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.errors import NodeError
from dicom_node.service import counterparts, examination
from dicom_node.service.examination import Finding
from dicom_node.store.status import read_status
from dicom_node.store.store import open_store
from models import SHIPPED


def _now() -> datetime:
    return datetime.now(UTC)


def _site(folder: Path, port: int, **sections: Any) -> Commands:
    folder.chmod(0o700)
    values = {
        "node": {"data_dir": str(folder / "data"), "host": "127.0.0.1", "port": free_port()},
        "destinations": [{"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": port}],
        "delivery": {"timeout_seconds": 1.0},
        "audit": {"checkpoint_dir": str(folder / "checkpoints")},
        "spool": {"min_free_mb": 0},
        **sections,
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(values))
    path.chmod(0o600)
    return Commands(folder)


def _found(site: Commands, status: int) -> dict[str, dict[str, Any]]:
    """The last finding about each thing."""
    done = site.run("doctor", "--json")
    said = json.loads(done.stdout)
    assert done.exit_code == said["status"] == status
    return {each["about"]: each for each in said["findings"]}


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_site_before_its_first_start_has_no_fault_and_stays_as_it_is(tmp_path: Path) -> None:
    """A line for each thing, what is not there yet included; the data folder is not made."""
    disk = {"name": "disk", "kind": "folder", "path": str(tmp_path)}
    done = _site(tmp_path, 1, destinations=[disk]).run("doctor")
    assert done.exit_code in {0, 1}, done.output  # 1: this machine's clock, memory or kernel
    assert "FAULT" not in done.output
    assert "ok       to disk       " in done.output
    assert "no database yet: the first start makes it" in done.output
    assert " networks " in done.output
    assert not (tmp_path / "data").exists()


def test_whatever_is_broken_is_a_fault_with_a_command(tmp_path: Path, silent: int) -> None:
    """A damaged database, an open file, a port in use, a PACS that hangs."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "node.db").write_bytes(b"no database" * 400)
    (data / "node.db").chmod(0o644)
    http, node = {"port": silent}, {"data_dir": str(data), "host": "127.0.0.1", "port": silent}
    site = _site(
        tmp_path,
        silent,
        node=node,
        http=http,
        verdicts={"folder": str(tmp_path / "nothing")},
        tls={"ca_file": str(tmp_path / "no.pem")},
    )
    found = _found(site, 2)
    faults = {about: each for about, each in found.items() if each["level"] == "fault"}
    assert set(faults) >= {"node", "store", "files", "certificates", "verdicts", "to pacs"}
    assert all(each["command"] for each in faults.values())
    assert "is in use by another program" in faults["node"]["sentence"]
    assert "node.db is open to other users: 0644" in faults["files"]["sentence"]


def test_mistakes_of_the_configuration_are_faults(tmp_path: Path) -> None:
    """One line each; without a configuration there is nothing else to look at."""
    (tmp_path / "config.yaml").write_text("node: {prot: 1, host: 7}")
    done = Commands(tmp_path).run("doctor")
    assert done.exit_code == 2
    assert done.output.count("FAULT    configuration") == 2
    assert "did you mean port" in done.output
    (tmp_path / "config.yaml").unlink()
    assert Commands(tmp_path).run("doctor").exit_code == 2


def _look(find: Any) -> Look:
    return Look(about="disk", find=find, command="df -h")


def test_what_hangs_or_breaks_is_a_finding_and_the_rest_is_looked_at() -> None:
    """As a dead network disk, or a fault of ours: no traceback, and a bounded time."""
    well = Finding(about="disk", level="ok", sentence="there")

    def broken() -> list[Finding]:
        raise RuntimeError("as never before")

    hung, failed, last = examine(
        [_look(threading.Event().wait), _look(broken), _look(lambda: [well])], seconds=0.5
    )
    assert (hung.level, hung.sentence, hung.command) == (
        "warning",
        "no answer within 0.5 s",
        "df -h",
    )
    assert failed.level == "fault"
    assert "as never before" in failed.sentence
    assert last == well


def test_the_networks_are_named_by_digest_or_missing(tmp_path: Path) -> None:
    """Those that come with the node are intact; a folder without networks is a fault."""
    (found,) = examination.models(Config())
    assert (found.level, found.command) == ("ok", None)
    assert "digest" in found.sentence
    config = Config.model_validate({"models": {"dir": str(tmp_path)}})
    (found,) = examination.models(config)
    assert (found.level, found.command) == ("fault", "dicom-node config check")


def test_promoted_networks_are_looked_at_in_the_place_of_the_configured(tmp_path: Path) -> None:
    """A copy that is gone, and one without the operating point that `thresholds` names."""
    store = open_store(tmp_path, _now)
    store.promotions.promote("9", "d" * 64, Path("copy"), user="u", reason="r", evidence={})
    store.close()
    names = {"node": {"data_dir": str(tmp_path)}, "thresholds": {"pneumonia": "specific"}}
    config = Config.model_validate(names)
    (found,) = examination.models(config)
    assert (found.level, found.command) == ("fault", "dicom-node model rollback")
    (copy := tmp_path / "copy").mkdir()
    manifest = (SHIPPED["lite"] / "manifest.yaml").read_text()
    for each in ("weights", "cards"):
        (copy / each).symlink_to(SHIPPED["lite"] / each)
    (copy / "manifest.yaml").write_text(manifest)
    (found,) = examination.models(config)
    assert (found.level, ", promoted, " in found.sentence) == ("ok", True)
    (copy / "manifest.yaml").write_text(re.sub(r"\n +specific: .*", "", manifest))
    (found,) = examination.models(config)
    assert found.level == "fault"
    assert "no operating point 'specific'" in found.sentence


def _in_postgresql(folder: Path, url: str) -> Finding:
    values = {"node": {"data_dir": str(folder)}, "store": {"url": url}}
    listed = looks(Config.model_validate(values), None)
    (found,) = examine([each for each in listed if each.about == "store"])
    return found


def test_a_postgresql_database_is_new_or_answers_or_is_asked_by_its_own_program(
    tmp_path: Path, server: Postgres, migrated: str
) -> None:
    """An empty one is no fault: the first start makes its tables."""
    empty, used = server.create(), server.create(migrated)
    found = _in_postgresql(tmp_path, server.url(empty))
    assert found.level == "ok"
    assert "the first start makes its tables" in found.sentence
    assert _in_postgresql(tmp_path, server.url(used)).sentence.startswith("answers: 0 studies")
    with pytest.raises(NodeError, match="no node has used the database"):
        read_status(tmp_path, server.url(empty))
    for name in (empty, used):
        server.drop(name)
    found = _in_postgresql(tmp_path, server.url(empty))
    assert found.level == "fault"
    assert found.command == f"pg_isready -d '{server.url(empty).replace('+psycopg', '')}'"


def test_a_destination_that_wants_a_certificate_says_what_it_thinks_of_ours(tmp_path: Path) -> None:
    """TLS with certificates on both sides: ours is good, of another authority, or not there."""
    ours = identity(tmp_path, "ours")
    foreign = identity(tmp_path, "foreign", trustme.CA(organization_name="Elsewhere"))
    said = []
    with receiver(tmp_path / "pacs", MemoryStore(), tls=identity(tmp_path, "pacs")) as pacs:
        peer = destination(pacs.ports[-1]).model_copy(update={"tls": True})
        for tls in (ours, foreign, TlsConfig(ca_file=ours.ca_file)):
            (found,) = counterparts.destination(Config(tls=tls), peer)
            said.append((found.level, found.sentence.rpartition(": ")[2]))
        (plain,) = counterparts.destination(Config(), destination(pacs.ports[-1]))
    assert plain.sentence.endswith("hung up during the association request; perhaps it wants TLS")
    assert said[0][0] == "ok"
    assert said[1:] == [
        ("fault", "the peer does not know who signed our certificate"),
        ("fault", "the peer wants a certificate from us (mutual TLS)"),
    ]


def test_receivers_of_alerts_and_audit_lines_that_do_not_answer_are_warnings(
    tmp_path: Path,
) -> None:
    """The node does its work without them; the path of a webhook may be secret."""
    port, token = free_port(), tmp_path / "token"
    webhook = {"url": f"http://127.0.0.1:{port}/secret", "token_file": str(token)}
    mail = {"host": "127.0.0.1", "port": port, "sender": "a", "recipients": ["b"]}
    tls = identity(tmp_path, "ours").model_dump()
    config = Config.model_validate(
        {
            "alerts": {"webhook": webhook, "mail": mail},
            "audit": {"repository": {"host": "127.0.0.1", "port": port}},
            "tls": tls,
        }
    )
    found = [*counterparts.alerts(config), *counterparts.repository(config)]
    assert [each.sentence for each in found] == [
        f"alerts.webhook: nothing answers at 127.0.0.1:{port}: Connection refused",
        f"alerts.mail: nothing answers at 127.0.0.1:{port}: Connection refused",
        f"alerts.webhook.token_file: {token} cannot be read",
        f"no TLS connection to 127.0.0.1:{port}: Connection refused",
    ]
    assert {each.level for each in found} == {"warning"}


def test_receivers_of_alerts_that_answer_are_named_so(silent: int) -> None:
    """Nothing is sent to them."""
    alerts = {"webhook": {"url": f"http://127.0.0.1:{silent}/"}}
    (found,) = counterparts.alerts(Config.model_validate({"alerts": alerts}))
    assert (found.level, found.sentence) == ("ok", "their receivers answer")


def test_a_clock_earlier_than_the_last_start_is_a_fault(tmp_path: Path) -> None:
    """It is wrong now, or it was wrong then."""
    store = open_store(tmp_path, lambda: _now() + timedelta(days=1))
    store.audit.append(AuditEvent(kind=AuditKind.NODE_STARTED))
    store.close()
    config = Config.model_validate({"node": {"data_dir": str(tmp_path)}})
    (found,) = examination.clock(config, _now())
    assert found.level == "fault"
    assert "earlier than the node's last start" in found.sentence


def test_options_of_a_part_come_after_its_name(tmp_path: Path) -> None:
    """Before it they would be lost, and another configuration be looked at."""
    site = _site(tmp_path, free_port())
    path = str(site.folder / "config.yaml")
    done = site.run("doctor", "--config", path, "store")
    assert isinstance(done.exception, NodeError)
