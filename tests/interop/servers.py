"""A real PACS on loopback, and a web server that shows it in a real viewer."""

from __future__ import annotations

import json
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, TypeAlias

from interop.install import OHIF, ORTHANC, PLUGINS
from support.peer import free_port

Route: TypeAlias = Literal["smart", "instance", "dumb", "none"]

AE_TITLE = "INTEROPPACS"

# How a PACS sends films on by itself. `store` is asynchronous: an Orthanc job.
_LUA = """
local function store(id)
  RestApiPost("/modalities/node/store", '{"Resources":["' .. id .. '"],"Synchronous":false}')
end
local function film(tags)
  return tags["Modality"] == "DX" or tags["Modality"] == "CR"
end
"""
ROUTES: dict[Route, str] = {
    # each series of films, once its study is stable
    "smart": """
local sent = {}
function OnStableStudy(id, tags, metadata)
  for _, one in pairs(ParseJson(RestApiGet("/studies/" .. id))["Series"]) do
    local series = ParseJson(RestApiGet("/series/" .. one))
    if film(series["MainDicomTags"]) and not sent[one] then sent[one] = true; store(one) end
  end
end
""",
    # each film at once
    "instance": """
function OnStoredInstance(id, tags, metadata, origin)
  if film(tags) then store(id) end
end
""",
    "none": "",
    # everything, including our own results, whenever the study is stable
    "dumb": """
function OnStableStudy(id, tags, metadata) store(id) end
""",
}


@dataclass(frozen=True, slots=True)
class Orthanc:
    """A running Orthanc and its ports."""

    http: int
    dicom: int
    process: subprocess.Popen[bytes]

    def fetch(self, path: str) -> bytes:
        """GET from its REST interface."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", timeout=60) as answer:
            return bytes(answer.read())

    def get(self, path: str) -> Any:
        """GET JSON."""
        return json.loads(self.fetch(path))

    def alive(self) -> bool:
        """Whether its process runs and answers."""
        try:
            return self.process.poll() is None and bool(self.get("/system"))
        except OSError:
            return False

    def send(self, folder: Path) -> None:
        """Store a folder of films in it, as a modality does."""
        command = ["storescu", "-R", "-aet", "MODALITY", "-aec", AE_TITLE, "+sd", "+r"]
        subprocess.run(
            [*command, "127.0.0.1", str(self.dicom), folder], check=True, capture_output=True
        )


@contextmanager
def orthanc(folder: Path, route: Route, dicom: int, node: int) -> Iterator[Orthanc]:
    """Start a PACS that listens on ``dicom`` and routes to the node on port ``node``."""
    folder.mkdir(parents=True)
    (folder / "route.lua").write_text(_LUA + ROUTES[route])
    http = free_port()
    values = {
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "Plugins": [str(PLUGINS / f"libOrthanc{name}.so") for name in ("Gdcm", "DicomWeb")],
        "LuaScripts": [str(folder / "route.lua")],
        "HttpPort": http,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAet": AE_TITLE,
        "DicomPort": dicom,
        "DicomAlwaysAllowStore": True,
        "DicomModalities": {"node": ["DICOM_NODE", "127.0.0.1", node]},
        "UnknownSopClassAccepted": True,
        "StableAge": 2,  # seconds without a new instance
        "DefaultEncoding": "Utf8",
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "WadoRoot": "/wado"},
    }
    (folder / "orthanc.json").write_text(json.dumps(values, indent=1))
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen([ORTHANC, folder / "orthanc.json"], stdout=log, stderr=log)
    pacs = Orthanc(http=http, dicom=dicom, process=process)
    try:
        deadline = time.monotonic() + 60
        while not pacs.alive():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Orthanc does not start; see {folder / 'log.txt'}")
            time.sleep(0.2)
        yield pacs
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


_VIEWER = {
    "routerBasename": "/",
    "extensions": [],
    "modes": [],
    "showStudyList": True,
    "maxNumberOfWebWorkers": 2,
    "investigationalUseDialog": {"option": "never"},
    "defaultDataSourceName": "pacs",
    "dataSources": [
        {
            "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
            "sourceName": "pacs",
            "configuration": {
                "friendlyName": "PACS",
                "name": "pacs",
                "qidoRoot": "/dicom-web",
                "wadoRoot": "/dicom-web",
                "wadoUriRoot": "/wado",
                "qidoSupportsIncludeField": False,
                "imageRendering": "wadors",
                "thumbnailRendering": "wadors",
                "enableStudyLazyLoad": True,
                "omitQuotationForMultipartRequest": True,
                "bulkDataURI": {"enabled": True, "relativeResolution": "studies"},
            },
        }
    ],
}


class _Viewer(SimpleHTTPRequestHandler):
    """OHIF's files, its configuration, and the PACS behind them under one address."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *arguments: Any, pacs: Orthanc) -> None:
        self.pacs = pacs
        super().__init__(*arguments, directory=str(OHIF))

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def end_headers(self) -> None:
        # without these three a page gets no SharedArrayBuffer
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        super().end_headers()

    def do_GET(self) -> None:
        page = self.path.partition("?")[0]
        if page.startswith(("/dicom-web", "/wado")):
            self._forward()
        elif page == "/app-config.js":
            script = f"window.config = {json.dumps(_VIEWER)};"
            self._answer(200, "text/javascript", script.encode())
        else:
            if not (OHIF / page.lstrip("/")).is_file():
                self.path = "/index.html"  # the viewer's own routes
            super().do_GET()

    def _forward(self) -> None:
        asked = {"Accept": self.headers.get("Accept", "*/*")}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.pacs.http}{self.path}", None, asked
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310 - loopback
                self._answer(answer.status, answer.headers["Content-Type"], answer.read())
        except urllib.error.HTTPError as error:
            self._answer(error.code, "text/plain", error.read())
        except OSError as error:
            self._answer(502, "text/plain", str(error).encode())

    def _answer(self, status: int, kind: str | None, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind or "application/octet-stream")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def ohif(pacs: Orthanc) -> Iterator[str]:
    """Serve OHIF over a PACS; gives its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Viewer, pacs=pacs))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def echo(port: int, timeout: float = 10, called: str = "DICOM_NODE") -> bool:
    """Whether DCMTK's echoscu gets its answer."""
    waits: Sequence[str] = [word for flag in ("-to", "-ta", "-td") for word in (flag, str(timeout))]
    command = ["echoscu", *waits, "-aec", called, "127.0.0.1", str(port)]
    try:
        return subprocess.run(command, capture_output=True, timeout=3 * timeout + 5).returncode == 0
    except subprocess.TimeoutExpired:
        return False
