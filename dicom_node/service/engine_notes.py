"""What each worker computes with, and why not with something faster: a small file for `status`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, TypedDict

from dicom_node.dicom.files import durable_write

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from dicom_node.ports import Audit


class Note(TypedDict):
    """What a worker computes with, such as ``cpu fp32``, and what speaks against faster engines."""

    engine: str
    why: list[str]


Engines: TypeAlias = dict[str, Note]  # by the worker's name


@dataclass(frozen=True, slots=True)
class EngineNotes:
    """Notes of one worker, ``owner``, in the folder of the running processes."""

    run_dir: Path
    owner: str
    audit: Audit

    def chosen(self, engine: str, why: Sequence[str]) -> None:
        """Note the engine, such as ``cpu fp32``, and what speaks against faster ones."""
        import structlog  # late, because `status` reads these notes and must start fast

        log = structlog.get_logger()
        log.info("engine chosen", engine=engine, why="; ".join(why) or None)
        note = json.dumps(Note(engine=engine, why=list(why))).encode()
        durable_write(_file(self.run_dir, self.owner), lambda file: file.write(note))

    def fell_back(self, engine: str) -> None:
        """Note that an engine had no memory for a film, and that the processor reads instead."""
        from dicom_node.domain.audit import AuditEvent, AuditKind  # late, as above

        reason = f"{engine} had no memory for a film"
        self.audit.append(
            AuditEvent(
                kind=AuditKind.ENGINE_FAILED, detail={"process": self.owner, "reason": reason}
            )
        )
        self.chosen("cpu fp32", [reason])


def engines(run_dir: Path, alive: Collection[str]) -> Engines:
    """The notes of the processes that run."""
    found: Engines = {}
    for name in sorted(alive):
        try:
            found[name] = json.loads(_file(run_dir, name).read_text())
        except (OSError, ValueError):  # no worker, or not ready yet
            continue
    return found


def _file(run_dir: Path, owner: str) -> Path:
    process = owner.rpartition("/")[2]  # the folder is this machine's own, if several share work
    return run_dir / f"engine-{process}.json"
