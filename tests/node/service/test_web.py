"""Health, metrics and the page: read-only, on loopback, over a node's store."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import Request
from support.certificates import identity
from support.fakes import StoreHarness, refused, store_harness
from support.film import film, write
from support.peer import free_port

from dicom_node.config import Config, HttpConfig
from dicom_node.domain.audit import AuditKind, AuditRecord
from dicom_node.service import pidfile
from dicom_node.service.web.access import Access
from dicom_node.service.web.connection import PromptConnection
from dicom_node.service.web.history import History
from dicom_node.service.web.server import serve

RUNNING = ("supervisor", "receiver-1", "worker-1", "deliverer-1", "web-1")


@dataclass
class Web:
    """The web process in a thread, and a browser without JavaScript."""

    node: StoreHarness
    data_dir: Path
    port: int

    def get(self, path: str, host: str = "127.0.0.1") -> tuple[int, str]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", headers={"Host": host}
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except urllib.error.URLError:
            return 0, ""

    def run(self) -> None:
        """Pretend that every process runs."""
        pidfile.publish(self.data_dir, dict.fromkeys(RUNNING, os.getpid()))

    def metrics(self) -> dict[tuple[str, str], float]:
        """Values by name and the values of the labels."""
        families = text_string_to_metric_families(self.get("/metrics")[1])
        return {
            (
                sample.name.removeprefix("dicom_node_"),
                ",".join(sample.labels.values()),
            ): sample.value
            for family in families
            for sample in family.samples
        }


class Hasty(PromptConnection):
    """A connection with limits that a test can wait for."""

    seconds = 2.0
    most = 20


class Crowded(PromptConnection):
    """A connection of which there may be few, and that lasts longer than a test."""

    most = 20


@pytest.fixture
def web(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Web]:
    connection: type[PromptConnection] = getattr(request, "param", PromptConnection)
    port = free_port()
    config = Config.model_validate(
        {
            "node": {"data_dir": str(tmp_path), "host": "127.0.0.1"},
            "http": {"port": port},
            "audit": {"checkpoint_dir": str(tmp_path.parent / "checkpoints")},
            "delivery": {"late_minutes": 1e9},
            "spool": {"min_free_mb": 0},
        }
    )
    stop = threading.Event()
    with store_harness(tmp_path) as node:
        arguments = (config, node.store, node.clock, stop, connection)
        thread = threading.Thread(target=serve, args=arguments)
        thread.start()
        made = Web(node, tmp_path, port)
        while made.get("/healthz")[0] == 0:
            assert thread.is_alive()
        yield made
        stop.set()
        thread.join(20)
        assert not thread.is_alive()


def test_health_and_readiness_differ(web: Web) -> None:
    """The process answers; the node is ready while all of its processes run."""
    assert web.get("/healthz") == (200, "ok\n")
    assert web.get("/readyz") == (503, "the node is not running\n")
    web.run()
    assert web.get("/readyz") == (200, "ok\n")


def test_metrics_count_what_happened_and_what_waits(web: Web) -> None:
    """In the text format that Prometheus' own parser reads; a second scrape counts on."""
    web.run()
    node = web.node
    node.finish(node.work("1.2"), "pacs")
    node.store.jobs.finish(node.work("1.3"), [refused("1.3.1")], {})
    first = web.metrics()
    assert first["audit_events_total", "instance-received"] == 2
    assert first["films_refused_total", "view"] == 1
    assert first["instances", "read"] == 1
    assert first["deliveries", "pacs,pending"] > 0
    assert first["process_up", "worker-1"] == 1
    assert first["disk_free_bytes", ""] > 0
    assert ("alarms", "stopped,critical") not in first
    node.work("1.4")
    assert web.metrics()["audit_events_total", "instance-received"] == 3


class _Checker(HTMLParser):
    """Collects what a screen reader and a browser without scripts need."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: dict[str, dict[str, str | None]] = {}
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes[tag] = dict(attrs)
        self.links += [value for name, value in attrs if name == "href" and value]


def test_the_page_leads_with_what_is_wrong_and_links_each_study(web: Web) -> None:
    """Without scripts; with a language, headers of tables, and the warning on top."""
    web.node.finish(web.node.work("1.2"), "pacs")
    status, text = web.get("/")
    assert status == 200
    page = _Checker()
    page.feed(text)
    assert "script" not in page.tags
    assert page.attributes["html"]["lang"] == "en"
    assert {"main", "h1", "th"} <= set(page.tags)
    assert "/studies/1.2" in page.links
    assert text.index("NOT FOR DIAGNOSTIC USE") < text.index("the node is not running")
    assert text.index("the node is not running") < text.index("Last studies")
    assert "systemctl start dicom-node" in text
    assert "below the cut-off" in text
    assert "<td>MODALITY</td>" in text
    assert web.get("/style.css")[0] == 200


def test_a_screen_reader_finds_its_way(web: Web) -> None:
    """Every id that a label or link names is there; wide tables are scrolled by keyboard."""
    web.node.finish(web.node.work("1.2"), "pacs")
    for path in ("/", "/studies/1.2"):
        text = web.get(path)[1]
        named = set(re.findall(r'aria-labelledby="([^"]+)"|href="#([^"]+)"', text))
        ids = re.findall(r' id="([^"]+)"', text)
        assert {label or link for label, link in named} <= set(ids)
        assert len(ids) == len(set(ids))
        assert text.count("<table") == text.count('role="region"') == text.count('tabindex="0"')
        assert {"nav", "main", "header"} <= set(re.findall(r"<(\w+)", text))
        assert text.index("Skip to the content") < text.index("<nav")


def test_a_study_s_page_is_recorded_in_the_audit_log(web: Web) -> None:
    """Films, results and deliveries are shown; an unknown study is a page that says so."""
    web.node.finish(web.node.work("1.2"), "pacs")
    status, text = web.get("/studies/1.2")
    assert status == 200
    assert "1.2.1" in text
    assert "pacs: pending" in text
    assert web.node.kinds()[-1] is AuditKind.AUDIT_READ
    assert web.get("/studies/1.9")[0] == 404


def test_what_a_peer_wrote_is_shown_as_text(web: Web) -> None:
    """Markup in an AE title or a reason acts on no browser."""
    web.node.receive("1.2")
    web.node.sql("UPDATE instances SET calling_ae_title = '<b>CR1</b>'")
    assert "&lt;b&gt;CR1&lt;/b&gt;" in web.get("/studies/1.2")[1]


def test_a_study_s_pictures_are_on_its_page(web: Web) -> None:
    """As a browser shows them, each access with an audit line; another object is not served."""
    node = web.node
    node.finish(node.work("1.2"), "pacs")
    path = web.data_dir / "picture.dcm"
    capture = film()
    write(capture, path)
    node.sql("UPDATE results SET sop_class_uid = '1.2.840.10008.5.1.4.1.1.7', path = 'picture.dcm'")
    page = web.get("/studies/1.2")[1]
    source = re.findall(r'<img src="([^"]+)" alt="[^"]+"', page)[0]
    with urllib.request.urlopen(f"http://127.0.0.1:{web.port}{source}", timeout=20) as answer:
        picture = Image.open(io.BytesIO(answer.read()))
        assert answer.headers["Content-Type"] == "image/png"
    assert picture.size == (capture.Columns, capture.Rows)
    assert node.kinds()[-1] is AuditKind.AUDIT_READ
    path.unlink()
    assert web.get(source)[0] == 404
    assert web.get("/studies/1.2/1.2.1")[0] == 404


def _request(authorization: str = "", **headers: str) -> Request:
    """A request from this machine."""
    headers |= {"Authorization": authorization} if authorization else {}
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": encoded, "client": ("127.0.0.1", 1)})


def _basic(name: str, passcode: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{passcode}".encode()).decode()


def test_a_login_is_a_line_of_the_users_file(tmp_path: Path) -> None:
    """The audit log gets its name; five wrong ones lock the address out."""
    users = tmp_path / "users"
    users.write_text("ward:open:sesame\n")
    access = Access.of(HttpConfig(users_file=users))
    assert access.user(_request(_basic("ward", "open:sesame"))) == "ward"
    assert access.user(_request()) is None
    assert access.user(_request("Bearer abc")) is None
    assert access.user(_request("Basic ***")) is None
    assert access.refuse().headers["WWW-Authenticate"].startswith("Basic ")
    for _ in range(5):
        assert access.user(_request(_basic("ward", "guess"))) is None
    assert access.user(_request(_basic("ward", "open:sesame"))) is None


def test_a_reverse_proxy_names_the_user(tmp_path: Path) -> None:
    """Without its header there is no page; without any login, everyone of this machine looks."""
    access = Access.of(HttpConfig(user_header="X-Remote-User"))
    assert access.user(_request(**{"X-Remote-User": "doe"})) == "doe"
    assert access.user(_request()) is None
    assert access.refuse().status_code == 403
    assert Access.of(HttpConfig()).user(_request()) == "web"


@pytest.mark.parametrize(
    ("http", "reason"),
    [
        ({"host": "192.0.2.1"}, "needs users_file"),
        ({"host": "192.0.2.1", "users_file": "u"}, "needs tls.certificate_file"),
        ({"host": "192.0.2.1", "user_header": "X-User"}, "needs host 127.0.0.1"),
        ({"users_file": "u", "user_header": "X-User"}, "not both"),
    ],
    ids=str,
)
def test_the_page_is_never_open_to_the_network(http: dict[str, object], reason: str) -> None:
    """Only with a login, and only over TLS."""
    with pytest.raises(ValueError, match=reason):
        Config.model_validate({"http": {"port": 8042, **http}})


def test_a_new_process_reads_the_new_lines_only(tmp_path: Path) -> None:
    """Unless the line up to which was counted is another one now, as after a restored backup."""
    with store_harness(tmp_path) as node:
        node.work("1.2")
        first = History(lines=node.store.audit, folder=tmp_path)
        first.update()
        node.work("1.3")
        asked: list[int] = []

        class Log:
            hash_at = node.store.audit.hash_at

            def after(self, sequence: int, count: int) -> list[AuditRecord]:
                asked.append(sequence)
                return node.store.audit.after(sequence, count)

        second = History(lines=Log(), folder=tmp_path)
        second.update()
        assert asked[0] == first.last > 0
        assert second.events["instance-received"] == 2
        kept = json.loads((tmp_path / "metrics.json").read_text())
        (tmp_path / "metrics.json").write_text(json.dumps({**kept, "hash": "0" * 64}))
        third = History(lines=Log(), folder=tmp_path)
        third.update()
        assert third.events == second.events
        assert 0 in asked


def _connections(web: Web, count: int, source: str = "127.0.0.1") -> list[socket.socket]:
    address, own = ("127.0.0.1", web.port), (source, 0)
    return [socket.create_connection(address, 10, own) for _ in range(count)]


def _is_cut_while_it_drips(peer: socket.socket) -> bool:
    peer.settimeout(0.01)
    for _ in range(100):
        time.sleep(0.1)
        with suppress(TimeoutError):
            try:
                peer.sendall(b"X")
                if peer.recv(1) == b"":
                    return True
            except (ConnectionResetError, BrokenPipeError):
                return True
    return False


@pytest.mark.parametrize("web", [Hasty], indirect=True)
def test_silent_and_slow_connections_are_cut(web: Web) -> None:
    """Of too many from one address, the oldest; a dripping request, at its deadline."""
    (other,) = _connections(web, 1, "127.0.0.2")
    silent = _connections(web, 30)
    other.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert other.recv(100).startswith(b"HTTP/1.1 200")
    assert web.get("/healthz") == (200, "ok\n")
    assert silent[0].recv(1) == b""
    (slow,) = _connections(web, 1)
    assert _is_cut_while_it_drips(slow)
    for each in (*silent, slow, other):
        each.close()


def test_an_unfinished_tls_handshake_is_cut(tmp_path: Path) -> None:
    """A page for other machines waits for it no longer than for a request."""
    with (
        _page_over_tls(tmp_path, Hasty) as (address, trusting),
        socket.create_connection(address, 10) as silent,
    ):
        assert _is_healthy(address, trusting)
        silent.settimeout(10)
        assert silent.recv(1) == b""


def test_many_unfinished_tls_handshakes_shut_out_no_one(tmp_path: Path) -> None:
    """Of more than there may be, the oldest ends at once, and a browser gets its page."""
    with _page_over_tls(tmp_path, Crowded) as (address, trusting), ExitStack() as sockets:
        silent = [
            sockets.enter_context(socket.create_connection(address, 10))
            for _ in range(Crowded.most + 5)
        ]
        assert _is_healthy(address, trusting)
        for each in silent[:5]:
            each.settimeout(5)  # half of what a handshake may last
            assert each.recv(1) == b""
        silent[-1].settimeout(0.1)
        with pytest.raises(TimeoutError):
            silent[-1].recv(1)


@contextmanager
def _page_over_tls(
    folder: Path, connection: type[PromptConnection]
) -> Iterator[tuple[tuple[str, int], ssl.SSLContext]]:
    """Serve the page to other machines; its address, and a context that trusts it."""
    (folder / "users").write_text("anna:secret\n")
    port = free_port()
    http = {"port": port, "host": "0.0.0.0", "users_file": str(folder / "users")}  # noqa: S104
    config = Config.model_validate(
        {
            "node": {"data_dir": str(folder)},
            "http": http,
            "tls": identity(folder, "node").model_dump(),
        }
    )
    stop, address = threading.Event(), ("127.0.0.1", port)
    with store_harness(folder) as node:
        arguments = (config, node.store, node.clock, stop, connection)
        thread = threading.Thread(target=serve, args=arguments)
        thread.start()
        try:
            while (first := _connected(address)) is None:
                assert thread.is_alive()
            first.close()
            yield address, ssl.create_default_context(cafile=config.tls.ca_file)
        finally:
            stop.set()
            thread.join(20)


def _is_healthy(address: tuple[str, int], trusting: ssl.SSLContext) -> bool:
    with (
        socket.create_connection(address, 10) as plain,
        trusting.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
    ):
        secure.sendall(b"GET /healthz HTTP/1.1\r\nHost: node\r\n\r\n")
        return secure.recv(100).startswith(b"HTTP/1.1 200")


def _connected(address: tuple[str, int]) -> socket.socket | None:
    with suppress(OSError):
        return socket.create_connection(address, 1)
    time.sleep(0.02)
    return None


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 50000,
        b"GET /" + b"a" * 10**6,
        b"GET /../../../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /studies/..%2f..%2fetc%2fpasswd HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /studies/%00'%22 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /studies/1.2/..%2fnode.db HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /studies/%ff%fe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: evil\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\nx",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
    ],
    ids=lambda sent: sent[:40].decode("latin-1"),
)
def test_a_hostile_request_gets_nothing(web: Web, request_: bytes) -> None:
    """No file, no error of the program's, and the next request is answered."""
    (peer,) = _connections(web, 1)
    with suppress(OSError):
        peer.sendall(request_)
        peer.shutdown(socket.SHUT_WR)
    answer = b""
    with suppress(OSError):
        while piece := peer.recv(65536):
            answer += piece
    peer.close()
    assert b"root:" not in answer
    assert b"SQLite" not in answer
    assert not re.match(rb"HTTP/1.1 5", answer)
    assert web.get("/healthz") == (200, "ok\n")


def test_a_page_of_another_site_reads_nothing(web: Web) -> None:
    """A foreign host name that resolves to this machine (DNS rebinding) is refused."""
    assert web.get("/", host="evil.example")[0] == 400


MONITORING = Path(__file__).parents[3] / "docs" / "monitoring"


@pytest.mark.parametrize("name", ["alerts.yaml", "grafana.json"])
def test_board_and_rules_ask_for_metrics_that_exist(web: Web, name: str) -> None:
    """Every metric that an expression names is one of a node that read and refused films."""
    node = web.node
    node.finish(node.work("1.2"), "pacs")
    node.store.breakers.failed("pacs", "nothing listens", node.clock.now)
    node.store.jobs.finish(node.work("1.3"), [refused("1.3.1")], {})
    asked = set(re.findall(r"dicom_node_\w+", (MONITORING / name).read_text()))
    shown = set(re.findall(r"^# TYPE (\w+)", web.get("/metrics")[1], re.M))
    endings = re.compile(r"_bucket$")
    assert {endings.sub("", each) for each in asked} - {"dicom_node_certificate_days"} <= shown
