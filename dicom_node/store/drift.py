"""The reference of drift: frozen by a person, compared every hour; see `domain.drift`."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import delete, desc, insert, or_, select, update

from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.domain.drift import LEAST, Parts, Sample, freeze, shifts
from dicom_node.domain.reading import ReadingSummary
from dicom_node.domain.values import GATE_CODES
from dicom_node.errors import NodeError
from dicom_node.store import audit, schema, site_schema
from dicom_node.store.database import reading, writing
from dicom_node.store.outcomes import READ

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Engine

    from dicom_node.domain.drift import Measure, Shift
    from dicom_node.ports import Clock

_FILMS, _READINGS = schema.instances, schema.readings
_REFERENCES, _ALARMS = site_schema.drift_references, site_schema.drift_alarms
Networks: TypeAlias = dict[str, Any]  # version, digests


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What the films of each sender were like in some time."""

    frozen_at: datetime
    frozen_by: str
    received_from: datetime
    received_to: datetime
    networks: Networks
    senders: Mapping[str, Mapping[Measure, Parts]]

    def as_json(self) -> dict[str, Any]:
        """In plain JSON values, without the films' counts."""
        return {
            "frozen_at": self.frozen_at.isoformat(),
            "frozen_by": self.frozen_by,
            "received_from": self.received_from.isoformat(),
            "received_to": self.received_to.isoformat(),
            "version": self.networks["version"],
            "senders": {
                name: parts["refused"].total for name, parts in sorted(self.senders.items())
            },
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A comparison with the reference; it has no shifts if other networks are in use now."""

    reference: Reference
    other_networks: str | None  # the version that is in use, if it is not the reference's
    shifts: Sequence[Shift]


class DriftTable:
    """References and alarms of drift in the database."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def reference(self) -> Reference | None:
        """The newest reference."""
        query = select(_REFERENCES).order_by(desc(_REFERENCES.c.id)).limit(1)
        with reading(self._engine) as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            return None
        senders = {
            sender: {measure: _parts(values) for measure, values in by_measure.items()}
            for sender, by_measure in row["senders"].items()
        }
        known = {name: row[name] for name in Reference.__slots__ if name != "senders"}
        return Reference(**known, senders=senders)

    def freeze(self, since: datetime, until: datetime, user: str) -> Reference:
        """Make the films received in some time the reference, and write DRIFT_FROZEN.

        Senders with fewer than `LEAST` films are left out. Alarms about an earlier reference end.

        Raises
        ------
        NodeError
            No sender has enough films.
        """
        networks, samples = self._samples(since, until)
        enough = {name: each for name, each in samples.items() if each.read >= LEAST}
        if not enough:
            most = max((each.read for each in samples.values()), default=0)
            raise NodeError(
                f"too few to say: of no sender were {LEAST} films read from {since:%Y-%m-%d %H:%M} "
                f"to {until:%Y-%m-%d %H:%M} UTC; the most are {most}"
            )
        made = Reference(
            frozen_at=self._clock(), frozen_by=user, received_from=since, received_to=until,
            networks=networks, senders={name: freeze(each) for name, each in enough.items()},
        )  # fmt: skip
        with writing(self._engine) as connection:
            connection.execute(insert(_REFERENCES).values(_row(made)))
            event = AuditEvent(kind=AuditKind.DRIFT_FROZEN, detail=made.as_json())
            audit.write(connection, made.frozen_at, [event, *_end(connection, ())])
        return made

    def look(self, recent: timedelta) -> Found | None:
        """Compare the films that came in the last time, and after the reference; None without one.

        Films read by other networks than the reference's are not compared.
        """
        reference = self.reference()
        if reference is None:
            return None
        now = self._clock()
        since = max(now - recent, reference.received_to)
        networks, samples = self._samples(since, now)
        if samples and networks != reference.networks:
            return Found(reference=reference, other_networks=networks["version"], shifts=())
        found = shifts(reference.senders, samples)
        return Found(reference=reference, other_networks=None, shifts=found)

    def settle(self, found: Sequence[Shift], alarm: float) -> list[AuditEvent]:
        """Keep which measures are above the alarm; a line at the start and the end of each."""
        over = {(each.sender, each.measure): each.index for each in found
                if each.index is not None and each.index > alarm}  # fmt: skip
        now = self._clock()
        with writing(self._engine) as connection:
            rows = connection.execute(select(_ALARMS.c.sender, _ALARMS.c.measure)).all()
            known = {(sender, measure) for sender, measure in rows}
            events = _end(connection, over)
            for (sender, measure), index in over.items():
                values: dict[str, Any] = {
                    "sender": sender, "measure": measure, "stability_index": index,
                }  # fmt: skip
                if (sender, measure) in known:
                    row = (_ALARMS.c.sender == sender) & (_ALARMS.c.measure == measure)
                    connection.execute(update(_ALARMS).where(row).values(values))
                else:
                    connection.execute(insert(_ALARMS).values(values | {"begun_at": now}))
                    events.append(AuditEvent(kind=AuditKind.DRIFT_BEGAN, detail=values))
            audit.write(connection, now, events)
        return events

    def _samples(self, since: datetime, until: datetime) -> tuple[Networks, dict[str, Sample]]:
        """The films of each sender, and the networks of the newest reading, whose scores count."""
        query = (
            select(_FILMS.c.calling_ae_title, _READINGS.c.summary)
            .outerjoin(_READINGS, _READINGS.c.sop_instance_uid == _FILMS.c.sop_instance_uid)
            .where(
                _FILMS.c.received_at >= since,
                _FILMS.c.received_at < until,
                or_(
                    _FILMS.c.decision == READ,
                    _FILMS.c.refusal_code.in_([code.value for code in GATE_CODES]),
                ),
            )
            .order_by(_READINGS.c.read_at, _FILMS.c.sop_instance_uid)
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        read = [(sender, ReadingSummary.from_json(row)) for sender, row in rows if row]
        samples: defaultdict[str, Sample] = defaultdict(Sample)
        networks = _networks(read[-1][1]) if read else {"version": "", "digests": {}}
        for sender, summary in read:
            if _networks(summary) == networks:
                _count(samples[sender], summary)
        for sender, row in rows:
            samples[sender].refused += row is None
        return networks, dict(samples)


def _networks(summary: ReadingSummary) -> Networks:
    return {"version": summary.model_version, "digests": dict(summary.model_digests)}


def _count(sample: Sample, summary: ReadingSummary) -> None:
    sample.read += 1
    sample.scores.append(summary.pneumonia.probability)
    if summary.distance is not None:
        sample.distances.append(summary.distance)


def _row(made: Reference) -> dict[str, Any]:
    values = {name: getattr(made, name) for name in Reference.__slots__}
    senders = {
        sender: {measure: parts.as_json() for measure, parts in by_measure.items()}
        for sender, by_measure in made.senders.items()
    }
    return values | {"senders": senders}


def _parts(values: Mapping[str, Any]) -> Parts:
    return Parts(edges=tuple(values["edges"]), films=tuple(values["films"]))


def _end(connection: Connection, over: Any) -> list[AuditEvent]:
    """End the alarms that are not ``over`` any more."""
    events = []
    for row in connection.execute(select(_ALARMS)).mappings().all():
        if (row["sender"], row["measure"]) not in over:
            connection.execute(delete(_ALARMS).where(_ALARMS.c.id == row["id"]))
            detail: dict[str, object] = {"sender": row["sender"], "measure": row["measure"]}
            events.append(AuditEvent(kind=AuditKind.DRIFT_ENDED, detail=detail))
    return events
