"""The table of verdicts: a later one supersedes, and none of an unknown study is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import desc, func, insert, select

from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.domain.reading import ReadingSummary
from dicom_node.domain.verdicts import MOST_PER_STUDY, Fate, Finding, Source, Tally
from dicom_node.store import audit, performance, schema
from dicom_node.store.database import of, reading, writing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Engine, Select

    from dicom_node.domain.performance import Case
    from dicom_node.domain.reading import By, Stage
    from dicom_node.domain.verdicts import Verdict
    from dicom_node.ports import Clock

_VERDICTS, _STUDIES = schema.verdicts, schema.studies
_AT_ONCE = 200  # verdicts in one transaction
_LONGEST_NAME = 64  # characters of `given_by`
_REPORTS = [source.value for source in Source if source.is_report]
_SHOWN = (
    "study_instance_uid", "finding", "source", "given_at", "given_by", "stored_at", "rule",
)  # fmt: skip
_NEWEST_FIRST = (
    _VERDICTS.c.study_instance_uid, desc(_VERDICTS.c.given_at), desc(_VERDICTS.c.id),
)  # fmt: skip


class VerdictTable:
    """What persons found in the studies; implements `dicom_node.ports.Verdicts`."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def add(self, verdicts: Sequence[Verdict], *, unreadable: int = 0) -> Tally:
        """Store verdicts that came together, and count them as `count` does.

        Parameters
        ----------
        unreadable
            How many came together with these and could not be read.

        Raises
        ------
        StoreWriteError
            The verdicts of the failed transaction, and those after it, were not stored.
        """
        tally = self.put(verdicts)
        tally.fates[Fate.UNREADABLE] += unreadable
        self.count(tally, {each.source for each in verdicts})
        return tally

    def put(self, verdicts: Sequence[Verdict]) -> Tally:
        """Store verdicts, with a line VERDICT_STORED for each that was new.

        Many take several transactions, so that reception does not wait for long. Raises as `add`.
        """
        tally = Tally()
        for start in range(0, len(verdicts), _AT_ONCE):
            self._add(verdicts[start : start + _AT_ONCE], tally)
        return tally

    def count(self, tally: Tally, sources: Iterable[Source]) -> None:
        """Write a line VERDICTS_TAKEN with all counts, if any verdict came to nothing."""
        if not tally.lost:
            return
        detail: dict[str, object] = {"sources": sorted(sources), **tally.as_json()}
        with writing(self._engine) as connection:
            taken = AuditEvent(kind=AuditKind.VERDICTS_TAKEN, detail=detail)
            audit.write(connection, self._clock(), [taken])

    def _add(self, verdicts: Sequence[Verdict], tally: Tally) -> None:
        now = self._clock()
        with writing(self._engine) as connection:
            stored = [_store(connection, verdict, now) for verdict in verdicts]
            events = [
                _stored(verdict, study)
                for verdict, (fate, study) in zip(verdicts, stored, strict=True)
                if fate is Fate.STORED
            ]
            audit.write(connection, now, events)
        tally.add(*(fate for fate, _ in stored))

    def reviewed(self, results: Collection[str]) -> list[tuple[str, ReadingSummary]]:
        """The studies and readings whose results have these SOP Instance UIDs."""
        made, read = schema.results.c, schema.readings
        query = (
            select(made.study_instance_uid, read.c.summary)
            .join(read, read.c.sop_instance_uid == made.source_sop_instance_uid)
            .where(made.sop_instance_uid.in_(sorted(results)[:_AT_ONCE]))
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query.limit(_AT_ONCE)).all()
        return [(study, ReadingSummary.from_json(summary)) for study, summary in rows]

    def current(self, since: datetime | None = None) -> dict[str, Finding]:
        """The verdict that counts of each study, by Study Instance UID.

        ``since`` leaves out studies that were last received before.
        """
        query = select(_VERDICTS.c.study_instance_uid, _VERDICTS.c.finding).order_by(*_NEWEST_FIRST)
        if since is not None:
            query = query.join(_STUDIES).where(_STUDIES.c.last_received_at >= since)
        found: dict[str, Finding] = {}
        with reading(self._engine) as connection:
            for study, finding in connection.execute(query):
                found.setdefault(study, Finding(finding))
        return found

    def cases(
        self, stage: Stage, by: By | None = None, since: datetime | None = None
    ) -> tuple[str, dict[str, list[Case]]]:
        """Scores and verdicts by group, and the networks' version, see `performance.cases`."""
        return performance.cases(self._engine, self.current(), stage, by, since)

    def networks(self) -> tuple[str, dict[str, str]] | None:
        """Version and digests of the networks of the newest reading, whose scores count."""
        return performance.networks(self._engine)

    def listed(
        self, limit: int, *, since: datetime | None = None, study: str | None = None
    ) -> list[dict[str, Any]]:
        """The newest verdicts as rows, with whether a later one has ``superseded`` each."""
        with reading(self._engine) as connection:
            rows = connection.execute(_listed(limit, since, study)).mappings().all()
        return [
            {name: row[name] for name in _SHOWN} | {"superseded": row["place"] > 1} for row in rows
        ]


def _listed(limit: int, since: datetime | None, study: str | None) -> Select[Any]:
    place = func.row_number().over(
        partition_by=_VERDICTS.c.study_instance_uid,
        order_by=(desc(_VERDICTS.c.given_at), desc(_VERDICTS.c.id)),
    )
    ranked = select(_VERDICTS, place.label("place")).where(
        of(_VERDICTS.c.study_instance_uid, study)
    )
    table = ranked.subquery()
    query = select(table).order_by(desc(table.c.given_at), desc(table.c.id)).limit(limit)
    return query if since is None else query.where(table.c.given_at >= since)


def _store(connection: Connection, verdict: Verdict, now: datetime) -> tuple[Fate, str]:
    """Store one verdict; its fate and its study."""
    studies = _studies_of(connection, verdict)
    if len(studies) != 1:
        return (Fate.AMBIGUOUS if studies else Fate.UNKNOWN), ""
    values: dict[str, Any] = {
        "study_instance_uid": studies[0],
        "finding": verdict.finding.value,
        "source": verdict.source.value,
        "given_at": verdict.given_at,
        "given_by": _name(verdict),
    }
    known = values
    if verdict.message_key:  # a message that is sent again may have another time
        known = {"study_instance_uid": studies[0], "message_key": verdict.message_key}
    same = select(_VERDICTS.c.id).where(*(_VERDICTS.c[name] == known[name] for name in known))
    if connection.execute(same).first() is not None:
        return Fate.SAME, studies[0]
    if verdict.source.is_report and _is_full(connection, studies[0]):
        return Fate.TOO_MANY, studies[0]
    more = {"rule": verdict.rule, "message_key": verdict.message_key, "stored_at": now}
    connection.execute(insert(_VERDICTS).values(**values, **more))
    return Fate.STORED, studies[0]


def _is_full(connection: Connection, study: str) -> bool:
    """Whether reports gave a study `MOST_PER_STUDY` verdicts.

    None leaves for a newer one: a report that was forgotten would be new if it is sent again.
    """
    of_reports = select(func.count()).where(
        _VERDICTS.c.study_instance_uid == study, _VERDICTS.c.source.in_(_REPORTS)
    )
    return connection.execute(of_reports).scalar_one() >= MOST_PER_STUDY


def _studies_of(connection: Connection, verdict: Verdict) -> Sequence[str]:
    """The studies that a verdict may be about, at most two of them."""
    table = _STUDIES.c
    query = select(table.study_instance_uid).limit(2)
    if verdict.study_instance_uid:
        query = query.where(table.study_instance_uid == verdict.study_instance_uid)
    else:
        query = query.where(table.accession_key.in_(verdict.accession_keys))
    return connection.execute(query).scalars().all()


def _name(verdict: Verdict) -> str:
    return "".join(filter(str.isprintable, verdict.given_by))[:_LONGEST_NAME]


def _stored(verdict: Verdict, study: str) -> AuditEvent:
    detail: dict[str, object] = {
        "finding": verdict.finding.value,
        "source": verdict.source.value,
        "given_at": verdict.given_at.isoformat(),
        "given_by": _name(verdict),
    }
    if verdict.rule:
        detail["rule"] = verdict.rule
    return AuditEvent(kind=AuditKind.VERDICT_STORED, study_instance_uid=study, detail=detail)
