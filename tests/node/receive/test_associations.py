"""Who may open an association: each peer's share, user identities, secrets that stay secret."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from structlog.testing import capture_logs
from support.peer import free_port
from support.receiving import VERIFICATION, MemoryStore, association, eventually, receiver
from typer.testing import CliRunner

from dicom_node.cli.app import app
from dicom_node.domain.audit import AuditKind
from dicom_node.receive.access import AccessList
from dicom_node.receive.association_request import Identity
from dicom_node.receive.limits import Limits
from dicom_node.receive.passcodes import hashed, matches
from dicom_node.receive.user_identity import UserIdentities


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def rejections(store: MemoryStore) -> list[object]:
    kind = AuditKind.ASSOCIATION_REJECTED
    return [event.detail["reason"] for event in store.events if event.kind is kind]


def test_one_peer_cannot_take_every_association(tmp_path: Path, store: MemoryStore) -> None:
    """Beyond its share a peer is rejected and audited; another one gets in."""
    with (
        receiver(tmp_path, store, max_associations=4, max_associations_per_peer=2) as node,
        ExitStack() as held,
    ):
        mine = [held.enter_context(association(node.ports[0], calling="ROUTER")) for _ in range(3)]
        other = held.enter_context(association(node.ports[0], calling="CT1"))
        assert [assoc.is_established for assoc in mine] == [True, True, False]
        assert other.is_established
    assert rejections(store) == ["peer-limit"]


def test_the_log_warns_before_the_limit_is_reached(tmp_path: Path, store: MemoryStore) -> None:
    """At four of five associations, once."""
    with (
        capture_logs() as logs,
        receiver(tmp_path, store, max_associations=5) as node,
        ExitStack() as held,
    ):
        for number in range(5):
            held.enter_context(association(node.ports[0], calling=f"CT{number}"))
    near = [entry for entry in logs if entry["event"] == "associations near their limit"]
    assert [(entry["of"], entry["limit"], entry["calling"]) for entry in near] == [
        ("all", 5, "CT3")
    ]


@contextmanager
def identified(port: int, name: str | None, passcode: str = "") -> Iterator[Association]:
    ae = AE("MODALITY")
    ae.add_requested_context(VERIFICATION)
    shown: list[Any] = []  # pynetdicom types its list invariantly
    if name is not None:
        identity = UserIdentityNegotiation()
        identity.user_identity_type = 2 if passcode else 1
        identity.primary_field = name.encode()
        if passcode:
            identity.secondary_field = passcode.encode()
        shown.append(identity)
    assoc = ae.associate("127.0.0.1", port, ext_neg=shown)
    try:
        yield assoc
    finally:
        if assoc.is_established:
            assoc.release()


@pytest.mark.parametrize(
    ("name", "passcode", "welcome"),
    [
        ("ct1", "sesame", True),
        ("ct1", "open", False),
        ("ct1", "", False),
        ("unknown", "sesame", False),
        (None, "", False),
    ],
)
def test_a_user_identity_is_asked_for_where_there_is_a_file(
    tmp_path: Path, store: MemoryStore, name: str | None, passcode: str, welcome: bool
) -> None:
    """Name and passcode of the file, or no association; the passcode is in no log and no line."""
    users = tmp_path / "users"
    users.write_text("ct0:other\nct1:sesame\n")
    with (
        capture_logs() as logs,
        receiver(tmp_path, store, users_file=users) as node,
        identified(node.ports[0], name, passcode) as assoc,
    ):
        assert assoc.is_established is welcome
        assert assoc.is_rejected is not welcome
    assert rejections(store) == ([] if welcome else ["user-identity"])
    assert "sesame" not in repr((logs, store.events))


def test_a_hashed_passcode_opens_as_a_plain_one_does(tmp_path: Path, store: MemoryStore) -> None:
    """The file holds no passcode; one in plain text is read too, with a warning that names none."""
    users = tmp_path / "users"
    users.write_text(f"ct1:{hashed('sesame')}\nct2:opensesame\n")
    assert "sesame" not in users.read_text().splitlines()[0]
    with capture_logs() as logs, receiver(tmp_path, store, users_file=users) as node:
        for name, passcode in (("ct1", "sesame"), ("ct2", "opensesame")):
            with identified(node.ports[0], name, passcode) as assoc:
                assert assoc.is_established
        with identified(node.ports[0], "ct1", users.read_text().split(":")[1].strip()) as assoc:
            assert assoc.is_rejected
    assert [entry["users"] for entry in logs if "plain text" in entry["event"]] == [1]
    assert "sesame" not in repr((logs, store.events))


@pytest.mark.parametrize("stored", ["$scrypt$", "$scrypt$ln=99,r=8,p=1$AA$AA", "$scrypt$a,b,c$$"])
def test_a_hash_that_cannot_be_read_opens_to_no_passcode(stored: str) -> None:
    """Nor does it cost much."""
    assert not matches(b"", stored.encode())
    assert not matches(stored.encode(), stored.encode())


def test_an_address_that_guesses_is_locked_out(tmp_path: Path) -> None:
    """After five wrong ones the right one does not help either, for ten minutes, from there."""
    now = [0.0]
    users = tmp_path / "users"
    users.write_text("ct1:sesame\n")
    identities = UserIdentities(users, lambda: now[0])
    right, wrong = (
        Identity(kind=2, primary=b"ct1", secondary=passcode) for passcode in (b"sesame", b"guess")
    )
    assert identities.is_authorised(right, "10.0.0.9")
    for _ in range(5):
        assert not identities.is_authorised(wrong, "10.0.0.9")
    assert identities.is_locked_out("10.0.0.9")
    assert not identities.is_authorised(right, "10.0.0.9")
    assert identities.is_authorised(right, "10.0.0.8")
    now[0] += 601
    assert identities.is_authorised(right, "10.0.0.9")


def test_a_lock_out_is_audited(tmp_path: Path, store: MemoryStore) -> None:
    """With a reason of its own, for which `status` has an alarm."""
    users = tmp_path / "users"
    users.write_text("ct1:sesame\n")
    with receiver(tmp_path, store, users_file=users) as node:
        for _ in range(6):
            with identified(node.ports[0], "ct1", "guess") as assoc:
                assert assoc.is_rejected
    assert set(rejections(store)) == {"user-identity", "locked-out"}


def test_every_caller_is_rejected_while_the_users_file_is_missing(
    tmp_path: Path, store: MemoryStore
) -> None:
    """A mount that is late does not let anyone in."""
    with (
        receiver(tmp_path, store, users_file=tmp_path / "none") as node,
        identified(node.ports[0], "ct1", "sesame") as assoc,
    ):
        assert assoc.is_rejected


def test_an_association_is_cut_if_the_check_fails(
    tmp_path: Path, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of our own in the check does not accept the association."""

    def broken(*_: object) -> None:
        raise ValueError("a mistake of ours")

    monkeypatch.setattr(AccessList, "rejection", broken)
    with receiver(tmp_path, store) as node, association(node.ports[0]) as assoc:
        assert eventually(lambda: not assoc.is_established)


def test_the_oldest_waiting_connection_makes_room(tmp_path: Path, store: MemoryStore) -> None:
    """However many connections are silent, the next peer is served."""
    with receiver(tmp_path, store, limits=Limits(silent=12)) as node:
        silent = [
            socket.create_connection(("127.0.0.1", node.ports[0]), timeout=5) for _ in range(6)
        ]
        # Three are cut once all six are set up; before that, the next peer may be the oldest.
        assert eventually(lambda: sum(_is_closed(connection) for connection in silent) >= 3)
        with association(node.ports[0]) as assoc:
            assert assoc.send_c_echo().Status == 0x0000
        for connection in silent:
            connection.close()


def _is_closed(connection: socket.socket) -> bool:
    connection.settimeout(0.5)
    try:
        return connection.recv(100) == b""
    except TimeoutError:
        return False


def test_no_command_prints_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`config check` names the files and variables of secrets, never what is in them."""
    for name in ("users", "token", "phrase"):
        (tmp_path / name).write_text("ct1:SESAME\n")
    monkeypatch.setenv("TOKEN", "SESAME")
    monkeypatch.setenv("PHRASE", "SESAME")
    path = tmp_path / "config.yaml"
    path.write_text(
        f"node: {{users_file: {tmp_path}/users, port: {free_port()}, data_dir: {tmp_path}/data}}\n"
        "tls: {passphrase_env: PHRASE}\n"
        "destinations:\n"
        f"  - {{kind: dicomweb, name: a, url: 'https://127.0.0.1', token_file: {tmp_path}/token}}\n"
        "  - {kind: dicomweb, name: b, url: 'https://127.0.0.1', token_env: TOKEN}\n"
    )
    for words in (["config", "check"], ["config", "check", "--json"]):
        result = CliRunner().invoke(app, [*words, "--config", str(path)])
        assert result.exit_code == 0
        assert "PHRASE" in result.output
        assert "SESAME" not in result.output
