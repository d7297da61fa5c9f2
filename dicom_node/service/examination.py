"""What `dicom-node doctor` looks at: machine, files, database and networks, changing nothing.

Each function yields what it found, at least one `Finding`. What lies outside this machine is in
`dicom_node.service.counterparts`.
"""

from __future__ import annotations

import shutil
import socket
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, TypeAlias

from dicom_node.errors import ModelError, NodeError
from dicom_node.service import alarms, machine, start_checks, work_alarms
from dicom_node.service.pidfile import processes
from dicom_node.store.plain import SQLITE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from dicom_node.config import Config
    from dicom_node.service.alarms import Alarm

#: fault: the node would not do its work; warning: a person should know, and may leave it so.
Level: TypeAlias = Literal["ok", "warning", "fault"]

_GIB = 2**30
_PAGE_SECONDS = 5.0  # for connecting to the web page
_CHECK = "dicom-node config check"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Parameters
    ----------
    about
        Names it, such as ``disk`` or ``to pacs``.
    sentence
        What was found, without patient identity.
    command
        What to run next; None if nothing has to be done.
    """

    about: str
    level: Level
    sentence: str
    command: str | None = None


def configuration(config: Config, path: Path | None) -> Iterator[Finding]:
    """Whether a node can take the configuration, has taken it, and who may call."""
    faults = start_checks.reload_faults(config)
    warned = [
        *alarms.access(config),
        *alarms.unbound(config),
        *work_alarms.changed(config, path, processes(config.run_dir)),
    ]
    yield from _findings(
        "configuration", f"{path or 'the defaults'}: no mistake", faults, _CHECK, warned
    )


def node(config: Config) -> Iterator[Finding]:
    """Whether every process of a running node runs, or a stopped one could open its ports."""
    alive = processes(config.run_dir)
    if "supervisor" in alive:
        alarmed = work_alarms.processes(config, alive)
        yield from _findings("node", f"it runs: {', '.join(sorted(alive))}", warned=alarmed)
        return
    faults = start_checks.port_faults(config)
    yield from _findings("node", "it does not run; its ports are free", faults, "ss -ltnp")


def folder(config: Config) -> Iterator[Finding]:
    """Whether the data folder can be written, and what is free on its disk."""
    data_dir = config.node.data_dir
    there = next(each for each in (data_dir, *data_dir.absolute().parents) if each.exists())
    free, least = shutil.disk_usage(there).free, config.spool.min_free_mb * alarms.MIB
    said = f"{free / _GIB:.1f} GiB free for {data_dir}"
    faults = start_checks.folder_faults(config)
    if free < least:
        faults.append(f"{said}: films are rejected below spool.min_free_mb ({least // alarms.MIB})")
    elif free < 2 * least:
        yield Finding(
            about="disk",
            level="warning",
            sentence=f"{said}, less than twice spool.min_free_mb",
            command=f"df -h {there}",
        )
        said = ""
    yield from _findings("disk", said, faults, f"df -h {there}")


def bucket(config: Config) -> Iterator[Finding]:
    """Whether the bucket of films and results answers, if there is one."""
    if config.store.in_bucket:
        yield from _findings(
            "bucket", f"{config.store.files}: answers", warned=alarms.bucket(config)
        )


def memory(config: Config) -> Iterator[Finding]:
    """Whether the machine has the memory that its processes need (docs/DEPLOYMENT.md)."""
    workers = config.workers.count if "worker" in config.node.roles else 0
    needed, total = machine.memory_needed(workers), machine.memory_total()
    if total is None:
        yield Finding(about="memory", level="ok", sentence="not known on this system")
        return
    said = f"{total / _GIB:.1f} GiB, {needed / _GIB:.1f} needed (workers.count: {workers})"
    level: Level = "ok" if total >= needed else "warning"
    command = None if total >= needed else "free -h, then fewer workers (workers.count)"
    yield Finding(about="memory", level=level, sentence=said, command=command)


def clock(config: Config, now: datetime) -> Iterator[Finding]:
    """Whether the clock is kept by a time server and no earlier than the node's last start."""
    from dicom_node.store.status import read_status

    local = f"{now:%Y-%m-%d %H:%M} UTC, here {now.astimezone():%H:%M %Z}"
    started = None
    with suppress(NodeError):  # `store` says what is wrong with the database
        started = read_status(config.node.data_dir, config.store.url)["started_at"]
    if started is not None and datetime.fromisoformat(started) > now:
        sentence = f"{local}: earlier than the node's last start, {started[:16]}"
        yield Finding(about="clock", level="fault", sentence=sentence, command="timedatectl")
        return
    kept = machine.clock_is_kept()
    if kept is False:
        sentence = f"{local}: the kernel knows of no time server; set up NTP"
        yield Finding(about="clock", level="warning", sentence=sentence, command="timedatectl")
        return
    source = "kept by a time server" if kept else "who keeps it is not known on this system"
    yield Finding(about="clock", level="ok", sentence=f"{local}, {source}")


def store(config: Config) -> Iterator[Finding]:
    """Whether the database is intact, or the server answers."""
    from dicom_node.store.integrity import damage
    from dicom_node.store.status import is_new, read_status

    data_dir, url = config.node.data_dir, config.store.url
    if is_new(data_dir, url):
        there = "no database yet" if url == SQLITE else "the database is empty"
        sentence = f"{there}: the first start makes its tables"
        yield Finding(about="store", level="ok", sentence=sentence)
        return
    faults = damage(data_dir) if url == SQLITE else []
    said = ""
    if not faults:
        counted = read_status(data_dir, url)
        state = "intact" if url == SQLITE else "answers"
        said = f"{state}: {counted['studies']} studies, {counted['audit_lines']} audit lines"
    yield from _findings("store", said, faults, "dicom-node doctor store")


def files(config: Config, path: Path | None) -> Iterator[Finding]:
    """Whether the node's user alone can use its files."""
    from dicom_node.service.file_modes import faults

    if not config.node.data_dir.is_dir():
        sentence = f"no {config.node.data_dir} yet: the first start makes it"
        yield Finding(about="files", level="ok", sentence=sentence)
        return
    command = "dicom-node doctor files"
    yield from _findings("files", "private to their owner", faults(config, path), command)


def audit(config: Config) -> Iterator[Finding]:
    """Whether the audit log's checkpoints are safe elsewhere."""
    said = f"checkpoints go to {config.audit.checkpoint_dir}"
    yield from _findings("audit log", said, warned=alarms.checkpoints(config))


def certificates(config: Config, now: datetime) -> Iterator[Finding]:
    """Whether the files of TLS belong together, and how long their certificates are valid."""
    tls = config.tls
    if tls.certificate_file is None and tls.ca_file is None:
        yield Finding(about="certificates", level="ok", sentence="TLS is not configured")
        return
    from dicom_node.tls.certificates import describe

    faults = start_checks.certificate_faults(config)
    warned = [] if faults else alarms.certificates(config, now)
    said = ""
    if not faults:
        paths = filter(None, (tls.certificate_file, tls.ca_file))
        days = min(each.days_left(now) for path in paths for each in describe(path))
        said = f"they belong together; the first one expires in {days} days"
    yield from _findings("certificates", said, faults, "dicom-node doctor tls", warned)


def sandbox() -> Iterator[Finding]:
    """Whether this machine confines the decoder of compressed pixels."""
    from dicom_node.pixels.sandbox import SANDBOX

    missing = SANDBOX.missing()
    SANDBOX.close()
    said = f"not fully confined, this kernel lacks: {', '.join(missing)}"
    yield Finding(
        about="decoder",
        level="warning" if missing else "ok",
        sentence=said if missing else "confined",
        command="dicom-node doctor sandbox" if missing else None,
    )


def web(config: Config) -> Iterator[Finding]:
    """Whether the page is on, and answers if the node runs."""
    host, port = config.http.host, config.http.port
    if port is None:
        yield Finding(about="web page", level="ok", sentence="off (http.port)")
        return
    if "supervisor" not in processes(config.run_dir):
        yield Finding(about="web page", level="ok", sentence=f"on at {host}:{port} after the start")
        return
    try:
        socket.create_connection((host, port), timeout=_PAGE_SECONDS).close()
    except OSError as error:
        sentence = f"nothing answers at {host}:{port}: {error}"
        command = "journalctl -u dicom-node -n 50"
        yield Finding(about="web page", level="fault", sentence=sentence, command=command)
        return
    yield Finding(about="web page", level="ok", sentence=f"answers at {host}:{port}")


def verdicts(config: Config) -> Iterator[Finding]:
    """Whether reports can come by themselves, and from where."""
    mllp, watched = config.verdicts.mllp, config.verdicts.folder
    places = [f"HL7 at {mllp.host}:{mllp.port}"] if mllp else []
    places += [f"files in {watched}"] if watched else []
    said = f"by {' and '.join(places)}" if places else "by command only (verdicts.mllp, .folder)"
    yield from _findings("verdicts", said, start_checks.report_faults(config), _CHECK)


def models(config: Config) -> Iterator[Finding]:
    """Whether the networks are the released ones, and for which share of ill films they speak."""
    from dicom_node.infer import identity  # imports torch
    from dicom_node.store.status import promoted_folder

    data_dir, url, used = config.node.data_dir, config.store.url, config.models
    promoted = None
    with suppress(NodeError):  # no database, or `store` says what is wrong with it
        promoted = promoted_folder(data_dir, url)
    if promoted is not None:
        used = used.model_copy(update={"dir": data_dir / promoted})
    try:
        found = identity(used)
    except ModelError as error:
        command = "dicom-node model rollback" if promoted else _CHECK
        yield Finding(about="networks", level="fault", sentence=str(error), command=command)
        return
    faults = []
    if promoted is not None:  # `configuration` looks at the configured networks
        faults = start_checks.threshold_faults(config.model_copy(update={"models": used}))
    signed = "signed" if used.public_key else "signature not asked for (models.public_key)"
    share = "as made" if used.prevalence is None else f"{used.prevalence:g}"
    version = f"{found.version}{', promoted' if promoted else ''}, digest {found.digest[:12]}"
    yield from _findings("networks", f"{version}, {signed}, prevalence {share}", faults, _CHECK)


def _findings(
    about: str,
    said: str,
    faults: Sequence[str] = (),
    command: str | None = None,
    warned: Sequence[Alarm] = (),
) -> Iterator[Finding]:
    """A finding for each fault and alarm; what is ``said`` only if there is none."""
    for fault in dict.fromkeys(faults):
        yield Finding(about=about, level="fault", sentence=fault, command=command)
    for alarm in warned:
        level: Level = "fault" if alarm.level == "critical" else "warning"
        yield Finding(about=about, level=level, sentence=alarm.sentence, command=alarm.command)
    if said and not faults and not warned:
        yield Finding(about=about, level="ok", sentence=said)
