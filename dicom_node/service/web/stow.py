"""STOW-RS (PS3.18 10.5): the web process asks who calls, and hands the request to the receiver."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from dicom_node.dicom.uids import is_uid
from dicom_node.receive.stow_door import LARGEST_PIECE, LENGTH, address_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

    from dicom_node.config import Config
    from dicom_node.service.web.access import Access

_JSON = "application/dicom+json"
_UNAVAILABLE = 503
_LONGEST_NAME = 16  # characters of an AE title, in whose place the user stands


def stow_routes(config: Config, access: Access) -> list[Route]:
    """Build the routes of the Store transaction."""

    async def store(request: Request) -> Response:
        user = await run_in_threadpool(access.user, request)
        if user is None:
            return access.refuse()
        study = request.path_params.get("study")
        if study is not None and not is_uid(study):
            return PlainTextResponse("the study is not a UID\n", status_code=400)
        asked = {
            "content_type": request.headers.get("Content-Type", ""),
            "study": study,
            "user": "".join(c if c.isprintable() else "?" for c in user)[:_LONGEST_NAME],
            "address": request.client.host if request.client else "",
        }
        try:
            status, said = await _handed_over(config, request, asked)
        except (OSError, EOFError):
            status, said = _UNAVAILABLE, "the receiver does not answer"
        except ClientDisconnect:  # no one hears the answer
            return Response(status_code=400)
        later = {"Retry-After": "60"} if status == _UNAVAILABLE else None
        if isinstance(said, str):
            return PlainTextResponse(f"{said}\n", status_code=status, headers=later)
        return JSONResponse(said, status_code=status, headers=later, media_type=_JSON)

    return [
        Route("/studies", store, methods=["POST"]),
        Route("/studies/{study}", store, methods=["POST"]),
    ]


async def _handed_over(
    config: Config, request: Request, asked: dict[str, Any]
) -> tuple[int, dict[str, Any] | str]:
    """Hand the request over piece by piece; return HTTP status and body of the answer."""
    with address_of(config.run_dir) as address:
        reader, writer = await asyncio.open_unix_connection(address)
    try:
        _put(writer, json.dumps(asked).encode())
        async for chunk in request.stream():
            for piece in _cut(chunk):
                _put(writer, piece)
                await writer.drain()
        _put(writer, b"")
        await writer.drain()
        (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
        answer = json.loads(await reader.readexactly(length))
    finally:
        writer.close()
    return answer["status"], answer["body"]


def _cut(chunk: bytes) -> Iterator[bytes]:
    for start in range(0, len(chunk), LARGEST_PIECE):
        yield chunk[start : start + LARGEST_PIECE]


def _put(writer: asyncio.StreamWriter, piece: bytes) -> None:
    writer.write(LENGTH.pack(len(piece)) + piece)
