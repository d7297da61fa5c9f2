"""Jobs and deliveries under every order of events: one holder at a time, and done stays done.

The machine receives, waits for quiet, opens, claims, renews, finishes, fails, settles, asks,
removes, lets leases run out and gives work back, with workers that keep on using leases they have
lost. It knows the rules only as the domain's transition tables and a few sentences, and compares
the database before and after each step. In the end all work is done, and nothing may be left.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)
from support.fakes import START, TABLES, StoreHarness, full, read, refused, store_harness
from support.postgres import postgres, programs

from dicom_node.domain.commitment import CommitmentQuery, CommitmentReport, Failure
from dicom_node.domain.states import DELIVERY_TRANSITIONS, JOB_TRANSITIONS, DeliveryEvent
from dicom_node.domain.values import Job, Settlement, Shipment
from dicom_node.errors import LeaseLost
from dicom_node.store.plain import SQLITE
from dicom_node.store.schema import iso

STUDIES = ["1.2", "1.3"]
OWNERS = ["one", "two"]
DESTINATIONS = ["pacs", "research"]
FINAL = {"done", "committed", "discarded"}
OVER = {"done", "discarded"}  # jobs
QUIET_SECONDS = 10
KEPT_SECONDS = 90  # after the last that happened to a study
EDGES = {
    "jobs": {(before.value, after.value) for (before, _), after in JOB_TRANSITIONS.items()},
    "deliveries": {
        (before.value, after.value) for (before, _), after in DELIVERY_TRANSITIONS.items()
    },
}
SETTLED = [
    DeliveryEvent.ACCEPTED, DeliveryEvent.ACCEPTED, DeliveryEvent.UNAVAILABLE,
    DeliveryEvent.UNANSWERED, DeliveryEvent.REFUSED, DeliveryEvent.GAVE_UP,
]  # fmt: skip


_DESTINATIONS = st.sets(st.sampled_from(DESTINATIONS), min_size=1)


_stack = ExitStack()


@pytest.fixture(scope="module", autouse=True)
def _one_store() -> Iterator[None]:
    """SQLAlchemy compiles its statements once for each engine: all examples share one."""
    with _stack:
        yield


@cache
def _shared(kind: str) -> StoreHarness:
    folder = _stack.enter_context(tempfile.TemporaryDirectory())
    url = SQLITE
    if kind != SQLITE:
        server = _stack.enter_context(postgres())
        url = server.url(server.create())
    return _stack.enter_context(store_harness(Path(folder), url))


def _emptied(kind: str) -> StoreHarness:
    node = _shared(kind)
    for table in reversed(TABLES):
        node.sql(f"DELETE FROM {table}")  # noqa: S608
    node.clock.now = START
    return node


class Node(RuleBasedStateMachine):
    """A node whose workers and deliverers pause, die and come back at the worst time."""

    database = SQLITE
    jobs = Bundle("jobs")  # every claim ever handed out, lost or not
    shipments = Bundle("shipments")
    queries = Bundle("queries")

    @initialize()
    def open(self) -> None:
        self.node = _emptied(self.database)
        self.store, self.clock = self.node.store, self.node.clock
        self.films = 0
        self.owed: set[tuple[str, str]] = set()  # each result, and each destination it goes to
        self.seen: dict[str, dict[int, dict[str, Any]]] = {"jobs": {}, "deliveries": {}}
        for study in STUDIES:
            self.receive(study)
        assert self.node.store.jobs.open_ready(self.clock.after(-QUIET_SECONDS)) == 0
        self.clock.tick(QUIET_SECONDS)
        self.open_ready()
        self.finish(self.claim_job("one"), lateral=False, destinations={"pacs"})

    def teardown(self) -> None:
        if hasattr(self, "node"):
            self._every_role_does_its_work()
            self._everything_goes()
            assert self.store.audit.verify() == []

    @rule(study=st.sampled_from(STUDIES))
    def receive(self, study: str) -> None:
        self.films += 1
        self.node.receive(study, self.films)
        self.open_ready()

    def open_ready(self) -> None:
        """No study with a film younger than the quiet period gets a job."""
        before = set(self._by_id("jobs"))
        quiet = self.clock.after(-QUIET_SECONDS)
        opened = self.store.jobs.open_ready(quiet)
        assert self.store.jobs.open_ready(quiet) == 0
        new = [job for id_, job in self._by_id("jobs").items() if id_ not in before]
        assert len(new) == opened
        for job in new:
            assert self._newest_film(job["study_instance_uid"]) <= iso(quiet)

    @rule(seconds=st.sampled_from([20, 100]))
    def time_passes(self, seconds: int) -> None:
        self.clock.tick(seconds)
        self.store.release()
        self.open_ready()

    @rule(target=jobs, owner=st.sampled_from(OWNERS))
    def claim_job(self, owner: str) -> Any:
        due = self._due("jobs", "waiting")
        job = self.store.jobs.claim(owner, self.clock.after(30))
        assert (job is not None) == bool(due)
        return multiple() if job is None else job

    @rule(target=jobs)
    def a_worker_is_overtaken(self) -> Any:
        """It pauses with a job, is given up, and the job goes to the other."""
        first = self.store.jobs.claim("one", self.clock.after(30))
        self.owner_dies("one")
        second = self.store.jobs.claim("two", self.clock.after(30))
        return multiple(*(job for job in (first, second) if job is not None))

    @rule(job=jobs, lateral=st.booleans(), destinations=_DESTINATIONS)
    def finish(self, job: Job, lateral: bool, destinations: set[str]) -> None:
        outcome = refused if lateral else read
        outcomes = [outcome(film.sop_instance_uid) for film in job.instances]
        holds = self._holds("jobs", [job.id], job.lease)
        self._fenced(
            holds, lambda: self.store.jobs.finish(job, outcomes, full(*sorted(destinations)))
        )
        if holds:
            made = {result.sop_instance_uid for each in outcomes for result in each.results}
            self.owed |= {(uid, destination) for uid in made for destination in destinations}

    @rule(job=jobs)
    def a_worker_shows_it_is_alive(self, job: Job) -> None:
        until = self.clock.after(60)
        holds = self._holds("jobs", [job.id], job.lease)
        self._fenced(holds, lambda: self.store.jobs.renew(job, until))
        assert not holds or self._by_id("jobs")[job.id]["lease_until"] == iso(until)

    @rule(shipment=shipments)
    def a_deliverer_shows_it_is_alive(self, shipment: Shipment) -> None:
        ids = [delivery.id for delivery in shipment.deliveries]
        self._fenced(
            self._holds("deliveries", ids, shipment.lease, "sending"),
            lambda: self.store.outbox.renew(shipment, self.clock.after(60)),
        )

    @rule(job=jobs, seconds=st.sampled_from([None, 0, 50]))
    def fail(self, job: Job, seconds: int | None) -> None:
        due_at = None if seconds is None else self.clock.after(seconds)
        self._fenced(
            self._holds("jobs", [job.id], job.lease),
            lambda: self.store.jobs.fail(job, "it broke", due_at),
        )

    @rule(target=shipments, owner=st.sampled_from(OWNERS))
    def claim_shipment(self, owner: str) -> Any:
        due = self._due("deliveries", "pending") + self._due("deliveries", "sent")
        shipment = self.store.outbox.claim(owner, self.clock.after(30))
        assert (shipment is not None) == bool(due)
        return multiple() if shipment is None else shipment

    @rule(target=shipments)
    def a_deliverer_is_overtaken(self) -> Any:
        """As the worker, in the middle of an association."""
        first = self.store.outbox.claim("one", self.clock.after(30))
        self.owner_dies("one")
        second = self.store.outbox.claim("two", self.clock.after(30))
        return multiple(*(each for each in (first, second) if each is not None))

    @rule(shipment=shipments, event=st.sampled_from(SETTLED))
    def settle(self, shipment: Shipment, event: DeliveryEvent) -> None:
        again = event in (DeliveryEvent.UNAVAILABLE, DeliveryEvent.UNANSWERED)
        due_at = self.clock.after(10) if again else None
        ids = [delivery.id for delivery in shipment.deliveries]
        settlements = [
            Settlement(
                delivery_id=id_,
                event=event,
                status_code=0,
                reason="said",
                due_at=due_at,
                confirm=event is DeliveryEvent.ACCEPTED,
            )
            for id_ in ids
        ]
        self._fenced(
            self._holds("deliveries", ids, shipment.lease),
            lambda: self.store.outbox.settle(shipment, settlements),
        )

    @rule(target=queries, owner=st.sampled_from(OWNERS))
    def ask(self, owner: str) -> Any:
        """Claim accepted objects, and write down that a destination is asked about them."""
        query = self.store.commitments.claim(owner, self.clock.after(30))
        if query is None:
            return multiple()
        self.store.commitments.request(query)
        return query

    @rule(query=queries)
    def ask_once_more(self, query: CommitmentQuery) -> None:
        """A deliverer paused with a query sends nothing."""
        ids = [each.id for each in query.deliveries]
        if not any(self._holds("deliveries", [id_], query.lease) for id_ in ids):
            self._fenced(False, lambda: self.store.commitments.request(query))

    @rule(query=queries, seconds=st.sampled_from([None, 0, 50]))
    def no_answer_comes(self, query: CommitmentQuery, seconds: int | None) -> None:
        at = None if seconds is None else self.clock.after(seconds)
        self.store.commitments.put_off(query, "no report", at, asked=True)

    @rule(query=queries, missing=st.integers(0, 2))
    def a_report_comes(self, query: CommitmentQuery, missing: int) -> None:
        """Early, late or twice, of any request ever made."""
        references = query.references
        report = CommitmentReport(
            transaction_uid=query.transaction_uid,
            kept=references[missing:],
            missing=tuple(Failure(reference=each, code=0x0112) for each in references[:missing]),
        )
        for _ in range(2):
            assert self.store.commitments.report(report, send_at=self.clock.after(5), most=1)
        kept = {each.sop_instance_uid for each in report.kept}
        for row in self._by_id("deliveries").values():
            if row["sop_instance_uid"] in kept and row["destination"] == query.destination:
                assert row["status"] != "accepted"

    @rule(study=st.sampled_from(STUDIES))
    def discard(self, study: str) -> None:
        self.store.jobs.discard(study)
        self.store.outbox.discard(study)
        self.open_ready()

    @rule()
    def a_shipment_goes_well(self) -> None:
        """Sent, accepted and committed without a hitch."""
        if (shipment := self.store.outbox.claim("one", self.clock.after(30))) is None:
            return
        self.every_change_is_in_the_table()
        self.settle(shipment, DeliveryEvent.ACCEPTED)
        self.every_change_is_in_the_table()
        if (query := self.store.commitments.claim("one", self.clock.after(30))) is not None:
            self.store.commitments.request(query)
            self.a_report_comes(query, 0)

    @rule(seconds=st.sampled_from([0, 2 * KEPT_SECONDS]), late=st.none() | st.sampled_from(STUDIES))
    def old_studies_go(self, seconds: int, late: str | None) -> None:
        """What is delivered and old is removed, but not where a film comes in between."""
        self.clock.tick(seconds)
        before = self.clock.after(-KEPT_SECONDS)
        chosen = self.store.retention.removable(before, 10)
        if late is not None and late in chosen:
            self.receive(late)
        for study in chosen:
            finished = study != late and self._is_over(study, before)
            assert self.store.retention.remove(study, before) == finished
            if finished:
                self._forget(study)

    @rule(owner=st.sampled_from(OWNERS))
    def owner_dies(self, owner: str) -> None:
        self.store.release(owner)

    @rule(study=st.none() | st.sampled_from(STUDIES))
    def retry(self, study: str | None) -> None:
        self.store.jobs.retry(study)
        self.store.outbox.retry(study)
        self.open_ready()

    @invariant()
    def every_change_is_in_the_table(self) -> None:
        """Nothing leaves a final state, nothing jumps, nothing disappears."""
        for table, edges in EDGES.items():
            now = self._by_id(table)
            for id_, before in self.seen[table].items():
                after = now[id_]["status"]
                assert after == before["status"] or (before["status"], after) in edges
                assert before["status"] not in FINAL or now[id_] == before
            self.seen[table] = now

    @invariant()
    def leases_belong_to_work_under_way(self) -> None:
        """Who is at work has a lease; two pieces of work share one only within a shipment."""
        for table, busy in (("jobs", "running"), ("deliveries", "sending")):
            for row in self._by_id(table).values():
                verified = row["status"] == "accepted"
                assert verified or (row["lease"] is not None) == (row["status"] == busy)
        leases = [row["lease"] for row in self._by_id("jobs").values() if row["lease"]]
        assert len(leases) == len(set(leases))

    @invariant()
    def every_result_goes_to_each_destination_once(self) -> None:
        """No result of a finished job is lost on its way into the outbox, none is there twice."""
        rows = self._by_id("deliveries").values()
        ways = [(row["sop_instance_uid"], row["destination"]) for row in rows]
        assert sorted(ways) == sorted(self.owed)

    @invariant()
    def a_film_is_decided_when_its_job_is_done(self) -> None:
        """Decided films belong to finished jobs, and the others to none that is finished."""
        done = {id_ for id_, job in self._by_id("jobs").items() if job["status"] == "done"}
        for film in self.node.rows("instances"):
            assert (film["decision"] != "undecided") == (film["job_id"] in done)

    def _fenced(self, holds: bool, act: Callable[[], None]) -> None:
        """Act; without the lease in force this must fail and change nothing at all."""
        if holds:
            act()
            return
        before = self.node.dump()
        with pytest.raises(LeaseLost):
            act()
        assert self.node.dump() == before

    def _every_role_does_its_work(self) -> None:
        """Whatever was left behind, it all comes to its end: nothing is stuck."""
        self.store.jobs.retry(None)
        self.store.outbox.retry(None)
        for owner in OWNERS:
            self.owner_dies(owner)
        for _ in range(100):
            self.clock.tick(1000)
            self.open_ready()
            if (job := self.store.jobs.claim("one", self.clock.after(30))) is not None:
                self.finish(job, lateral=False, destinations={"pacs"})
            elif (shipment := self.store.outbox.claim("one", self.clock.after(30))) is not None:
                self.settle(shipment, DeliveryEvent.ACCEPTED)
            elif (query := self.store.commitments.claim("one", self.clock.after(30))) is not None:
                self.store.commitments.request(query)
                self.a_report_comes(query, 0)
            else:
                break
            self.every_result_goes_to_each_destination_once()
        assert {job["status"] for job in self._by_id("jobs").values()} <= OVER
        arrived = {"accepted", "committed", "discarded"}
        assert {row["status"] for row in self._by_id("deliveries").values()} <= arrived

    def _everything_goes(self) -> None:
        """In the end nothing keeps a study from being removed, and nothing of it stays."""
        before = self.clock.tick(1000)
        for study in self.store.retention.removable(before, 10):
            assert self.store.retention.remove(study, before)
        left = self.node.dump()
        assert not any(left[table] for table in ("studies", "jobs", "instances", "results"))
        assert not left["deliveries"]

    def _is_over(self, study: str, before: datetime) -> bool:
        """Whether every destination has had its part of this study for long enough."""
        jobs = [job for job in self._by_id("jobs").values() if job["study_instance_uid"] == study]
        rows = [
            row for row in self._by_id("deliveries").values() if row["study_instance_uid"] == study
        ]
        return (
            self._newest_film(study) < iso(before)
            and all(job["status"] in OVER for job in jobs)
            and all((job["finished_at"] or "") < iso(before) for job in jobs)
            and all(_has_arrived(row, iso(before)) for row in rows)
        )

    def _newest_film(self, study: str) -> str:
        films = self.node.rows("instances")
        return max(
            str(film["received_at"]) for film in films if film["study_instance_uid"] == study
        )

    def _forget(self, study: str) -> None:
        """What the machine knew of a study that was removed; nothing of it may be left."""
        for rows in self.seen.values():
            for id_ in [id_ for id_, row in rows.items() if row["study_instance_uid"] == study]:
                del rows[id_]
        there = {row["sop_instance_uid"] for row in self.node.rows("results")}
        self.owed = {way for way in self.owed if way[0] in there}
        for table in ("jobs", "instances", "deliveries", "commitments"):
            assert all(row["study_instance_uid"] != study for row in self.node.rows(table))

    def _holds(self, table: str, ids: list[int], lease: str, status: str | None = None) -> bool:
        now = self._by_id(table)
        return all(
            id_ in now and now[id_]["lease"] == lease and status in (None, now[id_]["status"])
            for id_ in ids
        )

    def _due(self, table: str, status: str) -> list[int]:
        now = self.clock.now.isoformat(timespec="microseconds")
        return [
            id_
            for id_, row in self._by_id(table).items()
            if row["status"] == status and row["due_at"] <= now
        ]

    def _by_id(self, table: str) -> dict[int, dict[str, Any]]:
        return {row["id"]: row for row in self.node.rows(table)}


def _has_arrived(delivery: dict[str, Any], before: str) -> bool:
    if delivery["status"] == "accepted" and delivery["confirm_at"] is not None:
        return False  # its commitment is still verified
    newest = delivery["committed_at"] or delivery["accepted_at"] or ""
    return delivery["status"] in {"accepted", "committed", "discarded"} and newest < before


class PostgresNode(Node):
    """The same over PostgreSQL."""

    database = "postgresql"


TestNode = pytest.mark.timeout(300)(Node.TestCase)
TestNode.settings = settings(max_examples=30, stateful_step_count=15, deadline=None)
TestPostgresNode = pytest.mark.skipif(programs() is None, reason="needs PostgreSQL's programs")(
    pytest.mark.timeout(300)(PostgresNode.TestCase)
)
TestPostgresNode.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
