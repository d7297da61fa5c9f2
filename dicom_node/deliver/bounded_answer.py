"""The answer of a web service, read within a limit of size and time."""

from __future__ import annotations

import zlib
from io import BytesIO
from typing import TYPE_CHECKING

import requests
from urllib3 import HTTPResponse
from urllib3.exceptions import HTTPError

from dicom_node.errors import PeerUnavailable

if TYPE_CHECKING:
    from dicom_node.deliver.deadline import Deadline

#: Size of the largest answer that is read, in bytes, decompressed; one object's takes about 1 KB.
_LARGEST_ANSWER = 1 << 20


class HungUp(PeerUnavailable):
    """The service took the request and gave no answer, perhaps because of this object."""


def bounded(
    response: requests.Response, *_: object, deadline: Deadline, **__: object
) -> requests.Response:
    """Read the answer before requests does, which limits neither its size nor its time.

    Parameters
    ----------
    deadline
        Shuts the connection down when the answer takes too long.

    Raises
    ------
    HungUp
        The answer is too large, too slow, cut off or compressed by an unknown method.
    """
    body, raw = b"", response.raw
    try:
        while part := raw.read1(1 << 16, decode_content=False):
            body += part
            if len(body) > _LARGEST_ANSWER:
                raise HungUp("the service's answer is too large")
    except (HTTPError, OSError):
        if not deadline.expired:
            raise HungUp("the service's answer was cut off") from None
    finally:
        raw.close()
    if deadline.expired:
        raise HungUp("the service's answer takes too long")
    body = _decompressed(body, response.headers.pop("Content-Encoding", "identity"))
    response.raw = HTTPResponse(BytesIO(body), preload_content=False)
    # The client does not understand parameters of the media type.
    media_type = response.headers.get("Content-Type", "").partition(";")[0]
    response.headers["Content-Type"] = media_type.strip().lower()
    return response


def _decompressed(body: bytes, encoding: str) -> bytes:
    """Decompress an answer that is compressed though we asked for one that is not."""
    if encoding.strip().lower() == "identity":
        return body
    if encoding.strip().lower() not in ("gzip", "x-gzip"):
        raise HungUp("the service's answer is compressed by an unknown method")
    try:
        plain = zlib.decompressobj(wbits=31).decompress(body, _LARGEST_ANSWER + 1)
    except zlib.error:
        raise HungUp("the service's answer cannot be decompressed") from None
    if len(plain) > _LARGEST_ANSWER:
        raise HungUp("the service's answer is too large")
    return plain
