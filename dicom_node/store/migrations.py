"""Migrates a database to the current schema with Alembic; safe if several processes start."""

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
HEAD = "0015"
#: The table of a database into which `store copy` has not copied everything yet.
UNFINISHED = "unfinished_copy"


def upgrade(engine: Engine, data_dir: Path, *, unfinished: bool = False) -> None:
    """Migrate to `HEAD` under a lock; costs three SELECTs if the schema is current.

    Raises
    ------
    NodeError
        A newer version of the node has migrated this database further (there is no downgrade), or
        a copy into it is not finished and ``unfinished`` does not say that this is known.
    """
    # Reading the revision needs the lock too: the first connection creates SQLite's file and sets
    # its journal mode, and SQLite does not let a second connection wait for that. Processes of
    # other machines wait for the writer's lock of PostgreSQL, and then find the migration done.
    with (data_dir / "migration.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = _revision(engine)
        if not unfinished and _is_unfinished(engine):
            raise NodeError("`store copy` into this database was cut off: run it again")
        if found is not None and found > HEAD:
            raise NodeError(
                f"a newer version of the node wrote this database (schema {found}, this version "
                f"knows {HEAD}): install that version again or restore a backup"
            )
        if found != HEAD:
            _run(engine)


def _revision(engine: Engine) -> str | None:
    with reading(engine) as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _is_unfinished(engine: Engine) -> bool:
    with reading(engine) as connection:
        return inspect(connection).has_table(UNFINISHED)


def _run(engine: Engine) -> None:
    # Imported here because it takes a quarter of a second and is needed once per schema change.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.attributes["engine"] = engine
    command.upgrade(config, "head")
