"""The job runner: claims a study, reads its films, fills the outbox, or records why not."""

from __future__ import annotations

import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, TypeVar

import structlog

from dicom_node.dicom.blobs import BlobsAway
from dicom_node.domain.held_lease import HeldLease
from dicom_node.domain.values import FilmOutcome
from dicom_node.errors import LeaseLost
from dicom_node.fail_points import fail_point
from dicom_node.log import where
from dicom_node.store.bucket import blobs_of
from dicom_node.store.folders import results_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_node.config import Config
    from dicom_node.domain.values import Job
    from dicom_node.pipeline import Pipeline
    from dicom_node.ports import Clock, Jobs
    from dicom_node.service.shadow import ShadowReader

POLL_SECONDS = 0.25  # how late work may be noticed that nothing announces, such as a retry
_RETRY_SECONDS = 10.0  # before attempt n + 1: n times this
_AWAY_SECONDS = 5.0  # between two attempts to reach films and results
_ATTEMPTS_TOGETHER = 2  # then a study's films are read in two jobs: one film may fail the others

T = TypeVar("T")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """Reads studies, one at a time, until it is stopped.

    Parameters
    ----------
    wait
        Waits for work, so many seconds at most.
    finished
        Called after each reading whose results can be sent.
    stopping
        Once set, a reading that waits for the bucket is given up.
    read_reviews
        Called then with the job, whose other objects may be reports about earlier results.
    """

    owner: str
    config: Config
    jobs: Jobs
    pipeline: Pipeline
    clock: Clock
    wait: Callable[[float], object] = time.sleep
    finished: Callable[[], object] = lambda: None
    read_reviews: Callable[[Job], object] = lambda _: None
    candidate: ShadowReader | None = None
    stopping: Event = field(default_factory=Event)

    def run(self, stop: Event) -> None:
        """Work until ``stop`` is set; a reading in progress is finished first."""
        while not stop.is_set():
            if not (self.step() or (self.candidate and self.candidate.step())):
                self.wait(POLL_SECONDS)

    def step(self) -> bool:
        """Do one job; False if there was none."""
        lease = HeldLease(self.clock, self.config.workers.lease_seconds)
        job = self.jobs.claim(self.owner, lease.extended())
        if job is None:
            return False
        fail_point("work.claimed")
        with structlog.contextvars.bound_contextvars(
            study=job.study_instance_uid, revision=job.revision
        ):
            try:
                self._do(job, lease)
            except LeaseLost:
                self._drop(attempt_folder(job))
                log.warning("lease lost, results discarded", attempt=job.attempt)
            except Exception as error:
                # Any error must be recorded, or the study would be lost without a line.
                log.error("reading failed", attempt=job.attempt, error=where(error))
                log.debug("reading failed", exc_info=True)
                self._fail(job, where(error))
        return True

    def _do(self, job: Job, lease: HeldLease) -> None:
        self._reached(job, lease, lambda: self._clear(job, lease))
        most = self.config.workers.max_attempts
        if len(job.instances) > 1 and job.attempt > min(most, _ATTEMPTS_TOGETHER):
            log.warning(
                "reading together failed, films split into two jobs", films=len(job.instances)
            )
            self.jobs.split(job)
            return
        if job.attempt > most:
            # Earlier attempts ended with the process, not with an error.
            self.jobs.fail(job, "the worker exited each time it read this study", None)
            return
        with ExitStack() as unless_read:
            unless_read.callback(self._drop, attempt_folder(job))
            outcomes = [self._read(job, lease, index) for index in range(len(job.instances))]
            publish = blobs_of(self.config).publish
            self._reached(job, lease, lambda: publish(attempt_folder(job)))
            unless_read.pop_all()
        destinations = {name: each.name for name, each in self.config.editions.items()}
        fail_point("work.finishing")
        self.jobs.finish(job, outcomes, destinations)
        fail_point("work.finished")
        self.finished()
        self.read_reviews(job)
        log.info(
            "study read",
            films=sum(outcome.refusal is None for outcome in outcomes),
            refused=sum(outcome.refusal is not None for outcome in outcomes),
        )

    def _read(self, job: Job, lease: HeldLease, index: int) -> FilmOutcome:
        if not lease.fresh:
            self.jobs.renew(job, lease.extended())
        instance = job.instances[index]
        folder, blobs = attempt_folder(job), blobs_of(self.config)
        with ExitStack() as fetched:
            local = partial(blobs.local, instance.path, instance.sha256)
            film = self._reached(job, lease, lambda: fetched.enter_context(local()))
            outcome = self.pipeline.read(
                film,
                self.config.node.data_dir / folder,
                revision=job.revision,
                predecessors=job.predecessors.get(instance.sop_instance_uid, ()),
                earlier=job.earlier,
                contested=instance.sop_instance_uid in job.contested,
                key=instance.sop_instance_uid,
                sender=instance.calling_ae_title,
            )
        for fault in outcome.faults:
            log.error(
                "objects withheld",
                film=instance.sop_instance_uid,
                object=fault.sop_instance_uid,
                rule=fault.rule,
                fault=fault.message,
            )
        return replace(
            outcome,
            sop_instance_uid=instance.sop_instance_uid,
            results=tuple(replace(result, path=folder / result.path) for result in outcome.results),
        )

    def _clear(self, job: Job, lease: HeldLease) -> None:
        """Remove the files of earlier attempts, whose process exited."""
        folders = blobs_of(self.config).folders(results_folder(job.study_instance_uid))
        left = [each for each in folders if each.name.startswith(f"{job.revision}-")]
        if left:
            # List first, then renew: only if the lease still holds are these folders all older.
            self.jobs.renew(job, lease.extended())
        for folder in left:
            self._drop(folder)

    def _drop(self, folder: Path) -> None:
        """Remove the objects of an attempt whose results are not recorded."""
        with suppress(BlobsAway):  # the next attempt removes them
            blobs_of(self.config).drop(folder)

    def _reached(self, job: Job, lease: HeldLease, act: Callable[[], T]) -> T:
        """Act; while the bucket is away, hold the job and try again."""
        while True:
            try:
                return act()
            except BlobsAway as error:
                if self.stopping.is_set():
                    raise
                log.warning("waiting for films and results", reason=str(error))
                self.stopping.wait(_AWAY_SECONDS)
                self.jobs.renew(job, lease.extended())

    def _fail(self, job: Job, reason: str) -> None:
        due_at = None
        if job.attempt < self.config.workers.max_attempts or len(job.instances) > 1:
            due_at = self.clock() + timedelta(seconds=_RETRY_SECONDS * job.attempt)
        try:
            self.jobs.fail(job, reason, due_at)
        except LeaseLost:
            log.warning("lease lost, failure not recorded", attempt=job.attempt)


def attempt_folder(job: Job) -> Path:
    """The folder of one attempt's objects; no other attempt writes there, however late."""
    return results_folder(job.study_instance_uid) / f"{job.revision}-{job.lease[:8]}"
