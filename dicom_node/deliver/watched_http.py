"""HTTP connections that a deadline can shut down, from their first byte."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

if TYPE_CHECKING:
    import socket

    from requests import Session

    from dicom_node.deliver.deadline import Deadline


class WatchedAdapter(HTTPAdapter):
    """An adapter of requests that lets a deadline watch each connection it opens."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        super().__init__()

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        """Make pools of watched connections."""
        super().init_poolmanager(*args, **more)
        deadline = self._deadline

        class Plain(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                connection = super()._new_conn()
                deadline.watch(connection)
                return connection

        class Secure(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                connection = super()._new_conn()
                deadline.watch(connection)
                return connection

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}


def watch(session: Session, deadline: Deadline) -> None:
    """Let the deadline watch every connection of a session."""
    for scheme in ("http://", "https://"):
        session.mount(scheme, WatchedAdapter(deadline))
