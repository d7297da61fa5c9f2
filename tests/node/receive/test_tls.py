"""DICOM over TLS: which peers are accepted, why others fail, and new certificates."""

from __future__ import annotations

import shutil
import socket
import ssl
import time
from contextlib import suppress
from pathlib import Path

import pytest
from pydicom import dcmread
from structlog.testing import capture_logs
from support.answers import said
from support.certificates import authority, identity
from support.receiving import MemoryStore, association, eventually, receiver, small_film

from dicom_node.config import CallingPeer, DicomDestination, TlsConfig
from dicom_node.deliver.scu import StoreSender
from dicom_node.domain.audit import AuditKind
from dicom_node.errors import ConfigError
from dicom_node.receive.limits import Limits
from dicom_node.receive.silent import Handshakes
from dicom_node.tls import context


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def sender(port: int, ours: TlsConfig, **more: object) -> StoreSender:
    peer = DicomDestination(
        name="node", ae_title="AINODE", host="127.0.0.1", port=port, tls=True
    ).model_copy(update=more)
    return StoreSender("MODALITY", [peer], 5.0, tls=ours)


def reasons(store: MemoryStore, kind: AuditKind = AuditKind.TLS_FAILED) -> list[object]:
    return [event.detail["reason"] for event in store.events if event.kind is kind]


def test_a_film_comes_over_mutual_tls_and_its_sender_is_named(
    tmp_path: Path, store: MemoryStore
) -> None:
    """Both sides show certificates of the hospital's authority; the audit log holds the peer's."""
    path = tmp_path / "film.dcm"
    film = small_film()
    film.save_as(path, enforce_file_format=True)
    with receiver(tmp_path, store, tls=identity(tmp_path, "node"), plain=False) as node:
        [(status, why)] = said(
            sender(node.ports[0], identity(tmp_path, "ct1")).send("node", [path])
        )
    assert status == 0x0000, why
    kept = store.rows[film.SOPInstanceUID]
    assert dcmread(tmp_path / kept.path).SOPInstanceUID == film.SOPInstanceUID
    assert "CN=ct1" in str(store.events[0].detail["certificate"])


@pytest.mark.parametrize(("name", "accepted"), [("ct1", True), ("printer", False)])
def test_a_certificate_is_bound_to_an_ae_title(
    tmp_path: Path, store: MemoryStore, name: str, accepted: bool
) -> None:
    """Another certificate of the same authority may not use the title, nor may a plain peer."""
    peer = CallingPeer(ae_title="MODALITY", certificate="ct1")
    tls = identity(tmp_path, "node")
    with receiver(tmp_path, store, tls=tls, plain=True, allowed_calling=(peer,)) as node:
        plain, secure = node.ports
        assert sender(secure, identity(tmp_path, name)).echo("node").ok is accepted
        with association(plain) as assoc:
            assert assoc.is_rejected


def test_tls_closes_the_plain_port(tmp_path: Path, store: MemoryStore) -> None:
    """Unless the configuration says otherwise: who can call plain needs no certificate."""
    with receiver(tmp_path, store, tls=identity(tmp_path, "node")) as node:
        [secure] = node.ports
        assert sender(secure, identity(tmp_path, "ct1")).echo("node").ok


def test_plain_and_tls_listen_beside_each_other(tmp_path: Path, store: MemoryStore) -> None:
    """Two ports, one node, if the configuration says so."""
    with receiver(tmp_path, store, tls=identity(tmp_path, "node"), plain=True) as node:
        plain, secure = node.ports
        with association(plain) as assoc:
            assert assoc.send_c_echo().Status == 0x0000
        assert sender(secure, identity(tmp_path, "ct1")).echo("node").ok


def test_a_plain_peer_on_the_tls_port_is_cut_and_audited(
    tmp_path: Path, store: MemoryStore
) -> None:
    """The commonest mistake has a sentence of its own."""
    with (
        receiver(tmp_path, store, tls=identity(tmp_path, "node"), plain=False) as node,
        capture_logs() as logs,
        socket.create_connection(("127.0.0.1", node.ports[0]), timeout=5) as plain,
    ):
        plain.sendall(b"\1\0\0\0\0\xcf")  # the beginning of an A-ASSOCIATE-RQ
        assert eventually(lambda: reasons(store))
    assert reasons(store) == ["the peer speaks plain DICOM to the TLS port"]
    assert [entry["event"] for entry in logs] == ["TLS handshake failed"]


@pytest.mark.parametrize(
    ("peer", "ours_says", "node_says"),
    [
        ("stranger", "does not know who signed our certificate", "unable to get local issuer"),
        ("expired", "our certificate has expired", "certificate has expired"),
        ("no certificate", "wants a certificate from us", "the peer shows no certificate"),
    ],
)
def test_a_wrong_certificate_is_named_on_both_sides(
    tmp_path: Path, store: MemoryStore, peer: str, ours_says: str, node_says: str
) -> None:
    """Signed by an unknown authority, expired, or missing: both sides know why."""
    ca = authority("Another CA") if peer == "stranger" else authority()
    ours = identity(tmp_path, peer, ca, days=-1 if peer == "expired" else 100)
    if peer == "no certificate":
        ours = TlsConfig(ca_file=ours.ca_file)
    with receiver(tmp_path, store, tls=identity(tmp_path, "node"), plain=False) as node:
        answer = sender(node.ports[0], ours).echo("node")
        assert eventually(lambda: reasons(store))
    assert not answer.ok
    assert ours_says in answer.reason
    assert node_says in str(reasons(store)[0])


def test_callers_need_no_certificate_where_it_is_not_mutual(
    tmp_path: Path, store: MemoryStore
) -> None:
    """`tls.mutual: false` checks one side alone."""
    own = identity(tmp_path, "node").model_copy(update={"mutual": False})
    with receiver(tmp_path, store, tls=own, plain=False) as node:
        assert sender(node.ports[0], TlsConfig(ca_file=own.ca_file)).echo("node").ok


def test_a_destination_with_another_name_in_its_certificate_is_refused(
    tmp_path: Path, store: MemoryStore
) -> None:
    """A certificate for another host is refused; `tls_name` says which name is expected."""
    ours = identity(tmp_path, "ct1")
    with receiver(tmp_path, store, tls=identity(tmp_path, "node"), plain=False) as node:
        answer = sender(node.ports[0], ours, tls_name="pacs.hospital").echo("node")
        assert not answer.ok
        assert "pacs.hospital" in answer.reason
        assert sender(node.ports[0], ours, tls_name="localhost").echo("node").ok


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
def test_older_tls_is_refused(tmp_path: Path, store: MemoryStore) -> None:
    """BCP 195 never goes below TLS 1.2; its TLS 1.3 profile never below 1.3."""
    own = identity(tmp_path, "node").model_copy(update={"profile": "bcp195-tls13"})
    old = context.client_context(identity(tmp_path, "ct1"))
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    assert old.minimum_version == ssl.TLSVersion.TLSv1_2
    with receiver(tmp_path, store, tls=own, plain=False) as node:
        with (
            socket.create_connection(("127.0.0.1", node.ports[0]), timeout=5) as plain,
            pytest.raises(ssl.SSLError),
        ):
            old.wrap_socket(plain, server_hostname="localhost")
        assert eventually(lambda: reasons(store))
    assert "older than the profile allows" in str(reasons(store)[0])


def test_silent_connections_block_no_peer_and_end_with_their_time(
    tmp_path: Path, store: MemoryStore
) -> None:
    """Forty peers without a handshake, an echo meanwhile; all are audited at their end."""
    ours = identity(tmp_path, "ct1")
    with receiver(
        tmp_path, store, tls=identity(tmp_path, "node"), plain=False, network_timeout_seconds=0.5
    ) as node:
        silent = [socket.create_connection(("127.0.0.1", node.ports[0])) for _ in range(40)]
        started = time.monotonic()
        assert sender(node.ports[0], ours).echo("node").ok
        assert time.monotonic() - started < 2
        assert [connection.recv(1) for connection in silent] == [b""] * 40
        for connection in silent:
            connection.close()
    assert reasons(store) == ["the TLS handshake took too long"] * 2  # the first, and the rest
    assert store.events[1].detail["count"] == 39


@pytest.mark.parametrize("first", [b"", b"\x16"], ids=["nothing", "half a handshake"])
def test_silent_connections_are_cut_for_a_true_peer(
    tmp_path: Path, store: MemoryStore, first: bytes
) -> None:
    """The oldest silent one goes, and the audit log has one line of it; the peer gets in."""
    ours = identity(tmp_path, "ct1")
    tls = identity(tmp_path, "node")
    with receiver(tmp_path, store, tls=tls, plain=False, limits=Limits(silent=16)) as node:
        silent = [socket.create_connection(("127.0.0.1", node.ports[0])) for _ in range(20)]
        for connection in silent:
            connection.sendall(first)
        assert sender(node.ports[0], ours).echo("node").ok
        silent[0].settimeout(5)
        with suppress(ConnectionResetError):
            assert silent[0].recv(1) == b""
        for connection in silent:
            connection.close()
    assert store.kinds().count(AuditKind.CONNECTIONS_CUT) == 1


def test_one_address_takes_a_quarter_of_the_places() -> None:
    """A stranger with many connections cuts its own ones, not those of another address."""
    handshakes = Handshakes(8)
    pairs = [socket.socketpair() for _ in range(10)]
    try:
        ours = [near for near, _ in pairs]
        assert not handshakes.add(ours[0], "10.0.0.1")
        assert [handshakes.add(each, "10.0.0.9") for each in ours[1:8]] == [False] * 2 + [True] * 5
        assert [handshakes.remove(each) for each in ours[:8]] == [True] + [False] * 5 + [True] * 2
    finally:
        for near, far in pairs:
            near.close()
            far.close()


def test_a_new_certificate_is_used_without_a_restart(tmp_path: Path, store: MemoryStore) -> None:
    """Renewed files count from the next connection; wrong ones are audited and change nothing."""
    own, ours = identity(tmp_path, "node"), identity(tmp_path, "ct1")
    assert own.certificate_file is not None
    assert own.key_file is not None
    with receiver(tmp_path, store, tls=own, plain=False) as node:
        first = _served(node.ports[0], ours)
        own.certificate_file.write_text("half a file")
        assert _served(node.ports[0], ours) == first
        renewed = identity(tmp_path, "renewed")
        shutil.copy(str(renewed.key_file), own.key_file)
        shutil.copy(str(renewed.certificate_file), own.certificate_file)
        assert _served(node.ports[0], ours) != first
    lines = [e.detail for e in store.events if e.kind is AuditKind.TLS_RELOADED]
    assert [line["ok"] for line in lines][:1] + [line["ok"] for line in lines][-1:] == [False, True]


def _served(port: int, ours: TlsConfig) -> bytes | None:
    current = context.client_context(ours)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        current.wrap_socket(plain, server_hostname="localhost") as wrapped,
    ):
        return wrapped.getpeercert(binary_form=True)


@pytest.mark.parametrize("where", ["file", "env"])
def test_the_keys_passphrase_comes_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """An encrypted key opens with its passphrase, and says so where it does not."""
    own = identity(tmp_path, "node", secret="opensesame")  # noqa: S106
    (tmp_path / "secret").write_text("opensesame\n")
    monkeypatch.setenv("KEY_SECRET", "opensesame")
    extra: dict[str, dict[str, object]] = {
        "file": {"passphrase_file": tmp_path / "secret"}, "env": {"passphrase_env": "KEY_SECRET"}
    }  # fmt: skip
    context.server_context(own.model_copy(update=extra[where]))
    (tmp_path / "secret").write_text("wrong")
    monkeypatch.setenv("KEY_SECRET", "wrong")
    with pytest.raises(ConfigError, match="the passphrase does not open") as caught:
        context.server_context(own.model_copy(update=extra[where]))
    assert "wrong" not in str(caught.value)


def test_files_that_do_not_belong_together_are_named(tmp_path: Path) -> None:
    """Another key, a file that is not there: the sentence names the file."""
    own, other = identity(tmp_path, "node"), identity(tmp_path, "other")
    with pytest.raises(ConfigError, match=r"other\.key is not the key of"):
        context.server_context(own.model_copy(update={"key_file": other.key_file}))
    Path(str(own.ca_file)).unlink()
    with pytest.raises(ConfigError, match=r"node\.ca does not exist"):
        context.server_context(own)
