"""A real Prometheus scrapes the node's metrics with the rules of docs; Chromium shows its page."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from interop.install import CHROMIUM
from interop.verdicts import Verdict, verdict
from support.fakes import refused, store_harness
from support.film import film, write
from support.peer import free_port

from dicom_node.config import Config
from dicom_node.service import pidfile
from dicom_node.service.web.server import serve

NAME = "monitoring"
RULES = Path(__file__).parents[2] / "docs" / "monitoring" / "alerts.yaml"

_JOB = "dicom-node"  # as the rules call it
_PATIENCE = 90.0  # seconds
_RUNNING = ("supervisor", "receiver-1", "worker-1", "deliverer-1", "web-1")
_SHADES = {"light": "1", "dark": "0"}  # blink's names of preferred colour schemes


def check(out: Path, missing: Mapping[str, str]) -> Iterator[Verdict]:
    """Serve a node's page and metrics; ask Prometheus what it got, and Chromium for pictures."""
    out.mkdir(parents=True)
    with _web(out / "node") as port:
        if why := missing.get("prometheus"):
            yield Verdict("prometheus", NAME, "SKIP", (why,))
        else:
            yield verdict("promtool", NAME, _rules())
            with _prometheus(out / "prometheus", port) as prometheus:
                yield verdict("prometheus", NAME, _complaints(prometheus))
        if why := missing.get("chromium"):
            yield Verdict("chromium", NAME, "SKIP", (why,))
        else:
            yield verdict("chromium", NAME, _pictures(out, port))


@contextmanager
def _web(folder: Path) -> Iterator[int]:
    """Run the web process in a thread over a node with one film read and one refused."""
    folder.mkdir()
    port = free_port()
    config = Config.model_validate(
        {"node": {"data_dir": str(folder), "host": "127.0.0.1"}, "http": {"port": port}}
    )
    stop = threading.Event()
    with store_harness(folder) as node:
        node.finish(node.work("1.2"), "pacs")
        node.store.jobs.finish(node.work("1.3"), [refused("1.3.1")], {})
        write(film(), folder / "picture.dcm")
        node.sql(
            "UPDATE results SET sop_class_uid = '1.2.840.10008.5.1.4.1.1.7', path = 'picture.dcm'"
        )
        pidfile.publish(folder, dict.fromkeys(_RUNNING, os.getpid()))
        thread = threading.Thread(target=serve, args=(config, node.store, node.clock, stop))
        thread.start()
        try:
            yield port
        finally:
            stop.set()
            thread.join(20)


def _rules() -> Iterator[str]:
    done = subprocess.run(
        ["promtool", "check", "rules", RULES], capture_output=True, text=True, check=False
    )
    if done.returncode:
        yield done.stderr or done.stdout


@contextmanager
def _prometheus(folder: Path, port: int) -> Iterator[str]:
    """Run a Prometheus that scrapes the node each second; yield its address."""
    folder.mkdir()
    own = f"127.0.0.1:{free_port()}"
    values = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [
            {"job_name": _JOB, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(values))
    command = [
        "prometheus", f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={own}",
    ]  # fmt: skip
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield f"http://{own}"
    finally:
        process.terminate()
        process.wait(30)


def _complaints(prometheus: str) -> Iterator[str]:
    """Whether the node is scraped, its counters arrive, and every rule is evaluated."""
    asked = {
        f'up{{job="{_JOB}"}}': 1.0,
        'dicom_node_audit_events_total{kind="instance-received"}': 2.0,
        'dicom_node_films_refused_total{code="view"}': 1.0,
        'dicom_node_process_up{process="worker-1"}': 1.0,
    }
    for query, expected in asked.items():
        found = _until(partial(_value, prometheus, query), expected)
        if found != expected:
            yield f"{query} is {found}, not {expected:g}"
    rules = _until(partial(_states, prometheus), {"ok"})
    if rules != {"ok"}:
        yield f"rules are evaluated as {rules}"


def _value(prometheus: str, query: str) -> float | None:
    quoted = urllib.parse.quote(query)
    result = _get(f"{prometheus}/api/v1/query?query={quoted}")["data"]["result"]
    return float(result[0]["value"][1]) if result else None


def _states(prometheus: str) -> set[str]:
    groups = _get(f"{prometheus}/api/v1/rules")["data"]["groups"]
    return {rule["health"] for group in groups for rule in group["rules"]}


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own Prometheus
        return json.load(answer)


def _until(ask: Callable[[], object], expected: object) -> object:
    """What it answers at last: ``expected``, or after some time anything else."""
    deadline, found = time.monotonic() + _PATIENCE, None
    while time.monotonic() < deadline:
        try:
            found = ask()
        except OSError as error:  # it starts
            found = str(error)
        if found == expected:
            break
        time.sleep(0.5)
    return found


def _pictures(out: Path, port: int) -> Iterator[str]:
    """Screenshots of both pages, dark and light; a fault if they do not differ."""
    for page, path in (("overview", "/"), ("study", "/studies/1.2")):
        taken = {}
        for shade, scheme in _SHADES.items():
            file = out / f"{page}-{shade}.png"
            command = [
                str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                "--window-size=1280,1400", f"--blink-settings=preferredColorScheme={scheme}",
                f"--screenshot={file}", f"http://127.0.0.1:{port}{path}",
            ]  # fmt: skip
            done = subprocess.run(command, capture_output=True, timeout=300, check=False)
            if not file.is_file():
                yield f"{page}, {shade}: {done.stderr.decode()[-200:]}"
                return
            taken[shade] = file.read_bytes()
        if taken["dark"] == taken["light"]:
            yield f"{page} looks the same in the dark"
