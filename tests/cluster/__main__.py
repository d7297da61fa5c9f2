"""A cluster on this machine: PostgreSQL, two receivers (behind HAProxy, if it is installed),
three workers, two deliverers.

    PYTHONPATH=.:tests python -m cluster --studies 20 --kill

Only the networks are a stand-in, as in the crash matrix. With ``--kill`` one member is killed as a
whole in the middle, PostgreSQL crashes, and both start again. With ``--mounts`` each member sees
the shared folder through a mount of its own (bindfs).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from crash.members import MEMBERS, Member
from crash.pacs import CountingPacs
from crash.traffic import Traffic
from support.balancer import HAPROXY, balancer
from support.mounts import mounted
from support.peer import free_port
from support.postgres import Postgres, postgres

from dicom_node.store.status import read_status

_DRAIN_SECONDS = 240.0
_SECTIONS: dict[str, dict[str, Any]] = {
    "retention": {"days": 1},  # nothing is removed while it is counted
    "node": {"proxies": [] if HAPROXY is None else ["127.0.0.1"]},
}
_UNFINISHED = {"pending", "sending", "sent", "accepted"}


def main() -> int:
    """Run the cluster, print what came of it as JSON; 0 if nothing was lost, doubled or changed."""
    parser = argparse.ArgumentParser(prog="cluster", description=__doc__)
    parser.add_argument("--studies", type=int, default=20)
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--mounts", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cluster-") as folder, postgres("fsync=on") as server:
        found = run(Path(folder), server, asked.studies, kill=asked.kill, mounts=asked.mounts)
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    return 0 if not any(found[bad] for bad in ("lost", "doubled", "changed", "broken")) else 1


def run(
    folder: Path, server: Postgres, studies: int, *, kill: bool, mounts: bool = False
) -> dict[str, Any]:
    """Send the studies through the cluster, wait for their results, and count."""
    started, url = time.monotonic(), server.url(server.create())
    members = {name: Member(folder=folder / name, port=free_port()) for name in MEMBERS}
    one, two = members["one"], members["two"]
    with ExitStack() as opened:
        ports = _ports(opened, [one.port, two.port])
        pacs = opened.enter_context(CountingPacs(folder / "pacs", ports[1]))
        for member in members.values():
            sections = _mounted(opened, member) if mounts else _SECTIONS
            member.start_with(pacs.port, url, **sections)
        called = [replace(each, port=port) for each, port in zip((one, two), ports, strict=True)]
        traffic = [Traffic(each.folder / "in", each, pacs.complete, studies) for each in called]
        try:
            for each in traffic:
                each.start(1)
            _wait(lambda: sum(len(each.studies) for each in traffic) >= studies // 2)
            if kill:
                one.kill_group()
                server.stop("immediate")
                server.start()
                one.start()
            _wait(lambda: sum(len(each.studies) for each in traffic) >= studies)
            for each in traffic:
                each.finish()
            _wait(lambda: _is_idle(one, url))
            problems = two.run("audit", "verify")
            codes = {name: member.stop(120) for name, member in members.items()}
        finally:
            for each in traffic:
                each.stop.set()
            for member in members.values():
                member.kill_group()
    sent = [study for each in traffic for study in each.studies]
    kinds = [Counter(objects.values()) for objects in pacs.studies.values()]
    return {
        "seconds": round(time.monotonic() - started, 1),
        "balancer": HAPROXY is not None,
        "mounts": mounts,
        "studies": len(sent),
        "read by": {name: _read_by(member) for name, member in members.items()},
        "lost": sum(study not in pacs.studies for study in sent),
        "doubled": sum(count > 1 for kind in kinds for count in kind.values()),
        "changed": sum(len(digests) > 1 for digests in pacs.bytes.values()),
        "resent": sum(times - 1 for times in pacs.times.values()),
        "broken": problems.returncode,
        "audit": problems.stdout.strip().splitlines()[-1:],
        "exit codes": codes,
    }


def _ports(opened: ExitStack, receivers: list[int]) -> list[int]:
    """Where the two modalities call: the balancer if haproxy is installed, else a receiver each."""
    return receivers if HAPROXY is None else [opened.enter_context(balancer(receivers)).port] * 2


def _mounted(opened: ExitStack, member: Member) -> dict[str, dict[str, Any]]:
    """Mount the shared folder for one member; the sections of its configuration."""
    member.data_dir.mkdir(exist_ok=True)
    at = member.folder.with_name(f"mount-{member.name}")
    seen = {"data_dir": str(opened.enter_context(mounted(member.data_dir, at)))}
    return _SECTIONS | {"node": _SECTIONS["node"] | seen}


def _is_idle(member: Member, url: str) -> bool:
    counted = read_status(member.data_dir, url)
    jobs_over = set(counted["jobs"]) <= {"done"} and not counted["instances"].get("undecided")
    return jobs_over and not any(_UNFINISHED & set(each) for each in counted["deliveries"].values())


def _read_by(member: Member) -> int:
    return len(re.findall("study read", (member.folder / "log.txt").read_text()))


def _wait(done: Any) -> None:
    deadline = time.monotonic() + _DRAIN_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError("the cluster did not get there")
        time.sleep(0.2)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
