"""The processes of a running node, each put together from its parts."""

from __future__ import annotations

import os
import random
import signal
import socket
import sys
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from dicom_node.confine import hide_memory
from dicom_node.domain.clock import utc_now
from dicom_node.domain.values import Edition
from dicom_node.errors import ConfigError, DatabaseDamaged, ModelError
from dicom_node.service import running_config
from dicom_node.service.lean import without_decoders
from dicom_node.service.processes import Role
from dicom_node.service.systemd import notify
from dicom_node.service.term import Term
from dicom_node.store.secret import node_secret
from dicom_node.store.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_node.config import Config
    from dicom_node.service.alarms import Alarm
    from dicom_node.store.store import Store


#: Exit status of a process that will never start with this configuration (EX_CONFIG).
CANNOT_START = 78

_POLL_SECONDS = 1.0

log = structlog.get_logger()


def run(role: Role, owner: str, config: Config, *, supervisor: int) -> None:
    """Run one of the node's processes until SIGTERM, or until the supervisor has exited.

    ``supervisor`` is its process id. It is passed in, because `getppid()` would return a reaper if
    the supervisor had already died.
    """
    hide_memory()
    term = Term(owner=owner, config=config, file=running_config.path(config))
    _heed_only_the_supervisor(term)
    threading.Thread(target=_watch, args=(supervisor, term), daemon=True).start()
    try:
        _RUN[role](owner, config, term)
    except (ConfigError, DatabaseDamaged, ModelError) as error:
        log.error("cannot start", reason=str(error))
        sys.exit(CANNOT_START)


def _heed_only_the_supervisor(term: Term) -> None:
    """Stop on SIGTERM; a terminal sends the others to the supervisor, too, which then drains."""
    signal.signal(signal.SIGTERM, lambda *_: term.stop())
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _watch(supervisor: int, term: Term) -> None:
    """Look, as long as the process runs, for the supervisor's end and for a new configuration."""
    while os.getppid() == supervisor:
        term.look()
        time.sleep(_POLL_SECONDS)
    log.error("supervisor exited, stopping")
    term.stop()


def _receive(_owner: str, config: Config, term: Term) -> None:
    without_decoders()
    from dicom_node.commitment.intake import Intake
    from dicom_node.commitment.receive import CommitmentHandler
    from dicom_node.receive.scp import Receiver
    from dicom_node.service.alarms import access

    store = open_store(config.node.data_dir, utc_now, config.store.url)
    intake = Intake(store.commitments, config.delivery, utc_now)
    commitment = CommitmentHandler(config, store.commitment_requests, intake)
    receiver = Receiver(
        config,
        store.inbox,
        store.audit,
        utc_now,
        secret=node_secret(config.node.data_dir),
        handlers=commitment.handlers,
    )
    receiver.start()
    for alarm in access(config):
        log.warning("open to the network", reason=alarm.sentence)
    log.info("listening", ae_title=config.node.ae_title, ports=receiver.ports)
    notify("READY=1")
    while (following := term.following()) is not None:
        receiver.reload(following)
        commitment.reload(following)
    receiver.stop()
    store.close()


def _work(owner: str, config: Config, term: Term) -> None:
    # Only this process imports torch; the others stay small.
    from dicom_node.infer import CascadeReader
    from dicom_node.pipeline import Pipeline
    from dicom_node.pixels.sandbox import SANDBOX
    from dicom_node.service.memory import limit_growth
    from dicom_node.service.promotion import models_in_use, watch
    from dicom_node.service.shadow import FIRST, candidate_of
    from dicom_node.service.wake import Bells
    from dicom_node.service.warm_up import warm_up
    from dicom_node.service.worker import Worker

    store = open_store(config.node.data_dir, utc_now, config.store.url)
    models = models_in_use(config, store.promotions.active())
    reader = CascadeReader(models, config.workers.threads)
    warm_up(config, reader, SANDBOX.start, utc_now)
    if not limit_growth(config.workers.film_memory_mb):
        log.warning("this system cannot limit the memory of a worker")
    log.info("networks warm", version=reader.identity.version, digest=reader.identity.digest[:12])
    secret = node_secret(config.node.data_dir)
    threading.Thread(target=watch, args=(store.promotions, term.stop), daemon=True).start()
    bells = Bells.of(config.run_dir)
    bells.readings.listen()
    present: Config | None = config
    while present is not None:
        editions = tuple(dict.fromkeys(present.editions.values()))
        pipeline = Pipeline(
            config=present, reader=reader, clock=utc_now, secret=secret,
            editions=editions or (Edition(),),
        )  # fmt: skip
        worker = Worker(
            owner=owner, config=present, jobs=store.jobs, pipeline=pipeline, clock=utc_now,
            wait=bells.readings.wait, finished=bells.deliveries.ring,
            candidate=candidate_of(present, store, reader.identity) if owner == FIRST else None,
        )  # fmt: skip
        worker.run(term.ended)
        present = term.following()
    bells.readings.close()
    store.close()


def _deliver(owner: str, config: Config, term: Term) -> None:
    store = open_store(config.node.data_dir, utc_now, config.store.url)
    present: Config | None = config
    while present is not None:
        _deliver_for_a_term(owner, present, store, term.ended)
        present = term.following()
    store.close()


def _deliver_for_a_term(owner: str, config: Config, store: Store, ended: threading.Event) -> None:
    from dicom_node.service.deliverer import Queues, Rounds
    from dicom_node.service.housekeeping import Housekeeping
    from dicom_node.service.scheduler import Ticks, keep_house, longest_wait, scheduler
    from dicom_node.service.wake import Bells

    queues = Queues(
        outbox=store.outbox,
        commitments=store.commitments,
        commitment_requests=store.commitment_requests,
        breakers=store.breakers,
        audit=store.audit,
    )
    rounds = Rounds(owner, config, queues, utc_now, ended)

    def once(task: Callable[[], object]) -> Callable[[], None]:
        """The task, left to one machine of those that share the database."""

        def if_it_leads() -> None:
            if store.leads():
                task()

        return if_it_leads

    bells = Bells.of(config.run_dir)
    ticking = scheduler(
        Ticks(
            study=config.study,
            jobs=store.jobs,
            deliver=rounds.deliver.start_due,
            background_tasks=(
                rounds.confirm.start_due,
                rounds.report.start_due,
                rounds.probe.start_due,
                *(once(each) for each in _audit_messages(config, store)),
                *(once(each) for each in _alerts(config)),
            ),
            release=store.release,
            repair_clock_skew=lambda: store.repair_clock_skew(longest_wait(config)),
            clock=utc_now,
            ready=bells.readings.ring,
        )
    )
    house = Housekeeping(
        config=config,
        audit=store.audit,
        chain=store.audit,
        retention=store.retention,
        clock=utc_now,
    )
    keep_house(ticking, once(house.run), once(house.checkpoint_if_due))
    ticking.start()
    bells.deliveries.answer(ended, lambda: ticking.add_job(rounds.deliver.start_due))
    ticking.shutdown(wait=True)
    rounds.wait()  # a delivery under way is finished


def _serve(_owner: str, config: Config, term: Term) -> None:
    from dicom_node.service.web.server import serve

    store = open_store(config.node.data_dir, utc_now, config.store.url)
    log.info("web page", address=f"http://{config.http.host}:{config.http.port}/")
    present: Config | None = config
    while present is not None:
        serve(present, store, utc_now, term.ended)
        if not term.ended.is_set():  # the server failed
            break
        present = term.following()
    store.close()


def _alerts(config: Config) -> tuple[Callable[[], None], ...]:
    """The task that sends messages about alarms, if a way is configured."""
    if config.alerts.webhook is None and config.alerts.mail is None:
        return ()
    from dicom_node.service.alerts import Alerts
    from dicom_node.service.pidfile import processes
    from dicom_node.service.work_alarms import every_alarm
    from dicom_node.store.status import read_status

    data_dir = config.node.data_dir

    def look() -> list[Alarm]:
        counted = read_status(data_dir, config.store.url)
        return every_alarm(config, None, counted, processes(config.run_dir), utc_now())

    alerts = Alerts(
        settings=config.alerts,
        ae_title=config.node.ae_title,
        look=look,
        data_dir=data_dir,
        clock=utc_now,
    )
    return (alerts.tick,)


def _audit_messages(config: Config, store: Store) -> tuple[Callable[[], None], ...]:
    """The task that sends audit lines to the repository, if one is configured."""
    if config.audit.repository is None:
        return ()
    from dicom_node.audit.messages.forward import Forwarder
    from dicom_node.audit.messages.message import AuditMessageBuilder
    from dicom_node.deliver.retry import RetryPolicy

    builder = AuditMessageBuilder.of(config, socket.gethostname())
    if config.audit.repository.patient == "id":
        from dicom_node.audit.messages.patient import PatientNumbers

        data_dir, films = config.node.data_dir, store.queries
        numbers = PatientNumbers(data_dir=data_dir, film_of=films.film_of)
        builder = replace(builder, patient=numbers.number)
    forwarder = Forwarder(
        lines=store.audit,
        builder=builder,
        repository=config.audit.repository,
        tls=config.tls,
        policy=RetryPolicy.of(config.delivery),
        clock=utc_now,
        jitter=random.random,
    )
    return (forwarder.forward,)


_RUN: dict[Role, Callable[[str, Config, Term], None]] = {
    "receiver": _receive,
    "worker": _work,
    "deliverer": _deliver,
    "web": _serve,
}
