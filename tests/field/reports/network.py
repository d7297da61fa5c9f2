"""Reports about associations and C-STORE, and what each sends to a receiver."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass

from pydicom.uid import DeflatedExplicitVRLittleEndian
from support.association_requests import echo
from support.receiving import (
    VERIFICATION,
    RawPeer,
    association_request,
    encoded,
    proposed,
    send,
    small_film,
)

from field.reports.report import explicit

_SUCCESS, _ABORTED = 0x0000, -1


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkReport:
    """Like `Report`; ``ask`` sends it to a port and returns the status, -1 for anything else."""

    thread: str
    trouble: str
    answer: str
    ask: Callable[[int], int]
    expected: int = _SUCCESS


def store(port: int, *, without: int = 0, uid: str = "") -> int:
    """C-STORE a film whose command lacks an element, or has this UID."""
    film = small_film()
    if uid:
        film.SOPInstanceUID = uid
    with RawPeer(port, film.SOPClassUID) as peer:
        peer.send((3, peer.command_set(uid or film.SOPInstanceUID, without=without)))
        peer.send((2, encoded(film)))
        return peer.status()


def in_one_pdu(port: int) -> int:
    """Command and data set in one P-DATA-TF."""
    film = small_film()
    with RawPeer(port, film.SOPClassUID) as peer:
        peer.send((3, peer.command_set(film.SOPInstanceUID)), (2, encoded(film)))
        return peer.status()


def in_odd_fragments(port: int) -> int:
    """A data set in fragments of an odd number of bytes."""
    film = small_film()
    content = encoded(film)
    with RawPeer(port, film.SOPClassUID) as peer:
        peer.send((3, peer.command_set(film.SOPInstanceUID)))
        peer.send((0, content[:777]))
        peer.send((2, content[777:]))
        return peer.status()


def interrupted(port: int) -> int:
    """A command in the middle of a data set."""
    film = small_film()
    with RawPeer(port, film.SOPClassUID) as peer:
        peer.send((3, peer.command_set(film.SOPInstanceUID)))
        peer.send((0, encoded(film)[:776]))
        peer.send((3, peer.command_set(film.SOPInstanceUID)))
        return peer.status()


def both_uids_come_back(port: int) -> int:
    """Success only if the response has Affected SOP Class and Instance UID."""
    film = small_film()
    with RawPeer(port, film.SOPClassUID) as peer:
        peer.send((3, peer.command_set(film.SOPInstanceUID)))
        peer.send((2, encoded(film)))
        answer = peer.socket.recv(65536)
    uids = film.SOPClassUID.encode(), film.SOPInstanceUID.encode()
    return _SUCCESS if all(uid in answer for uid in uids) else _ABORTED


def with_values(port: int) -> int:
    """A film with values that break their VR."""
    film = small_film()
    bad = explicit(0x00080020, "DA", b"yesterday ") + explicit(0x00101030, "DS", b"seventy ")
    content = encoded(film)
    at = content.index(b"\x10\0\x10\0PN")
    with RawPeer(port, film.SOPClassUID) as peer:
        return peer.store(film.SOPInstanceUID, content[:at] + bad + content[at:])


def deflated(port: int) -> int:
    """A film in Deflated Explicit VR Little Endian."""
    return send(port, small_film(syntax=DeflatedExplicitVRLittleEndian))


def echoed(port: int, request: bytes) -> int:
    """Success if the request is accepted and a C-ECHO answered."""
    with socket.create_connection(("127.0.0.1", port), timeout=8) as peer:
        peer.sendall(request)
        if peer.recv(65536)[:1] != b"\2":
            return _ABORTED
        peer.sendall(echo(1))
        return _SUCCESS if peer.recv(65536)[:1] == b"\4" else _ABORTED


REPORTS = (
    NetworkReport(
        thread="pydicom/pynetdicom#646",
        trouble="an ultrasound machine with a calling AE title of blanks was aborted",
        answer="rejects with 1/1/3: calling AE title not recognised",
        ask=lambda port: echoed(port, association_request(calling=b"")),
        expected=_ABORTED,
    ),
    NetworkReport(
        thread="pydicom/pynetdicom#46",
        trouble="an illegal transfer syntax UID among the proposed ended the association",
        answer="takes another of them",
        ask=lambda port: echoed(
            port,
            association_request(
                contexts=proposed(1, VERIFICATION.encode(), (b"1.2..3", b"1.2.840.10008.1.2"))
            ),
        ),
    ),
    NetworkReport(
        thread="pydicom/pynetdicom#322",
        trouble="an illegal SOP Instance UID (leading zero) ended the association",
        answer="keeps the film",
        ask=lambda port: store(port, uid="1.2.826.0.1.3680043.8.498.007"),
    ),
    NetworkReport(
        thread="fo-dicom/fo-dicom#1960",
        trouble="receivers refused command and data set in one PDU",
        answer="takes them",
        ask=in_one_pdu,
    ),
    NetworkReport(
        thread="fo-dicom/fo-dicom#284",
        trouble="a fragment of an odd number of bytes was aborted",
        answer="takes it",
        ask=in_odd_fragments,
    ),
    NetworkReport(
        thread="fo-dicom/fo-dicom#1359",
        trouble="after a time-out a peer began another message in the middle of one",
        answer="aborts the association",
        ask=interrupted,
        expected=_ABORTED,
    ),
    NetworkReport(
        thread="PantelisGeorgiadis/dcmjs-dimse#9",
        trouble="a C-STORE-RQ without Priority was not understood",
        answer="takes it",
        ask=lambda port: store(port, without=0x0700),
    ),
    NetworkReport(
        thread="fo-dicom/fo-dicom#341",
        trouble="a request without Message ID was an exception in the receiver",
        answer="aborts the association at once: it cannot be answered",
        ask=lambda port: store(port, without=0x0110),
        expected=_ABORTED,
    ),
    NetworkReport(
        thread="nextgenhealthcare/connect#4049",
        trouble="responses without Affected SOP Class and Instance UID",
        answer="sends both",
        ask=both_uids_come_back,
    ),
    NetworkReport(
        thread="pydicom/pynetdicom#482",
        trouble="a deflated data set arrived damaged",
        answer="keeps it",
        ask=deflated,
    ),
    NetworkReport(
        thread="DICOMcloud/DICOMcloud#99",
        trouble="a film with values that break their VR was not stored",
        answer="keeps it",
        ask=with_values,
    ),
)  # fmt: skip
