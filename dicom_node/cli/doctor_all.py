"""`doctor` alone: everything that can be looked at without changing anything."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import typer

from dicom_node.cli.render import print_json, print_line
from dicom_node.config import load
from dicom_node.errors import ConfigError, NodeError
from dicom_node.service import counterparts, examination
from dicom_node.service.examination import Finding, Level
from dicom_node.store.libpq import DRIVER
from dicom_node.store.plain import SQLITE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from dicom_node.config import Config

_SECONDS = 30.0  # for all looks together, for they run beside each other
_NETWORKS_SECONDS = 90.0  # to import the networks' libraries, on a busy machine
_SHOWN: dict[Level, str] = {"ok": "ok", "warning": "WARNING", "fault": "FAULT"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One thing to look at.

    Parameters
    ----------
    command
        What looks at it alone, or again.
    late
        What it means if there is no answer in time.
    """

    about: str
    find: Callable[[], Iterable[Finding]]
    command: str
    late: Level = "warning"


@dataclass(slots=True)
class _Answer:
    found: list[Finding] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)


def everything(config: Path | None, *, as_json: bool) -> None:
    """Look at everything, print it and end with 0 (well), 1 (warnings) or 2 (faults)."""
    found = _of_file(config)
    levels = {each.level for each in found}
    status = 2 if "fault" in levels else 1 if "warning" in levels else 0
    if as_json:
        print_json({"status": status, "findings": [asdict(each) for each in found]})
    else:
        for each in found:
            print_line(f"{_SHOWN[each.level]:<8} {each.about:<13} {each.sentence}")
            if each.command:
                print_line(f"{'':22} -> {each.command}")
        print_line(f"verdict  {_verdict(found)}")
    sys.stdout.flush()
    raise typer.Exit(status)


def _verdict(found: Sequence[Finding]) -> str:
    counted = Counter(each.level for each in found)
    parts = [
        f"{count} {level}" + ("s" if count > 1 else "")
        for level in ("fault", "warning")
        if (count := counted[level])
    ]
    return ", ".join(parts) or "nothing is wrong"


def _of_file(path: Path | None) -> list[Finding]:
    """Every finding; the mistakes of a configuration that cannot be read are all there is."""
    try:
        config = load(path)
    except ConfigError as error:
        first, *mistakes = str(error).splitlines()
        if not first.endswith(":"):  # one mistake, of the whole file
            mistakes = [" ".join(str(error).split())]
        return [
            Finding(
                about="configuration",
                level="fault",
                sentence=each.strip(),
                command="dicom-node config check",
            )
            for each in mistakes
        ]
    *others, networks = looks(config, path)
    # The networks' libraries keep Python busy while they are imported: destinations come first.
    return [*examine(others), *examine([networks], _NETWORKS_SECONDS)]


def looks(config: Config, path: Path | None) -> list[Look]:
    """Everything to look at, in the order in which it is shown."""
    from dicom_node.domain.clock import utc_now

    now, check = utc_now(), "dicom-node config check"
    listed = (
        ("configuration", partial(examination.configuration, config, path), check),
        ("node", partial(examination.node, config), "dicom-node status"),
        ("disk", partial(examination.folder, config), "df -h"),
        ("memory", partial(examination.memory, config), "free -h"),
        ("clock", partial(examination.clock, config, now), "timedatectl"),
        ("store", partial(examination.store, config), _asks_database(config)),
        ("bucket", partial(examination.bucket, config), "dicom-node doctor bucket"),
        ("files", partial(examination.files, config, path), "dicom-node doctor files"),
        ("audit log", partial(examination.audit, config), "dicom-node audit verify"),
        ("certificates", partial(examination.certificates, config, now), "dicom-node doctor tls"),
        ("decoder", examination.sandbox, "dicom-node doctor sandbox"),
        ("web page", partial(examination.web, config), "dicom-node status"),
        ("verdicts", partial(examination.verdicts, config), check),
        ("alerts", partial(counterparts.alerts, config), check),
        ("repository", partial(counterparts.repository, config), "dicom-node doctor tls"),
        ("delivery", partial(counterparts.delivery, config), check),
    )
    return [
        *(Look(about=about, find=find, command=command) for about, find, command in listed),
        *(
            Look(
                about=f"to {peer.name}",
                find=partial(counterparts.destination, config, peer),
                command=f"dicom-node doctor destination {peer.name}",
                late="fault",
            )
            for peer in config.destinations
        ),
        Look(about="networks", find=partial(examination.models, config), command=check),
    ]


def _asks_database(config: Config) -> str:
    """The command that asks the database alone."""
    if (url := config.store.url) == SQLITE:
        return "dicom-node doctor store"
    return f"pg_isready -d '{url.replace(DRIVER, 'postgresql', 1)}'"


def examine(listed: Sequence[Look], seconds: float = _SECONDS) -> list[Finding]:
    """Look at all of them at once; what gives no answer in time is a finding, too.

    Parameters
    ----------
    seconds
        For all of them together.
    """
    answers = [_Answer() for _ in listed]
    for look, answer in zip(listed, answers, strict=True):
        # A daemon: one that hangs, as on a dead network disk, does not keep us from ending.
        threading.Thread(target=_find, args=(look, answer), daemon=True).start()
    deadline = time.monotonic() + seconds
    return [
        finding
        for look, answer in zip(listed, answers, strict=True)
        for finding in _in_time(look, answer, deadline, seconds)
    ]


def _in_time(look: Look, answer: _Answer, deadline: float, seconds: float) -> Iterator[Finding]:
    if answer.done.wait(max(0.0, deadline - time.monotonic())):
        yield from answer.found
        return
    sentence = f"no answer within {seconds:g} s"
    yield Finding(about=look.about, level=look.late, sentence=sentence, command=look.command)


def _find(look: Look, answer: _Answer) -> None:
    try:
        answer.found += look.find()
    except NodeError as error:
        answer.found.append(_failed(look, str(error)))
    except Exception as error:  # noqa: BLE001 - whatever is broken: the other looks go on
        answer.found.append(_failed(look, f"cannot be looked at: {error!r}"))
    finally:
        answer.done.set()


def _failed(look: Look, reason: str) -> Finding:
    sentence = " ".join(reason.split())
    return Finding(about=look.about, level="fault", sentence=sentence, command=look.command)
