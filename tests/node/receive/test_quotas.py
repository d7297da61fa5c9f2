"""What one peer may send before it must wait, and that others are not affected."""

from __future__ import annotations

import tracemalloc
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import RLELossless
from support.receiving import MemoryStore, association, receiver, send, small_film

from dicom_node.config import QuotasConfig
from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.receive.associations import Link
from dicom_node.receive.per_minute import PerMinute
from dicom_node.receive.quotas import Quotas
from dicom_node.receive.store_status import StoreRefused

MIB = 2**20
STUDIES = [f"1.2.826.0.1.{number}" for number in range(1, 4)]


class Seconds:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def of_kind(store: MemoryStore, kind: AuditKind) -> list[AuditEvent]:
    return [event for event in store.events if event.kind is kind]


@pytest.mark.parametrize("quota", ["peer_objects", "peer_studies"])
def test_a_peer_above_its_quota_must_wait_and_another_need_not(
    tmp_path: Path, store: MemoryStore, quota: str
) -> None:
    """0xA700, with one audit line; a peer with another AE title goes on sending."""
    quotas = QuotasConfig.model_validate({quota: 2})
    with receiver(tmp_path, store, quotas=quotas) as node:
        films = [small_film(seed, StudyInstanceUID=uid) for seed, uid in enumerate(STUDIES)]
        statuses = [send(node.ports[0], film, calling="FLOOD") for film in films]
        statuses += [send(node.ports[0], films[2], calling="FLOOD")]
        other = send(node.ports[0], films[2], calling="CT1")
    assert statuses == [0x0000, 0x0000, 0xA700, 0xA700]
    assert other == 0x0000
    first, rest = of_kind(store, AuditKind.QUOTA_EXCEEDED)
    assert first.detail["calling"] == "FLOOD"
    assert quota in str(first.detail["reason"])
    assert "count" not in rest.detail  # one more
    assert of_kind(store, AuditKind.INSTANCE_REFUSED) == []


def test_an_address_has_a_quota_whatever_it_calls_itself(
    tmp_path: Path, store: MemoryStore
) -> None:
    """Changing the AE title does not help."""
    with receiver(tmp_path, store, quotas=QuotasConfig(address_objects=2)) as node:
        statuses = [send(node.ports[0], small_film(seed), calling=f"CT{seed}") for seed in range(3)]
    assert statuses == [0x0000, 0x0000, 0xA700]


@pytest.mark.parametrize("quota", ["association_mpixels", "peer_mpixels", "address_mpixels"])
def test_pixels_are_limited_whatever_their_bytes(
    tmp_path: Path, store: MemoryStore, quota: str
) -> None:
    """Compressed films of few bytes cost their pixels; 0xA700, one audit line for all of them."""
    quotas = QuotasConfig.model_validate({quota: 12})
    films = [packed(seed, Rows=2000, Columns=2500) for seed in range(4)]
    with receiver(tmp_path, store, quotas=quotas) as node:
        with association(node.ports[0], films[0].SOPClassUID, syntax=RLELossless) as assoc:
            statuses = [int(assoc.send_c_store(film).Status) for film in films]
        again = send(node.ports[0], films[3])
    assert statuses == [0x0000, 0x0000, 0xA700, 0xA700]
    assert again == (0x0000 if quota.startswith("association") else 0xA700)
    first, *rest = of_kind(store, AuditKind.QUOTA_EXCEEDED)
    assert quota in str(first.detail["reason"])
    assert len(rest) <= 1  # the others of that minute, counted when the receiver stops


def test_a_header_that_lies_of_its_size_costs_no_more_than_the_largest_film(
    tmp_path: Path, store: MemoryStore
) -> None:
    """It uses up nothing that other films of the same router need."""
    liar = packed(0, Rows=65535, Columns=65535, NumberOfFrames=99999)
    with receiver(tmp_path, store, quotas=QuotasConfig(address_mpixels=101)) as node:
        assert send(node.ports[0], liar) == 0x0000
        assert send(node.ports[0], small_film(1)) == 0x0000


def test_a_header_without_a_size_counts_as_the_largest_film(
    tmp_path: Path, store: MemoryStore
) -> None:
    """What it leaves out cannot be used to get around the quota; a report has no pixels."""
    silent = [packed(seed, without=["Rows"]) for seed in range(2)]
    with receiver(tmp_path, store, quotas=QuotasConfig(address_mpixels=101)) as node:
        assert [send(node.ports[0], each) for each in silent] == [0x0000, 0xA700]


def test_a_peer_that_changes_its_title_takes_bounded_memory_and_no_more_than_its_address() -> None:
    """Beyond a thousand titles the rest of an address share one sum; later they are forgotten."""
    seconds = Seconds()
    quotas = quotas_of(seconds, {}, {"peer_objects": 500, "address_objects": 1600})
    tracemalloc.start()

    def sent(titles: range) -> int:
        count = 0
        for number in titles:
            with suppress(StoreRefused):
                quotas.begin(Link(address="10.0.0.1", calling=f"CT{number}"), 10**12)
                count += 1
        return count

    assert sent(range(1000)) == 1000
    before = tracemalloc.get_traced_memory()[0]
    assert sent(range(1000, 5000)) == 500
    assert tracemalloc.get_traced_memory()[0] - before < 2**18
    tracemalloc.stop()
    seconds.now += 2 * 3600
    assert sent(range(5000, 6000)) == 1000


def packed(seed: int, **elements: object) -> Dataset:
    """A film of a few bytes whose header says what it likes of its size."""
    ds = small_film(seed, **elements)
    ds.PixelData = encapsulate([bytes(64)])
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = RLELossless
    return ds


def test_an_address_has_a_share_of_the_associations(tmp_path: Path, store: MemoryStore) -> None:
    """Beyond it, associations are rejected for now, under any AE title."""
    with (
        receiver(tmp_path, store, quotas=QuotasConfig(address_associations=2)) as node,
        ExitStack() as held,
    ):
        opened = [
            held.enter_context(association(node.ports[0], calling=f"CT{number}"))
            for number in range(3)
        ]
        assert [assoc.is_established for assoc in opened] == [True, True, False]
        answer = opened[2].acceptor.primitive
        assert answer is not None
        assert (answer.result, answer.result_source, answer.diagnostic) == (2, 3, 2)


def quotas_of(
    seconds: Seconds, stored: dict[str, int] | None = None, more: dict[str, object] | None = None
) -> Quotas:
    config = QuotasConfig.model_validate({"window_seconds": 120, **(more or {})})
    return Quotas(config, lambda: stored or {}, seconds)


def test_a_quota_counts_within_its_window_only() -> None:
    """What was sent longer ago than the window does not count."""
    seconds, link = Seconds(), Link(address="10.0.0.1", calling="CT1")
    quotas = quotas_of(seconds, more={"peer_mb": 1})
    quotas.grow(link, MIB, room=2**40)
    with pytest.raises(StoreRefused, match="peer_mb"):
        quotas.grow(link, 1, room=2**40)
    with pytest.raises(StoreRefused, match="peer_mb"):
        quotas.begin(link, room=2**40)
    seconds.now += 60
    with pytest.raises(StoreRefused, match="peer_mb"):
        quotas.begin(link, room=2**40)
    seconds.now += 61
    quotas.begin(link, room=2**40)


def test_one_peer_alone_never_fills_the_disk() -> None:
    """It stops at its share of the room; another peer still finds some; zero switches it off."""
    seconds = Seconds()
    flood, other = (Link(address=f"10.0.0.{n}", calling=f"CT{n}") for n in (1, 2))
    room, stored, sent = 1000 * MIB, {"CT1": 0}, 0
    quotas = quotas_of(seconds, stored)
    with suppress(StoreRefused):
        while room > 0:
            room, sent = room - MIB, sent + MIB
            quotas.grow(flood, MIB, room)
    assert 790 * MIB < sent < 810 * MIB
    quotas.begin(other, room)
    seconds.now += 3600  # not sent within the window, and on the disk nevertheless
    stored["CT1"] = sent
    with pytest.raises(StoreRefused, match="disk_share"):
        quotas.begin(flood, room)
    quotas_of(seconds, stored, {"disk_share": 0}).begin(flood, room)


def test_null_and_zero_switch_a_quota_off() -> None:
    """The common limits are left."""
    off: dict[str, object] = {
        key: None if key.startswith("peer") else 0
        for key in QuotasConfig.model_fields
        if key != "window_seconds"
    }
    quotas, link = quotas_of(Seconds(), more=off), Link(address="10.0.0.1", calling="CT1")
    for number in range(50):
        quotas.begin(link, room=0)
        quotas.grow(link, 2**40, room=0)
        quotas.study(link, f"1.2.{number}")


def test_rejections_of_one_address_are_one_line_a_minute() -> None:
    """The first at once, then their number; another address or reason has its own line."""
    store, seconds = MemoryStore(), Seconds()
    floods = PerMinute(store, seconds)
    for number in range(100):
        detail: dict[str, object] = {
            "address": "10.0.0.9",
            "reason": "calling",
            "calling": f"CT{number}",
        }
        floods.record(AuditKind.ASSOCIATION_REJECTED, "association rejected", detail)
    other: dict[str, object] = {"address": "10.0.0.8", "reason": "calling"}
    floods.record(AuditKind.ASSOCIATION_REJECTED, "association rejected", other)
    floods.flush()
    assert [event.detail["address"] for event in store.events] == ["10.0.0.9", "10.0.0.8"]
    seconds.now += 61
    floods.flush()
    floods.flush()
    assert len(store.events) == 3
    assert store.events[2].detail["count"] == 99
    seconds.now += 61
    floods.flush()
    floods.record(AuditKind.ASSOCIATION_REJECTED, "association rejected", other)
    assert len(store.events) == 4  # at once again after a silent minute


def test_a_scan_from_many_addresses_takes_bounded_memory_and_lines() -> None:
    """Beyond a thousand addresses, the rest is one line for each reason."""
    store = MemoryStore()
    floods = PerMinute(store, Seconds())
    for number in range(3000):
        detail: dict[str, object] = {"address": f"fd00::{number:x}", "reason": "calling"}
        floods.record(AuditKind.ASSOCIATION_REJECTED, "association rejected", detail)
    floods.flush(everything=True)
    assert len(store.events) <= 1002
