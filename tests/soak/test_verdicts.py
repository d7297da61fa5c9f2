"""The verdict of a soak: what counts as lost, as twice, as growth."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from soak.pacs import Ledger
from soak.report import Report
from soak.samples import Sample, append, trends

STUDY, FILM = "1.2.3", "1.2.3.1"


def _life(
    *, memory: float = 300.0, gained: float = 0.0, leaked: int = 0, pid: int = 7, minutes: int = 60,
    began: float = 0.0,
) -> list[Sample]:  # fmt: skip
    """Six noisy samples a minute; a cache fills in the first fifth."""
    chance = random.Random(pid)
    count = 6 * minutes
    return [
        Sample(
            at=began + 10.0 * n, name="worker-1", pid=pid,
            memory=memory * min(1.0, 0.5 + 2.5 * n / count) + gained * n / count
            + chance.uniform(-5, 5),
            descriptors=20 + chance.choice((0, 0, 0, 8)) + leaked * n // count,
            threads=4,
        )
        for n in range(count)
    ]  # fmt: skip


def _growing(samples: list[Sample]) -> list[str]:
    return [trend.measure for trend in trends(samples) if trend.grows]


def test_noise_and_a_cache_that_fills_are_no_growth() -> None:
    """Growth in the first minutes, and noise, are allowed."""
    assert len(trends(_life())) == 3
    assert _growing(_life()) == []


@pytest.mark.parametrize(
    ("life", "grows"), [({"gained": 60.0}, ["memory"]), ({"leaked": 12}, ["descriptors"])]
)
def test_a_slow_leak_is_growth(life: dict[str, int], grows: list[str]) -> None:
    """A megabyte or a fifth of a descriptor per minute is detected within an hour."""
    assert _growing(_life(**life)) == grows


def test_a_killed_process_and_its_successor_are_two_lives() -> None:
    """The longest life counts; a successor that starts with more memory is no growth."""
    lives = [*_life(pid=7, minutes=30), *_life(pid=8, minutes=30, began=1800.0, memory=900.0)]
    assert _growing(lives) == []
    assert {trend.minutes > 25 for trend in trends(lives)} == {False}


def test_a_life_of_a_few_minutes_does_not_count() -> None:
    """Loading the networks is no growth, and a short-lived process did little else."""
    assert trends(_life(minutes=6, gained=900.0)) == []


def _result(uid: str, modality: str = "SR", number: int = 1) -> Dataset:
    ds = Dataset()
    ds.StudyInstanceUID, ds.SOPInstanceUID, ds.SOPClassUID = STUDY, uid, "1.2.840"
    ds.Modality, ds.InstanceNumber = modality, number
    return ds


def _ledger(*results: Dataset, films: int = 1) -> Ledger:
    ledger = Ledger()
    for number in range(films):
        ledger.answered(STUDY, f"{FILM}{number}", at=1.0)
    for ds in results:
        ledger.stored(ds, digest="same", at=3.5)
    return ledger


def test_a_film_answered_success_and_no_report_is_lost() -> None:
    """Pictures without a report do not count."""
    ledger = _ledger(_result("9.1", "OT"))
    assert (ledger.lost(), ledger.twice(), ledger.outstanding()) == ([STUDY], [], 1)


def test_two_films_of_a_study_need_two_reports() -> None:
    """One report is not enough for a film and a late film."""
    assert _ledger(_result("9.1"), films=2).lost() == [STUDY]
    assert _ledger(_result("9.1"), _result("9.2"), films=2).lost() == []


def test_a_whole_set_is_neither_lost_nor_twice() -> None:
    """A film sent twice and an object sent again under its UID change nothing."""
    ledger = _ledger(_result("9.1"), _result("9.2", "OT", 1), _result("9.3", "OT", 2))
    ledger.answered(STUDY, f"{FILM}0", at=2.0)
    ledger.stored(_result("9.1"), digest="same", at=9.0)
    assert (ledger.lost(), ledger.twice(), ledger.again) == ([], [], 1)
    assert ledger.waits() == [2.5]


def test_a_second_report_under_another_uid_is_twice() -> None:
    """A film has one of each kind."""
    assert _ledger(_result("9.1"), _result("9.2")).twice() == [STUDY]


def test_other_bytes_under_a_uid_are_twice() -> None:
    """The first recipient would have another object than the second."""
    ledger = _ledger(_result("9.1"))
    ledger.stored(_result("9.1"), digest="other", at=9.0)
    assert ledger.twice() == [STUDY]


def test_results_of_a_study_that_no_modality_sent_are_not_counted() -> None:
    """Hostile bytes that were accepted as a film belong to no modality."""
    ledger = _ledger(_result("9.1"), films=0)
    assert (ledger.lost(), ledger.twice()) == ([], [])


def _report(ledger: Ledger, samples: list[Sample]) -> Report:
    return Report(
        minutes=60, machine="a machine", commit="abc", counts=ledger.counts(), did={},
        seconds={"wait": ledger.waits()}, trends=trends(samples), disks=[], lost=ledger.lost(),
        twice=ledger.twice(), unsettled={},
    )  # fmt: skip


def test_a_good_hour_has_no_complaints_and_a_bad_one_has_all_of_them() -> None:
    """The complaints decide the exit status."""
    assert _report(_ledger(_result("9.1")), _life()).complaints == []
    bad = _ledger(_result("9.1", "OT"), _result("9.2", "OT"))
    assert _report(bad, _life(gained=60.0)).complaints == [
        "worker-1: memory grows", "lost: 1", "twice: 1",
    ]  # fmt: skip


def test_samples_go_to_a_file_as_they_come(tmp_path: Path) -> None:
    """An interrupted soak leaves its samples: one header, one line each."""
    for sample in _life(minutes=1)[:2]:
        append(tmp_path / "samples.csv", [sample])
    lines = (tmp_path / "samples.csv").read_text().splitlines()
    assert lines[0] == "at,name,pid,memory,descriptors,threads"
    assert [line.split(",")[:3] for line in lines[1:]] == [
        ["0.0", "worker-1", "7"], ["10.0", "worker-1", "7"],
    ]  # fmt: skip
