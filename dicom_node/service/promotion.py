"""A candidate becomes the version in use, if nothing speaks against it or a person insists."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from dicom_node.domain.paired import Candidate, compare, objections
from dicom_node.errors import NodeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_node.config import Config, ModelsConfig
    from dicom_node.domain.paired import Comparison
    from dicom_node.store.promotions import Promotion, PromotionTable
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


def watch(promotions: PromotionTable, stop: Callable[[], None]) -> None:
    """Stop a worker when another version is put in use: the supervisor starts it again."""
    active = promotions.active()
    while True:
        time.sleep(_POLL_SECONDS)
        with suppress(NodeError):
            if promotions.active() != active:
                log.warning("another model version is in use, starting again")
                stop()
                return


def evidence(store: Store, candidate: ModelIdentity) -> Comparison:
    """The candidate against the version in use, on films that it has not learned from."""
    known = Candidate(
        version=candidate.version,
        digest=candidate.digest,
        learned_before=candidate.learned_before,
    )
    return compare(store.shadow.pairs(known, store.verdicts.current()))


def refuse_unfit(candidate: ModelIdentity, config: Config, used: Promotion | None) -> None:
    """Raise NodeError for a candidate that could not work here, whatever anybody insists on."""
    if config.gate.enabled and "gate" not in candidate.digests:
        raise NodeError(f"{candidate.version} has no gate, and gate.enabled is on")
    if used is not None and used.digest == candidate.digest:
        raise NodeError(f"{candidate.version} is in use already")


def promote(
    store: Store,
    data_dir: Path,
    directory: Path,
    candidate: ModelIdentity,
    *,
    user: str,
    even_so: str | None,
) -> Comparison:
    """Copy the candidate into the data folder and put it in use.

    Raises
    ------
    NodeError
        It may be worse than the version in use, or there are too few verdicts, and ``even_so``
        gives no reason. Nothing was changed.
    """
    found = evidence(store, candidate)
    against = objections(found)
    if against and even_so is None:
        raise NodeError(
            f"{candidate.version} is not promoted: {'; '.join(against)}. A person may insist: "
            "--even-so REASON, which the audit log keeps"
        )
    folder = FOLDER / candidate.digest[:16]
    _copy(directory, data_dir / folder)
    store.promotions.promote(
        candidate.version,
        candidate.digest,
        folder,
        user=user,
        reason=even_so if against else None,
        evidence=_kept(found),
    )
    return found


def _copy(source: Path, target: Path) -> None:
    """Copy a models directory; a copy that is there already has the same digest in its name."""
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        shutil.copytree(source, part)
        if target.exists():
            shutil.rmtree(target)
        part.rename(target)
    except (OSError, shutil.Error) as error:
        raise NodeError(f"{source} cannot be copied into the data folder: {error}") from error


def _kept(found: Comparison) -> dict[str, Any]:
    """The comparison without its studies: they would outlive their removal."""
    return {
        name: value for name, value in found.as_json().items() if name != "differ"
    } | {"decided_differently": len(found.differ)}  # fmt: skip
