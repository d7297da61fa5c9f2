"""A hospital in a box: the node of a configuration under the load of a busy hour, on loopback.

The configuration keeps what costs time (networks, workers, results, delivery, study). Its data
folder is temporary, its ports are free ones, and a small PACS stands for each destination that
gets DICOM objects.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicom_node.config import (
    AlertsConfig,
    AuditConfig,
    Config,
    DicomDestination,
    HttpConfig,
    StoreConfig,
    TlsConfig,
)
from dicom_node.config.destinations import ObjectRecipient
from dicom_node.deliver.scu import StoreSender
from dicom_node.demo.hospital import Modality, MoodyPacs
from dicom_node.demo.running import Running, free_port, running_node
from dicom_node.domain.clock import utc_now
from dicom_node.domain.mood import Mood
from dicom_node.errors import NodeError
from dicom_node.store.store import Store, open_store

if TYPE_CHECKING:
    from collections.abc import Callable

#: A hospital's busiest hour has about this part of its day's films: one eighth.
BUSY_HOUR = 1 / 8
_MOST_WAITING = 4  # films that wait while the node is loaded as fully as it can be
_SETTLE_SECONDS = 300.0  # that the rest may take in the end
_POLL_SECONDS = 0.5
_FINISHED = {"accepted", "committed"}


@dataclass(slots=True, kw_only=True)
class Observed:
    """What a rehearsal saw.

    Parameters
    ----------
    films_a_day
        What was asked for; None: the node got films as fast as it read them.
    latencies
        Seconds from a film's Success to its study's last object at the PACS, sorted.
    waiting
        Films that were not read or delivered when the last film had been sent.
    lost
        Films of which nothing had come to the PACS in the end.
    """

    films_a_day: float | None
    mood: Mood
    left_out: list[str]  # destinations that no PACS can stand for
    seconds: float = 0.0  # from the first film to the end of sending
    films: int = 0
    refused: int = 0
    rejected: int = 0  # C-STORE was not answered with Success
    objects: int = 0
    longest_queue: int = 0
    waiting: int = 0
    lost: int = 0
    latencies: list[float] = field(default_factory=list)
    megabytes_a_film: float = 0.0

    @property
    def capacity(self) -> int:
        """Films a day by what was finished while films were sent."""
        finished = self.films - self.waiting
        return int(finished / self.seconds * 3600 / BUSY_HOUR) if self.seconds else 0

    @property
    def keeps_up(self) -> bool:
        """Whether nothing was lost, and no queue grew while films came and the PACS was well."""
        return not (self.lost or self.rejected) and (
            self.films_a_day is None
            or self.mood in (Mood.DOWN, Mood.REFUSING)
            or self.waiting <= max(_MOST_WAITING, self.films // 4)
        )


def rehearse(
    config: Config, films_a_day: float | None, minutes: float, mood: Mood,
    say: Callable[[str], object],
) -> Observed:  # fmt: skip
    """Run the node of a configuration, send films for so long, and wait for their results.

    Raises
    ------
    NodeError
        The node does not start, or the configuration has no destination for DICOM objects.
    """
    left_out = [d.name for d in config.destinations if not isinstance(d, ObjectRecipient)]
    seen = Observed(films_a_day=films_a_day, mood=mood, left_out=left_out)
    say("draws films")
    modality = Modality()
    with tempfile.TemporaryDirectory(prefix="rehearsal-") as name, ExitStack() as running:
        folder = Path(name)
        pacs = MoodyPacs(folder / "pacs", mood)
        pacs.start()
        running.callback(pacs.stop)
        if mood is Mood.DOWN:
            pacs.stop()  # it keeps its port
        box = boxed(config, folder / "node", free_port(), pacs.port)
        (folder / "config.yaml").write_text(box.model_dump_json())  # JSON is YAML
        node = running.enter_context(running_node(folder / "config.yaml", folder / "node.log"))
        show = _Show(box, pacs, modality, seen, say)
        show.start(folder, node)
        running.callback(show.close)
        show.send(minutes * 60)
        show.settle()
    return seen


def boxed(config: Config, data_dir: Path, port: int, pacs_port: int) -> Config:
    """The configuration with its surroundings replaced; raises NodeError if nothing is sent."""
    stand_ins = tuple(
        DicomDestination(
            name=each.name, ae_title="PACS", host="127.0.0.1", port=pacs_port,
            send=each.send, sr_class=each.sr_class,
        )
        for each in config.destinations
        if isinstance(each, ObjectRecipient)
    )  # fmt: skip
    if not stand_ins:
        raise NodeError("no destination of the configuration gets DICOM objects")
    alone = {
        "data_dir": data_dir, "host": "127.0.0.1", "port": port, "plain": None, "member": None,
        "allowed_calling": (), "require_called": False, "users_file": None,
        "roles": type(config.node)().roles,
    }  # fmt: skip
    surroundings = {
        "node": config.node.model_copy(update=alone), "destinations": stand_ins,
        "tls": TlsConfig(), "store": StoreConfig(), "audit": AuditConfig(), "http": HttpConfig(),
        "alerts": AlertsConfig(),
        "models": config.models.model_copy(update={"shadow": None}),
        "log": config.log.model_copy(update={"level": "info"}),  # it says when networks are warm
    }  # fmt: skip
    return config.model_copy(update=surroundings)


class _Show:
    """One run: the node is a process, everything else is here."""

    def __init__(
        self, config: Config, pacs: MoodyPacs, modality: Modality, seen: Observed,
        say: Callable[[str], object],
    ) -> None:  # fmt: skip
        self._config = config
        self._pacs = pacs
        self._modality = modality
        self._seen = seen
        self._say = say
        self._sent: dict[str, float] = {}  # Study Instance UID -> when, in seconds since 1970
        node = DicomDestination(
            name="node", ae_title=config.node.ae_title, host="127.0.0.1", port=config.node.port
        )
        self._sender = StoreSender("MODALITY", [node], timeout_seconds=60.0)
        self._film = Path()
        self._store: Store | None = None

    def start(self, folder: Path, node: Running) -> None:
        """Wait until the node answers and its networks are warm."""
        self._say("starts the node")
        self._film = folder / "film.dcm"
        node.wait(lambda: self._sender.echo("node").ok, "the node does not answer C-ECHO")
        node.wait(lambda: "networks warm" in node.log.read_text(), "no networks")
        self._store = open_store(self._config.node.data_dir, utc_now)
        self._empty = _size(self._config.node.data_dir)

    def close(self) -> None:
        """Close the database."""
        if self._store is not None:
            self._store.close()

    def send(self, seconds: float) -> None:
        """Send films for so long: at the rate of a busy hour, or as fast as they are read."""
        seen, began = self._seen, time.monotonic()
        every = 3600 / (seen.films_a_day * BUSY_HOUR) if seen.films_a_day else 0.0
        following = began
        while (now := time.monotonic()) < began + seconds:
            waiting = self._waiting()
            seen.longest_queue = max(seen.longest_queue, waiting)
            if now >= began + seconds / 2:
                self._recover()
            due = now >= following if every else waiting < _MOST_WAITING
            if due:
                self._send_one()
                following += every
            else:
                time.sleep(_POLL_SECONDS / 5)
            self._say(f"{seen.films} films sent, {waiting} wait")
        seen.seconds, seen.waiting = time.monotonic() - began, self._waiting()

    def settle(self) -> None:
        """Wait for the rest, and measure."""
        seen = self._seen
        self._say(f"waits for {seen.waiting} films")
        deadline = time.monotonic() + _SETTLE_SECONDS
        while self._waiting() and time.monotonic() < deadline:
            self._recover()  # the last film may have been sent before half time
            time.sleep(_POLL_SECONDS)
        completed = self._pacs.completed()
        seen.latencies = sorted(
            completed[study] - at for study, at in self._sent.items() if study in completed
        )
        seen.lost = len(self._sent) - len(seen.latencies)
        seen.objects = len(self._pacs.instances())
        seen.refused = sum(each["refused"] for each in self._studies())
        grown = _size(self._config.node.data_dir) - self._empty
        seen.megabytes_a_film = grown / 1e6 / max(1, seen.films)

    def _send_one(self) -> None:
        film = self._modality.film()
        film.save_as(self._film, enforce_file_format=True)
        (answer,) = self._sender.send("node", [self._film])
        if answer.status != 0:
            self._seen.rejected += 1
            return
        self._seen.films += 1
        self._sent[film.StudyInstanceUID] = time.time()

    def _recover(self) -> None:
        """Let a PACS in trouble become well, as a person would, and send again what is held."""
        if self._seen.mood not in (Mood.DOWN, Mood.REFUSING) or self._store is None:
            return
        if self._pacs.mood is not Mood.NORMAL:
            if self._pacs.mood is Mood.DOWN:
                self._pacs.start()
            self._pacs.mood = Mood.NORMAL
            self._store.breakers.probe_now()
        self._store.outbox.retry(None)  # also what was refused just before

    def _studies(self) -> list[dict[str, Any]]:
        return self._store.queries.studies(len(self._sent)) if self._store and self._sent else []

    def _waiting(self) -> int:
        """Films whose study is not read, or of which an object is not at the PACS."""
        done = [
            each for each in self._studies()
            if each["job"] == "done" and set(each["deliveries"]) <= _FINISHED
        ]  # fmt: skip
        return len(self._sent) - len(done)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
