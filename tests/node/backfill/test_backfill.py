"""Older films from a PACS: what is asked for, what is fetched, and how it is kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from support.archive import Archive
from support.film import write
from support.peer import destination
from support.receiving import SECRET, MemoryStore, now, receiver, small_film

from dicom_node.backfill.door import Door
from dicom_node.backfill.fill import Backfill, Fate, Tally
from dicom_node.backfill.pace import Pace
from dicom_node.backfill.query import Series, Study, missing, studies
from dicom_node.backfill.retrieve import ByGet, ByMove, Sent, services
from dicom_node.config import Config, NodeConfig, SpoolConfig, TlsConfig
from dicom_node.deliver.examine.fetch import Caller
from dicom_node.deliver.examine.offers import FIND, GET
from dicom_node.domain.audit import AuditKind
from dicom_node.domain.values import BACKFILL
from dicom_node.errors import NodeError, PeerRefused, PeerUnavailable

DAY = date(2026, 1, 5)


def archived(pacs: Archive, **elements: Any) -> Dataset:
    """A film that the PACS has."""
    film = small_film(StudyDate=f"{DAY:%Y%m%d}", **elements)
    folder = pacs.folder / film.StudyInstanceUID
    folder.mkdir(parents=True, exist_ok=True)
    write(film, folder / f"{film.SOPInstanceUID}.dcm")
    return film


def caller(pacs: Archive) -> Caller:
    return Caller("AINODE", destination(pacs.port), 30.0, TlsConfig())


def config(folder: Path) -> Config:
    node = NodeConfig(ae_title="AINODE", data_dir=folder)
    return Config(node=node, spool=SpoolConfig(min_free_mb=0))


@contextmanager
def door(folder: Path, pacs: Archive, store: MemoryStore) -> Iterator[ByGet]:
    own = Door(config(folder), destination(pacs.port), store, store, now, SECRET)
    yield ByGet(caller(pacs), own)


def test_the_studies_of_a_day_with_the_wanted_modalities(tmp_path: Path) -> None:
    """Other days, other modalities and other series of the same study are left out."""
    with Archive(tmp_path) as pacs:
        film = archived(pacs, Modality="DX")
        archived(pacs, Modality="DX", StudyInstanceUID=film.StudyInstanceUID,
                 SeriesInstanceUID=film.SeriesInstanceUID, SOPInstanceUID="1.2.3.4")  # fmt: skip
        archived(pacs, Modality="SR", StudyInstanceUID=film.StudyInstanceUID,
                 SeriesInstanceUID="1.2.3", SOPInstanceUID="1.2.3.5")  # fmt: skip
        archived(pacs, Modality="CT", StudyInstanceUID="1.2.9", SOPInstanceUID="1.2.3.6")
        series = Series(series_instance_uid=film.SeriesInstanceUID, modality="DX", instances=2)
        found = studies(caller(pacs), DAY, ["CR", "DX"])
        assert found == [Study(study_instance_uid=film.StudyInstanceUID, series=(series,))]
        assert studies(caller(pacs), date(2026, 1, 6), ["CR", "DX"]) == []


def test_a_pacs_that_sends_matches_without_end_is_left(tmp_path: Path) -> None:
    """Its answers are not collected until the memory is full."""
    with Archive(tmp_path) as pacs:
        for number in range(4):
            archived(pacs, Modality="DX", StudyInstanceUID=f"1.2.{number}",
                     SeriesInstanceUID=f"1.3.{number}", SOPInstanceUID=f"1.4.{number}")  # fmt: skip
        assert len(studies(caller(pacs), DAY, ["DX"], most=4)) == 4
        with pytest.raises(PeerUnavailable, match="more than 3 matches"):
            studies(caller(pacs), DAY, ["DX"], most=3)


def test_what_a_pacs_offers(tmp_path: Path) -> None:
    """Query and retrieve services, by which the way is chosen."""
    with Archive(tmp_path, services=(FIND, GET)) as pacs:
        assert services(caller(pacs)) == {FIND, GET}


def test_a_film_by_c_move_is_marked_and_read_last(tmp_path: Path) -> None:
    """The node knows what it asked for; the film's row and audit line show it."""
    store = MemoryStore()
    with Archive(tmp_path / "pacs") as pacs, receiver(tmp_path / "node", store) as node:
        pacs.ports["AINODE"] = node.ports[0]
        film = archived(pacs)
        store.asked_for.add(film.StudyInstanceUID)
        way = ByMove(caller(pacs), "port 104 of this machine")
        sent = way.fetch(film.StudyInstanceUID, film.SeriesInstanceUID)
    assert sent == Sent(kept=1, failed=0)
    assert store.rows[film.SOPInstanceUID].priority == BACKFILL
    (received,) = (e for e in store.events if e.kind is AuditKind.INSTANCE_RECEIVED)
    assert received.detail["backfill"] is True


def test_a_pacs_that_does_not_know_the_node_says_what_to_do(tmp_path: Path) -> None:
    """The sentence has the title and the port that must be entered there."""
    with Archive(tmp_path) as pacs:
        film = archived(pacs)
        way = ByMove(caller(pacs), "port 104 of this machine")
        with pytest.raises(PeerRefused, match="enter AE title AINODE at port 104"):
            way.fetch(film.StudyInstanceUID, film.SeriesInstanceUID)


def test_a_film_by_c_get_is_kept_as_one_that_arrives(tmp_path: Path) -> None:
    """Its bytes are on disk, its row is marked, and the audit log has the association."""
    store = MemoryStore()
    with Archive(tmp_path / "pacs") as pacs, door(tmp_path / "node", pacs, store) as way:
        film = archived(pacs)
        store.asked_for.add(film.StudyInstanceUID)
        assert way.fetch(film.StudyInstanceUID, film.SeriesInstanceUID) == Sent(kept=1, failed=0)
    row = store.rows[film.SOPInstanceUID]
    assert (row.priority, row.calling_ae_title) == (BACKFILL, "PACS")
    assert (tmp_path / "node" / row.path).stat().st_size > row.size
    assert store.kinds() == [
        AuditKind.ASSOCIATION_ACCEPTED,
        AuditKind.INSTANCE_RECEIVED,
        AuditKind.ASSOCIATION_ENDED,
    ]


def test_what_the_checks_refuse_counts_as_failed(tmp_path: Path) -> None:
    """A film without a study's patient is refused by C-GET as by C-STORE, and leaves no file."""
    store = MemoryStore()
    with Archive(tmp_path / "pacs") as pacs, door(tmp_path / "node", pacs, store) as way:
        first = archived(pacs, PatientID="1")
        second = archived(pacs, PatientID="2", StudyInstanceUID=first.StudyInstanceUID,
                          SeriesInstanceUID="1.2.3", SOPInstanceUID="1.2.3.4")  # fmt: skip
        assert way.fetch(first.StudyInstanceUID, first.SeriesInstanceUID).kept == 1
        sent = way.fetch(second.StudyInstanceUID, second.SeriesInstanceUID)
    assert sent == Sent(kept=0, failed=1)
    assert list(store.rows) == [first.SOPInstanceUID]
    assert AuditKind.INSTANCE_REFUSED in store.kinds()
    assert not list((tmp_path / "node").rglob("*.part"))


class FakeWay:
    """Sends what it is asked for, or fails as it is set to."""

    name = "C-MOVE"

    def __init__(self, failing: dict[str, Sent | NodeError] | None = None) -> None:
        self.failing = failing or {}
        self.asked: list[tuple[str, str]] = []

    def fetch(self, study_instance_uid: str, series_instance_uid: str) -> Sent:
        self.asked.append((study_instance_uid, series_instance_uid))
        answer = self.failing.get(study_instance_uid, Sent(kept=1, failed=0))
        if isinstance(answer, NodeError):
            raise answer
        return answer


class FakeKnown:
    """What the node has, by series; and the studies that it had."""

    def __init__(self, received: dict[str, int], gone: frozenset[str] = frozenset()) -> None:
        self.by_series = received
        self.gone = gone

    def received(self, _: str) -> dict[str, int]:
        return self.by_series

    def was_here(self, study_instance_uid: str) -> bool:
        return study_instance_uid in self.gone


def study(uid: str, instances: int | None = 1) -> Study:
    series = Series(series_instance_uid=f"{uid}.1", modality="DX", instances=instances)
    return Study(study_instance_uid=uid, series=(series,))


def filled(
    way: FakeWay | None, *wanted: Study, known: FakeKnown | None = None, pace: Pace | None = None
) -> tuple[Tally, MemoryStore]:
    store, tally = MemoryStore(), Tally()
    backfill = Backfill(
        peer="pacs", known=known or FakeKnown({}), audit=store,
        pace=pace or Pace(hindrance=lambda: ""), way=way,
    )  # fmt: skip
    backfill.run(wanted, tally, lambda _: None)
    return tally, store


def test_only_what_is_missing_is_fetched() -> None:
    """Not what is here, nor what was here and was removed or erased."""
    way = FakeWay()
    known = FakeKnown({"1.2.1": 1, "1.3.1": 1}, gone=frozenset({"1.4"}))
    tally, store = filled(way, study("1.2"), study("1.3", 2), study("1.4"), known=known)
    assert way.asked == [("1.3", "1.3.1")]
    assert tally.studies == {Fate.PRESENT: 1, Fate.FETCHED: 1, Fate.GONE: 1}
    assert store.kinds() == [AuditKind.BACKFILL_ASKED, AuditKind.BACKFILL_FETCHED]


def test_a_pacs_that_states_no_number_is_believed_after_one_instance() -> None:
    """Without it a series is complete as soon as anything of it is here."""
    assert missing(study("1.2", None), {}) != ()
    assert missing(study("1.2", None), {"1.2.1": 1}) == ()


def test_a_study_that_fails_does_not_end_the_backfill() -> None:
    """It is counted with its reason; the next run asks for it again."""
    down = PeerUnavailable("the peer hung up")
    way = FakeWay({"1.2": down, "1.3": Sent(kept=1, failed=2)})
    tally, store = filled(way, study("1.2"), study("1.3"), study("1.4"))
    assert tally.as_json() == {
        "studies": {"fetched": 1, "wanted": 0, "present": 0, "gone": 0, "incomplete": 1,
                    "failed": 1},
        "instances": 2,
        "failed_instances": 2,
        "reasons": {"1.2": "the peer hung up", "1.3": "2 objects did not come"},
    }  # fmt: skip
    assert not tally.is_complete
    failed = [e for e in store.events if e.kind is AuditKind.BACKFILL_FAILED]
    assert [e.study_instance_uid for e in failed] == ["1.2", "1.3"]


def test_a_pacs_that_refuses_everything_ends_the_backfill() -> None:
    """Nothing is asked for any longer: what a modality sends later is read at once."""
    store = MemoryStore()
    way = FakeWay({"1.2": PeerRefused("it does not know the node")})
    pace = Pace(hindrance=lambda: "")
    backfill = Backfill(peer="pacs", known=FakeKnown({}), audit=store, pace=pace, way=way)
    with pytest.raises(PeerRefused):
        backfill.run([study("1.2"), study("1.3")], Tally(), lambda _: None)
    assert store.kinds() == [AuditKind.BACKFILL_ASKED, AuditKind.BACKFILL_FAILED]


def test_a_dry_run_fetches_nothing_and_counts() -> None:
    """As many instances as the PACS says."""
    tally, store = filled(None, study("1.2", 3), study("1.3", None))
    assert (tally.studies[Fate.WANTED], tally.instances, store.events) == (2, 4, [])


def test_a_backfill_waits_for_the_queue_and_keeps_its_rate() -> None:
    """It fetches nothing while something hinders it, and not more studies a minute than asked."""
    clock, reasons = [0.0], ["the disk is short", ""]
    said: list[str] = []

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    pace = Pace(
        hindrance=lambda: reasons.pop(0) if reasons else "", per_minute=6, sleep=sleep,
        seconds=lambda: clock[0],
    )  # fmt: skip
    pace.wait(said.append)
    first = clock[0]
    pace.wait(said.append)
    assert first > 0
    assert clock[0] == first + 10
    assert said == ["waits: the disk is short", "waits for --rate"]
