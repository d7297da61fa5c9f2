"""Fakes at the ports: a clock that the test moves, a scripted sender, a store without fsync."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import event, text
from support.answers import Said, answer

from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.domain.reading import ReadingSummary, StageSummary
from dicom_node.domain.values import (
    Answer,
    Edition,
    FilmOutcome,
    Instance,
    Job,
    Refusal,
    RefusalCode,
    Result,
)
from dicom_node.store.plain import DATABASE, SQLITE
from dicom_node.store.store import Store, open_store

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CR = "1.2.840.10008.5.1.4.1.1.1"
SC = "1.2.840.10008.5.1.4.1.1.7"
#: Each after those it refers to.
TABLES = ("studies", "jobs", "instances", "readings", "shadow_readings", "verdicts", "results",
          "deliveries", "audit", "commitments", "pledges", "breakers")  # fmt: skip


def full(*destinations: str) -> dict[str, str]:
    """Destinations that get everything, by the name of their edition."""
    return dict.fromkeys(destinations, Edition().name)


class EmptyAuditLog:
    """An audit log without a line."""

    def head(self) -> tuple[int, str]:
        return 0, "0" * 64

    def hash_at(self, sequence: int) -> str | None:
        return None

    def verify(self, after: int = 0) -> list[str]:
        return []


@dataclass
class FakeClock:
    """A `Clock` that moves only by `tick`."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def tick(self, seconds: float = 1.0) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now

    def after(self, seconds: float) -> datetime:
        return self.now + timedelta(seconds=seconds)


@dataclass
class FakeSender:
    """A `Sender` that answers from a list, then Success, and keeps what it was given."""

    answers: list[tuple[Said, str]] = field(default_factory=list)
    sent: list[tuple[str, Path]] = field(default_factory=list)

    def send(
        self,
        destination: str,
        paths: Sequence[Path],
        before_each: Callable[[], None] = lambda: None,
    ) -> Generator[Answer, None, None]:
        for path in paths:
            before_each()
            self.sent.append((destination, path))
            yield answer(*(self.answers.pop(0) if self.answers else (0x0000, "stored")))


def instance(study: str = "1.2", number: int = 1, at: datetime = START) -> Instance:
    uid = f"{study}.{number}"
    return Instance(
        sop_instance_uid=uid,
        sop_class_uid=CR,
        study_instance_uid=study,
        series_instance_uid=f"{study}.0",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        path=Path("spool") / f"{uid}.dcm",
        size=2**33,
        sha256="ab" * 32,
        calling_ae_title="MODALITY",
        received_at=at,
    )


def result(source: str, number: int = 1) -> Result:
    uid = f"2.25.{source.replace('.', '')}{number}"
    return Result(
        sop_instance_uid=uid,
        sop_class_uid=SC,
        series_instance_uid="2.25.7",
        modality="OT",
        series_description="AI heatmaps",
        path=Path("results") / f"{uid}.dcm",
    )


def reading_summary(pneumonia: float = 0.25, covid19: float | None = None) -> ReadingSummary:
    return ReadingSummary(
        lung_area=0.5,
        pneumonia=_stage(pneumonia),
        covid19=None if covid19 is None else _stage(covid19),
        model_version="1.0.0",
    )


def _stage(probability: float) -> StageSummary:
    return StageSummary(probability=probability, threshold=0.5, positive=probability >= 0.5)


def read(source: str, objects: int = 2) -> FilmOutcome:
    return FilmOutcome(
        sop_instance_uid=source,
        refusal=None,
        reading=reading_summary(),
        results=tuple(result(source, number) for number in range(1, objects + 1)),
    )


def refused(source: str) -> FilmOutcome:
    no = Refusal(code=RefusalCode.VIEW, reason="a lateral view")
    return FilmOutcome(sop_instance_uid=source, refusal=no, reading=None)


@dataclass
class StoreHarness:
    """A store in a folder, its clock, and the steps most tests take."""

    store: Store
    clock: FakeClock
    url: str = SQLITE

    def receive(self, study: str = "1.2", number: int = 1) -> Instance:
        came = instance(study, number, self.clock.now)
        event = AuditEvent(
            kind=AuditKind.INSTANCE_RECEIVED,
            study_instance_uid=study,
            sop_instance_uid=came.sop_instance_uid,
        )
        assert self.store.inbox.add(came, event)
        return came

    def open_ready(self) -> int:
        return self.store.jobs.open_ready(self.clock.now)

    def claim(self, owner: str = "worker-1", seconds: float = 60.0) -> Job:
        job = self.store.jobs.claim(owner, self.clock.after(seconds))
        assert job is not None
        return job

    def work(self, study: str = "1.2", number: int = 1) -> Job:
        """Receive a film of the study and claim its job."""
        self.receive(study, number)
        assert self.open_ready() == 1
        return self.claim()

    def finish(self, job: Job, *destinations: str) -> None:
        outcomes = [read(film.sop_instance_uid) for film in job.instances]
        self.store.jobs.finish(job, outcomes, full(*destinations))

    def study_detail(self, study: str = "1.2") -> dict[str, Any]:
        story = self.store.queries.study_detail(study)
        assert story is not None
        return story

    def kinds(self) -> list[AuditKind]:
        return [record.event.kind for record in self.store.audit.all()]

    def sql(self, statement: str, **values: object) -> list[Any]:
        """Run SQL on the database, past the store."""
        with self.store._engine.connect() as connection, connection.begin():
            done = connection.execute(text(statement), values)
            return list(done.mappings().all()) if done.returns_rows else []

    def rows(self, table: str) -> list[dict[str, Any]]:
        return [dict(row) for row in self.sql(f"SELECT * FROM {table} ORDER BY 1")]  # noqa: S608

    def dump(self) -> dict[str, list[dict[str, Any]]]:
        return {table: self.rows(table) for table in TABLES}


@contextmanager
def store_harness(folder: Path, url: str = SQLITE) -> Iterator[StoreHarness]:
    """Open a store that does not wait for the disk; these tests are not about durability."""
    clock = FakeClock()
    if url == SQLITE and not (folder / DATABASE).exists():
        (folder / DATABASE).write_bytes(_migrated())
    store = open_store(folder, clock, url)
    if url == SQLITE:
        store.close()  # so that the pool opens its next connections with the pragma below
        event.listen(store._engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=OFF"))
    try:
        yield StoreHarness(store, clock, url)
    finally:
        store.close()


@cache
def _migrated() -> bytes:
    """An empty database, made once: migrating takes longer than most tests."""
    with tempfile.TemporaryDirectory() as folder:
        open_store(Path(folder), FakeClock()).close()
        return (Path(folder) / DATABASE).read_bytes()
