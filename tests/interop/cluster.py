"""A round through a cluster: PostgreSQL, two receivers behind HAProxy, a third member that reads
and sends. The program asks the second receiver, which does neither.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from interop.cases import Round
from interop.servers import Orthanc
from interop.verdicts import Verdict, verdict
from support.balancer import balancer
from support.peer import free_port
from support.postgres import postgres, programs
from support.running import RunningNode, running_node

from dicom_node.config import Destination
from dicom_node.service.pidfile import processes

_ROLES = {
    "one": ["receiver"],
    "two": ["receiver"],
    "three": ["worker", "deliverer", "scheduler"],
}
_PATIENCE_SECONDS = 120.0


def lacking(missing: Mapping[str, str]) -> tuple[str, ...]:
    """Why no cluster can run here; empty if one can."""
    if why := tuple(missing[tool] for tool in ("haproxy", "postgresql") if tool in missing):
        return why
    if programs() is None:
        return ("initdb or psycopg not found; install PostgreSQL and the extra `cluster`",)
    return ()


@contextmanager
def running(
    folder: Path, destinations: Sequence[Destination], **sections: Any
) -> Iterator[RunningNode]:
    """Start the cluster; yields its second receiver, whose ``port`` is the balancer's."""
    with ExitStack() as opened:
        server = opened.enter_context(postgres("fsync=on"))
        ports = {name: free_port() for name in _ROLES}
        before = opened.enter_context(balancer([ports["one"], ports["two"]]))
        store = {"url": server.url(server.create())}
        members: dict[str, RunningNode] = {}
        for name, roles in _ROLES.items():
            (folder / name).mkdir()
            node = {
                "port": ports[name],
                "data_dir": str(_shared(folder)),
                "member": name,
                "roles": roles,
                "proxies": ["127.0.0.1"],
            }
            members[name] = opened.enter_context(
                running_node(
                    folder / name, destinations, called_at=before.port,
                    **{**sections, "node": node, "store": store},
                )
            )  # fmt: skip
        for name in ("one", "two"):  # the balancer answers as soon as one of them does
            members[name].wait_until(partial(_listens, ports[name]))
        yield members["two"]


def _listens(port: int) -> bool:
    """Connect and send nothing, as a health check does."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def _shared(folder: Path) -> Path:
    return folder / "data"


def kill_receiver(node: RunningNode) -> None:
    """Kill every process of the first member; ``node`` is the second.

    Not before every result is committed: if a report is cut, Orthanc's job fails, as it should.
    """
    node.wait_until(lambda: _is_committed(node))
    alive = processes(_shared(node.folder.parent) / "members" / "one")
    if not any(name.startswith("receiver") for name in alive):
        raise RuntimeError(f"there is no receiver to kill: {sorted(alive)}")
    for pid in sorted(alive.values()):  # the supervisor, which is the oldest, first
        os.kill(pid, signal.SIGKILL)


def check(one: Round, pacs: Orthanc, node: RunningNode) -> Iterator[Verdict]:
    """Storage commitment both ways, and the cluster seen from a member that did nothing of it."""
    yield verdict("commitment", one.name, _not_committed(one, pacs, node))
    yield verdict("dicom-node", one.name, _not_seen(one, node))


def _not_committed(one: Round, pacs: Orthanc, node: RunningNode) -> Iterator[str]:
    """Orthanc reports on the results to the balancer's address, and hears of the films."""
    node.wait_until(lambda: _is_committed(node))
    lines = [json.loads(line) for line in node.run("audit", "export").stdout.splitlines()]
    ways = {line["detail"]["by"] for line in lines if line["kind"] == "delivery-committed"}
    if ways != {"commitment"}:
        yield f"results were verified by {sorted(ways)}"
    films = [
        {
            "SOPClassUID": str(case.film.SOPClassUID),
            "SOPInstanceUID": str(case.film.SOPInstanceUID),
        }
        for case in one.cases
    ]
    if (said := _asked(pacs, films)) != "Success":
        yield f"Orthanc asked whether the node keeps the films: {said}"


def _is_committed(node: RunningNode) -> bool:
    return set(node.cli("status", "--json")["deliveries"]["pacs"]) == {"committed"}


def _asked(pacs: Orthanc, films: Sequence[Mapping[str, str]]) -> str:
    """Let Orthanc request storage commitment of the node; the status that it has in the end."""
    question = json.dumps({"DicomInstances": films, "Timeout": 30}).encode()
    where = f"http://127.0.0.1:{pacs.http}/modalities/node/storage-commitment"
    request = urllib.request.Request(where, question)
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - loopback
        place = json.load(answer)["Path"]
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (status := pacs.get(place)["Status"]) == "Pending" and time.monotonic() < deadline:
        time.sleep(0.5)
    return str(status)


def _not_seen(one: Round, node: RunningNode) -> Iterator[str]:
    """`check_pacs` looked at the counts and verified the audit chain from here as well."""
    members = {each["member"] for each in node.cli("status", "--json")["members"]}
    if members != set(_ROLES):
        yield f"status lists the members {sorted(members)}"
    sent = {case.study for case in one.cases}
    listed = {each["study_instance_uid"] for each in node.cli("studies", "--json")}
    if listed != sent:
        yield f"studies lists {len(listed & sent)} of the {len(sent)} studies"
