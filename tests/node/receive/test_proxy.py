"""Behind a TCP balancer the peer keeps its address, and the balancer leaves no trace."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pynetdicom import AE
from pynetdicom.association import Association
from support.balancer import HAPROXY, balancer
from support.receiving import (
    MemoryStore,
    association_request,
    eventually,
    receiver,
    small_film,
)

from dicom_node.domain.audit import AuditKind
from dicom_node.errors import ConfigError
from dicom_node.receive.proxy import NotAnnounced, Proxies, announced

_PROXY = "127.0.0.1"
_ACCEPTED = AuditKind.ASSOCIATION_ACCEPTED
_V2 = b"\r\n\r\n\0\r\nQUIT\n"
_IPV4 = socket.inet_aton("192.0.2.7") + socket.inet_aton("192.0.2.1") + struct.pack(">HH", 4, 104)
_IPV6 = bytes(15) + b"\1" + bytes(16) + struct.pack(">HH", 4, 104)

ANNOUNCEMENTS = {
    b"PROXY TCP4 192.0.2.7 192.0.2.1 4 104\r\n": ("192.0.2.7", 4),
    b"PROXY TCP6 2001:db8::7 2001:db8::1 4 104\r\n": ("2001:db8::7", 4),
    b"PROXY UNKNOWN\r\n": None,
    _V2 + b"\x21\x11\0\x0c" + _IPV4: ("192.0.2.7", 4),
    _V2 + b"\x21\x11\0\x0f" + _IPV4 + b"\4\0\0": ("192.0.2.7", 4),  # with a TLV
    _V2 + b"\x21\x21\0\x24" + _IPV6: ("::1", 4),
    _V2 + b"\x20\0\0\0": None,  # LOCAL, as in a health check
    _V2 + b"\x21\x31\0\4path": None,  # a Unix socket
}
WRONG = [
    association_request()[:40], b"GET / HTTP/1.1\r\n", b"PROXY TCP4 here there 4 104\r\n",
    b"PROXY " + b"A" * 200, b"PROXY TCP4 192.0.2.7\r\n", b"PROXY", _V2[:8], _V2 + b"\x31\x11\0\0",
    _V2 + b"\x21\x11\0\x02ab", _V2 + b"\x21\x11\xff\xff", b"\r\n\r\n\0\rQUIT\n\n\n\n\n\n\n\n\n",
]  # fmt: skip


@contextmanager
def _sent(data: bytes) -> Iterator[socket.socket]:
    """A connection on which a balancer has sent these bytes, and nothing more."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        yield ours


@pytest.mark.parametrize(("header", "peer"), ANNOUNCEMENTS.items())
def test_an_announcement_is_read_and_nothing_after_it(
    header: bytes, peer: tuple[str, int] | None
) -> None:
    """The next byte is the association's."""
    with _sent(header + b"after") as connection:
        assert announced(connection) == peer
        assert connection.recv(9) == b"after"


@pytest.mark.parametrize("wrong", WRONG)
def test_anything_else_is_refused(wrong: bytes) -> None:
    """A proxy that is listed must announce each peer; nothing is guessed."""
    with _sent(wrong) as connection, pytest.raises(NotAnnounced):
        announced(connection)


def test_a_proxy_that_says_nothing_is_a_health_check() -> None:
    """It only tried whether the port is open."""
    with _sent(b"") as connection, pytest.raises(EOFError):
        announced(connection)


def test_proxies_are_addresses_or_networks() -> None:
    """An IPv4 address is found in its IPv6 form, too."""
    proxies = Proxies(["10.0.0.0/24", "2001:db8::1"])
    assert "10.0.0.9" in proxies
    assert "::ffff:10.0.0.9" in proxies
    assert "2001:db8::1" in proxies
    assert "10.0.1.9" not in proxies
    with pytest.raises(ConfigError, match=r"node\.proxies"):
        Proxies(["balancer"])


def _kept(port: int, header: bytes) -> bool:
    """Whether the node answers an association request that follows a header."""
    with socket.create_connection((_PROXY, port), timeout=5) as connection:
        connection.sendall(header + association_request())
        try:
            return connection.recv(1) == b"\2"
        except ConnectionError:
            return False


def test_only_listed_addresses_may_announce_peers(tmp_path: Path) -> None:
    """From others the header is no DICOM; from a listed one it is required."""
    header, store = next(iter(ANNOUNCEMENTS)), MemoryStore()
    with receiver(tmp_path / "a", store) as open_to_all:
        [port] = open_to_all.ports
        assert _kept(port, b"")
        assert not _kept(port, header)
    store = MemoryStore()
    with receiver(tmp_path / "b", store, proxies=(_PROXY,)) as behind:
        [port] = behind.ports
        assert _kept(port, header)
        assert not _kept(port, b"")
        assert eventually(lambda: store.events)
    [refused] = store.events
    assert refused.kind is AuditKind.ASSOCIATION_REJECTED
    assert refused.detail["address"] == _PROXY


@pytest.mark.skipif(HAPROXY is None, reason="needs haproxy (apt-get install haproxy)")
def test_haproxy_divides_associations_and_leaves_no_trace(tmp_path: Path) -> None:
    """An association stays on one receiver, which knows the modality's own address."""
    one, two = MemoryStore(), MemoryStore()
    senders = [f"127.0.0.{2 + number}" for number in range(4)]
    with (
        receiver(tmp_path / "one", one, proxies=(_PROXY,)) as first,
        receiver(tmp_path / "two", two, proxies=(_PROXY,)) as second,
        balancer([*first.ports, *second.ports]) as before,
    ):
        assert eventually(lambda: _is_open(before.port), 10)
        open_ones = {address: _associate(before.port, address) for address in senders}
        films = {address: [small_film(seed) for seed in range(3)] for address in senders}
        for number in range(3):  # in turn, all four associations at once
            for address, assoc in open_ones.items():
                assert assoc.send_c_store(films[address][number]).Status == 0
        for assoc in open_ones.values():
            assoc.release()
    places = [
        {str(event.detail["address"]) for event in store.events if event.kind is _ACCEPTED}
        for store in (one, two)
    ]
    assert places[0] | places[1] == set(senders)
    assert [len(each) for each in places] == [2, 2]
    for store, addresses in zip((one, two), places, strict=True):
        assert {*store.rows} == {str(f.SOPInstanceUID) for each in addresses for f in films[each]}
        assert AuditKind.ASSOCIATION_REJECTED not in store.kinds()


def _is_open(port: int) -> bool:
    try:
        socket.create_connection((_PROXY, port), timeout=1).close()
    except OSError:
        return False
    return True


def _associate(port: int, address: str) -> Association:
    """An association from this address."""
    film = small_film()
    ae = AE("MODALITY")
    ae.add_requested_context(film.SOPClassUID, [film.file_meta.TransferSyntaxUID])
    assoc = ae.associate(_PROXY, port, ae_title="AINODE", bind_address=(address, 0))
    assert assoc.is_established
    return assoc
