"""Each mishap of docs/OPERATIONS.md is played, and the node says what the page says it does."""

from __future__ import annotations

import errno
import fcntl
import re
import socket
import subprocess
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import insert
from structlog.testing import capture_logs
from support.certificates import identity
from support.fakes import store_harness
from support.peer import free_port

from dicom_node.config import Config, load
from dicom_node.errors import ConfigError, NodeError
from dicom_node.service import running_config, start_checks, supervisor, work_alarms
from dicom_node.service.alarms import access, certificates, disk, drift, unbound
from dicom_node.service.folder_lock import only_node
from dicom_node.service.roles import CANNOT_START
from dicom_node.store import site_schema
from dicom_node.store.database import writing
from dicom_node.store.status import Status

PAGE = Path(__file__).parents[3] / "docs" / "OPERATIONS.md"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=1)


def _rows() -> list[str]:
    """What a person sees, of each row of the table."""
    table = PAGE.read_text().split("<!-- mishaps: begin -->")[1].split("<!-- mishaps: end -->")[0]
    return [line.split(" | ")[0].strip("| ") for line in table.strip().splitlines()[2:]]


def _config(folder: Path, **sections: Any) -> Config:
    node = {"host": "127.0.0.1", "port": free_port(), "data_dir": str(folder / "data")}
    return Config.model_validate({**sections, "node": {**node, **sections.get("node", {})}})


def _counted(**counts: Any) -> Status:
    none: dict[str, Any] = {"jobs": {}, "deliveries": {}, "breakers": {}}
    return cast("Status", none | counts)


def _said(alarms: list[Any]) -> str:
    """As `status` prints the one alarm there is."""
    (alarm,) = alarms
    return f"ALARM {alarm.sentence}"


def _refused(action: Callable[[], object]) -> str:
    with pytest.raises(NodeError) as caught:
        action()
    return str(caught.value)


def _port_in_use(folder: Path) -> str:
    with socket.create_server(("127.0.0.1", 0)) as other:
        return start_checks.port_faults(_config(folder, node={"port": other.getsockname()[1]}))[0]


def _low_port(folder: Path) -> str:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    config = _config(folder, node={"port": 104})
    with pytest.MonkeyPatch.context() as system:
        system.setattr(socket.socket, "bind", refuse)
        return start_checks.port_faults(config)[0]


def _foreign_address(folder: Path) -> str:
    return start_checks.port_faults(_config(folder, node={"host": "192.0.2.1"}))[0]


def _missing_certificate(folder: Path) -> str:
    tls = identity(folder, "a").model_copy(update={"certificate_file": folder / "none.pem"})
    return start_checks.certificate_faults(_config(folder, tls=tls.model_dump()))[0]


def _unusable_folder(folder: Path) -> str:
    (folder / "data").write_text("a file")
    return _refused(lambda: only_node(folder / "data", threading.Event()).__enter__())


def _second_node(folder: Path) -> str:
    with only_node(folder, threading.Event()):
        return _refused(lambda: only_node(folder, threading.Event()).__enter__())


def _orphans(folder: Path) -> str:
    stop = threading.Event()
    stop.set()
    with (folder / "node.lock").open("w") as orphan, capture_logs() as logs:
        fcntl.flock(orphan, fcntl.LOCK_EX)
        _refused(lambda: only_node(folder, stop).__enter__())
    return str(logs[0]["event"])


def _altered_weights(folder: Path) -> str:
    process = subprocess.Popen(["sh", "-c", f"exit {CANNOT_START}"])
    process.wait()
    child = supervisor._Child(
        role="worker", name="worker-1", owner="worker-1", process=process, starts=1
    )
    (folder / "data").mkdir()
    node = supervisor.Supervisor(config=_config(folder), config_path=None, children=[child])
    with store_harness(folder) as made, (folder / "lock").open("w") as lock:
        return _refused(lambda: node._tick(made.store, lock))


def _mistyped_key(folder: Path) -> str:
    path = folder / "config.yaml"
    path.write_text("node: {prot: 104}\n")
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    return str(caught.value)


def _full_disk(folder: Path) -> str:
    (folder / "data").mkdir()
    return _said(disk(_config(folder, spool={"min_free_mb": 2**40})))


def _edited_file(folder: Path) -> str:
    old, new = _config(folder), _config(folder, thresholds={"pneumonia": 0.4})
    new = new.model_copy(update={"node": old.node})
    (folder / "data").mkdir()
    running_config.publish(old)
    return _said(work_alarms.changed(new, folder / "config.yaml", {"supervisor": 1}))


def _audit_queue(folder: Path) -> str:
    tls = identity(folder, "a")
    audit = {"repository": {"host": "logs"}}
    config = _config(folder, tls=tls.model_dump(), audit=audit)
    return _said(work_alarms.unsent(config, 3, LONG_AGO, NOW))


def _other_films(folder: Path) -> str:
    config = _config(folder)
    config.node.data_dir.mkdir()
    with store_harness(config.node.data_dir) as node, writing(node.store._engine) as connection:
        row = {"sender": "CR1", "measure": "score", "stability_index": 0.5, "begun_at": NOW}
        connection.execute(insert(site_schema.drift_alarms), row)
    return _said(drift(config))


def _expiring(folder: Path) -> str:
    tls = identity(folder, "a", days=3).model_copy(update={"ca_file": None, "mutual": False})
    return _said(certificates(_config(folder, tls=tls.model_dump()), datetime.now(UTC)))


def _unbound_title(folder: Path) -> str:
    tls = identity(folder, "a").model_copy(update={"port": 2762})
    node = {"allowed_calling": [{"ae_title": "CR1"}]}
    return _said(unbound(_config(folder, node=node, tls=tls.model_dump())))


_BREAKER = {"pacs": {"open": True, "since": None, "reason": "refused", "failures": 5}}
_DELIVERIES = {"pacs": {"held": 2}}

#: Words of a row -> plays it, and returns what the node said.
PLAYS: dict[str, Callable[[Path], str]] = {
    "in use by another program": _port_in_use,
    "ports below 1024": _low_port,
    "not an address of this machine": _foreign_address,
    "is not the key of": _missing_certificate,
    "cannot be used": _unusable_folder,
    "another node runs over": _second_node,
    "processes of a killed node": _orphans,
    "worker-1 cannot start": _altered_weights,
    "a list of keys": _mistyped_key,
    "the node is not running": lambda f: _said(work_alarms.processes(_config(f), {})),
    "worker-1 is not running": lambda f: _said(
        work_alarms.processes(
            _config(f), dict.fromkeys(("supervisor", "receiver-1", "deliverer-1"), 1)
        )
    ),
    "is down": lambda _: _said(work_alarms.destinations(_counted(breakers=_BREAKER))),
    "films are rejected": _full_disk,
    "a result has waited": lambda f: _said(work_alarms.undelivered(_config(f), LONG_AGO, NOW)),
    "a film has waited": lambda f: _said(work_alarms.unread(_config(f), LONG_AGO, NOW)),
    "are held": lambda _: _said(work_alarms.by_hand(_counted(deliveries=_DELIVERIES))),
    "are parked": lambda _: _said(work_alarms.by_hand(_counted(jobs={"parked": 1}))),
    "are withheld": lambda _: _said(
        work_alarms.by_hand(_counted(deliveries={"pacs": {"withheld": 1}}))
    ),
    "expires in": _expiring,
    "differ from the reference": _other_films,
    "is newer than the running node": _edited_file,
    "any peer on the network": lambda f: _said(access(_config(f, node={"host": "192.0.2.1"}))),
    "any certificate may use": _unbound_title,
    "audit lines were not sent": _audit_queue,
}

#: Words of a row -> the test that plays it elsewhere.
ELSEWHERE = {"delivery held until retry or discard": "tests/node/deliver/test_shipment.py"}


@pytest.mark.parametrize("row", _rows())
def test_the_node_says_what_the_page_says(row: str, tmp_path: Path) -> None:
    """The words in the first column, where ``...`` stands for anything."""
    if elsewhere := [(words, path) for words, path in ELSEWHERE.items() if words in row]:
        [(words, path)] = elsewhere
        assert f'"{words}"' in (PAGE.parents[1] / path).read_text()
        return
    [play] = [play for words, play in PLAYS.items() if words in row]
    said = play(tmp_path)
    quoted = [
        each for each in re.findall(r"`([^`]+)`", row) if each not in ("run", "node.data_dir")
    ]
    wanted = [re.sub(r"\d+", r"\\d+", re.escape(each)).replace(r"\.\.\.", ".*") for each in quoted]
    assert any(re.search(each, said, re.S) for each in wanted) or (not wanted and "line 1" in said)


def test_every_play_is_on_the_page() -> None:
    """A row that is removed takes its play with it."""
    page = "\n".join(_rows())
    assert all(words in page for words in [*PLAYS, *ELSEWHERE])
