"""A backfill: day after day, study after study, what the PACS has and the node never had."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from dicom_node.backfill.query import missing
from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.errors import PeerRefused, PeerUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from dicom_node.backfill.pace import Pace
    from dicom_node.backfill.query import Series, Study
    from dicom_node.backfill.retrieve import Way
    from dicom_node.ports import Audit

log = structlog.get_logger()


class Fate(StrEnum):
    """What a backfill did with a study."""

    FETCHED = "fetched"
    WANTED = "wanted"  # a dry run would have fetched it
    PRESENT = "present"  # it is here
    GONE = "gone"  # it was here: fetched earlier, removed by retention, or erased by a person
    INCOMPLETE = "incomplete"  # some objects did not come; the next backfill asks for them again
    FAILED = "failed"  # the PACS sent nothing


class Known(Protocol):
    """What the node knows of studies."""

    def received(self, study_instance_uid: str) -> Mapping[str, int]:
        """Series Instance UID -> how many instances are here."""

    def was_here(self, study_instance_uid: str) -> bool:
        """Whether the study was fetched completely, removed or erased before."""


@dataclass(slots=True)
class Tally:
    """What a backfill has done."""

    studies: Counter[Fate] = field(default_factory=Counter)
    instances: int = 0  # kept; of a dry run, that would come as far as the PACS says
    failed_instances: int = 0
    reasons: dict[str, str] = field(default_factory=dict)  # Study Instance UID -> why it failed

    def as_json(self) -> dict[str, Any]:
        """The tally in plain JSON values."""
        fates = {fate.value: self.studies[fate] for fate in Fate}
        return {**asdict(self), "studies": fates}

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to fetch."""
        return not (self.studies[Fate.FAILED] or self.studies[Fate.INCOMPLETE])


@dataclass(frozen=True, kw_only=True)
class Backfill:
    """Fetches studies.

    Parameters
    ----------
    peer
        Name of the destination that they come from, for the audit log.
    way
        How they are fetched; None: a dry run, which fetches nothing.
    """

    peer: str
    known: Known
    audit: Audit
    pace: Pace
    way: Way | None

    def run(self, studies: Iterable[Study], tally: Tally, say: Callable[[str], object]) -> None:
        """Fetch what is missing of these studies, and count it.

        Raises
        ------
        PeerRefused
            The PACS will not send anything at all.
        """
        for study in studies:
            fate = self._one(study, tally, say)
            tally.studies[fate] += 1

    def _one(self, study: Study, tally: Tally, say: Callable[[str], object]) -> Fate:
        if self.known.was_here(study.study_instance_uid):
            return Fate.GONE
        series = missing(study, self.known.received(study.study_instance_uid))
        if not series:
            return Fate.PRESENT
        if self.way is None:
            tally.instances += sum(each.instances or 1 for each in series)
            return Fate.WANTED
        self.pace.wait(say)
        say(f"fetches {study.study_instance_uid}")
        return self._fetch(self.way, study, series, tally)

    def _fetch(self, way: Way, study: Study, series: Iterable[Series], tally: Tally) -> Fate:
        uid, kept, failed, why = study.study_instance_uid, 0, 0, ""
        asked: dict[str, object] = {"peer": self.peer, "by": way.name}
        self._record(AuditKind.BACKFILL_ASKED, uid, asked)
        try:
            for each in series:
                sent = way.fetch(uid, each.series_instance_uid)
                kept, failed = kept + sent.kept, failed + sent.failed
        except PeerUnavailable as error:
            why = str(error)
        except PeerRefused as error:
            self._record(AuditKind.BACKFILL_FAILED, uid, {**asked, "reason": str(error)})
            raise
        tally.instances += kept
        tally.failed_instances += failed
        detail: dict[str, object] = {**asked, "kept": kept}
        if not failed and not why:
            self._record(AuditKind.BACKFILL_FETCHED, uid, detail)
            return Fate.FETCHED
        why = why or f"{failed} objects did not come"
        log.warning("backfill of a study failed", study_instance_uid=uid, reason=why)
        tally.reasons[uid] = why
        self._record(AuditKind.BACKFILL_FAILED, uid, {**detail, "failed": failed, "reason": why})
        return Fate.INCOMPLETE if kept else Fate.FAILED

    def _record(self, kind: AuditKind, study: str, detail: dict[str, object]) -> None:
        self.audit.append(AuditEvent(kind=kind, study_instance_uid=study, detail=detail))
