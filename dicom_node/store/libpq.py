"""Plain connections to PostgreSQL, without SQLAlchemy; needs the extra ``cluster``."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dicom_node.errors import NodeError

if TYPE_CHECKING:
    import psycopg

    from dicom_node.store.plain import Plain

DRIVER = "postgresql+psycopg"
#: Advisory locks belong to one database; these numbers are the node's own in it.
WRITER, LEADER, CANDIDATE = 5321, 5322, 5323
#: Channels of NOTIFY: what there is more of to do (`dicom_node.store.database.announce`).
READINGS, DELIVERIES = "dicom_node_readings", "dicom_node_deliveries"
#: A process that stops in the middle of a transaction would hold the writer's lock for good.
_STUCK_MS = 30_000
#: Of every connection. One whose other end has vanished is noticed within half a minute.
SETTINGS: dict[str, Any] = {
    "options": f"-c idle_in_transaction_session_timeout={_STUCK_MS} -c lock_timeout={_STUCK_MS} "
    "-c synchronous_commit=on -c timezone=UTC",
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": _STUCK_MS,
}
MISSING = "store.url names PostgreSQL, which needs: pip install dicom-node[cluster]"


def connect(url: str, **more: Any) -> psycopg.Connection[tuple[Any, ...]]:
    """Connect to the database at ``url``; raises NodeError, with no password in its message."""
    try:
        import psycopg
    except ImportError as error:
        raise NodeError(MISSING) from error
    try:
        return psycopg.connect(url.replace(DRIVER, "postgresql", 1), **SETTINGS, **more)
    except psycopg.Error as error:
        raise NodeError(f"the database at store.url cannot be reached: {error}") from error


@contextmanager
def plain_postgresql(url: str) -> Iterator[Plain]:
    """Open a read-only snapshot; raises NodeError if it cannot be read."""
    with connect(url) as connection:
        import psycopg

        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        try:
            yield _Postgresql(connection)
        except psycopg.Error as error:
            raise NodeError(f"the database at store.url cannot be read: {error}") from error


class _Postgresql:
    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection

    def execute(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        statement = query.replace("?", "%s").encode()
        return self._connection.execute(statement, values).fetchall()

    def has(self, table: str) -> bool:
        return self.execute("SELECT to_regclass(?) IS NOT NULL", (table,)) == [(True,)]


class Announcements:
    """What other processes announce on one channel when they commit, on a connection of its own.

    Behind a PgBouncer in transaction mode nothing is heard, and while the database is away neither.

    Parameters
    ----------
    again_seconds
        Between two attempts to connect.
    """

    def __init__(self, url: str, channel: str, again_seconds: float = 5.0) -> None:
        self._url = url
        self._channel = channel
        self._again_seconds = again_seconds
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._due = 0.0  # monotonic seconds; not connected before

    def descriptor(self) -> int | None:
        """Connect if needed; what is readable when something was announced, or None for now."""
        import psycopg

        try:
            if self._connection is None and time.monotonic() >= self._due:
                self._due = time.monotonic() + self._again_seconds
                self._connection = connect(self._url, autocommit=True)
                self._connection.execute(f"LISTEN {self._channel}".encode())
            return None if self._connection is None else self._connection.fileno()
        except (NodeError, psycopg.Error):
            self.close()
            return None

    def take(self) -> None:
        """Read what has come; a connection that has ended is made again at the next wait."""
        import psycopg

        if self._connection is not None:
            try:
                for _ in self._connection.notifies(timeout=0):
                    pass
            except psycopg.Error:
                self.close()

    def close(self) -> None:
        """Hear nothing more."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Leadership:
    """Whether this process leads all others: it alone holds an advisory lock of PostgreSQL.

    The lock is free as soon as the process or its connection has ended.
    """

    def __init__(self, url: str, lock: int = LEADER) -> None:
        self._url = url
        self._lock = lock
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None

    def leads(self) -> bool:
        """Take the lock if it is free; False if another process has it or the database is away."""
        import psycopg

        try:
            if self._connection is None:
                connection = connect(self._url, autocommit=True)
                taken = connection.execute(f"SELECT pg_try_advisory_lock({self._lock})".encode())
                if taken.fetchone() != (True,):
                    connection.close()
                    return False
                self._connection = connection
            self._connection.execute("SELECT 1")
        except (NodeError, psycopg.Error):
            self.close()
            return False
        return True

    def close(self) -> None:
        """Leave the lock to another process."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
