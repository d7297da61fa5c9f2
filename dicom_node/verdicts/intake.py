"""Take reports: a message becomes verdicts and an answer; of its text and names nothing is kept."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import structlog

from dicom_node.domain.conflicts import accession_key, message_key, reader_key
from dicom_node.domain.verdicts import Fate, Source, Tally, Verdict
from dicom_node.errors import StoreWriteError
from dicom_node.log import where
from dicom_node.verdicts.acknowledge import Answer
from dicom_node.verdicts.hl7_message import Fault, MessageRefused, read_message

if TYPE_CHECKING:
    from dicom_node.ports import Clock, Verdicts
    from dicom_node.verdicts.hl7_message import Header, Message, Order
    from dicom_node.verdicts.report import ReportReader

_FINAL = frozenset({"F", "C"})  # OBR-25, HL7 table 0123: final, corrected
_FAULTS = {
    Fate.UNREADABLE: Fault.MISSING,
    Fate.UNKNOWN: Fault.UNKNOWN_KEY,
    Fate.AMBIGUOUS: Fault.DUPLICATE_KEY,
    Fate.TOO_MANY: Fault.LOCKED,
}

log = structlog.get_logger()


class Intake:
    """Makes verdicts of HL7 messages and stores them; safe to use from all threads.

    Parameters
    ----------
    secret
        Of the node: numbers of studies, messages and persons become digests.
    """

    def __init__(
        self, verdicts: Verdicts, reader: ReportReader, secret: bytes, clock: Clock
    ) -> None:
        self._verdicts = verdicts
        self._reader = reader
        self._secret = secret
        self._clock = clock
        self._lock = threading.Lock()
        self._tally = Tally()

    def take(self, content: bytes) -> Answer:
        """Take a message. When this returns an answer without a fault, its verdicts are durable."""
        try:
            message = read_message(content)
            tally = self._store(message)
        except MessageRefused as refused:
            self._count(Fate.UNREADABLE)
            return Answer(refused.header, refused.fault)
        except StoreWriteError as error:
            log.error("verdict not stored, the sender must send it again", error=str(error))
            return Answer(message.header, Fault.INTERNAL)
        except Exception as error:
            # Without an answer the sender would send the same message again and again.
            log.error("report not understood", error=where(error))
            log.debug("report not understood", exc_info=True)
            self._count(Fate.UNREADABLE)
            return Answer(None, Fault.SEGMENTS)
        with self._lock:
            self._tally.merge(tally)
        faults = (fault for fate, fault in _FAULTS.items() if tally.fates[fate])
        return Answer(message.header, next(faults, None))

    def flush(self) -> Tally:
        """Write what came to nothing since the last call to the audit log, in one line."""
        with self._lock:
            tally, self._tally = self._tally, Tally()
        try:
            self._verdicts.count(tally, [Source.HL7])
        except StoreWriteError:
            with self._lock:
                self._tally.merge(tally)
        return tally

    def _count(self, fate: Fate) -> None:
        with self._lock:
            self._tally.add(fate)

    def _store(self, message: Message) -> Tally:
        tally, found = Tally(), []
        for order in message.orders:
            made = self._verdict(order, message.header)
            if isinstance(made, Verdict):
                found.append(made)
            else:
                tally.add(made)
        tally.merge(self._verdicts.put(found))
        return tally

    def _verdict(self, order: Order, header: Header) -> Verdict | Fate:
        """The verdict of a report, or why there is none."""
        if order.status not in _FINAL:
            return Fate.PRELIMINARY
        if not order.study_instance_uid and not order.numbers:
            return Fate.UNREADABLE
        opinion = self._reader.read_sections(order.sections, order.codes)
        if opinion.finding is None:
            return Fate.UNDECIDED
        now = self._clock()
        return Verdict(
            finding=opinion.finding,
            source=Source.HL7,
            given_at=min(order.given_at or now, now),  # one from the future would count without end
            given_by=reader_key(self._secret, order.reader),
            study_instance_uid=order.study_instance_uid or None,
            accession_keys=tuple(accession_key(self._secret, each) for each in order.numbers),
            rule=opinion.rule,
            message_key=message_key(self._secret, "|".join(header.sender), header.control_id),
        )
