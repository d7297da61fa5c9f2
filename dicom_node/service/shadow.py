"""The candidate reads films that were read already, while the worker has nothing else to do.

Its results are stored for `dicom-node shadow report` and go nowhere else. A film that arrives
meanwhile does not wait for it: its study is read `study.quiet_seconds` later, and the candidate
takes one film at a time.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.domain.clock import utc_now
from dicom_node.errors import ModelError, StoreWriteError
from dicom_node.log import where

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_node.config import Config
    from dicom_node.dicom.blobs import Blobs
    from dicom_node.pipeline import Pipeline
    from dicom_node.ports import Audit
    from dicom_node.store.shadow import ShadowTable
    from dicom_node.store.store import Store
    from models.reading import ModelIdentity

_IDLE_STEPS = 40  # empty steps of the worker between two looks for a film: ten seconds

#: The worker of a machine that may read with the candidate: one of them, so that it is loaded once.
_FIRST = "worker-1"

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class ShadowReader:
    """Reads one film with the candidate at each `step`; no fault of it reaches the caller.

    Parameters
    ----------
    identify
        Verifies the candidate's files and says which version they are, without torch.
    load
        Loads the candidate; called at the first film, within the worker's memory limit.
    used
        The version in use; a candidate that was promoted is it, and reads nothing.
    alone
        Whether no other machine reads with the candidate.
    """

    blobs: Blobs
    identify: Callable[[], ModelIdentity]
    load: Callable[[], Pipeline]
    shadow: ShadowTable
    audit: Audit
    used: ModelIdentity
    alone: Callable[[], bool] = lambda: True
    is_off: bool = False
    _candidate: ModelIdentity | None = field(default=None, init=False)
    _pipeline: Pipeline | None = field(default=None, init=False)
    _pause: int = field(default=0, init=False)

    def step(self) -> bool:
        """Read one film; False if there was none, or if the candidate is off."""
        if self.is_off:
            return False
        if self._pause:
            self._pause -= 1
            return False
        try:
            did = self._step()
        except StoreWriteError as error:  # the disk is full, say: the candidate waits
            log.warning("candidate waits", error=str(error))
            did = False
        except Exception as error:
            # Whatever a candidate does, the worker's real readings go on.
            self._switch_off(_why(error))
            log.debug("candidate failed", exc_info=True)
            did = False
        self._pause = 0 if did else _IDLE_STEPS
        return did

    def _step(self) -> bool:
        if not self.alone():
            return False
        candidate = self._candidate or self._identify()
        if candidate.digest == self.used.digest:
            self.is_off = True
            return False
        if self.shadow.is_broken(candidate):
            self._switch_off("it failed several times in a row")
            return False
        film = self.shadow.next(candidate)
        if film is None:
            return False
        self.shadow.begin(candidate, film)
        try:
            if self._pipeline is None:
                self._pipeline = self.load()
                log.info("candidate loaded", version=candidate.version)
            with self.blobs.local(film.path) as path:
                outcome = self._pipeline.score(path, sender=film.calling_ae_title)
        except Exception as error:
            log.warning("candidate failed", film=film.sop_instance_uid, error=_why(error))
            log.debug("candidate failed", exc_info=True)
            self.shadow.fail(candidate, film, _why(error))
        else:
            self.shadow.finish(candidate, film, outcome)
        return True

    def _identify(self) -> ModelIdentity:
        self._candidate = self.identify()
        self.shadow.recover(self._candidate)
        return self._candidate

    def _switch_off(self, reason: str) -> None:
        """Leave the candidate alone until the worker starts again, and say so."""
        self.is_off = True
        log.error("candidate is not used", reason=reason)
        with suppress(StoreWriteError):  # the line above has said it
            self.audit.append(AuditEvent(kind=AuditKind.SHADOW_FAILED, detail={"reason": reason}))


def _why(error: Exception) -> str:
    """One sentence without patient identity."""
    return str(error) if isinstance(error, ModelError) else where(error)


def candidate_of(
    config: Config, store: Store, used: ModelIdentity, owner: str
) -> ShadowReader | None:
    """The reader of `models.shadow`; None if there is no candidate, or another worker has it.

    ``owner`` is this worker's name, in a cluster after that of its machine.
    """
    if config.models.shadow is None or owner.rpartition("/")[2] != _FIRST:
        return None
    models = config.models.model_copy(update={"dir": config.models.shadow})

    def identify() -> ModelIdentity:
        from dicom_node.infer import identity

        return identity(models)

    def load() -> Pipeline:
        from dicom_node.infer import CascadeReader
        from dicom_node.pipeline import Pipeline

        reader = CascadeReader(models, config.workers.threads)
        return Pipeline(config=config, reader=reader, clock=utc_now)

    return ShadowReader(
        blobs=store.blobs,
        identify=identify,
        load=load,
        shadow=store.shadow,
        audit=store.audit,
        used=used,
        alone=store.has_the_candidate,
    )
