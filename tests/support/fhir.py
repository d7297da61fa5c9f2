"""A FHIR R4 server on loopback: transactions with conditional creates, and a statement.

A Starlette application under uvicorn. Each resource is validated with fhir.resources (R4B, whose
DiagnosticReport, Observation and Bundle are those of R4).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs, unquote

import uvicorn
from fhir.resources.R4B.bundle import Bundle
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

#: What is answered instead of storing: an HTTP status, or a JSON value with status 200.
Act = int | dict[str, Any] | list[Any]

_JSON = "application/fhir+json"


class Fhir:
    """Stores what transactions create, by identifier.

    Parameters
    ----------
    acts
        One for each transaction in turn; after the last, they are stored.
    version
        What it says of itself.
    """

    def __init__(self, acts: Iterable[Act] = (), version: str = "4.0.1") -> None:
        self.acts = deque(acts)
        self.version = version
        self.stored: dict[str, dict[str, Any]] = {}  # system|value -> resource
        self.headers: list[dict[str, str]] = []
        routes = [
            Route("/fhir", self._transact, methods=["POST"]),
            Route("/fhir/metadata", self._metadata),
        ]
        config = uvicorn.Config(
            Starlette(routes=routes), host="127.0.0.1", port=0, log_config=None, lifespan="off"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)

    def __enter__(self) -> Fhir:
        self._thread.start()
        while not self._server.started:
            threading.Event().wait(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()

    @property
    def url(self) -> str:
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}/fhir"

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The stored resources of a type."""
        return [each for each in self.stored.values() if each["resourceType"] == kind]

    async def _metadata(self, _request: Request) -> Response:
        said = {"resourceType": "CapabilityStatement", "fhirVersion": self.version}
        return JSONResponse(said, media_type=_JSON)

    async def _transact(self, request: Request) -> Response:
        self.headers.append(dict(request.headers))
        bundle = await request.json()
        if self.acts:
            act = self.acts.popleft()
            if isinstance(act, int):
                return Response(status_code=act)
            return JSONResponse(act, media_type=_JSON)
        Bundle.model_validate(bundle)
        answers = [self._create(each) for each in bundle["entry"]]
        said = {"resourceType": "Bundle", "type": "transaction-response", "entry": answers}
        return JSONResponse(said, media_type=_JSON)

    def _create(self, entry: dict[str, Any]) -> dict[str, Any]:
        [wanted] = parse_qs(unquote(entry["request"]["ifNoneExist"]))["identifier"]
        identifier = entry["resource"]["identifier"][0]
        assert wanted == f"{identifier['system']}|{identifier['value']}"
        if wanted in self.stored:
            return {"response": {"status": "200 OK"}}
        self.stored[wanted] = entry["resource"]
        return {"response": {"status": "201 Created"}}
