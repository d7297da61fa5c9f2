"""Moves a stopped node's state to another database, and its files to another folder."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dicom_node.audit import checkpoints
from dicom_node.config import Config
from dicom_node.errors import NodeError
from dicom_node.service.folder_lock import only_node
from dicom_node.store.bucket import Bucket
from dicom_node.store.copying import StoreCopy, TableCopy, store_copy
from dicom_node.store.files import FileCopy, copy_files, upload_files
from dicom_node.store.integrity import refuse_damaged
from dicom_node.store.plain import SQLITE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dicom_node.ports import Clock
    from dicom_node.store.audit import AuditLog


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What was copied, and up to which line the audit log was verified in both databases."""

    tables: tuple[TableCopy, ...]
    audit_lines: int
    checkpoints: int
    files: FileCopy | None  # None: they stay where they are


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Who is called when a number of rows or files is known, and at each of them."""

    begin: Callable[[str, int], object] = lambda _what, _total: None
    advance: Callable[[int], object] = lambda _count: None


def move(
    config: Config, to: str, films: Path | Bucket | None, clock: Clock, progress: Progress
) -> Moved:
    """Copy the state to the database at ``to``; with ``films``, the data folder's files too.

    A folder gets all that belongs to the node, a bucket gets films and results.

    Cut off, it goes on where it was when it is called again.

    Raises
    ------
    NodeError
        The node runs, its database is damaged, its audit log was tampered with, the target is not
        empty, or the copy differs.
    """
    data_dir = config.node.data_dir
    if config.store.url != SQLITE:
        raise NodeError("store.url names PostgreSQL already: copy that database with pg_dump")
    if to == SQLITE:
        raise NodeError("--to must name another database: postgresql+psycopg://...")
    if not data_dir.is_dir():
        raise NodeError(f"no node has run over {data_dir} yet")
    with only_node(data_dir, threading.Event()):
        refuse_damaged(data_dir)
        with store_copy(data_dir, config.store.url, to, clock) as copy:
            _verify(copy.log, config, "nothing was copied: the audit log")
            copy.begin()
            progress.begin("rows", copy.rows())
            tables = copy.copy(progress.advance)
            _verify(copy.copied_log, config, "the copied audit log")
            if found := copy.differences():
                raise NodeError("; ".join(found))
            copied = None if films is None else _files(copy, data_dir, films, progress)
            lines = copy.log.head()[0]
            copy.finish()
    return Moved(
        tables=tuple(tables),
        audit_lines=lines,
        checkpoints=checkpoints.count(config),
        files=copied,
    )


def _verify(log: AuditLog, config: Config, what: str) -> None:
    """Walk the chain, compare it with the checkpoints; NodeError if either is contradicted."""
    if found := [*log.verify(), *checkpoints.problems(log, config)]:
        raise NodeError(f"{what} was tampered with: {found[0]} ({len(found)} findings)")


def _files(copy: StoreCopy, data_dir: Path, to: Path | Bucket, progress: Progress) -> FileCopy:
    named = copy.named_files()
    progress.begin("files", len(named))
    if isinstance(to, Bucket):
        return upload_files(data_dir, to, named, progress.advance)
    return copy_files(data_dir, to, named, progress.advance)
