"""A read-only connection without SQLAlchemy, whose import takes longer than `status` may.

It creates no database and waits for no writer.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

from dicom_node.errors import NodeError

#: The value of ``store.url`` for the database file of the data folder.
SQLITE = "sqlite"
DATABASE = "node.db"

_BUSY_SECONDS = 5


class Plain(Protocol):
    """What a query may be asked of."""

    def execute(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        """The rows of a SELECT whose values stand as ``?``."""

    def has(self, table: str) -> bool:
        """Whether there is such a table; an older version may not have made it yet."""


def exists(data_dir: Path, url: str = SQLITE) -> bool:
    """Whether a database is there to be read; True for a server, which is asked only then."""
    return url != SQLITE or (data_dir / DATABASE).exists()


@contextmanager
def plain_reading(data_dir: Path, url: str = SQLITE) -> Iterator[Plain]:
    """Open the database of a data folder, or the one at ``url``, for reading.

    Raises
    ------
    NodeError
        There is no database, or none of this node's.
    """
    if url != SQLITE:
        from dicom_node.store.libpq import plain_postgresql

        with plain_postgresql(url) as connection:
            yield connection
        return
    path = data_dir / DATABASE
    if not path.exists():
        raise NodeError(f"no node has run over {data_dir} yet")
    try:
        address = f"file:{path}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS)) as file:
            yield _Sqlite(file)
    except sqlite3.Error as error:
        raise NodeError(f"{path}: {error}") from error


class _Sqlite:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        return self._connection.execute(query, tuple(values)).fetchall()

    def has(self, table: str) -> bool:
        query = "SELECT count(*) FROM sqlite_master WHERE name = ?"
        return bool(self.execute(query, (table,))[0][0])
