"""The image and its compose file give the node no more than it needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from dicom_node.config import NodeConfig

DOCKER = Path(__file__).parents[2] / "docker"
USER = "10001:10001"


def test_the_image_does_not_run_as_root() -> None:
    """The last USER is a number other than root's, and no step after it runs as another user."""
    lines = (DOCKER / "Dockerfile").read_text().splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users[-1] == USER
    last = lines.index(f"USER {USER}")
    assert not any(line.startswith(("RUN ", "ADD ", "COPY ")) for line in lines[last:])
    assert f"useradd --system --uid {USER.split(':')[0]}" in "\n".join(lines)


def test_the_image_holds_no_secret_and_keeps_its_data_in_one_place() -> None:
    """All state is in one volume; passphrases and keys are provided at run time."""
    text = (DOCKER / "Dockerfile").read_text()
    assert [line for line in text.splitlines() if line.startswith("VOLUME")] == ["VOLUME /data"]
    assert "DICOM_NODE__NODE__DATA_DIR=/data" in text
    assert not any(word in text.lower() for word in ("password", "passphrase", "token", ".pem"))


def test_the_node_s_container_can_write_to_its_data_alone() -> None:
    """A read-only root, a small non-executable /tmp, no capabilities, no new privileges."""
    node = _node()
    assert node["read_only"] is True
    assert node["user"] == USER
    assert node["cap_drop"] == ["ALL"]
    assert "cap_add" not in node
    assert "privileged" not in node
    assert node["security_opt"] == ["no-new-privileges:true"]
    assert node["volumes"] == ["node-data:/data"]
    assert node["mem_limit"]
    assert node["pids_limit"]
    [scratch] = node["tmpfs"]
    where, _, options = scratch.partition(":")
    assert where == "/tmp"  # noqa: S108 - the container's own
    assert {"noexec", "nosuid", "nodev"} < set(options.split(","))


def test_the_container_is_given_the_time_that_a_drain_takes() -> None:
    """SIGTERM drains receiver, workers and deliverer in turn; the grace period is longer."""
    from dicom_node.service.supervisor import _DRAIN_SECONDS

    minutes, unit = _node()["stop_grace_period"][:-1], _node()["stop_grace_period"][-1]
    assert unit == "m"
    assert 60 * int(minutes) >= sum(_DRAIN_SECONDS.values())
    assert "STOPSIGNAL SIGTERM" in (DOCKER / "Dockerfile").read_text()


def test_the_example_is_reachable_from_this_machine_only_and_asks_for_a_password() -> None:
    """The PACS beside the node listens on loopback; only it may call the node."""
    services = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
    assert "ports" not in services["node"]
    assert all(port.startswith("127.0.0.1:") for port in services["orthanc"]["ports"])
    assert services["orthanc"]["environment"]["ORTHANC__AUTHENTICATION_ENABLED"] == "true"
    allowed = yaml.safe_load(services["node"]["environment"]["DICOM_NODE__NODE__ALLOWED_CALLING"])
    assert NodeConfig(allowed_calling=allowed).allowed_calling[0].ae_title == "ORTHANC"


def _node() -> dict[str, Any]:
    composed = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    node: dict[str, Any] = composed["services"]["node"]
    return node
