"""The SCU against loopback peers, polite and otherwise."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)
from support.answers import NO_ANSWER, NOT_ACCEPTED, NOT_SENT, UNAVAILABLE, UNREADABLE, said
from support.objects import composed, context, small_film
from support.peer import (
    Act,
    Peer,
    destination,
    dripping,
    free_port,
    send_files,
    silent_port,
    wait_until,
)

from dicom_node import compose
from dicom_node.deliver.outgoing_file import OutgoingFile
from dicom_node.deliver.scu import MAX_CONTEXTS, StoreSender, contexts_for

IMPATIENT = 0.4  # seconds


def write(
    folder: Path,
    syntax: UID = ExplicitVRLittleEndian,
    sop_class: UID = SecondaryCaptureImageStorage,
    size: int = 0,
) -> Path:
    """A minimal instance with ``size`` bytes of private ballast."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, generate_uid()
    ds.StudyInstanceUID = generate_uid()
    ds.PatientName, ds.PatientID = "Test^Delivery", "1"
    if size:
        ds.private_block(0x0041, "DICOM_NODE_TEST", create=True).add_new(1, "OB", b"\1" * size)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    path = folder / f"{ds.SOPInstanceUID}.dcm"
    ds.save_as(path, enforce_file_format=True)
    return path


def data_set_bytes(path: Path) -> bytes:
    """What follows the File Meta Information."""
    content = path.read_bytes()
    return content[144 + int.from_bytes(content[140:144], "little") :]


def sender(port: int, timeout_seconds: float = 10.0) -> StoreSender:
    return StoreSender("DICOM_NODE", [destination(port)], timeout_seconds)


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    with Peer(tmp_path_factory.mktemp("honest")) as peer:
        yield peer


@pytest.fixture
def films(tmp_path: Path) -> list[Path]:
    return [write(tmp_path) for _ in range(3)]


def test_one_association(honest: Peer, films: list[Path]) -> None:
    """All files of a shipment travel in one association, and each has its own answer."""
    before = honest.associations
    answers = said(sender(honest.port).send("pacs", films))
    assert answers == [(0x0000, "0x0000 stored")] * 3
    assert honest.associations == before + 1
    assert honest.calling[-1] == "DICOM_NODE"
    assert {path.stem for path in films} <= honest.instances().keys()


@pytest.mark.parametrize(
    "syntax",
    [
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
    ],
    ids=lambda uid: uid.keyword,
)
def test_bytes_unchanged(honest: Peer, tmp_path: Path, syntax: UID) -> None:
    """The stored bytes of the data set go out as they are."""
    path = write(tmp_path, syntax, size=50_001)
    [(status, _)] = said(sender(honest.port).send("pacs", [path]))
    assert status == 0x0000
    arrived = honest.instances()[path.stem]
    assert dcmread(arrived).file_meta.TransferSyntaxUID == syntax
    assert data_set_bytes(arrived) == data_set_bytes(path)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (ExplicitVRLittleEndian, ImplicitVRLittleEndian),
        (ImplicitVRLittleEndian, ExplicitVRLittleEndian),
        (DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian),
    ],
    ids=lambda uid: uid.keyword,
)
def test_re_encoded(tmp_path: Path, ours: UID, theirs: UID) -> None:
    """A peer that takes only another uncompressed syntax gets the same values in that one."""
    path = write(tmp_path, ours)
    with Peer(tmp_path / "pacs", syntaxes=[theirs]) as peer:
        assert said(sender(peer.port).send("pacs", [path])) == [(0x0000, "0x0000 stored")]
        arrived = dcmread(peer.instances()[path.stem])
    assert arrived.file_meta.TransferSyntaxUID == theirs
    assert arrived == dcmread(path)


@pytest.mark.parametrize("theirs", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("encoding", ["jpeg", "jpeg-ls"])
def test_our_pictures_are_decoded(tmp_path: Path, encoding: str, theirs: UID) -> None:
    """A peer that takes no compression gets the same instance, its pixels decoded to RGB."""
    results = context(encoding=encoding)
    path = tmp_path / "picture.dcm"
    compose.write(composed(small_film(), what=results)[0], path)
    with Peer(tmp_path / "pacs", syntaxes=[theirs]) as peer:
        assert said(sender(peer.port).send("pacs", [path])) == [(0x0000, "0x0000 stored")]
        (stored,) = peer.instances().values()
    sent, got = dcmread(path), dcmread(stored)
    assert sent.SOPInstanceUID == got.SOPInstanceUID
    assert sent.file_meta.TransferSyntaxUID.is_compressed
    assert got.PhotometricInterpretation == "RGB"
    assert got.LossyImageCompression == ("01" if encoding == "jpeg" else "00")
    assert got.get("LossyImageCompressionRatio") == sent.get("LossyImageCompressionRatio")
    assert (got.pixel_array == sent.pixel_array).all() or encoding == "jpeg"


def test_no_context_for_any(tmp_path: Path) -> None:
    """A peer that takes nothing we have is not asked again."""
    path = write(tmp_path, ExplicitVRBigEndian)
    with Peer(tmp_path / "pacs", syntaxes=[ImplicitVRLittleEndian]) as peer:
        answers = said(sender(peer.port).send("pacs", [path]))
    assert answers == [(NOT_ACCEPTED, "peer accepts none of the presentation contexts")]


def test_no_context_for_one(tmp_path: Path, films: list[Path]) -> None:
    """A file the peer has no context for does not keep the others back."""
    odd = write(tmp_path, ExplicitVRBigEndian)
    with Peer(tmp_path / "pacs", syntaxes=[ExplicitVRLittleEndian]) as peer:
        answers = said(sender(peer.port).send("pacs", [films[0], odd, films[1]]))
    assert [status for status, _ in answers] == [0, NOT_ACCEPTED, 0]
    assert answers[1][1] == (
        "peer does not accept Secondary Capture Image Storage in Explicit VR Big Endian"
    )


def test_status_per_instance(tmp_path: Path, films: list[Path]) -> None:
    """Each instance keeps the status the peer gave it."""
    with Peer(tmp_path / "pacs", acts=[0xA700, 0xC001, 0xB000]) as peer:
        answers = said(sender(peer.port).send("pacs", films))
    assert answers == [
        (0xA700, "0xA700 out of resources"),
        (0xC001, "0xC001 the peer cannot understand the object"),
        (0xB000, "0xB000 stored, elements were coerced"),
    ]


def test_file_problems(honest: Peer, tmp_path: Path, films: list[Path]) -> None:
    """A file that is missing, no DICOM or cut short never gets to the peer; the rest does."""
    (tmp_path / "notes.dcm").write_text("this is not DICOM " * 20)
    films[1].write_bytes(films[1].read_bytes()[:-1])
    paths = [tmp_path / "gone.dcm", films[0], tmp_path / "notes.dcm", tmp_path, films[1]]
    answers = said(sender(honest.port).send("pacs", paths))
    assert answers == [
        (UNREADABLE, "gone.dcm is missing on disk"),
        (0x0000, "0x0000 stored"),
        (UNREADABLE, "notes.dcm is not a DICOM file"),
        (UNREADABLE, f"{tmp_path.name} is not a DICOM file"),
        (UNREADABLE, f"{films[1].name} is cut short"),
    ]


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, about what we broke
def test_garbled_meta(honest: Peer, tmp_path: Path) -> None:
    """However the File Meta Information is damaged, `send` answers and does not raise."""
    whole, random = write(tmp_path).read_bytes(), Random(1)
    for number in range(200):
        garbled = bytearray(whole)
        garbled[random.randrange(132, 380)] = random.choice([0, 1, 2, random.randrange(256), 255])
        (tmp_path / f"{number}.dcm").write_bytes(garbled)
    paths = [tmp_path / f"{number}.dcm" for number in range(200)]
    assert len(said(sender(honest.port, 5).send("pacs", paths))) == 200


def test_cannot_be_re_encoded(tmp_path: Path, films: list[Path]) -> None:
    """A file that would need re-encoding and cannot be decoded does not keep the others back."""
    broken = write(tmp_path, DeflatedExplicitVRLittleEndian, size=1000)
    content = bytearray(broken.read_bytes())
    content[-200:-100] = bytes(100)
    broken.write_bytes(content)
    with Peer(tmp_path / "pacs", syntaxes=[ExplicitVRLittleEndian]) as peer:
        answers = said(sender(peer.port).send("pacs", [broken, films[0]]))
    assert [status for status, _ in answers] == [UNREADABLE, 0x0000]


def test_nothing_leaks(tmp_path: Path, films: list[Path]) -> None:
    """Failing again and again leaves no descriptor and no thread behind."""
    with Peer(tmp_path / "pacs", reject=(2, 3, 2)) as peer, silent_port() as silent:
        ports = (peer.port, free_port(), silent)

        def fail_everywhere() -> tuple[int, int]:
            for port in ports:
                said(sender(port, 0.1).send("pacs", films))
            wait_until(lambda: threading.active_count() <= quiet)
            return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()

        quiet = threading.active_count()
        first = fail_everywhere()
        for _ in range(3):
            assert fail_everywhere() <= first


def test_nothing_to_send(tmp_path: Path) -> None:
    """Where no file can be sent the peer is not called at all."""
    assert said(sender(free_port()).send("pacs", [])) == []
    assert said(sender(free_port()).send("pacs", [tmp_path / "gone.dcm"]))[0][0] == UNREADABLE


def test_unknown_destination(films: list[Path]) -> None:
    """A destination that left the configuration is a person's business, not worth a retry."""
    reason = "no destination named 'old' is configured"
    assert said(sender(1).send("old", films)) == [(NOT_ACCEPTED, reason)] * 3
    assert sender(1).echo("old").reason == reason


def test_nothing_listens(films: list[Path]) -> None:
    """A closed port fails every file at once, with a reason."""
    port = free_port()
    reason = f"nothing listens at 127.0.0.1:{port}"
    assert said(sender(port).send("pacs", films)) == [(UNAVAILABLE, reason)] * 3


def test_unknown_host(films: list[Path]) -> None:
    """A host name that does not resolve is a reason, not a traceback."""
    nowhere = destination(104).model_copy(update={"host": "pacs.invalid"})
    [(status, reason), *_] = said(StoreSender("US", [nowhere], IMPATIENT).send("pacs", films))
    assert status is UNAVAILABLE
    assert reason.startswith("cannot reach pacs.invalid:104: ")


@pytest.mark.parametrize(
    ("reject", "reason"),
    [
        ((1, 1, 7), "peer rejected: called AE title not recognised"),
        ((1, 1, 3), "peer rejected: calling AE title not recognised"),
        ((2, 3, 2), "peer rejected: local limit exceeded"),
    ],
)
def test_rejected(
    tmp_path: Path, films: list[Path], reject: tuple[int, int, int], reason: str
) -> None:
    """A rejected association says why and answers for nothing."""
    with Peer(tmp_path / "pacs", reject=reject) as peer:
        assert said(sender(peer.port).send("pacs", films)) == [(UNAVAILABLE, reason)] * 3
        assert not sender(peer.port).echo("pacs").ok


def test_called_ae_title(tmp_path: Path, films: list[Path]) -> None:
    """A peer that insists on its AE title hears it."""
    with Peer(tmp_path / "pacs", ae_title="ARCHIVE", require_called=True) as peer:
        assert send_files("127.0.0.1", peer.port, films, called="ARCHIVE")[0][0] == 0x0000
        assert send_files("127.0.0.1", peer.port, films, called="OTHER")[0][0] is None


def test_silent_port(films: list[Path]) -> None:
    """A port that takes the connection and says nothing costs one time-out, not one a film."""
    many = films * 10
    started = time.monotonic()
    with silent_port() as port:
        answers = said(sender(port, IMPATIENT).send("pacs", many))
    reason = f"127.0.0.1:{port} does not answer the association request within 0.4 s"
    assert answers == [(UNAVAILABLE, reason)] * len(many)
    assert time.monotonic() - started < len(many) * IMPATIENT


@pytest.mark.parametrize("act", [Act.ABORT, Act.STORE_AND_ABORT])
def test_aborted_midway(tmp_path: Path, films: list[Path], act: Act) -> None:
    """After an abort, what was answered keeps its answer and the rest has none."""
    with Peer(tmp_path / "pacs", acts=[0x0000, act]) as peer:
        answers = said(sender(peer.port).send("pacs", films))
    assert answers == [
        (0x0000, "0x0000 stored"),
        (NO_ANSWER, "the peer hung up"),
        (NOT_SENT, "not sent: the peer hung up"),
    ]


def test_peer_stops_answering(tmp_path: Path, films: list[Path]) -> None:
    """A peer that takes an instance and never answers costs one time-out."""
    started = time.monotonic()
    with Peer(tmp_path / "pacs", acts=[0x0000, Act.HANG]) as peer:
        answers = said(sender(peer.port, IMPATIENT).send("pacs", films))
        assert time.monotonic() - started < 4 * IMPATIENT
    assert [status for status, _ in answers] == [0x0000, NO_ANSWER, NOT_SENT]
    assert answers[1][1] == "no answer in 0.4 s"


def test_peer_stops_reading(tmp_path: Path) -> None:
    """A peer whose receive window fills up and stays full cannot hold us."""
    big = write(tmp_path, size=24_000_000)
    started = time.monotonic()
    with Peer(tmp_path / "pacs", read_delay_seconds=60) as peer:
        [(status, _)] = said(sender(peer.port, 5 * IMPATIENT).send("pacs", [big]))
        assert time.monotonic() - started < 20
    assert status == NO_ANSWER


def test_peer_trickles(tmp_path: Path) -> None:
    """A peer that reads, but slower than any line worth waiting for, is cut off."""
    big = write(tmp_path, size=24_000_000)  # at this rate: half a minute
    started = time.monotonic()
    with Peer(tmp_path / "pacs", read_delay_seconds=0.02) as peer:
        hasty = StoreSender("US", [destination(peer.port)], 0.5, slowest_line=1e9)
        [(status, reason)] = said(hasty.send("pacs", [big]))
        assert time.monotonic() - started < 10
    assert (status, reason) == (NO_ANSWER, "no answer in 0.5 s")


def test_slow_peer(tmp_path: Path, films: list[Path]) -> None:
    """A peer that is slow but answers within the time-out is waited for."""
    with Peer(tmp_path / "pacs", delay_seconds=0.1) as peer:
        answers = said(sender(peer.port, timeout_seconds=5).send("pacs", films))
    assert [status for status, _ in answers] == [0x0000] * 3


def test_back_on_the_same_port(tmp_path: Path, films: list[Path]) -> None:
    """A peer that went down and came back gets what it missed."""
    peer = Peer(tmp_path / "pacs").start()
    there = sender(peer.port)
    assert said(there.send("pacs", films[:1]))[0][0] == 0x0000
    peer.stop()
    assert said(there.send("pacs", films[1:]))[0][0] is UNAVAILABLE
    with peer:
        assert [status for status, _ in said(there.send("pacs", films[1:]))] == [0x0000] * 2
    assert peer.times_stored() == {path.stem: 1 for path in films}


def test_echo(honest: Peer) -> None:
    """C-ECHO shows whether a destination is there, and how quickly it answered."""
    result = sender(honest.port).echo("pacs")
    assert result.ok
    assert result.status == 0x0000
    assert result.reason == f"127.0.0.1:{honest.port} answers"
    assert 0 < result.seconds < 5


def test_echo_without_a_listener() -> None:
    """C-ECHO to a closed port fails with the reason."""
    port = free_port()
    result = sender(port).echo("pacs")
    assert (result.ok, result.status) == (False, None)
    assert result.reason == f"nothing listens at 127.0.0.1:{port}"


def outgoing(syntax: UID, sop_class: UID = CTImageStorage) -> OutgoingFile:
    return OutgoingFile(path=Path("x"), sop_class=sop_class, syntax=syntax, size=0)


@pytest.mark.parametrize(
    ("syntax", "proposed"),
    [
        (ExplicitVRLittleEndian, [ExplicitVRLittleEndian, ImplicitVRLittleEndian]),
        (ImplicitVRLittleEndian, [ImplicitVRLittleEndian, ExplicitVRLittleEndian]),
        (ExplicitVRBigEndian, [ExplicitVRBigEndian]),
        (JPEG2000Lossless, [JPEG2000Lossless]),
    ],
    ids=lambda value: getattr(value, "keyword", ""),
)
def test_contexts(syntax: UID, proposed: list[UID]) -> None:
    """Only what the files need is proposed, each transfer syntax in a context of its own."""
    contexts = contexts_for([outgoing(syntax), outgoing(syntax)])
    assert [cx.transfer_syntax for cx in contexts] == [[ts] for ts in proposed]


def test_contexts_fit() -> None:
    """However many kinds of file there are, the exact contexts come first and 128 is the end."""
    kinds = [outgoing(ExplicitVRLittleEndian, UID(f"1.2.3.{n}")) for n in range(100)]
    contexts = contexts_for(kinds)
    assert len(contexts) == MAX_CONTEXTS
    assert [cx.abstract_syntax for cx in contexts[:100]] == [kind.sop_class for kind in kinds]


# pynetdicom's reactor may see a closed connection after it has given up, and raise.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("beginning", [b"", b"\2\0\0\0\x3f\xff\0\1"], ids=["noise", "half an AC"])
def test_an_association_that_drips_is_given_up(films: list[Path], beginning: bytes) -> None:
    """A byte now and then does not extend the time for the answer."""
    with dripping(beginning, pause_seconds=0.05) as port:
        began = time.monotonic()
        answers = said(sender(port, IMPATIENT).send("pacs", films))
        assert time.monotonic() - began < 8
    assert [status for status, _ in answers] == [UNAVAILABLE] * 3
