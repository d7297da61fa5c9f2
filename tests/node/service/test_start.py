"""A node that cannot start says why in a sentence, at once."""

from __future__ import annotations

import fcntl
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from support.certificates import identity
from support.peer import free_port

from dicom_node.config import Config
from dicom_node.errors import NodeError
from dicom_node.service import alarms, examination, start_checks
from dicom_node.service.folder_lock import only_node
from dicom_node.service.signals import Signals
from dicom_node.service.supervisor import Supervisor


def _config(folder: Path, **sections: Any) -> Config:
    node = {"host": "127.0.0.1", "port": free_port(), "data_dir": str(folder / "data")}
    return Config.model_validate({**sections, "node": {**node, **sections.get("node", {})}})


def _run(config: Config) -> str:
    """Run a node that cannot start, and return its sentence."""
    with pytest.raises(NodeError) as caught:
        Supervisor(config=config, config_path=None).run(Signals())
    return str(caught.value)


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield int(other.getsockname()[1])


def test_a_port_in_use_ends_the_start(tmp_path: Path, taken: int) -> None:
    """The sentence names the key and the port; no process was started."""
    said = _run(_config(tmp_path, node={"port": taken}))
    assert f"node.port: port {taken} of 127.0.0.1 is in use by another program" in said


def test_a_bucket_that_is_away_is_an_alarm_and_ends_no_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node starts and refuses films, as it does with a full disk; `config check` says why."""
    pytest.importorskip("obstore")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "name")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    keys = {"files": "s3://films/x", "endpoint": f"http://127.0.0.1:{free_port()}"}
    config = _config(tmp_path, store={"url": "postgresql+psycopg://db/node", **keys})
    assert not [each for each in start_checks.start_faults(config) if "s3://" in each]
    [fault] = start_checks.bucket_faults(config)
    assert fault.startswith("store.files: s3://films/x cannot be used")
    [alarm] = alarms.bucket(config)
    assert (alarm.code, alarm.level) == ("bucket", "critical")
    assert [each.level for each in examination.bucket(config)] == ["fault"]
    assert alarms.bucket(_config(tmp_path)) == []


def test_films_in_a_bucket_need_a_database_that_others_can_reach(tmp_path: Path) -> None:
    """And an endpoint needs a bucket."""
    for keys in ({"files": "s3://films/x"}, {"endpoint": "http://127.0.0.1:9"}):
        with pytest.raises(ValueError, match="need"):
            _config(tmp_path, store=keys)


def test_an_address_of_another_machine_ends_the_start(tmp_path: Path) -> None:
    """192.0.2.1 is reserved for documentation (RFC 5737)."""
    said = _run(_config(tmp_path, node={"host": "192.0.2.1"}))
    assert "node.host is not an address of this machine" in said


def test_a_missing_or_foreign_certificate_ends_the_start(tmp_path: Path) -> None:
    """The sentence names the file that is missing, or the key that is not the certificate's."""
    ours, other = identity(tmp_path, "a"), identity(tmp_path, "b")
    foreign = ours.model_copy(update={"key_file": other.key_file, "port": free_port()})
    said = _run(_config(tmp_path, tls=foreign.model_dump()))
    assert f"{other.key_file} is not the key of {ours.certificate_file}" in said
    assert ours.certificate_file is not None
    ours.certificate_file.unlink()
    said = _run(_config(tmp_path, tls=ours.model_dump()))
    assert f"{ours.certificate_file} does not exist" in said


def test_a_folder_that_cannot_be_used_ends_the_start(tmp_path: Path) -> None:
    """As on a read-only disk; here a file stands where the folder should be."""
    (tmp_path / "data").write_text("a file")
    assert "data cannot be used" in _run(_config(tmp_path))


def test_a_second_node_on_the_folder_ends_at_once(tmp_path: Path) -> None:
    """It does not wait for a node that is well."""
    config = _config(tmp_path)
    before = time.monotonic()
    with only_node(config.node.data_dir, threading.Event()):
        assert "another node runs over" in _run(config)
    assert time.monotonic() - before < 30


def test_the_processes_of_a_killed_node_are_waited_for(tmp_path: Path) -> None:
    """They hold the second lock only; the log says what is waited for, and a stop ends the wait."""
    stop = threading.Event()
    stop.set()
    with (tmp_path / "node.lock").open("w") as orphan, capture_logs() as logs:
        fcntl.flock(orphan, fcntl.LOCK_EX)
        with pytest.raises(NodeError, match="still use"), only_node(tmp_path, stop):
            pass
    assert "waiting for them" in logs[0]["event"]
    with only_node(tmp_path, threading.Event()):
        pass


def test_the_folder_is_free_again_after_the_node(tmp_path: Path) -> None:
    """A node that ended leaves nothing to clean up."""
    for _ in range(2):
        with only_node(tmp_path, threading.Event()):
            pass


def test_the_first_lines_say_which_node_this_is(tmp_path: Path, taken: int) -> None:
    """Version, configuration, data folder, each destination, and who may call."""
    pacs = {"name": "pacs", "ae_title": "PACS", "host": "pacs.example", "port": 104}
    disk = {"name": "disk", "kind": "folder", "path": "/mnt/results"}
    calling = [{"ae_title": "CR1", "address": "10.0.0.0/24"}]
    node = {"port": taken, "allowed_calling": calling}
    with capture_logs() as logs:
        _run(_config(tmp_path, node=node, destinations=[pacs, disk]))
    first, *destinations, last = logs
    assert first["data_dir"] == str(tmp_path / "data")
    assert {"version", "config"} <= set(first)
    assert [each["address"] for each in destinations] == [
        "PACS at pacs.example:104",
        "folder /mnt/results",
    ]
    assert last["peers"] == "CR1 from 10.0.0.0/24"


def test_destinations_are_tried_as_far_as_nothing_is_sent(tmp_path: Path) -> None:
    """Names must resolve, folders be writable, tokens be there; `.invalid` never resolves."""
    config = _config(
        tmp_path,
        destinations=[
            {"name": "here", "ae_title": "A", "host": "127.0.0.1", "port": 104},
            {"name": "gone", "ae_title": "A", "host": "pacs.invalid", "port": 104},
            {"name": "disk", "kind": "folder", "path": str(tmp_path / "none")},
            {
                "name": "web",
                "kind": "dicomweb",
                "url": "https://127.0.0.1/",
                "token_env": "NO_SUCH_TOKEN",
            },
        ],
    )
    assert start_checks.destination_faults(config) == [
        "destination gone: the name pacs.invalid does not resolve to an address",
        f"destination disk: {tmp_path / 'none'} cannot be written: No such file or directory",
        "destination web: token_env: the variable NO_SUCH_TOKEN is not set",
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_write_permission_is_a_fault(tmp_path: Path) -> None:
    """Also where the data folder is still to be made in it."""
    tmp_path.chmod(0o500)
    assert "Permission denied" in start_checks.folder_faults(_config(tmp_path))[0]
    tmp_path.chmod(0o700)
