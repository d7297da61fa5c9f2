"""A candidate becomes the version in use, if it was shown to be better or a person insists."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from dicom_node.domain.evidence import objections, weigh
from dicom_node.domain.paired import Candidate
from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_node.config import Config, ModelsConfig
    from dicom_node.domain.evidence import Evidence
    from dicom_node.store.promotions import Promotion
    from dicom_node.store.store import Store
    from models.reading import ModelIdentity

#: Promoted versions, copied so that nothing done to the candidate's folder changes them.
FOLDER = Path("models")

_POLL_SECONDS = 5.0

log = structlog.get_logger()


def models_in_use(config: Config, promoted: Promotion | None) -> ModelsConfig:
    """The configured networks, or the promoted ones in their place."""
    if promoted is None:
        return config.models
    folder = config.node.data_dir / promoted.folder
    return config.models.model_copy(update={"dir": folder})


def watch(in_use: Callable[[], object], stop: Callable[[], None]) -> None:
    """Stop a worker when another version or threshold is put in use.

    The supervisor starts it again.
    """
    known = in_use()
    while True:
        time.sleep(_POLL_SECONDS)
        with suppress(NodeError):
            if in_use() != known:
                log.warning("another model version or threshold is in use, starting again")
                stop()
                return


def evidence(store: Store, candidate: ModelIdentity) -> Evidence:
    """The candidate against the version in use, on films that it has not learned from."""
    known = Candidate(
        version=candidate.version,
        digest=candidate.digest,
        learned_before=candidate.learned_before,
    )
    return weigh(store.shadow.pairs(known, store.verdicts.current()))


def refuse_unfit(candidate: ModelIdentity, config: Config, used: Promotion | None) -> None:
    """Raise NodeError for a candidate that could not work here, whatever anybody insists on."""
    if config.gate.enabled and "gate" not in candidate.digests:
        raise NodeError(f"{candidate.version} has no gate, and gate.enabled is on")
    if used is not None and used.digest == candidate.digest:
        raise NodeError(f"{candidate.version} is in use already")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """A candidate that was examined.

    Parameters
    ----------
    identify
        Verifies the networks in a folder and says which they are.
    """

    directory: Path
    identity: ModelIdentity
    identify: Callable[[Path], ModelIdentity]

    def is_in(self, folder: Path) -> bool:
        """Whether the folder holds what was examined."""
        return self.identify(folder).digest == self.identity.digest


def promote(
    store: Store, data_dir: Path, offered: Offered, *, user: str, even_so: str | None
) -> Evidence:
    """Copy the candidate into the data folder and put it in use.

    Raises
    ------
    NodeError
        It may be worse than the version in use, no gain was shown, or there are too few verdicts,
        and ``even_so`` gives no reason; or its folder changed since it was examined. Nothing was
        changed.
    """
    candidate = offered.identity
    found = evidence(store, candidate)
    against = objections(found)
    if against and even_so is None:
        raise NodeError(
            f"{candidate.version} is not promoted: {'; '.join(against)}. A person may insist: "
            "--even-so REASON, which the audit log keeps"
        )
    folder = FOLDER / candidate.digest[:16]
    _copy(offered, data_dir / folder)
    store.promotions.promote(
        candidate.version,
        candidate.digest,
        folder,
        user=user,
        reason=even_so if against else None,
        evidence=_kept(found),
    )
    return found


def _copy(offered: Offered, target: Path) -> None:
    """Copy a models directory; a copy that is there already has the same digest in its name.

    The copy is verified, because the source may change between its examination and now.
    """
    source, part = offered.directory, target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        shutil.copytree(source, part)
        if not offered.is_in(part):
            raise NodeError(f"{source} changed while it was examined: nothing is promoted")
        if target.exists():
            shutil.rmtree(target)
        part.rename(target)
    except (OSError, shutil.Error) as error:
        raise NodeError(f"{source} cannot be copied into the data folder: {error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _kept(found: Evidence) -> dict[str, Any]:
    """The comparisons without their studies: they would outlive their removal."""
    kept = found.as_json()
    for one in (kept, kept["covid19"]):
        one["decided_differently"] = len(one.pop("differ"))
    return kept
