"""Whether the database file is as SQLite wrote it: asked before anything is written to it.

Read-only, so that a damaged file stays as it was found. SQLite keeps no checksums: what is found is
damage to the file's structure; the audit trail's hash chain finds edited lines.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from dicom_node.errors import DatabaseDamaged, NodeError
from dicom_node.store.status import DATABASE

_MOST = 20  # findings; one bad page makes hundreds


def damage(data_dir: Path, *, thorough: bool = False) -> list[str]:
    """What is wrong with the database; nothing where there is none yet.

    ``thorough`` also holds each index against its table, which takes several times as long.
    Raises NodeError where the file cannot be read at all.
    """
    path = data_dir / DATABASE
    if not path.exists():
        return []
    pragma = "integrity_check" if thorough else "quick_check"
    try:
        uri = f"file:{quote(str(path))}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=30)) as connection:
            rows = connection.execute(f"PRAGMA {pragma}({_MOST})").fetchall()
    except sqlite3.OperationalError as error:
        raise NodeError(f"{path} cannot be read: {error}") from error
    except sqlite3.DatabaseError as error:  # not a database, or too broken to be walked
        return [str(error)]
    found = [line for (text,) in rows for line in str(text).splitlines()]
    return [] if found == ["ok"] else found


def refuse_damaged(data_dir: Path) -> None:
    """Raise DatabaseDamaged where the file cannot be trusted."""
    found = damage(data_dir)
    if found:
        raise DatabaseDamaged(
            f"database-damaged: {data_dir / DATABASE}: {found[0]} (and {len(found) - 1} more). "
            "Nothing was written. Keep the folder, restore node.db from a backup, or begin anew "
            "with an empty data folder; `dicom-node doctor store` tells all of it"
        )
