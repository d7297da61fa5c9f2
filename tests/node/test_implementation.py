"""Which implementation an association names to its peer."""

from __future__ import annotations

from pathlib import Path

from pynetdicom import AE, evt
from support import receiving
from support.receiving import VERIFICATION, MemoryStore

from dicom_node import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicom_node.config import DicomDestination
from dicom_node.deliver.association import association

OURS = (IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME)


def test_the_sender_says_who_it_is() -> None:
    """Not the name of the library underneath."""
    heard: list[tuple[str, str]] = []

    def note(event: evt.Event) -> None:
        them = event.assoc.requestor
        heard.append((str(them.implementation_class_uid), str(them.implementation_version_name)))

    ae = AE("PACS")
    ae.add_supported_context(VERIFICATION)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_ACCEPTED, note)])
    assert server is not None
    port = server.server_address[1]
    pacs = DicomDestination(name="pacs", ae_title="PACS", host="127.0.0.1", port=port)
    with association("NODE", pacs, ae.supported_contexts, 5.0):
        pass
    server.shutdown()
    assert heard == [OURS]


def test_the_receiver_says_the_same(tmp_path: Path) -> None:
    """One node, one implementation."""
    with (
        receiving.receiver(tmp_path, MemoryStore()) as receiver,
        receiving.association(receiver.ports[0]) as assoc,
    ):
        node = assoc.acceptor
        assert (str(node.implementation_class_uid), node.implementation_version_name) == OURS
