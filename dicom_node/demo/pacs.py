"""A small PACS that answers C-ECHO, stores what it receives by C-STORE, and counts.

``python -m dicom_node.demo.pacs --dir pacs --port 11114`` runs it by itself.
"""

from __future__ import annotations

import argparse
import signal
import threading
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydicom import dcmread
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)
from pynetdicom import AE, AllStoragePresentationContexts, _config, build_context, evt
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from pynetdicom.transport import ThreadedAssociationServer

from dicom_node.dicom.files import durable_write
from dicom_node.receive.contexts import support

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pynetdicom.events import Event
    from pynetdicom.presentation import PresentationContext

# Formatting every PDU for an unused log costs more than storing it.
_config.LOG_HANDLER_LEVEL = "none"

SUCCESS = 0x0000
DATA_SET_DOES_NOT_MATCH = 0xA900  # PS3.4 B.2.3
CANNOT_UNDERSTAND = 0xC000  # PS3.4 B.2.3

#: What a PACS usually accepts (HTJ2K counts as JPEG 2000). The rest is mostly video and would only
#: cost time on every association.
USUAL_SYNTAXES: tuple[str, ...] = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    RLELossless,
    *JPEGTransferSyntaxes,
    *JPEGLSTransferSyntaxes,
    *JPEG2000TransferSyntaxes,
)

ALL_STORAGE = tuple(str(context.abstract_syntax) for context in AllStoragePresentationContexts)

#: How often the listener checks whether it should stop.
_POLL_SECONDS = 0.02


class DemoPacs:
    """An embedded PACS for demonstrations and tests; it writes ``FOLDER/<study>/<sop>.dcm``.

    Parameters
    ----------
    folder
        Created if missing. Files in it count as stored earlier.
    port
        0 takes a free one, which `port` then holds; a restart keeps it.
    require_called
        Whether to reject associations that call another AE title.
    contexts
        What it accepts besides Verification; None: all of `storage_contexts`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        ae_title: str = "PACS",
        host: str = "127.0.0.1",
        port: int = 0,
        require_called: bool = False,
        contexts: Sequence[PresentationContext] | None = None,
    ) -> None:
        self.folder = folder
        self.host = host
        self.port = port
        self._ae = _application_entity(ae_title, require_called, contexts or storage_contexts())
        self._server: ThreadedAssociationServer | None = None
        self._lock = threading.Lock()
        self._stores: Counter[str] = Counter()

    def start(self) -> DemoPacs:
        """Listen; returns once connections are accepted."""
        self.folder.mkdir(parents=True, exist_ok=True)
        server: Any = self._ae.make_server(
            (self.host, self.port),
            evt_handlers=self.handlers(),
            server_class=ThreadedAssociationServer,
        )
        self._ae._servers.append(server)  # AE.shutdown() and the server look it up there
        self.port = server.socket.getsockname()[1]
        threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), daemon=True).start()
        self._server = server
        return self

    def stop(self) -> None:
        """Abort all associations and free the port."""
        self._ae.shutdown()
        self._server = None

    def __enter__(self) -> DemoPacs:
        return self if self._server is not None else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def handlers(self) -> list[Any]:
        """The pynetdicom event handlers."""
        return [(evt.EVT_C_ECHO, lambda _: SUCCESS), (evt.EVT_C_STORE, self.store)]

    def store(self, event: Event) -> int:
        """Store one instance and return its DIMSE status."""
        request: Any = event.request
        content = _content(event)
        ds = dcmread(BytesIO(content), stop_before_pixels=True)
        sop_instance_uid = UID(str(request.AffectedSOPInstanceUID))
        study_instance_uid = UID(str(ds.get("StudyInstanceUID", "")))
        if not (sop_instance_uid.is_valid and study_instance_uid.is_valid):
            return CANNOT_UNDERSTAND  # also: a UID never becomes a path outside the folder
        if ds.get("SOPInstanceUID") != sop_instance_uid:
            return DATA_SET_DOES_NOT_MATCH
        with self._lock:
            _write(self.folder / study_instance_uid / f"{sop_instance_uid}.dcm", content)
            self._stores[sop_instance_uid] += 1
        return SUCCESS

    def instances(self) -> dict[str, Path]:
        """Each stored SOP Instance UID and its file."""
        return {path.stem: path for path in sorted(self.folder.glob("*/*.dcm"))}

    def times_stored(self) -> dict[str, int]:
        """How often each SOP Instance UID was stored since this object was created."""
        with self._lock:
            return dict(self._stores)


def storage_contexts(
    sop_classes: Iterable[str] = ALL_STORAGE, syntaxes: Sequence[str] = USUAL_SYNTAXES
) -> list[PresentationContext]:
    """Presentation contexts for these SOP classes, each with all the transfer syntaxes."""
    return [build_context(sop_class, list(syntaxes)) for sop_class in sop_classes]


def _application_entity(
    ae_title: str, require_called: bool, contexts: Sequence[PresentationContext]
) -> AE:
    ae = AE(ae_title)
    ae.require_called_aet = require_called
    ae.maximum_associations = 64
    support(ae, [build_context(Verification), *contexts])
    return ae


def _content(event: Event) -> bytes:
    """The instance as a Part 10 file, its data set exactly as received."""
    if _config.STORE_RECV_CHUNKED_DATASET:  # another part of this process spools to disk
        return event.dataset_path.read_bytes()
    return event.encoded_dataset()


def _write(path: Path, content: bytes) -> None:
    """Write a file completely or not at all."""
    path.parent.mkdir(exist_ok=True)
    durable_write(path, lambda file: file.write(content))


def main() -> None:
    """Run until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(description="A small PACS that stores what it receives.")
    parser.add_argument("--dir", type=Path, required=True, help="folder for the instances")
    parser.add_argument("--port", type=int, default=11114, help="TCP port")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--ae-title", default="PACS")
    given = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with DemoPacs(given.dir, ae_title=given.ae_title, host=given.host, port=given.port):
        stop.wait()


if __name__ == "__main__":
    main()
