"""HTTP sessions with services: what they may see of us, and what their errors mean."""

from __future__ import annotations

import base64
import os
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import requests
from urllib3.exceptions import ProtocolError

from dicom_node.deliver.bounded_answer import HungUp
from dicom_node.deliver.deadline import Deadline
from dicom_node.deliver.status import broken_off, unavailable
from dicom_node.deliver.watched_http import watch
from dicom_node.errors import PeerUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from pathlib import Path

    from dicom_node.config import WebService
    from dicom_node.domain.values import Answer


def answers(
    service: WebService,
    accept: str,
    paths: Sequence[Path],
    before_each: Callable[[], None],
    send: Callable[[requests.Session, Deadline, Path], Answer],
) -> Generator[Answer, None, None]:
    """Send files over one session, the next one when its answer is taken; see `Sender`.

    Parameters
    ----------
    accept
        Media type of the answers.
    send
        Sends one file; raises HungUp or PeerUnavailable, which end the session.
    """
    given = 0
    try:
        with opened(service, accept) as (session, deadline):
            for path in paths:
                before_each()
                answer = send(session, deadline, path)
                given += 1
                yield answer
    except HungUp as error:
        yield from broken_off(error, sent=True, behind=len(paths) - given - 1)
    except PeerUnavailable as error:
        yield from [unavailable(str(error))] * (len(paths) - given)


@contextmanager
def opened(service: WebService, accept: str) -> Iterator[tuple[requests.Session, Deadline]]:
    """Hold a session with what the service wants to see, and the deadline of its connections.

    Parameters
    ----------
    accept
        Media type of the answers.

    Raises
    ------
    PeerUnavailable
        A file or secret that is configured cannot be read now.
    """
    with requests.Session() as session, closing(Deadline()) as deadline:
        session.trust_env = False  # use only proxies and passwords of our configuration
        session.max_redirects = 0
        session.headers["Accept"] = accept
        session.headers["Accept-Encoding"] = "identity"
        if service.ca_file is not None:
            if not service.ca_file.is_file():
                raise PeerUnavailable(f"no such file: {service.ca_file}")
            session.verify = str(service.ca_file)
        if (token := _token(service)) is not None:
            session.headers["Authorization"] = _authorization(service, token)
        watch(session, deadline)
        yield session, deadline


def _authorization(service: WebService, token: str) -> str:
    """Basic authentication (RFC 7617) if a user is configured, else a bearer token (RFC 6750)."""
    if service.user is None:
        return f"Bearer {token}"
    return "Basic " + base64.b64encode(f"{service.user}:{token}".encode()).decode()


def _token(service: WebService) -> str | None:
    """Read the token at every use: tokens are renewed while the node runs. Never logged."""
    if service.token_file is not None:
        try:
            token = service.token_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeError):
            raise PeerUnavailable(f"cannot read the token in {service.token_file}") from None
    elif service.token_env is not None:
        token = os.environ.get(service.token_env, "").strip()
    else:
        return None
    if not token or not token.isprintable() or not token.isascii():
        raise PeerUnavailable(f"no token in {service.token_file or service.token_env}")
    return token


@contextmanager
def asking(service: WebService, deadline: Deadline) -> Iterator[None]:
    """Turn errors that prevent an answer into PeerUnavailable; HTTP errors pass.

    The messages are our own: those of requests quote headers, including the token.
    """
    try:
        with _in_time(service, deadline):
            yield
    except (requests.HTTPError, requests.TooManyRedirects, requests.JSONDecodeError):
        raise
    except requests.exceptions.SSLError:
        raise PeerUnavailable(f"the certificate of {service.url} is not trusted") from None
    except requests.ConnectTimeout:
        raise PeerUnavailable(f"no answer from {service.url}") from None
    except requests.ReadTimeout:
        raise HungUp(f"no answer from {service.url} in time") from None
    except requests.ConnectionError as error:
        if error.args and isinstance(error.args[0], ProtocolError):
            raise HungUp(f"{service.url} hung up") from None
        raise PeerUnavailable(f"cannot reach {service.url}") from None
    except OSError as error:  # every other error of requests is one
        raise PeerUnavailable(f"cannot ask {service.url}: {type(error).__name__}") from None


@contextmanager
def _in_time(service: WebService, deadline: Deadline) -> Iterator[None]:
    """Name the true reason of errors that come of a connection shut down by its deadline."""
    try:
        yield
    except requests.RequestException:
        if deadline.expired:
            raise HungUp(f"{service.url} takes too long") from None
        raise
