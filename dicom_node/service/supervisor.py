"""The supervisor: starts the node's processes, restarts one that exits, drains them on SIGTERM."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

import structlog

from dicom_node import log as log_of_program
from dicom_node.audit.best_effort import record_or_log
from dicom_node.config import load
from dicom_node.domain.audit import AuditEvent, AuditKind
from dicom_node.domain.clock import utc_now
from dicom_node.errors import NodeError, StoreWriteError
from dicom_node.service import running_config
from dicom_node.service.file_modes import make_private
from dicom_node.service.first_lines import write_first_lines
from dicom_node.service.folder_lock import only_node
from dicom_node.service.heartbeat import Heartbeat, await_older_members
from dicom_node.service.pidfile import publish
from dicom_node.service.processes import ROLES, Role, processes_of, roles_in
from dicom_node.service.roles import CANNOT_START
from dicom_node.service.signals import Signals
from dicom_node.service.start_checks import reload_faults, start_faults
from dicom_node.service.systemd import notify
from dicom_node.store.integrity import refuse_damaged
from dicom_node.store.members import Process
from dicom_node.store.plain import SQLITE
from dicom_node.store.store import open_store

if TYPE_CHECKING:
    from dicom_node.config import Config
    from dicom_node.store.store import Store

_POLL_SECONDS = 0.2
_DRAIN_SECONDS = {
    "receiver": 15.0,
    "worker": 60.0,
    "deliverer": 60.0,
    "scheduler": 15.0,
    "verdicts": 10.0,
    "web": 10.0,
}
_STEADY_SECONDS = 30.0  # a process that ran this long restarts at the shortest delay
_LONGEST_BACKOFF_SECONDS = 30.0

# OpenMP threads sleep while they wait: by default they spin for milliseconds, which slows every
# process threefold. 20000 turns, less than a millisecond, last from one layer of a network to the
# next: in an idle node that never spun, stage 2 took twice as long as in a process that did.
_OPENMP = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "20000"}
# A worker keeps the memory of a film for the next one: glibc would give it back, and the kernel
# fill each page of it with zeros again.
_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(2**28), "MALLOC_MMAP_THRESHOLD_": str(2**25)}

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class _Child:
    role: Role
    name: str  # such as "worker-1"
    owner: str  # of its leases: the name, after that of this machine if several share the work
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0  # monotonic seconds
    starts: int = 0
    failures: int = 0
    due: float = 0.0  # monotonic seconds; not started before

    def next_start(self, now: float) -> float:
        """When to restart after an exit at ``now``; each quick exit doubles the delay."""
        self.failures = 1 if now - self.started > _STEADY_SECONDS else self.failures + 1
        return now + min(_LONGEST_BACKOFF_SECONDS, 0.25 * 2.0 ** (self.failures - 1))


@dataclass(slots=True, kw_only=True)
class Supervisor:
    """Keeps one receiver, the workers and one deliverer alive over one data folder.

    Parameters
    ----------
    config
        The node's configuration.
    config_path
        The file it came from, read again on reload; None if all settings are defaults.
    """

    config: Config
    config_path: Path | None
    children: list[_Child] = field(default_factory=list)
    cannot_write: bool = False
    heartbeat: Heartbeat | None = None  # None: the database is this machine's alone

    def run(self, asked: Signals) -> None:
        """Run the node until ``asked.stop`` is set, then drain; reload when that is asked.

        Raises
        ------
        NodeError
            Another node runs over the same data folder, or a port, a folder, a certificate or the
            networks cannot be used.
        DatabaseDamaged
            The database file is damaged; nothing was written.
        """
        data_dir = self.config.node.data_dir
        write_first_lines(self.config, self.config_path)
        with only_node(self.config.run_dir, asked.stop) as lock:
            if faults := start_faults(self.config):
                raise NodeError("cannot start: " + "\n  ".join(faults))
            _make_private(data_dir)
            if self.config.store.url == SQLITE:
                refuse_damaged(data_dir)
            running_config.publish(self.config)
            await_older_members(self.config, asked.stop)
            store = open_store(data_dir, utc_now, self.config.store.url)
            self.children = [
                _Child(role=role, name=name, owner=self._owner(name))
                for name, role in processes_of(self.config).items()
            ]
            self._begin(store)
            try:
                while not asked.stop.wait(_POLL_SECONDS):
                    self._tick(store, lock)
                    if asked.reload.is_set():
                        asked.reload.clear()
                        self.reload(store)
            finally:
                notify("STOPPING=1")
                self._drain(store)
                store.audit.append(AuditEvent(kind=AuditKind.NODE_STOPPED))
                store.close()

    def _begin(self, store: Store) -> None:
        """Free what processes of these names held when they died; record the start."""
        if self.config.member is not None:
            self.heartbeat = Heartbeat(member=self.config.member, members=store.members)
        for child in self.children:
            store.release(child.owner)
        store.audit.append(AuditEvent(kind=AuditKind.NODE_STARTED, detail=self._facts()))
        if "receiver" not in self.config.node.roles:  # which would say when it listens
            notify("READY=1")

    def _owner(self, name: str) -> str:
        return name if self.config.member is None else f"{self.config.member}/{name}"

    def _facts(self) -> dict[str, object]:
        return {
            "ae_title": self.config.node.ae_title,
            "port": self.config.node.port,
            "config_digest": self.config.digest,
        }

    def reload(self, store: Store) -> None:
        """Take the configuration file as it is now: all of it, or nothing if any of it is wrong."""
        try:
            new, changed = self._checked()
            running_config.publish(new)
        except NodeError as error:
            log.error("configuration not reloaded, the old one stays in use", reason=str(error))
            event = AuditEvent(kind=AuditKind.CONFIG_REFUSED, detail={"reason": str(error)})
        else:
            self.config = new
            log_of_program.configure(new.log, "supervisor")
            log.info("configuration reloaded", changed=", ".join(changed) or "nothing")
            detail: dict[str, object] = {"changed": changed, "config_digest": new.digest}
            event = AuditEvent(kind=AuditKind.CONFIG_RELOADED, detail=detail)
        record_or_log(store.audit, event)

    def _checked(self) -> tuple[Config, list[str]]:
        """The changed configuration and which of its keys changed.

        Raises
        ------
        NodeError
            It has mistakes, or needs a restart.
        """
        new = load(self.config_path)
        found = running_config.changes(self.config, new)
        if found.restart:
            raise NodeError(f"{', '.join(found.restart)} changed: that needs a restart of the node")
        if faults := reload_faults(new):
            raise NodeError("; ".join(faults))
        return new, list(found.reloadable)

    def _tick(self, store: Store, lock: IO[str]) -> None:
        """Reap and start processes; if the database cannot be written, do it at a later tick."""
        try:
            self._reap_and_start(store, lock)
        except (StoreWriteError, OSError) as error:
            if not self.cannot_write:
                log.error(
                    "cannot write to the database; exited processes are not restarted",
                    error=str(error),
                )
            self.cannot_write = True
        else:
            self.cannot_write = False

    def _reap_and_start(self, store: Store, lock: IO[str]) -> None:
        """Reap processes that exited and start those that are due."""
        now = time.monotonic()
        for child in self.children:
            if child.process is not None and child.process.poll() is not None:
                self._reap(store, child, now)
            if child.process is None and now >= child.due:
                self._start(store, child, lock)
        if self.heartbeat is not None:
            self.heartbeat.beat_if_due(self._alive())

    def _alive(self) -> list[Process]:
        return [
            Process(
                process=child.name,
                roles=",".join(roles_in(child.role, self.config)),
                pid=child.process.pid,
            )
            for child in self.children
            if child.process is not None
        ]

    def _reap(self, store: Store, child: _Child, now: float) -> None:
        assert child.process is not None  # noqa: S101 - for the type checker
        code = child.process.returncode
        detail: dict[str, object] = {"process": child.name, "exit_code": code}
        store.release(child.owner)
        store.audit.append(AuditEvent(kind=AuditKind.PROCESS_EXITED, detail=detail))
        log.error("process exited", name=child.name, exit_code=code)
        child.process = None
        child.due = child.next_start(now)
        self._publish()
        if code == CANNOT_START and child.starts == 1:
            raise NodeError(f"{child.name} cannot start; its last log line says why")

    def _start(self, store: Store, child: _Child, lock: IO[str]) -> None:
        command = [sys.executable, "-m", "dicom_node", "role", child.role, "--owner", child.owner]
        command += ["--supervisor", str(os.getpid())]
        command += ["--config", str(running_config.path(self.config))]
        # The child inherits the lock: no second node starts while any process of this one runs.
        child.process = subprocess.Popen(  # noqa: S603
            command, pass_fds=[lock.fileno()], env=_environment(child.role)
        )
        child.started = time.monotonic()
        child.starts += 1
        detail: dict[str, object] = {"process": child.name, "pid": child.process.pid}
        store.audit.append(AuditEvent(kind=AuditKind.PROCESS_STARTED, detail=detail))
        self._publish()

    def _publish(self) -> None:
        alive = {child.name: child.process.pid for child in self.children if child.process}
        publish(self.config.run_dir, {"supervisor": os.getpid(), **alive})

    def _drain(self, store: Store) -> None:
        """Stop receiving first, then reading, then delivering; each finishes its current work."""
        log.info("draining")
        for role in ROLES:
            running = [c for c in self.children if c.role == role and c.process is not None]
            for child in running:
                assert child.process is not None  # noqa: S101 - for the type checker
                child.process.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + _DRAIN_SECONDS[role]
            for child in running:
                self._await(store, child, deadline)
        publish(self.config.run_dir, {})
        if self.heartbeat is not None:
            with suppress(StoreWriteError):  # then it is taken for dead after a while
                self.heartbeat.end()

    def _await(self, store: Store, child: _Child, deadline: float) -> None:
        assert child.process is not None  # noqa: S101 - for the type checker
        try:
            child.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.error("process did not finish in time, killed", name=child.name)
            child.process.kill()
            child.process.wait()
        with suppress(StoreWriteError):  # on a full disk the next start frees them
            store.release(child.owner)


def _make_private(data_dir: Path) -> None:
    try:
        make_private(data_dir)
    except OSError as error:  # the folder belongs to another user
        log.warning("cannot make the data folder private", error=error.strerror)


def _environment(role: Role) -> dict[str, str]:
    """What a process gets beside the supervisor's own environment, which has precedence."""
    return {**_OPENMP, **(_MEMORY if role == "worker" else {}), **os.environ}
