"""A changed configuration in a running node: all of it or nothing, with an audit line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from support.fakes import StoreHarness, store_harness
from support.receiving import MemoryStore, association, receiver

from dicom_node.config import Config, DicomDestination, load
from dicom_node.domain.audit import AuditKind
from dicom_node.receive.scp import Receiver
from dicom_node.service import running_config
from dicom_node.service.supervisor import Supervisor
from dicom_node.service.term import Term

PACS = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": 4242}
DESTINATION = DicomDestination.model_validate(PACS)


def _write(folder: Path, **sections: Any) -> Path:
    path = folder / "config.yaml"
    sections.setdefault("node", {})["data_dir"] = str(folder)
    path.write_text(yaml.safe_dump(sections))
    return path


def _running(folder: Path) -> Supervisor:
    path = _write(folder)
    running = Supervisor(config=load(path, {}), config_path=path)
    running_config.publish(running.config)
    return running


def _last_line(made: StoreHarness) -> tuple[AuditKind, dict[str, Any]]:
    record = made.store.audit.after(0, 100)[-1]
    return record.event.kind, dict(record.event.detail)


def test_the_running_node_takes_what_may_change(tmp_path: Path) -> None:
    """The processes find it in the data folder; the audit line names the keys and the digest."""
    running = _running(tmp_path)
    _write(tmp_path, thresholds={"pneumonia": 0.42}, destinations=[PACS], log={"level": "error"})
    with store_harness(tmp_path) as made:
        running.reload(made.store)
        kind, detail = _last_line(made)
    assert kind is AuditKind.CONFIG_RELOADED
    assert detail["changed"] == ["destinations", "log", "thresholds"]
    assert detail["config_digest"] == running.config.digest
    assert running_config.running(running.config) == running.config
    assert running.config.thresholds.pneumonia == 0.42


@pytest.mark.parametrize(
    ("sections", "reason"),
    [
        ({"thresholds": {"pneumonia": "sensitiv"}}, "must be balanced, sensitive, specific"),
        ({"node": {"port": 104}}, "node.port changed: that needs a restart"),
        ({"workers": {"count": 2}}, "workers.count changed: that needs a restart"),
        ({"thresholds": {"covid19": "sensitive"}}, "have no operating point 'sensitive'"),
        ({"priority": {"attribute": "NoSuchKeyword"}}, "NoSuchKeyword is not a DICOM keyword"),
        ({"node": {"allowed_calling": [{"ae_title": "A", "address": "x"}]}}, "allowed_calling"),
        ({"node": {"users_file": "/nonexistent/users"}}, "node.users_file"),
    ],
    ids=str,
)
def test_a_configuration_that_is_wrong_or_needs_a_restart_changes_nothing(
    tmp_path: Path, sections: dict[str, Any], reason: str
) -> None:
    """Not even what could change beside it; the audit line has the reason."""
    running = _running(tmp_path)
    before = running.config
    _write(tmp_path, destinations=[PACS], **sections)
    with store_harness(tmp_path) as made:
        running.reload(made.store)
        kind, detail = _last_line(made)
    assert kind is AuditKind.CONFIG_REFUSED
    assert reason in detail["reason"]
    assert running.config == running_config.running(before) == before


def test_a_term_ends_with_another_configuration_and_not_with_the_same(tmp_path: Path) -> None:
    """What the supervisor published before the process looked first is found, too."""
    config = Config.model_validate({"node": {"data_dir": str(tmp_path)}})
    term = Term(owner="worker-1", config=config, file=running_config.path(config))
    term.look()
    running_config.publish(config)
    term.look()
    assert not term.ended.is_set()
    other = Config.model_validate({"node": {"data_dir": str(tmp_path)}, "destinations": [PACS]})
    running_config.publish(other)
    term.look()
    assert term.ended.is_set()
    assert term.following() == other
    assert not term.ended.is_set()


def test_a_process_that_must_stop_has_no_next_term(tmp_path: Path) -> None:
    """Even if another configuration came at the same time."""
    config = Config.model_validate({"node": {"data_dir": str(tmp_path)}})
    term = Term(owner="worker-1", config=config, file=running_config.path(config))
    running_config.publish(config.model_copy(update={"destinations": (DESTINATION,)}))
    term.look()
    term.stop()
    assert term.following() is None
    assert term.ended.is_set()


def test_a_peer_that_left_the_allow_list_is_rejected_at_once(tmp_path: Path) -> None:
    """The listener stays open, and the peer that is on the list now is accepted."""
    with receiver(tmp_path, MemoryStore()) as node:
        assert _may_call(node, "MODALITY")
        peers = {"allowed_calling": [{"ae_title": "OTHER"}], "data_dir": str(tmp_path)}
        node.reload(Config.model_validate({"node": peers}))
        assert not _may_call(node, "MODALITY")
        assert _may_call(node, "OTHER")


def _may_call(node: Receiver, ae_title: str) -> bool:
    with association(node.ports[0], calling=ae_title) as assoc:
        return bool(assoc.is_established)
