"""The patient's earlier result in report and picture."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from support import readings
from support.fakes import reading_summary
from support.objects import composed, context, fixed_film

from dicom_node import compose
from dicom_node.domain.values import EarlierReading, Edition, Identity
from dicom_node.explain.message import Earlier

FILM = fixed_film(AcquisitionDate="20261120", StudyDate="20261119")
FRAME = readings.frame(FILM.Rows, FILM.Columns)
LINE = "2026-10-02: 31, now 87"


def _earlier(taken: str, score: float, version: str = "0.1.0") -> EarlierReading:
    summary = replace(
        reading_summary(score), model_version=version, model_digests=readings.MODEL.digests
    )
    return EarlierReading(film_date=date.fromisoformat(taken), reading=summary)


def test_the_newest_earlier_film_counts_and_of_one_day_the_highest() -> None:
    """One line: not the whole history."""
    known = [_earlier("2026-10-02", 0.31), _earlier("2026-10-02", 0.2), _earlier("2026-09-01", 0.9)]
    assert compose.earlier(FILM, known, readings.MODEL) == (Earlier(date="2026-10-02", score=31),)


def test_later_films_and_other_networks_are_not_compared() -> None:
    """A score of other networks is another scale; a later film is no earlier one."""
    known = [_earlier("2026-11-20", 0.3), _earlier("2026-12-01", 0.3)]
    known.append(_earlier("2026-10-02", 0.3, version="9.9"))
    assert compose.earlier(FILM, known, readings.MODEL) == ()


def test_the_line_is_in_the_report_and_changes_every_uid() -> None:
    """One UID never has two contents."""
    what = context()
    before = composed(FILM, readings.positive(FRAME), what)
    after = composed(
        FILM,
        readings.positive(FRAME),
        replace(what, earlier=(Earlier(date="2026-10-02", score=31),)),
    )
    said = [item.get("TextValue", "") for item in after[-1].ContentSequence]
    assert any(LINE in text for text in said)
    uids = [{ds.SOPInstanceUID for ds in objects} for objects in (before, after)]
    assert uids[0].isdisjoint(uids[1])


def test_a_pseudonymous_result_has_the_date_shifted_as_all_others() -> None:
    """The days between two films stay."""
    what = replace(
        context(),
        edition=Edition(Identity.PSEUDONYM),
        secret=b"s" * 32,
        earlier=(Earlier(date="2026-10-02", score=31),),
    )
    header, seen = compose.restrict(FILM, what)
    moved = date.fromisoformat(header.StudyDate) - date(2026, 11, 19)
    assert moved.days < 0
    assert date.fromisoformat(seen.earlier[0].date) - date(2026, 10, 2) == moved
