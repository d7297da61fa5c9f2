"""The crash matrix of a cluster: three members, two receivers, one PostgreSQL server."""

from __future__ import annotations

import random
import time

from crash.matrix import Matrix, MortalNode
from crash.members import MEMBERS, Member
from crash.orders import AT_START, POINTS, Deck
from crash.pacs import CountingPacs
from crash.traffic import Traffic
from crash.verdict import Verdict, examine, waiting
from support.peer import free_port
from support.postgres import Postgres, postgres

_AHEAD = 6  # studies of each modality that were sent and are not yet back
_BETWEEN = 6  # deaths of processes between two of a member or of the database
_SERVERS = 0.4  # of the latter
_DRAIN_SECONDS = 300.0
_WAITS = ("fast", "immediate")  # how PostgreSQL is stopped


class ClusterMatrix(Matrix):
    """Kills any process of any member, whole members, and the database."""

    def run(self, wanted: int) -> Verdict:
        """Kill so often; the cluster is gone afterwards, whatever happened."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with postgres("fsync=on") as server:
            url = server.url(server.create())
            members = [Member(folder=self.folder / name, port=free_port()) for name in MEMBERS]
            with CountingPacs(self.folder / "pacs", members[1].port) as pacs:
                return self._run(wanted, members, server, url, pacs)

    def _run(
        self, wanted: int, members: list[Member], server: Postgres, url: str, pacs: CountingPacs
    ) -> Verdict:
        for member in members:
            member.start_with(pacs.port, url)
        receivers = [each for each in members if "receiver" in MEMBERS[each.name]]
        # Each receiver has a modality of its own.
        traffic = [Traffic(each.folder / "in", each, pacs.complete, _AHEAD) for each in receivers]
        try:
            for each in traffic:
                each.start(1)
            self._kill_members(wanted, members, server)
            for each in traffic:
                each.finish()
            self._drain(members, url)
            codes = [member.stop(120) for member in members]
        finally:
            for each in traffic:
                each.stop.set()
            for member in members:
                member.kill_group()
        self.again = sum(each.again for each in traffic)
        verified = not any(codes) and members[0].run("audit", "verify").returncode == 0
        sent = [study for each in traffic for study in each.studies]
        killed, data_dir = self.deliverers_killed, members[0].data_dir
        return examine(sent, pacs, data_dir, killed, verified=verified, url=url)

    def _kill_members(self, wanted: int, members: list[Member], server: Postgres) -> None:
        draw = random.Random(self.seed)
        decks: list[tuple[MortalNode, Deck]] = [
            (member, Deck(role, draw))
            for member in members
            for role in MEMBERS[member.name]
            if role in POINTS
        ]
        while (left := wanted - self.kills.total()) > 0 and time.monotonic() < self.deadline:
            self._one_by_one(decks, min(left, _BETWEEN), draw)
            _restart_ended(members)
            if self.kills.total() >= wanted:
                return
            if draw.random() < _SERVERS:
                self._crash(server, draw.choice(_WAITS))
            else:
                member, deck = draw.choice(decks)
                self._altogether(deck.next({*AT_START}), member, draw)
            _restart_ended(members)

    def _crash(self, server: Postgres, mode: str) -> None:
        server.stop(mode)
        server.start()
        self.kills["PostgreSQL", mode] += 1
        # What a deliverer sent just then could not be recorded: each may send one object again.
        self.deliverers_killed += sum("deliverer" in roles for roles in MEMBERS.values())
        self.progress()

    def _drain(self, members: list[Member], url: str) -> None:
        deadline = time.monotonic() + _DRAIN_SECONDS
        while waiting(members[0].data_dir, url):
            _restart_ended(members)
            if time.monotonic() > deadline:
                raise AssertionError("the cluster did not drain; the logs:\n" + _logs(members))
            time.sleep(0.2)


def _restart_ended(members: list[Member]) -> None:
    """Start what ended by itself, as systemd does: a start during PostgreSQL's own fails."""
    for member in members:
        if member.process is not None and member.process.poll() is not None:
            member.start()


def _logs(members: list[Member]) -> str:
    return "\n".join(member.log()[-3000:] for member in members)
