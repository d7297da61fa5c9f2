"""The files that start a cluster: valid, least rights, no secret, roles that cover all work."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from dicom_node.config import Config
from dicom_node.receive.proxy import Proxies
from dicom_node.service.supervisor import _DRAIN_SECONDS

DOCKER = Path(__file__).parents[2] / "docker"
COMPOSED: dict[str, Any] = yaml.safe_load((DOCKER / "compose.cluster.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSED["services"]
MANIFESTS: list[dict[str, Any]] = [
    each
    for path in sorted((DOCKER / "kubernetes").glob("*.yaml"))
    for each in yaml.safe_load_all(path.read_text())
]
PODS = {
    each["metadata"]["labels"]["role"]: each["spec"]["template"]["spec"]
    for each in MANIFESTS
    if each["kind"] == "Deployment"
}
ROLES = {"receiver", "worker", "deliverer", "scheduler"}


def _name(manifest: dict[str, Any]) -> str:
    return f"{manifest['kind']} {manifest['metadata']['name']}"


@pytest.mark.parametrize("manifest", MANIFESTS, ids=_name)
def test_a_manifest_is_what_kubernetes_reads(manifest: dict[str, Any]) -> None:
    """By its own schema, without an unknown key."""
    kubernetes_validate.validate(manifest, "1.31", strict=True)


def _given(arguments: list[str]) -> set[str]:
    return {after for word, after in pairwise(arguments) if word == "--role"}


def test_every_role_is_filled() -> None:
    """By the compose file as by the manifests."""
    composed = [each["command"] for each in SERVICES.values() if "command" in each]
    assert set().union(*map(_given, composed)) == ROLES
    assert set().union(*(_given(pod["containers"][0]["args"]) for pod in PODS.values())) == ROLES


def test_no_secret_is_written_down() -> None:
    """Passwords come from the environment, or from a secret by its name."""
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            assert "PASSWORD" not in key or value.startswith("${"), key
    for pod in PODS.values():
        [password] = pod["containers"][0]["env"]
        assert "secretKeyRef" in password["valueFrom"]


@pytest.mark.parametrize("role", PODS)
def test_a_pod_has_no_more_rights_than_it_needs(role: str) -> None:
    """And the time that a drain takes, and a disruption budget."""
    pod, [container] = PODS[role], PODS[role]["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["terminationGracePeriodSeconds"] >= sum(_DRAIN_SECONDS.values())
    assert "startupProbe" in container
    budgets = [each for each in MANIFESTS if each["kind"] == "PodDisruptionBudget"]
    assert role in [each["spec"]["selector"]["matchLabels"]["role"] for each in budgets]


def test_every_service_can_write_to_the_shared_folder_alone() -> None:
    """As the single node's container."""
    for name in ("receiver-one", "receiver-two", "worker", "deliverer"):
        service = SERVICES[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["volumes"] == ["node-data:/data"]


def test_the_configurations_are_the_node_s() -> None:
    """Keys that it knows; the balancer is a listed proxy, and hands on to both receivers."""
    [config] = [each for each in MANIFESTS if each["kind"] == "ConfigMap"]
    Config.model_validate(yaml.safe_load(config["data"]["config.yaml"]))
    given = SERVICES["receiver-one"]["environment"]["DICOM_NODE__NODE__PROXIES"]
    balancer = SERVICES["balancer"]
    address = balancer["networks"]["cluster"]["ipv4_address"]
    assert address in Proxies(yaml.safe_load(given))
    receivers = {balancer["environment"][f"RECEIVER_{each}"] for each in ("ONE", "TWO")}
    assert receivers == {"receiver-one:11112", "receiver-two:11112"}
