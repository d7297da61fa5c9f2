"""The process that takes reports: a listener for HL7 messages, and a watched folder."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import structlog

from dicom_node.domain.audit import AuditKind
from dicom_node.log import where
from dicom_node.receive.per_minute import PerMinute
from dicom_node.tls.context import ReloadingContext
from dicom_node.verdicts.folder import MessageFolder
from dicom_node.verdicts.intake import Intake
from dicom_node.verdicts.mllp import MllpListener
from dicom_node.verdicts.report import ReportReader
from dicom_node.verdicts.rules import read_rules

if TYPE_CHECKING:
    from dicom_node.config import Config, MllpConfig, TlsConfig
    from dicom_node.ports import Clock
    from dicom_node.store.store import Store

_POLL_SECONDS = 2.0
_COUNT_SECONDS = 60.0  # between two audit lines that count what came to nothing

log = structlog.get_logger()


def take_reports(
    config: Config, store: Store, secret: bytes, clock: Clock, stop: threading.Event
) -> None:
    """Take reports until ``stop`` is set; raises ConfigError if the rule file has mistakes."""
    reader = ReportReader(read_rules(config.verdicts.rules))
    intake = Intake(store.verdicts, reader, secret, clock)
    refusals = PerMinute(store.audit)
    listener = None
    if config.verdicts.mllp is not None:
        settings = (config.verdicts.mllp, config.tls)
        listener = threading.Thread(target=_listen, args=(*settings, intake, refusals, stop))
        listener.start()
    folder = config.verdicts.folder
    watched = MessageFolder(folder, intake, clock) if folder is not None else None
    waited = 0.0
    while not stop.wait(_POLL_SECONDS):
        if watched is not None and store.leads():
            watched.step()
        waited += _POLL_SECONDS
        if waited >= _COUNT_SECONDS:
            intake.flush()
            refusals.flush()
            waited = 0.0
    if listener is not None:
        listener.join()
    intake.flush()
    refusals.flush(everything=True)


def _listen(
    settings: MllpConfig, certificates: TlsConfig, intake: Intake, refusals: PerMinute,
    stop: threading.Event,
) -> None:  # fmt: skip
    """Listen; if that fails, end the process, which is started again."""

    def turned_away(address: str, reason: str) -> None:
        detail: dict[str, object] = {"address": address, "reason": reason}
        refusals.record(AuditKind.REPORT_REFUSED, "HL7 connection closed", detail)

    tls = ReloadingContext(certificates) if settings.tls else None
    try:
        MllpListener(settings, intake.take, turned_away, tls).run(stop)
    except OSError as error:
        log.error("HL7 listener failed", error=where(error))
        stop.set()
