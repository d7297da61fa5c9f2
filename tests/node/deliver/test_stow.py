"""STOW-RS against a loopback service, polite and otherwise."""

from __future__ import annotations

import gzip
import json
import logging
import threading
import time
import tracemalloc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from itertools import repeat
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit
from support.answers import NO_ANSWER, NOT_ACCEPTED, NOT_SENT, UNREADABLE, Said, said
from support.answers import UNAVAILABLE as NO_WAY
from support.film import Stored, film, phantom, write
from support.peer import dripping, free_port, silent_port
from support.stow import FAILURE, WARNING, Act, Stow

from dicom_node.config import WebDestination
from dicom_node.deliver.status import event_for
from dicom_node.deliver.stow import StowSender
from dicom_node.domain.states import DeliveryEvent

STORED = (0x0000, "0x0000 stored")
SECRET = "s3cret-token"  # noqa: S105 - a test's
ACCEPTED, UNAVAILABLE, REFUSED = (
    DeliveryEvent.ACCEPTED,
    DeliveryEvent.UNAVAILABLE,
    DeliveryEvent.REFUSED,
)


def service(url: str, **keys: object) -> WebDestination:
    return WebDestination.model_validate({"kind": "dicomweb", "name": "web", "url": url, **keys})


def send(url: str, paths: list[Path], **keys: object) -> list[tuple[Said, str]]:
    return said(StowSender([service(url, **keys)], 5.0).send("web", paths))


@pytest.fixture
def films(tmp_path: Path) -> list[Path]:
    films = [film(phantom(64, 64)) for _ in range(3)]
    return [write(ds, tmp_path / f"{ds.SOPInstanceUID}.dcm") for ds in films]


def test_every_object_is_stored_and_has_its_answer(films: list[Path]) -> None:
    """What arrives is what lies on disk."""
    with Stow() as web:
        assert send(web.url, films) == [STORED] * 3
        for path in films:
            assert web.stored[path.stem] == path.read_bytes()
        assert {path for _, path, _ in web.requests} == {"/dicom-web/studies"}


def test_a_large_object_arrives_whole(tmp_path: Path) -> None:
    """More than the client sends in one piece."""
    path = write(film(np.zeros((800, 800), np.float32)), tmp_path / "large.dcm")
    with Stow() as web:
        assert send(web.url, [path]) == [STORED]
        assert list(web.stored.values()) == [path.read_bytes()]


@pytest.mark.parametrize(
    ("act", "event", "status"),
    [
        ({WARNING: 0xB000}, ACCEPTED, 0xB000),
        ({FAILURE: 0xA700}, UNAVAILABLE, 0xA700),
        ({FAILURE: 0x0110}, UNAVAILABLE, 0x0110),
        ({FAILURE: 0xA900}, REFUSED, 0xA900),
        ({FAILURE: 0x0122}, REFUSED, 0x0122),
        ({FAILURE: 0xC122}, REFUSED, 0xC122),
        ({FAILURE: 0x0111}, ACCEPTED, 0x0111),
        ({FAILURE: 0xB00E}, ACCEPTED, 0x0111),  # there already, in Azure's words
        ({FAILURE: 0xB00F}, UNAVAILABLE, 0x0110),  # failed, with a code that says stored
        (400, REFUSED, None),
        (403, REFUSED, None),
        (404, REFUSED, None),
        (413, REFUSED, None),
        (302, REFUSED, None),
        (401, UNAVAILABLE, None),
        (408, UNAVAILABLE, None),
        (424, UNAVAILABLE, None),
        (429, UNAVAILABLE, None),
        (500, UNAVAILABLE, None),
        (503, UNAVAILABLE, None),
        (204, UNAVAILABLE, None),  # nothing said of the object: not known to be stored
        (b"{}", UNAVAILABLE, None),
        (b"<html>Welcome</html>", UNAVAILABLE, None),
        (b'{"00081199": 7}', UNAVAILABLE, None),
    ],
    ids=str,
)
def test_the_answer_decides(
    films: list[Path], act: Act, event: DeliveryEvent, status: int | None
) -> None:
    """Stored, tried again or held, by the codes of DIMSE, else by the HTTP status."""
    with Stow([act]) as web:
        [answer] = StowSender([service(web.url)], 5.0).send("web", films[:1])
    assert (event_for(answer), answer.status) == (event, status)
    assert answer.reason


def test_one_refused_object_leaves_the_others_alone(films: list[Path]) -> None:
    """Each object has an answer of its own, an HTTP error included."""
    with Stow([None, {FAILURE: 0xA900}]) as web:
        assert [status for status, _ in send(web.url, films)] == [0, 0xA900, 0]
    with Stow([None, 413]) as web:
        assert [status for status, _ in send(web.url, films)] == [0, NOT_ACCEPTED, 0]


@pytest.mark.parametrize(
    "media_type", ["application/dicom+json; charset=utf-8", "application/json"]
)
def test_the_media_type_may_have_parameters(films: list[Path], media_type: str) -> None:
    """JSON is JSON, whatever is written behind it."""
    with Stow(media_type=media_type) as web:
        assert send(web.url, films[:1]) == [STORED]


def test_a_service_that_is_down_is_asked_once(films: list[Path]) -> None:
    """Nothing was sent: all objects are put off, as with a PACS that does not answer."""
    url = f"http://127.0.0.1:{free_port()}/dicom-web"
    assert send(url, films) == [(NO_WAY, f"cannot reach {url}")] * 3


def test_a_busy_service_is_asked_once(films: list[Path]) -> None:
    """503 is said of the service, not of the object."""
    with Stow([503]) as web:
        assert {status for status, _ in send(web.url, films)} == {NO_WAY}
        assert len(web.requests) == 1


def test_what_breaks_the_service_steps_back(films: list[Path]) -> None:
    """Objects behind the one that got no answer come before it next time."""
    with Stow([None, 0]) as web:
        statuses = [status for status, _ in send(web.url, films)]
    assert statuses == [0, NO_ANSWER, NOT_SENT]


def test_a_silent_service_costs_one_time_out(films: list[Path]) -> None:
    """Neither a port that never answers nor a slow answer holds the deliverer."""
    with silent_port() as port:
        sender = StowSender([service(f"http://127.0.0.1:{port}")], 0.2)
        statuses = [status for status, _ in said(sender.send("web", films))]
        assert statuses == [NO_ANSWER, NOT_SENT, NOT_SENT]
        assert not sender.echo("web").ok


def test_a_file_that_is_none_is_not_sent(films: list[Path], tmp_path: Path) -> None:
    """A missing file, or one that is no DICOM, does not reach the service."""
    (tmp_path / "text").write_text("hello")
    with Stow() as web:
        answers = send(web.url, [tmp_path / "none.dcm", tmp_path / "text", films[0]])
        assert [status for status, _ in answers] == [UNREADABLE, UNREADABLE, 0]
        assert len(web.requests) == 1


def test_the_token_is_read_again_from_its_file(films: list[Path], tmp_path: Path) -> None:
    """A renewed token needs no restart."""
    token = tmp_path / "token"
    with Stow() as web:
        sender = StowSender([service(web.url, token_file=token)], 5.0)
        for word in ("first", "second"):
            token.write_text(f"{word}\n")
            said(sender.send("web", films[:1]))
        assert [headers["Authorization"] for *_, headers in web.requests] == [
            "Bearer first",
            "Bearer second",
        ]


def test_the_token_from_the_environment(films: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable's name is configured, its value is not."""
    monkeypatch.setenv("SITE_TOKEN", SECRET)
    with Stow() as web:
        assert send(web.url, films[:1], token_env="SITE_TOKEN") == [STORED]  # noqa: S106 - a name
        assert web.requests[0][2]["Authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize("content", [None, "", "two\nlines", "ümlaut"])
def test_no_token_is_no_reason_to_hold(
    films: list[Path], tmp_path: Path, content: str | None
) -> None:
    """A token that is missing or none is said so; the objects wait for it."""
    if content is not None:
        (tmp_path / "token").write_text(content)
    with Stow() as web:
        [(status, reason)] = send(web.url, films[:1], token_file=tmp_path / "token")
        assert web.requests == []
    assert status is NO_WAY
    assert "token" in reason


def test_the_token_is_never_logged(
    films: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither in an answer nor in any library's log."""
    (tmp_path / "token").write_text(SECRET)
    caplog.set_level(logging.DEBUG)
    result = []
    for act in (None, 401, 500, 0, b"no", {FAILURE: 0xA900}):
        with Stow([act]) as web:
            result += send(web.url, films[:1], token_file=tmp_path / "token")
    gone = f"http://127.0.0.1:{free_port()}"
    result += send(gone, films[:1], token_file=tmp_path / "token")
    assert len(result) == 7
    assert SECRET not in f"{result}{caplog.text}"
    assert str(dcmread(films[0]).PatientName) not in f"{result}{caplog.text}"


def test_no_proxy_and_no_password_of_the_machine(
    films: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The objects go to the configured address under the configured user."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password me\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    with Stow() as web:
        assert send(web.url, films[:1]) == [STORED]
        assert "Authorization" not in web.requests[0][2]


def test_a_ca_file_that_is_not_there(films: list[Path], tmp_path: Path) -> None:
    """A mistake in the configuration is a reason, not a crash."""
    url = f"https://127.0.0.1:{free_port()}"
    [(status, reason)] = send(url, films[:1], ca_file=tmp_path / "ca.pem")
    assert status is NO_WAY
    assert reason == f"no such file: {tmp_path / 'ca.pem'}"


def test_echo_searches_for_one_study() -> None:
    """QIDO-RS, one study at most."""
    with Stow() as web:
        result = StowSender([service(web.url)], 5.0).echo("web")
        assert (result.ok, result.reason) == (True, f"{web.url} answers")
        assert web.requests[0][:2] == ("GET", "/dicom-web/studies?limit=1")


@pytest.mark.parametrize("act", [401, 404, 500, 302])
def test_echo_reports_the_cause(act: int) -> None:
    """The HTTP status, in words."""
    with Stow([act]) as web:
        result = StowSender([service(web.url)], 5.0).echo("web")
    assert not result.ok
    assert f"HTTP {act}" in result.reason


class _Hostile(BaseHTTPRequestHandler):
    """Answers each request with the body of its class, a piece every so often."""

    protocol_version = "HTTP/1.1"
    pieces: Iterable[bytes] = ()
    pause_seconds = 0.0
    encoding = "identity"
    chunked = False

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it has
        """Say nothing."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/dicom+json")
        self.send_header("Content-Encoding", self.encoding)
        if self.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(1 << 30))
        self.end_headers()
        with suppress(OSError):
            for piece in self.pieces:
                framed = b"%x\r\n%b\r\n" % (len(piece), piece) if self.chunked else piece
                self.wfile.write(framed)
                self.wfile.flush()
                time.sleep(self.pause_seconds)
            if self.chunked:
                self.wfile.write(b"0\r\n\r\n")
        self.close_connection = True


@contextmanager
def hostile(**behaviour: object) -> Iterator[str]:
    """Serve on loopback with a handler of this behaviour; gives the URL."""
    handler = type("Handler", (_Hostile,), behaviour)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads, server.block_on_close = True, False
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/dicom-web"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("chunked", [False, True])
def test_an_answer_that_drips_is_given_up(films: list[Path], chunked: bool) -> None:
    """A byte now and then does not extend the time an answer may take."""
    drip = {"pieces": [b" "] * 150, "pause_seconds": 0.1, "chunked": chunked}
    with hostile(**drip) as url:
        began = time.monotonic()
        answers = said(StowSender([service(url)], 0.5).send("web", films))
        assert time.monotonic() - began < 10
    assert [status for status, _ in answers] == [NO_ANSWER, NOT_SENT, NOT_SENT]


#: The first bytes of a ServerHello that is to have 16 kB.
HALF_HANDSHAKE = b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb\x03\x03"


@pytest.mark.parametrize(
    ("scheme", "beginning"),
    [("http", b"HTTP/1.1 200 OK\r\nX-Long: "), ("https", HALF_HANDSHAKE)],
    ids=["headers", "handshake"],
)
def test_what_drips_before_the_answer_is_given_up(
    films: list[Path], scheme: str, beginning: bytes
) -> None:
    """The deadline holds from the first byte of the exchange, for a probe too."""
    with dripping(beginning) as port:
        sender = StowSender([service(f"{scheme}://127.0.0.1:{port}")], 0.4)
        began = time.monotonic()
        [(status, reason), *_] = said(sender.send("web", films))
        echo = sender.echo("web")
        assert time.monotonic() - began < 8
    assert status is NO_ANSWER
    assert "too long" in reason or "in time" in reason
    assert not echo.ok


@pytest.mark.parametrize("chunked", [False, True])
def test_an_answer_without_end_is_given_up(films: list[Path], chunked: bool) -> None:
    """No more than a megabyte of an answer is read."""
    with hostile(pieces=repeat(bytes(1 << 16)), chunked=chunked) as url:
        [(status, reason), *_] = send(url, films)
    assert (status, reason) == (NO_ANSWER, "the service's answer is too large")


@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip", "deflate"])
def test_a_compressed_answer_is_never_large_in_memory(films: list[Path], encoding: str) -> None:
    """A small answer that would decompress to much more is given up."""
    bomb = gzip.compress(bytes(1 << 26))
    with hostile(pieces=[bomb], chunked=True, encoding=encoding) as url:
        tracemalloc.start()
        [(status, _), *_] = send(url, films)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert status is NO_ANSWER
    assert peak < 1 << 24


def test_a_small_compressed_answer_is_read(films: list[Path]) -> None:
    """Some services compress whether asked or not."""
    ds = dcmread(films[0])
    item = {"00081155": {"vr": "UI", "Value": [str(ds.SOPInstanceUID)]}}
    body = json.dumps({"00081199": {"vr": "SQ", "Value": [item]}}).encode()
    with hostile(pieces=[gzip.compress(body)], chunked=True, encoding="gzip") as url:
        assert send(url, films[:1]) == [STORED]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A picture as the node makes it: a Secondary Capture as JPEG."""
    grey = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1))
    ds = film(grey, kind="sc", stored=Stored(bits=8), syntax=JPEGBaseline8Bit)
    return write(ds, tmp_path / "picture.dcm")


@pytest.mark.parametrize("act", [{FAILURE: 0xC122}, {FAILURE: 0x0122}, 400, 415], ids=str)
def test_a_service_that_takes_no_jpeg_gets_the_picture_decoded(picture: Path, act: Act) -> None:
    """Once more, under the same UID, as a PACS gets it by C-STORE."""
    with Stow([act]) as web:
        assert send(web.url, [picture]) == [STORED]
        [arrived] = [dcmread(BytesIO(each)) for each in web.stored.values()]
        assert len(web.requests) == 2
    original = dcmread(picture)
    assert arrived.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert arrived.SOPInstanceUID == original.SOPInstanceUID
    assert np.array_equal(arrived.pixel_array, original.pixel_array)


@pytest.mark.parametrize("act", [{FAILURE: 0xC122}, 415], ids=str)
def test_a_picture_is_decoded_once(picture: Path, films: list[Path], act: Act) -> None:
    """What is refused again is refused; and the pixels of other objects are never touched."""
    with Stow([act, act]) as web:
        [(status, _)] = send(web.url, [picture])
        assert (status != 0, len(web.requests)) == (True, 2)
    with Stow([act]) as web:
        [(status, _)] = send(web.url, films[:1])
        assert (status != 0, len(web.requests)) == (True, 1)
