"""Whether the database file is intact, checked before anything is written to it.

The check is read-only, so that a damaged file stays as it was found. SQLite keeps no checksums:
this finds damage to the file's structure; the hash chain of the audit log finds edited lines.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from dicom_node.errors import DatabaseDamaged, NodeError
from dicom_node.store.plain import DATABASE

_MOST = 20  # findings; one bad page makes hundreds


def damage(data_dir: Path, *, thorough: bool = False) -> list[str]:
    """What is wrong with the database; empty if it is intact or does not exist yet.

    ``thorough`` also compares each index with its table, which takes several times as long.

    Raises
    ------
    NodeError
        The file cannot be read at all.
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
    except sqlite3.DatabaseError as error:  # not a database, or too damaged to be read
        return [str(error)]
    found = [line for (text,) in rows for line in str(text).splitlines()]
    return [] if found == ["ok"] else found


def refuse_damaged(data_dir: Path) -> None:
    """Raise DatabaseDamaged if the file is not intact."""
    found = damage(data_dir)
    if found:
        raise DatabaseDamaged(
            f"database-damaged: {data_dir / DATABASE}: {found[0]} (and {len(found) - 1} more). "
            "Nothing was written. Keep the folder, restore node.db from a backup, or start again "
            "with an empty data folder; `dicom-node doctor store` lists all damage"
        )
