"""Keep an arrived object: the file, then its row and audit line in one transaction.

No path is made of what a peer sent: a file's name is the SHA-256 of its SOP Instance UID. A crash
between the file and the row leaves a file without a row; the peer got no Success, sends again, and
the file is overwritten. Who keeps an object holds the locks of its study and of its UID.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from dicom_node.dicom import uids
from dicom_node.dicom.files import sync_folder
from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.domain.conflicts import Conflict, ConflictOutcome, PatientKey, accession_key
from dicom_node.domain.values import BACKFILL, Instance
from dicom_node.fail_points import fail_point
from dicom_node.receive.checks import check_identity, check_pixels, claimed_pixels
from dicom_node.receive.header_scan import Header, read_header
from dicom_node.receive.locks import UidLocks
from dicom_node.receive.priority import PriorityRule
from dicom_node.receive.store_status import StoreFault, StoreRefused

if TYPE_CHECKING:
    from dicom_node.config import Config, ReceiveConfig
    from dicom_node.dicom.blobs import Blobs
    from dicom_node.ports import Audit, Clock, Inbox
    from dicom_node.receive.arrival import Arrival
    from dicom_node.receive.associations import Link

INCOMING = Path("spool/incoming")
INSTANCES = Path("spool/instances")
LOCKS = Path("spool/locks")

_REFUSED_ROWS = 3  # of one UID, each with an audit line of its own; further ones are only counted

log = structlog.get_logger()


def instance_path(sop_instance_uid: str, beside: str = "") -> Path:
    """The file of an instance, relative to the data folder.

    ``beside`` is the SHA-256 of a second object under the same UID, which gets its own name.
    """
    name = hashlib.sha256(sop_instance_uid.encode()).hexdigest()
    suffix = f".{beside[:12]}.dcm" if beside else ".dcm"
    return INSTANCES / name[:2] / f"{name}{suffix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spool:
    """The folders below the data folder that reception writes to."""

    data_dir: Path
    blobs: Blobs

    @property
    def incoming(self) -> Path:
        """Where data sets are written while they arrive; on the same file system as the spool."""
        return self.data_dir / INCOMING

    def prepare(self) -> None:
        """Create the folders, and remove what a crash left half received."""
        self.create()
        for part in self.incoming.glob("*.part"):
            part.unlink()

    def create(self) -> None:
        """Create the folders."""
        for folder in (INCOMING, INSTANCES, LOCKS):
            (self.data_dir / folder).mkdir(parents=True, exist_ok=True)
        for folder in (INSTANCES.parent, Path()):
            sync_folder(self.data_dir / folder)

    def place(self, arrival: Arrival, path: Path) -> None:
        """Keep a sealed arrival under this name, durably."""
        self.blobs.put(arrival.path, path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How reception decides on objects: by configuration and by the node's secret."""

    receive: ReceiveConfig
    priority: PriorityRule
    secret: bytes

    @classmethod
    def of(cls, config: Config, secret: bytes) -> Rules:
        """The rules of a configuration; raises ConfigError as `PriorityRule` does."""
        return cls(receive=config.receive, priority=PriorityRule(config.priority), secret=secret)


class Reception:
    """Decides what happens to a data set that has arrived."""

    def __init__(
        self, spool: Spool, inbox: Inbox, audit: Audit, clock: Clock, rules: Rules
    ) -> None:
        self._spool = spool
        self._inbox = inbox
        self._audit = audit
        self._clock = clock
        self._rules = rules
        self._locks = UidLocks(spool.data_dir / LOCKS)

    def prefer(self, priority: PriorityRule) -> None:
        """Decide by this rule which of the instances that arrive from now on are urgent."""
        self._rules = replace(self._rules, priority=priority)

    def keep(self, arrival: Arrival, link: Link, study_instance_uid: str | None = None) -> None:
        """Keep the instance, durably. When this returns, Success may be answered.

        Parameters
        ----------
        study_instance_uid
            The study that it must belong to; None: any.

        Raises
        ------
        StoreRefused
            The object is not what the command announced, incomplete, or contradicts earlier ones.
        OSError
            The disk cannot store it.
        """
        fail_point("receive.written")
        arrival.seal()
        fail_point("receive.synced")
        header = read_header(
            arrival.path,
            arrival.data_set_offset,
            arrival.transfer_syntax_uid,
            self._rules.priority.tag,
        )
        check_identity(header, arrival.sop_class_uid, arrival.sop_instance_uid)
        if study_instance_uid not in (None, header.study_instance_uid):
            raise StoreRefused(StoreFault.INSTANCE_MISMATCH, "not of the study that was announced")
        if self._is_own(header.sop_instance_uid):
            self._record(AuditKind.OWN_RESULT_RECEIVED, header, arrival, link)
            return
        arrival.guard.study(header.study_instance_uid)
        check_pixels(header, arrival.transfer_syntax_uid)
        arrival.guard.pixels(claimed_pixels(header))
        with self._locks.held(header.study_instance_uid, header.sop_instance_uid):
            self._decide(header, arrival, link)

    def _is_own(self, sop_instance_uid: str) -> bool:
        """Whether this node made the object: it is in the database, or its UID was derived here.

        What an object says of its manufacturer proves nothing: Success must mean that it is kept.
        """
        derived = uids.is_derived(sop_instance_uid, self._rules.secret)
        return derived or self._inbox.is_own_result(sop_instance_uid)

    def _decide(self, header: Header, arrival: Arrival, link: Link) -> None:
        known = self._inbox.find(header.sop_instance_uid)
        if known is None:
            patient = self._patient(header)
            path = self._spool.blobs.fresh(instance_path(header.sop_instance_uid))
            instance = self._instance(header, arrival, link, header.sop_instance_uid, path)
            how = {"backfill": True} if instance.priority == BACKFILL else {}
            received = _event(AuditKind.INSTANCE_RECEIVED, header, arrival, link, **how)
            if self._add(instance, patient, header, arrival, link, received):
                return
            known = self._inbox.find(header.sop_instance_uid)
        if known is None:  # another association stored it, and `erase` removed it since
            raise StoreRefused(StoreFault.RESOURCES, "the study was just removed; send again later")
        self._keep_again(known, header, arrival, link)

    def _patient(self, header: Header) -> PatientKey:
        """The patient of the object; raises StoreRefused if the study has another one."""
        patient = PatientKey.of(
            self._rules.secret, header.patient_id, header.patient_id_issuer, header.birth_date
        )
        known = self._inbox.patient_of(header.study_instance_uid)
        if self._rules.receive.check_patient and known is not None and not known.agrees(patient):
            raise StoreRefused(
                StoreFault.PATIENT,
                "the study belongs to another patient",
                header.study_instance_uid,
            )
        return patient

    def _instance(
        self, header: Header, arrival: Arrival, link: Link, key: str, path: Path
    ) -> Instance:
        asked_for = self._inbox.is_asked_for(header.study_instance_uid)
        by_rule = self._rules.priority.of(header, link.calling)
        return Instance(
            sop_instance_uid=key,
            sop_class_uid=header.sop_class_uid,
            study_instance_uid=header.study_instance_uid,
            series_instance_uid=header.series_instance_uid,
            transfer_syntax_uid=arrival.transfer_syntax_uid,
            path=path,
            size=arrival.size,
            sha256=arrival.sha256,
            calling_ae_title=link.calling,
            received_at=self._clock(),
            priority=BACKFILL if asked_for else by_rule,
        )

    def _add(
        self, instance: Instance, patient: PatientKey, header: Header, arrival: Arrival,
        link: Link, event: AuditEvent,
    ) -> bool:  # fmt: skip
        self._spool.place(arrival, instance.path)
        fail_point("receive.renamed")
        accession = accession_key(self._rules.secret, header.accession)
        add = partial(self._inbox.add, instance, patient=patient, accession=accession)
        return link.record(add, event)

    def _keep_again(self, known: Instance, header: Header, arrival: Arrival, link: Link) -> None:
        """Handle a UID that is known already: the same bytes, or a conflict."""
        earlier = self._inbox.conflicts(header.sop_instance_uid)
        kept = [each for each in earlier if each.outcome is not ConflictOutcome.REFUSED]
        if arrival.sha256 in {known.sha256, *(each.sha256 for each in kept)}:
            self._record(AuditKind.INSTANCE_DUPLICATE, header, arrival, link)
            return
        patient = self._patient(header)
        policy = self._rules.receive.conflict
        beside = instance_path(header.sop_instance_uid, beside=arrival.sha256)
        beside = self._spool.blobs.fresh(beside)
        if policy == "refuse" or len(kept) + 1 >= self._rules.receive.max_versions:
            if len(earlier) - len(kept) < _REFUSED_ROWS:
                self._conflict(known, header, arrival, link, ConflictOutcome.REFUSED, None)
            raise StoreRefused(
                StoreFault.DUPLICATE, "another object has this SOP Instance UID",
                header.study_instance_uid,
            )  # fmt: skip
        if policy == "read-both":
            key = uids.alias(header.sop_instance_uid, arrival.sha256)
            received = _event(AuditKind.INSTANCE_RECEIVED, header, arrival, link, read_as=key)
            instance = self._instance(header, arrival, link, key, beside)
            self._add(instance, patient, header, arrival, link, received)
            self._conflict(known, header, arrival, link, ConflictOutcome.READ, beside)
            return
        self._spool.place(arrival, beside)
        self._conflict(known, header, arrival, link, ConflictOutcome.KEPT, beside)

    def _conflict(
        self, known: Instance, header: Header, arrival: Arrival, link: Link,
        outcome: ConflictOutcome, path: Path | None,
    ) -> None:  # fmt: skip
        conflict = Conflict(
            sop_instance_uid=header.sop_instance_uid,
            study_instance_uid=header.study_instance_uid,
            kept_study_instance_uid=known.study_instance_uid,
            sha256=arrival.sha256,
            calling_ae_title=link.calling,
            received_at=self._clock(),
            outcome=outcome,
            path=path,
        )
        log.warning(
            "another object under a known SOP Instance UID", calling=link.calling,
            sop_instance_uid=header.sop_instance_uid, outcome=outcome.value,
        )  # fmt: skip
        event = _event(
            AuditKind.INSTANCE_DIFFERS, header, arrival, link,
            outcome=outcome.value, path=str(path) if path else "",
            known_sha256=known.sha256,
            known_study_instance_uid=known.study_instance_uid,
            known_transfer_syntax_uid=known.transfer_syntax_uid,
        )  # fmt: skip
        link.record(partial(self._inbox.add_conflict, conflict), event)

    def _record(
        self, kind: AuditKind, header: Header, arrival: Arrival, link: Link, **more: str
    ) -> None:
        log.info(kind.value, sop_instance_uid=header.sop_instance_uid, calling=link.calling)
        link.record(self._audit.append, _event(kind, header, arrival, link, **more))


def _event(
    kind: AuditKind, header: Header, arrival: Arrival, link: Link, **more: object
) -> AuditEvent:
    return AuditEvent(
        kind=kind,
        study_instance_uid=header.study_instance_uid,
        sop_instance_uid=header.sop_instance_uid,
        detail={
            **link.peer,
            "sop_class_uid": header.sop_class_uid,
            "transfer_syntax_uid": arrival.transfer_syntax_uid,
            "size": arrival.size,
            "sha256": arrival.sha256,
            **more,
        },
    )
