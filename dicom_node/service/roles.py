"""The processes of a running node, each put together from its parts."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
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
from dicom_node.store.store import store_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_node.config import Config
    from dicom_node.infer import CascadeReader
    from dicom_node.service.reviews import Reviews
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


def _opened(config: Config) -> Store:
    return store_of(config, utc_now)


def _receive(_owner: str, config: Config, term: Term) -> None:
    without_decoders()
    from dicom_node.commitment.intake import Intake
    from dicom_node.commitment.receive import CommitmentHandler
    from dicom_node.receive.scp import Receiver
    from dicom_node.service.alarms import access

    store = _opened(config)
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
    door = None
    if config.http.dicomweb:
        from dicom_node.receive.stow_door import StowDoor

        door = StowDoor(config, receiver.keeping)
        door.start()
    for alarm in access(config):
        log.warning("open to the network", reason=alarm.sentence)
    log.info("listening", ae_title=config.node.ae_title, ports=receiver.ports)
    notify("READY=1")
    while (following := term.following()) is not None:
        receiver.reload(following)
        commitment.reload(following)
    if door is not None:
        door.stop()
    receiver.stop()
    store.close()


def _work(owner: str, config: Config, term: Term) -> None:
    # Only this process imports torch; the others stay small.
    from dicom_node.pipeline import Pipeline
    from dicom_node.service.promotion import watch
    from dicom_node.service.shadow import candidate_of
    from dicom_node.service.site_thresholds import networks_of, with_adopted
    from dicom_node.service.wake import Bells
    from dicom_node.service.worker import Worker

    store = _opened(config)
    reader = _warm_reader(owner, config, store)
    secret = node_secret(config.node.data_dir)
    networks = networks_of(reader.identity, config.models)

    def in_use() -> object:
        return store.promotions.active(), store.thresholds.in_use(networks)

    threading.Thread(target=watch, args=(in_use, term.stop), daemon=True).start()
    adopted = store.thresholds.in_use(networks)
    bells = Bells.of(config.run_dir, config.store.url)
    bells.readings.listen()
    for present in term.configs():
        editions = tuple(dict.fromkeys(present.editions.values()))
        pipeline = Pipeline(
            config=with_adopted(present, adopted), reader=reader, clock=utc_now, secret=secret,
            editions=editions or (Edition(),),
        )  # fmt: skip
        worker = Worker(
            owner=owner, config=present, jobs=store.jobs, pipeline=pipeline, clock=utc_now,
            wait=bells.readings.wait, stopping=term.ended, finished=bells.deliveries.ring,
            read_reviews=_reviews(present, store, secret).read,
            candidate=candidate_of(present, store, reader.identity, owner),
        )  # fmt: skip
        worker.run(term.ended)
    bells.readings.close()
    store.close()


def _warm_reader(owner: str, config: Config, store: Store) -> CascadeReader:
    """The networks in use, ready for the first film; the memory that films may add is limited."""
    from dicom_node.infer import CascadeReader
    from dicom_node.pixels.sandbox import SANDBOX
    from dicom_node.service.engine_notes import EngineNotes
    from dicom_node.service.memory import limit_growth
    from dicom_node.service.promotion import models_in_use
    from dicom_node.service.warm_up import warm_up

    models = models_in_use(config, store.promotions.active())
    notes = EngineNotes(config.run_dir, owner, store.audit)
    reader = CascadeReader(models, config.workers.threads, fell_back=notes.fell_back)
    notes.chosen(reader.engine, reader.why_not_faster)
    warm_up(config, reader, SANDBOX.start, utc_now)
    if not limit_growth(config.workers.film_memory_mb):
        log.warning("this system cannot limit the memory of a worker")
    log.info("networks warm", version=reader.identity.version, digest=reader.identity.digest[:12])
    return reader


def _reviews(config: Config, store: Store, secret: bytes) -> Reviews:
    from dicom_node.service.reviews import Reviews
    from dicom_node.verdicts.report import ReportReader
    from dicom_node.verdicts.rules import read_rules

    return Reviews(
        verdicts=store.verdicts, reader=ReportReader(read_rules(config.verdicts.rules)),
        blobs=store.blobs, secret=secret, clock=utc_now,
    )  # fmt: skip


def _deliver(owner: str, config: Config, term: Term) -> None:
    from dicom_node.service.periodic import deliver_for_a_term

    store = _opened(config)
    for present in term.configs():
        deliver_for_a_term(owner, present, store, term.ended)
    store.close()


def _schedule(_owner: str, config: Config, term: Term) -> None:
    from dicom_node.service.periodic import schedule_for_a_term

    store = _opened(config)
    for present in term.configs():
        schedule_for_a_term(present, store, term.ended)
    store.close()


def _take_reports(_owner: str, config: Config, term: Term) -> None:
    from dicom_node.service.verdict_intake import take_reports

    store = _opened(config)
    for present in term.configs():
        take_reports(present, store, node_secret(config.node.data_dir), utc_now, term.ended)
    store.close()


def _serve(_owner: str, config: Config, term: Term) -> None:
    from dicom_node.service.web.server import serve

    store = _opened(config)
    log.info("web page", address=f"http://{config.http.host}:{config.http.port}/")
    for present in term.configs():
        serve(present, store, utc_now, term.ended)
        if not term.ended.is_set():  # the server failed
            break
    store.close()


_RUN: dict[Role, Callable[[str, Config, Term], None]] = {
    "receiver": _receive,
    "worker": _work,
    "deliverer": _deliver,
    "scheduler": _schedule,
    "verdicts": _take_reports,
    "web": _serve,
}
