"""Messages within an association: what is no DIMSE message ends it at once, and leaves no file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.receiving import MemoryStore, RawPeer, encoded, eventually, receiver, small_film

FILM = small_film()
UID, CONTENT = str(FILM.SOPInstanceUID), encoded(FILM)
COMMAND, DATA, MORE = 3, 2, 0  # control headers, PS3.8 Annex E.2

Bad = Callable[[RawPeer], None]
BAD: dict[str, Bad] = {
    "data before a command": lambda peer: peer.send((DATA, CONTENT)),
    "a command after a command": lambda peer: peer.send(
        (COMMAND, peer.command_set(UID)), (COMMAND, peer.command_set(UID))
    ),
    "a command in the middle of a data set": lambda peer: peer.send(
        (COMMAND, peer.command_set(UID)), (MORE, CONTENT[:776]), (COMMAND, peer.command_set(UID))
    ),
    "a context that was not accepted": lambda peer: peer.send(
        (COMMAND, peer.command_set(UID)), context=9
    ),
    "no SOP class": lambda peer: peer.send((COMMAND, peer.command_set(UID, without=0x0002))),
    "no command": lambda peer: peer.send((COMMAND, peer.command_set(UID, without=0x0100))),
    "no message ID": lambda peer: peer.send((COMMAND, peer.command_set(UID, without=0x0110))),
    "no data set type": lambda peer: peer.send((COMMAND, peer.command_set(UID, without=0x0800))),
    "no SOP instance": lambda peer: peer.send((COMMAND, peer.command_set(UID, without=0x1000))),
    "an empty command": lambda peer: peer.send((COMMAND, b"")),
    "noise": lambda peer: peer.send((COMMAND, b"\xff" * 40)),
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.filterwarnings("ignore")
def test_what_is_no_message_ends_the_association_at_once(bad: str, tmp_path: Path) -> None:
    """A-ABORT; nothing is stored, no file is left, and the next film is kept."""
    store = MemoryStore()
    with receiver(tmp_path, store) as node:
        with RawPeer(node.ports[0], FILM.SOPClassUID) as peer:
            BAD[bad](peer)
            assert peer.socket.recv(65536)[:1] == b"\7"
        assert eventually(lambda: not list(tmp_path.rglob("*.part")))
        assert not store.rows
        with RawPeer(node.ports[0], FILM.SOPClassUID) as peer:
            assert peer.store(UID, CONTENT) == 0
