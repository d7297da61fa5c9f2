"""Who may look at the pages that name a study."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse, Response

from dicom_node.receive.association_request import Identity
from dicom_node.receive.user_identity import NAME_AND_PASSCODE, UserIdentities

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from dicom_node.config import HttpConfig

#: The user in the audit log where no login is configured.
ANYONE = "web"


@dataclass(frozen=True, slots=True)
class Access:
    """How a request shows who sent it: by HTTP basic authentication, a proxy's header, or not."""

    users: UserIdentities | None
    header: str | None

    @classmethod
    def of(cls, config: HttpConfig) -> Access:
        """As the configuration says."""
        users = UserIdentities(config.users_file) if config.users_file else None
        return cls(users, config.user_header)

    def user(self, request: Request) -> str | None:
        """The user of a request; None if it may not look."""
        if self.header is not None:  # the proxy replaces what a browser sends under this name
            return request.headers.get(self.header) or None
        if self.users is None:
            return ANYONE
        name, passcode = _credentials(request.headers.get("Authorization", ""))
        identity = Identity(kind=NAME_AND_PASSCODE, primary=name, secondary=passcode)
        address = request.client.host if request.client else ""
        known = bool(name) and self.users.is_authorised(identity, address)
        return name.decode("utf-8", "replace") if known else None

    def refuse(self) -> Response:
        """Ask for a login, or say that the proxy named no user."""
        if self.header is not None:
            return PlainTextResponse("the proxy named no user\n", status_code=403)
        asks = {"WWW-Authenticate": 'Basic realm="dicom-node", charset="UTF-8"'}
        return PlainTextResponse("name and passcode, please\n", status_code=401, headers=asks)

    def guarded(self, page: Callable[[Request], Response]) -> Callable[[Request], Response]:
        """Answer only those who may look; the page finds the user in ``request.state.user``."""

        def answer(request: Request) -> Response:
            user = self.user(request)
            if user is None:
                return self.refuse()
            request.state.user = user
            return page(request)

        return answer


def _credentials(header: str) -> tuple[bytes, bytes]:
    """Name and passcode of an Authorization header (RFC 7617); empty if it is not one."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return b"", b""
    try:
        name, _, passcode = base64.b64decode(encoded, validate=True).partition(b":")
    except (ValueError, binascii.Error):
        return b"", b""
    return name, passcode
