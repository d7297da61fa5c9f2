"""A PostgreSQL server of a test's own, in a temporary folder and on a Unix socket."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

_DEBIAN = Path("/usr/lib/postgresql")
_FAST = ("fsync=off", "full_page_writes=off", "synchronous_commit=off")


def programs() -> Path | None:
    """The folder of PostgreSQL's server programs, of the newest version.

    None if there is none, or no driver for it.
    """
    if find_spec("psycopg") is None:
        return None
    if found := shutil.which("initdb"):
        return Path(found).parent
    versions = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return versions[-1].parent if versions else None


@dataclass(frozen=True)
class Postgres:
    """A running server."""

    bin: Path
    folder: Path
    settings: tuple[str, ...]

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = " ".join(f"-c {setting}" for setting in self.settings)
        self._control("start", "-w", "-o", f"-k {self.folder} -c listen_addresses='' {options}")

    def stop(self, mode: str = "fast") -> None:
        """Stop it: ``smart``, ``fast`` or ``immediate``, which is a crash."""
        self._control("stop", "-m", mode)

    def url(self, database: str) -> str:
        """The value of ``store.url`` for a database of this server."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}"

    @property
    def socket(self) -> Path:
        """Its Unix socket."""
        return self.folder / ".s.PGSQL.5432"

    def create(self, template: str = "template1") -> str:
        """Make a database; return its name."""
        name = f"node_{uuid.uuid4().hex[:12]}"
        self.ask(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, database: str) -> None:
        """Remove a database and end its connections."""
        self.ask(f"DROP DATABASE {database} WITH (FORCE)")

    def ask(self, statement: str) -> None:
        """Run a statement that concerns the whole server."""
        import psycopg  # of the extra `cluster`: without it these tests are skipped

        where = f"host={self.folder} user=postgres dbname=postgres"
        with psycopg.connect(where, autocommit=True) as connection:
            connection.execute(statement.encode())

    def _control(self, *arguments: str) -> None:
        run_as_user(
            self.bin / "pg_ctl", "-D", str(self.folder / "data"), "-s",
            "-l", str(self.folder / "log"), *arguments,
        )  # fmt: skip


@contextmanager
def postgres(*settings: str) -> Iterator[Postgres]:
    """Start a server, and remove it afterwards; without settings it does not wait for the disk."""
    found = programs()
    assert found is not None
    folder = Path(tempfile.mkdtemp(prefix="node-postgres-"))
    try:
        if os.geteuid() == 0:
            os.chown(folder, *_user())
        run_as_user(
            found / "initdb", "-D", str(folder / "data"), "-U", "postgres", "-A", "trust",
            "--no-sync", "--locale=C.UTF-8", "-E", "UTF8",
        )  # fmt: skip
        server = Postgres(found, folder, settings or _FAST)
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_as_user(program: Path, *arguments: str) -> None:
    """Run one of PostgreSQL's programs, which refuse to run as root."""
    user, group = _user() if os.geteuid() == 0 else (None, None)
    subprocess.run(
        [program, *arguments], check=True, user=user, group=group, cwd="/",
        extra_groups=[] if user is not None else None, stdout=subprocess.DEVNULL,
    )  # fmt: skip


def _user() -> tuple[int, int]:
    """Debian's own user for it, or one without rights."""
    try:
        found = pwd.getpwnam("postgres")
    except KeyError:
        return 65534, 65534
    return found.pw_uid, found.pw_gid
