"""docs/DEPLOYMENT.md and the systemd unit describe the node as it is."""

from __future__ import annotations

import re
from pathlib import Path

from dicom_node.config import Config
from dicom_node.service.supervisor import _DRAIN_SECONDS
from dicom_node.store.status import Status

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "DEPLOYMENT.md").read_text()
UNIT = (ROOT / "deploy" / "dicom-node.service").read_text()


def test_every_field_of_the_status_is_explained() -> None:
    """Monitoring finds each field of `status --json` on the page, and no other."""
    table = PAGE.split("<!-- status: begin -->")[1].split("<!-- status: end -->")[0]
    cells = re.findall(r"^\| (`.+?`) \|", table, re.M)
    named = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    assert named == {*Status.__annotations__, "audit_queue", "processes", "engines", "alarms"}


def test_the_ports_are_the_configuration_s_defaults() -> None:
    """The firewall table has the plain port's default, and no TLS port without one."""
    assert f"| {Config().node.port} | DICOM | `node.port`" in PAGE
    assert Config().tls.port is None


def test_the_unit_waits_for_the_drain_and_keeps_the_data_private() -> None:
    """systemd does not kill a node that is draining; the data folder is the user's alone."""
    settings = dict(re.findall(r"^(\w+)=(.*)$", UNIT, re.M))
    assert int(settings["TimeoutStopSec"]) >= sum(_DRAIN_SECONDS.values())
    assert settings["StateDirectoryMode"] == "0700"
    assert settings["UMask"] == "0077"
    assert settings["NoNewPrivileges"] == "yes"
    assert settings["User"] not in {"", "root"}
    assert "dicom-node run --config" in settings["ExecStart"]
