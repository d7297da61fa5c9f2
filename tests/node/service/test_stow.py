"""STOW-RS from a real client, over HTTP and the socket to the receiver."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import requests
import uvicorn
from dicomweb_client import DICOMwebClient
from pydicom.uid import CTImageStorage
from requests.auth import HTTPBasicAuth
from starlette.applications import Starlette
from support.receiving import MemoryStore, eventually, receiver, small_film

from dicom_node.config import Config, HttpConfig
from dicom_node.domain.audit import AuditKind
from dicom_node.receive.stow_door import StowDoor
from dicom_node.service.web.access import Access
from dicom_node.service.web.connection import PromptConnection
from dicom_node.service.web.stow import stow_routes


@contextmanager
def doors(
    folder: Path, *, receives: bool = True, **http: object
) -> Iterator[tuple[int, MemoryStore]]:
    """A receiver and the web process's routes, each in threads; the HTTP port and the store."""
    store = MemoryStore()
    node = Config().node.model_copy(update={"data_dir": folder, "max_associations": 4})
    page = HttpConfig.model_validate({"port": 1, "dicomweb": True, **http})
    config = Config().model_copy(update={"node": node, "http": page})
    app = Starlette(routes=list(stow_routes(config, Access.of(page))))
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, http=PromptConnection, log_config=None, lifespan="off")
    )
    with ExitStack() as stack:
        if receives:
            door = StowDoor(config, stack.enter_context(receiver(folder, store)).keeping)
            door.start()
            stack.callback(door.stop)
        thread = threading.Thread(target=server.run)
        thread.start()
        stack.callback(thread.join)
        stack.callback(setattr, server, "should_exit", True)
        assert eventually(lambda: server.started)
        yield server.servers[0].sockets[0].getsockname()[1], store


def test_a_client_stores_a_study(tmp_path: Path) -> None:
    """dicomweb-client: every object is named in the answer; one of another class as failed."""
    films = [small_film(seed) for seed in range(3)]
    films[2].SOPClassUID = films[2].file_meta.MediaStorageSOPClassUID = CTImageStorage
    with doors(tmp_path / ("deep" * 30)) as (port, store):  # a socket's path has 107 characters
        client = DICOMwebClient(f"http://127.0.0.1:{port}")
        said = client.store_instances(films)
        assert {each.ReferencedSOPInstanceUID for each in said.ReferencedSOPSequence} == set(
            store.rows
        )
        assert [each.FailureReason for each in said.FailedSOPSequence] == [0x0122]
        assert eventually(lambda: AuditKind.ASSOCIATION_ENDED in store.kinds())
        [ended] = [e for e in store.events if e.kind is AuditKind.ASSOCIATION_ENDED]
        assert (ended.detail["kept"], ended.detail["refused"]) == (2, 1)
        assert (ended.detail["address"], ended.detail["service"]) == ("127.0.0.1", "STOW-RS")


def test_only_those_of_the_page_may_store(tmp_path: Path) -> None:
    """The login of the page; the user's name is the calling AE title."""
    users = tmp_path / "users"
    users.write_text("anna:passcode\n")
    with doors(tmp_path / "node", users_file=str(users)) as (port, store):
        url, film = f"http://127.0.0.1:{port}", small_film()
        with pytest.raises(requests.HTTPError, match="401"):
            DICOMwebClient(url).store_instances([film])
        assert store.rows == {}
        session = requests.Session()
        session.auth = HTTPBasicAuth("anna", "passcode")
        DICOMwebClient(url, session).store_instances([film])
        assert store.rows[film.SOPInstanceUID].calling_ae_title == "anna"


def test_without_a_receiver_the_client_hears_later(tmp_path: Path) -> None:
    """503 with Retry-After: it is restarting, say."""
    tmp_path.mkdir(exist_ok=True)
    with doors(tmp_path, receives=False) as (port, _):
        answer = requests.post(f"http://127.0.0.1:{port}/studies", data=b"x", timeout=10)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")


def test_what_is_wrong_with_a_request_is_said(tmp_path: Path) -> None:
    """After the whole body, so that every client hears it."""
    multipart = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'}
    with doors(tmp_path) as (port, _):
        url = f"http://127.0.0.1:{port}/studies"
        large = b"x" * (8 << 20)
        assert requests.post(url, data=large, timeout=10).status_code == 415
        assert requests.post(url, data=large, headers=multipart, timeout=10).status_code == 400
        assert requests.post(url, headers=multipart, timeout=10).status_code == 400
        assert requests.post(f"{url}/no.UID", timeout=10).status_code == 400
        assert requests.get(url, timeout=10).status_code == 405


def test_a_client_that_goes_away_leaves_nothing(tmp_path: Path) -> None:
    """The object that was on its way is removed at once."""
    with doors(tmp_path) as (port, store):
        caller = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        caller.putrequest("POST", "/studies")
        caller.putheader("Content-Type", "multipart/related; boundary=b")
        caller.putheader("Content-Length", "100000")
        caller.endheaders()
        film = small_film()
        film.save_as(tmp_path / "film.dcm")
        head = b"--b\r\nContent-Type: application/dicom\r\n\r\n"
        caller.send(head + (tmp_path / "film.dcm").read_bytes()[:2000])
        incoming = tmp_path / "spool" / "incoming"
        assert eventually(lambda: list(incoming.iterdir()))
        caller.close()
        assert eventually(lambda: not list(incoming.iterdir()))
        assert store.rows == {}
