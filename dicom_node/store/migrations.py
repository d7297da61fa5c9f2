"""Bringing a database to the present schema with Alembic, once, however many processes start."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

from dicom_node.errors import NodeError
from dicom_node.store.database import reading

if TYPE_CHECKING:
    from sqlalchemy import Engine

SCRIPTS = Path(__file__).parent / "alembic"
#: The revision this code works with: the newest file in `alembic/versions`.
HEAD = "0004"


def upgrade(engine: Engine, data_dir: Path) -> None:
    """Migrate to `HEAD` under a lock; costs two SELECTs where there is nothing to do.

    Raises
    ------
    NodeError
        A newer version of the node has already migrated this database further.
    """
    # Even the look stands behind the lock: the very first connection makes the file and sets its
    # journal mode, and SQLite lets nobody wait for that.
    with (data_dir / "migration.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = _revision(engine)
        if found is not None and found > HEAD:
            raise NodeError(f"the database is of a newer node (schema {found}, ours is {HEAD})")
        if found != HEAD:
            _run(engine)


def _revision(engine: Engine) -> str | None:
    with reading(engine) as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _run(engine: Engine) -> None:
    # A quarter second of import, needed once in the life of a schema.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.attributes["engine"] = engine
    command.upgrade(config, "head")
