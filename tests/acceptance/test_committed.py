"""The running node and a PACS that is asked whether it keeps what it took, and asks in turn."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
)
from support.commitment_pacs import CommittingPeer, Style
from support.film import film, phantom, write
from support.peer import destination, free_port
from support.receiving import association
from support.running import STAND_IN, RunningNode, running_node

from dicom_node.commitment.datasets import request_data_set
from dicom_node.domain.commitment import PUSH_MODEL_INSTANCE, REQUEST, Reference


@pytest.mark.timeout(300)
def test_results_are_committed_and_films_are_confirmed(tmp_path: Path) -> None:
    """The deliverer dies between question and answer: each object is committed, once."""
    (tmp_path / "node").mkdir()
    ds = film(phantom(seed=1))
    source = write(ds, tmp_path / "in.dcm")
    with (
        CommittingPeer(tmp_path / "pacs", Style.NEVER) as pacs,
        running_node(
            tmp_path / "node", [destination(pacs.port), destination(free_port(), "away", "AWAY")],
            delivery={"commitment_wait_seconds": 30, "breaker_failures": 2}, environment=STAND_IN,
        ) as node,
    ):  # fmt: skip
        pacs.node_port = node.port
        assert node.send([source]) == [0x0000]
        node.wait_until(lambda: pacs.requests, seconds=120)
        assert _at_pacs(node) == {"accepted"}
        node.kill("deliverer-1")
        pacs.report_elsewhere(None, pacs.requests[0])
        node.wait_until(lambda: _at_pacs(node) == {"committed"}, seconds=30)
        _ask_for(node, ds.SOPClassUID, ds.SOPInstanceUID)
        node.wait_until(lambda: pacs.heard, seconds=60)
        assert [each.sop_instance_uid for each in pacs.heard[0].kept] == [ds.SOPInstanceUID]
        node.wait_until(lambda: any(each["open"] for each in node.status()["breakers"].values()))
        assert set(pacs.times_stored().values()) == {1}
        assert node.run("audit", "verify").returncode == 0


def _at_pacs(node: RunningNode) -> set[str]:
    return set(node.status()["deliveries"].get("pacs", {}))


def _ask_for(node: RunningNode, sop_class_uid: str, sop_instance_uid: str) -> None:
    """As the PACS, ask the node whether it keeps the film."""
    one = Reference(sop_class_uid=sop_class_uid, sop_instance_uid=sop_instance_uid)
    with association(
        node.port, StorageCommitmentPushModel, syntax=ExplicitVRLittleEndian, calling="PACS"
    ) as assoc:
        said, _ = assoc.send_n_action(
            request_data_set("2.25.99", [one]), REQUEST, StorageCommitmentPushModel,
            PUSH_MODEL_INSTANCE,
        )  # fmt: skip
    assert said.Status == 0x0000
