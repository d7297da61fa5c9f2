"""From the outbox to destinations of every kind, with the store's own retries and audit lines."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from support.answers import NOT_ACCEPTED, said
from support.fakes import StoreHarness, store_harness
from support.film import film, phantom, write
from support.stow import FAILURE, Stow

from dicom_node.config import FolderDestination, WebDestination
from dicom_node.deliver.retry import RetryPolicy
from dicom_node.deliver.senders import Senders
from dicom_node.deliver.shipment import Deliverer
from dicom_node.dicom.blobs import Folder
from dicom_node.domain.audit import AuditKind

POLICY = RetryPolicy(first=timedelta(seconds=5), longest=timedelta(seconds=60), max_attempts=9)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[StoreHarness]:
    """Two objects of one study wait for a folder and a web service."""
    with store_harness(tmp_path) as made:
        made.finish(made.work(), "disk", "web")
        for row in made.rows("results"):
            ds = film(
                phantom(64, 64), StudyInstanceUID="1.2", SOPInstanceUID=row["sop_instance_uid"]
            )
            write(ds, tmp_path / row["path"])
        yield made


def deliver(node: StoreHarness, folder: Path, senders: Senders) -> None:
    Deliverer(
        owner="deliverer-1",
        outbox=node.store.outbox,
        sender=senders,
        policy=POLICY,
        blobs=Folder(folder),
        lease_seconds=60,
        clock=node.clock,
        jitter=lambda: 0.0,
    ).deliver_due()


def statuses(node: StoreHarness) -> dict[str, list[str]]:
    by_destination: dict[str, list[str]] = {}
    for row in node.rows("deliveries"):
        by_destination.setdefault(row["destination"], []).append(row["status"])
    return by_destination


def test_what_is_not_taken_now_goes_out_later(node: StoreHarness, tmp_path: Path) -> None:
    """A folder that is away and a service that is busy get everything once they are there."""
    with Stow([503]) as web:
        disk = FolderDestination(kind="folder", name="disk", path=tmp_path / "out")
        service = WebDestination(kind="dicomweb", name="web", url=web.url)
        senders = Senders("US", [disk, service], 5.0)
        deliver(node, tmp_path, senders)
        assert statuses(node) == {"disk": ["pending"] * 2, "web": ["pending"] * 2}
        (tmp_path / "out").mkdir()
        deliver(node, tmp_path, senders)
        assert web.stored == {}  # not due yet
        node.clock.tick(5)
        deliver(node, tmp_path, senders)
        assert statuses(node) == {"disk": ["accepted"] * 2, "web": ["accepted"] * 2}
        assert len(web.stored) == len(list((tmp_path / "out" / "1.2").iterdir())) == 2
    kinds = node.kinds()
    assert kinds.count(AuditKind.DELIVERY_DEFERRED) == 4
    assert kinds.count(AuditKind.DELIVERY_ACCEPTED) == 4


def test_what_is_refused_waits_for_a_person(node: StoreHarness, tmp_path: Path) -> None:
    """The audit line holds the service's Failure Reason, and a retry sends it again."""
    (tmp_path / "out").mkdir()
    with Stow([{FAILURE: 0xA900}]) as web:
        disk = FolderDestination(kind="folder", name="disk", path=tmp_path / "out")
        service = WebDestination(kind="dicomweb", name="web", url=web.url)
        senders = Senders("US", [disk, service], 5.0)
        deliver(node, tmp_path, senders)
        assert statuses(node) == {"disk": ["accepted"] * 2, "web": ["held", "accepted"]}
        [held] = [
            record.event.detail
            for record in node.store.audit.all()
            if record.event.kind is AuditKind.DELIVERY_HELD
        ]
        assert held["status"] == "0xA900"
        node.store.outbox.retry(None)
        deliver(node, tmp_path, senders)
        assert statuses(node)["web"] == ["accepted"] * 2


def test_the_kind_chooses_the_way(tmp_path: Path) -> None:
    """Each destination is asked and sent to by its kind; an unknown name is answered too."""
    path = write(film(phantom(64, 64)), tmp_path / "film.dcm")
    (tmp_path / "out").mkdir()
    with Stow() as web:
        disk = FolderDestination(kind="folder", name="disk", path=tmp_path / "out")
        senders = Senders("US", [WebDestination(kind="dicomweb", name="web", url=web.url), disk], 5)
        for name in ("web", "disk"):
            assert senders.echo(name).ok
            assert said(senders.send(name, [path]))[0][0] == 0x0000
        assert len(web.stored) == len(list((tmp_path / "out").rglob("*.dcm"))) == 1
    [(status, reason)] = said(senders.send("unknown", [path]))
    assert status == NOT_ACCEPTED
    assert "unknown" in reason
