"""moto's S3 server on loopback: it keeps objects in memory, also while it is stopped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from support.peer import free_port

from dicom_node.config import StoreConfig
from dicom_node.store.bucket import Bucket, bucket

pytest.importorskip("obstore")
moto: Any = pytest.importorskip("moto.server")

#: What a client needs in its environment; moto takes any.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "name", "AWS_SECRET_ACCESS_KEY": "secret"}


class S3:
    """A server with one bucket, ``films``."""

    def __init__(self) -> None:
        self._port = free_port()
        self.start()
        connection = HTTPConnection("127.0.0.1", self._port)
        connection.request("PUT", "/films")
        assert connection.getresponse().status in {200, 409}  # moto keeps it from server to server
        connection.close()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        self._server = moto.ThreadedMotoServer("127.0.0.1", self._port, verbose=False)
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def settings(self, prefix: str) -> dict[str, str]:
        """Keys of `store` for a folder of the bucket."""
        return {"files": f"s3://films/{prefix}", "endpoint": self.endpoint}

    def open(self, data_dir: Path, prefix: str) -> Bucket:
        url = "postgresql+psycopg://db/node"
        return bucket(StoreConfig(url=url, **self.settings(prefix)), data_dir)


@contextmanager
def s3_server() -> Iterator[S3]:
    """A server, and the credentials for it in this process's environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        server = S3()
        yield server
        server.stop()
