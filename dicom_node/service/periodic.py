"""The periodic work of the deliverer and the scheduler.

A machine with both roles does it in one process, the deliverer.
"""

from __future__ import annotations

import random
import socket
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import structlog

from dicom_node.domain.clock import utc_now
from dicom_node.errors import NodeError
from dicom_node.service import drift
from dicom_node.service.deliverer import Queues, Rounds
from dicom_node.service.housekeeping import Housekeeping
from dicom_node.service.scheduler import Ticks, keep_house, longest_wait, scheduler
from dicom_node.service.wake import Bells

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from apscheduler.schedulers.background import BackgroundScheduler

    from dicom_node.config import Config
    from dicom_node.service.alarms import Alarm
    from dicom_node.store.store import Store


log = structlog.get_logger()


def deliver_for_a_term(owner: str, config: Config, store: Store, ended: threading.Event) -> None:
    """Send what is due until the event is set; schedule too, if that is a role of this machine."""
    queues = Queues(
        outbox=store.outbox,
        commitments=store.commitments,
        commitment_requests=store.commitment_requests,
        breakers=store.breakers,
        audit=store.audit,
    )
    rounds = Rounds(owner, config, queues, utc_now, ended)
    schedules = "scheduler" in config.node.roles
    bells = Bells.of(config.run_dir, config.store.url)
    ticking = scheduler(
        _ticks(config, store, bells) if schedules else None,
        rounds.deliver.start_due,
        (
            rounds.confirm.start_due,
            rounds.report.start_due,
            rounds.probe.start_due,
            *(_tasks(config, store) if schedules else ()),
        ),
    )
    if schedules:
        _keep_house(ticking, config, store)
    ticking.start()
    bells.deliveries.answer(ended, partial(_at_once, rounds.deliver.start_due))
    ticking.shutdown(wait=True)
    rounds.wait()  # a delivery under way is finished


def _at_once(start: Callable[[], None]) -> None:
    """Start work that was announced; if that fails, the next tick does."""
    try:
        start()
    except NodeError as error:
        log.error("work not started at once", error=str(error))


def schedule_for_a_term(config: Config, store: Store, ended: threading.Event) -> None:
    """Open studies, free expired leases and keep house until the event is set."""
    ticking = scheduler(
        _ticks(config, store, Bells.of(config.run_dir, config.store.url)),
        None,
        _tasks(config, store),
    )
    _keep_house(ticking, config, store)
    ticking.start()
    ended.wait()
    ticking.shutdown(wait=True)


def _ticks(config: Config, store: Store, bells: Bells) -> Ticks:
    return Ticks(
        study=config.study,
        jobs=store.jobs,
        release=store.release,
        repair_clock_skew=lambda: store.repair_clock_skew(longest_wait(config)),
        clock=utc_now,
        ready=bells.readings.ring,
    )


def _tasks(config: Config, store: Store) -> tuple[Callable[[], None], ...]:
    """Messages to the audit repository and to persons."""
    return tuple(_once(store, task) for task in (*_audit_messages(config, store), *_alerts(config)))


def _keep_house(ticking: BackgroundScheduler, config: Config, store: Store) -> None:
    house = Housekeeping(
        config=config,
        audit=store.audit,
        chain=store.audit,
        retention=store.retention,
        clock=utc_now,
        compare_films=lambda: drift.watch(store.drift, config.drift),
    )
    keep_house(ticking, _once(store, house.run), _once(store, house.checkpoint_if_due))


def _once(store: Store, task: Callable[[], object]) -> Callable[[], None]:
    """The task, left to one machine of those that share the database."""

    def if_it_leads() -> None:
        if store.leads():
            task()

    return if_it_leads


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

        numbers = PatientNumbers(blobs=store.blobs, film_of=store.queries.film_of)
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
