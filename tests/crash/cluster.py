"""The crash matrix of a cluster: three members, two receivers, one PostgreSQL server.

Each member reaches the database through a relay, and the modalities the receivers through HAProxy
where it is installed.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace

from crash.matrix import Matrix, MortalNode
from crash.members import LEASE_SECONDS, MEMBERS, Member
from crash.orders import AT_START, POINTS, Deck
from crash.pacs import CountingPacs
from crash.traffic import Traffic
from crash.verdict import Verdict, examine, waiting
from support.balancer import HAPROXY, Balancer, balancer
from support.peer import free_port
from support.postgres import Postgres, postgres
from support.relay import Relay

_AHEAD = 6  # studies of each modality that were sent and are not yet back
_BETWEEN = 6  # deaths of processes between two of something larger
_DRAIN_SECONDS = 300.0
_SILENT_SECONDS = LEASE_SECONDS + 5.0  # of a network: every lease of its member expires
_AWAY_SECONDS = 1.0  # of the balancer


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What a cluster consists of."""

    members: list[Member]
    server: Postgres
    relays: dict[str, Relay]  # by the member's name
    balancer: Balancer | None  # None: HAProxy is not installed


class ClusterMatrix(Matrix):
    """Kills any process of any member, whole members, the database and the balancer.

    Also silences the network between a member and the database for longer than its leases.
    """

    def run(self, wanted: int) -> Verdict:
        """Kill so often; the cluster is gone afterwards, whatever happened."""
        self.folder.mkdir(parents=True, exist_ok=True)
        members = [Member(folder=self.folder / name, port=free_port()) for name in MEMBERS]
        receivers = [each for each in members if "receiver" in MEMBERS[each.name]]
        with ExitStack() as opened:
            server = opened.enter_context(postgres("fsync=on"))
            before = None
            if HAPROXY is not None:
                ports = [each.port for each in receivers]
                before = opened.enter_context(balancer(ports))
            called = [
                each if before is None else replace(each, port=before.port) for each in receivers
            ]
            parts = _Parts(
                members=members,
                server=server,
                relays={each.name: opened.enter_context(Relay(server.socket)) for each in members},
                balancer=before,
            )
            pacs = opened.enter_context(CountingPacs(self.folder / "pacs", called[-1].port))
            return self._run(wanted, parts, called, pacs)

    def _run(self, wanted: int, parts: _Parts, called: list[Member], pacs: CountingPacs) -> Verdict:
        members, database = parts.members, parts.server.create()
        url = parts.server.url(database)
        proxies = {"proxies": [] if parts.balancer is None else ["127.0.0.1"]}
        for member in members:
            port = parts.relays[member.name].port
            through = f"postgresql+psycopg://postgres@127.0.0.1:{port}/{database}"
            member.start_with(pacs.port, through, node=proxies)
        # Each receiver has a modality of its own; both call the balancer, if there is one.
        traffic = [Traffic(each.folder / "in", each, pacs.complete, _AHEAD) for each in called]
        try:
            for each in traffic:
                each.start(1)
            self._kill_members(wanted, parts)
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

    def _kill_members(self, wanted: int, parts: _Parts) -> None:
        draw = random.Random(self.seed)
        decks: list[tuple[MortalNode, Deck]] = [
            (member, Deck(role, draw))
            for member in parts.members
            for role in MEMBERS[member.name]
            if role in POINTS
        ]

        def whole_member() -> None:
            member, deck = draw.choice(decks)
            self._altogether(deck.next({*AT_START}), member, draw)

        larger: list[Callable[[], object]] = [
            whole_member,
            whole_member,
            lambda: self._crash(parts.server, "fast"),
            lambda: self._crash(parts.server, "immediate"),
            lambda: self._silence(parts, draw.choice(parts.members), cut=True),
            lambda: self._silence(parts, draw.choice(parts.members), cut=False),
        ]
        if (before := parts.balancer) is not None:
            larger += [lambda: self._kill_balancer(before)] * 2
        to_come: list[Callable[[], object]] = []
        while (left := wanted - self.kills.total()) > 0 and time.monotonic() < self.deadline:
            self._one_by_one(decks, min(left, _BETWEEN), draw)
            _restart_ended(parts.members)
            if self.kills.total() >= wanted:
                return
            if not to_come:
                to_come = draw.sample(larger, len(larger))
            to_come.pop()()
            _restart_ended(parts.members)

    def _kill_balancer(self, before: Balancer) -> None:
        before.kill()
        time.sleep(_AWAY_SECONDS)
        before.start()
        self.kills["HAProxy", "killed"] += 1
        self.progress()

    def _silence(self, parts: _Parts, member: Member, *, cut: bool) -> None:
        """Have a member and the database not hear each other; end by a cut, or by late bytes."""
        relay = parts.relays[member.name]
        relay.silence()
        time.sleep(_SILENT_SECONDS)
        if cut:
            relay.cut()
        else:
            relay.flow()
        self.kills[f"network of {member.name}", "cut" if cut else "late"] += 1
        # What its deliverer sent just then could not be recorded in time.
        self.deliverers_killed += "deliverer" in MEMBERS[member.name]
        self.progress()

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
