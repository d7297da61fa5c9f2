"""A cluster on this machine: PostgreSQL, two receivers, three workers, two deliverers.

    PYTHONPATH=.:tests python -m cluster --studies 20 --kill

Only the networks are a stand-in, as in the crash matrix. With ``--kill`` one member is killed as a
whole in the middle, PostgreSQL crashes, and both start again.
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
from pathlib import Path
from typing import Any

import yaml
from crash.matrix import MortalNode
from crash.pacs import CountingPacs
from crash.traffic import Traffic
from support.peer import destination, free_port
from support.postgres import Postgres, postgres

from dicom_node.store.status import read_status

_MEMBERS = {
    "one": ("receiver", "worker", "deliverer", "scheduler"),
    "two": ("receiver", "worker", "deliverer", "scheduler"),
    "three": ("worker",),
}
_DRAIN_SECONDS = 240.0
_UNFINISHED = {"pending", "sending", "sent", "accepted"}


class Member(MortalNode):
    """A node of the cluster; all share one data folder."""

    @property
    def data_dir(self) -> Path:
        return self.folder.parent / "data"


def main() -> int:
    """Run the cluster, print what came of it as JSON; 0 if nothing was lost, doubled or changed."""
    parser = argparse.ArgumentParser(prog="cluster", description=__doc__)
    parser.add_argument("--studies", type=int, default=20)
    parser.add_argument("--kill", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cluster-") as folder, postgres("fsync=on") as server:
        found = run(Path(folder), server, asked.studies, kill=asked.kill)
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    return 0 if not any(found[bad] for bad in ("lost", "doubled", "changed", "broken")) else 1


def run(folder: Path, server: Postgres, studies: int, *, kill: bool) -> dict[str, Any]:
    """Send the studies through the cluster, wait for their results, and count."""
    url = server.url(server.create())
    members = {name: Member(folder=folder / name, port=free_port()) for name in _MEMBERS}
    one, two = members["one"], members["two"]
    started = time.monotonic()
    with CountingPacs(folder / "pacs", two.port) as pacs:
        for name, member in members.items():
            _start(member, _settings(name, member, pacs.port, url))
        # Each receiver has a modality of its own.
        traffic = [Traffic(each.folder / "in", each, pacs.complete, studies) for each in (one, two)]
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


def _start(member: Member, settings: dict[str, Any]) -> None:
    for folder in ("in", "orders"):
        (member.folder / folder).mkdir(parents=True)
    member.config.write_text(yaml.safe_dump(settings))
    member.start()


def _settings(name: str, member: Member, pacs_port: int, url: str) -> dict[str, Any]:
    return {
        "node": {
            "host": "127.0.0.1", "port": member.port, "data_dir": str(member.data_dir),
            "member": name, "roles": list(_MEMBERS[name]),
        },
        "store": {"url": url},
        "destinations": [destination(pacs_port).model_dump(mode="json")],
        "study": {"quiet_seconds": 0.3},
        "gate": {"enabled": False},
        "results": {"picture_width": 512, "key_objects": True},
        "workers": {"count": 1, "threads": 1, "lease_seconds": 20, "max_attempts": 100},
        "delivery": {
            "first_retry_seconds": 0.3, "max_retry_seconds": 1.0, "timeout_seconds": 10.0,
            "commitment_wait_seconds": 0.2, "commitment_timeout_seconds": 3.0,
            "commitment_attempts": 100, "lease_seconds": 20,
        },
        "spool": {"min_free_mb": 0},
    }  # fmt: skip


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
