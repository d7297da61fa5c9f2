"""What the node says to systemd (sd_notify(3))."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from dicom_node.service.systemd import notify


@pytest.mark.parametrize("abstract", [False, True], ids=["file", "abstract"])
def test_systemd_gets_the_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool
) -> None:
    """Over the socket that NOTIFY_SOCKET names; @ stands for the zero byte."""
    name = f"@dicom-node-{tmp_path.name}" if abstract else str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(name.replace("@", "\0"))
        systemd.settimeout(5)
        notify("READY=1")
        assert systemd.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", ["", "/nonexistent/socket"])
def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """As in a terminal or a container."""
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    notify("READY=1")
