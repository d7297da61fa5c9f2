"""A hospital in a box: what surrounds the node, and what is said of how it did."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.peer import destination, send_files

from dicom_node.cli.rehearse import verdict
from dicom_node.config import Config, ModelsConfig, WorkersConfig
from dicom_node.demo.hospital import Modality, MoodyPacs
from dicom_node.demo.rehearsal import Observed, boxed, rehearse
from dicom_node.demo.running import Running
from dicom_node.domain.mood import Mood
from dicom_node.errors import NodeError


def observed(**seen: object) -> Observed:
    values = {"films_a_day": 2000, "mood": Mood.NORMAL, "left_out": [], "seconds": 60.0, **seen}
    return Observed(**values)  # type: ignore[arg-type]


def test_the_box_keeps_the_work_and_replaces_the_surroundings(tmp_path: Path) -> None:
    """Nothing outside this machine is called, nothing of the real node is written."""
    config = Config.model_validate({
        "node": {"data_dir": "/var/lib/node", "allowed_calling": [{"ae_title": "CR1"}]},
        "destinations": [
            {"name": "pacs", "ae_title": "REAL", "host": "pacs.hospital", "port": 104},
            {"name": "disk", "kind": "folder", "path": "/mnt", "identity": "pseudonym"},
        ],
        "workers": {"count": 3}, "models": {"version": "paper", "shadow": "/candidate"},
        "http": {"port": 8080}, "store": {"url": "postgresql+psycopg://db/node"},
    })  # fmt: skip
    box = boxed(config, tmp_path, 11, 12)
    assert {(each.host, each.port) for each in box.destinations} == {("127.0.0.1", 12)}  # type: ignore[union-attr]
    assert (box.node.host, box.node.port, box.node.data_dir) == ("127.0.0.1", 11, tmp_path)
    assert (box.http.port, box.store.url, box.node.allowed_calling) == (None, "sqlite", ())
    assert box.workers == WorkersConfig(count=3)
    assert box.models == ModelsConfig(version="paper")
    assert Config.model_validate_json(box.model_dump_json()) == box


def test_a_node_that_sends_no_objects_cannot_be_rehearsed(tmp_path: Path) -> None:
    """There would be nothing to time."""
    with pytest.raises(NodeError, match="gets DICOM objects"):
        boxed(Config(), tmp_path, 11, 12)


@pytest.mark.parametrize(
    ("seen", "said", "keeps_up"),
    [
        (observed(films=5, waiting=1), "carries 2000 films a day", True),
        (
            observed(films=40, waiting=30),
            "does not carry 2000 films a day: 30 of 40 films waited in the end",
            False,
        ),
        (observed(films=9, waiting=4, films_a_day=None), "carries 2400 films a day", True),
        (
            observed(films=9, lost=2, rejected=1),
            "films were lost: 1 not taken, 2 without a result",
            False,
        ),
        (observed(films=9, waiting=9, mood=Mood.DOWN), "carries 2000 films a day", True),
    ],
)
def test_the_verdict_is_one_sentence(seen: Observed, said: str, keeps_up: bool) -> None:
    """A PACS that is down makes films wait, which is no fault of the node."""
    assert (verdict(seen), seen.keeps_up) == (said, keeps_up)


def test_a_node_that_ends_is_not_waited_for(tmp_path: Path) -> None:
    """Its last words are quoted: the folder with its log goes with the rehearsal."""
    log = tmp_path / "node.log"
    with log.open("wb") as stream:
        node = subprocess.Popen(["sh", "-c", "echo the port is in use; exit 1"], stdout=stream)
    with pytest.raises(NodeError, match=r"(?s)ended with status 1.*the port is in use"):
        Running(node, log).wait(lambda: False, "no answer", 30)


def test_one_film_in_ten_is_a_lateral() -> None:
    """Each has a study of its own."""
    modality = Modality((64, 48))
    films = [modality.film() for _ in range(10)]
    assert [film.ViewPosition for film in films].count("LL") == 1
    assert len({film.StudyInstanceUID for film in films}) == 10
    assert len(films[0].PixelData) == 2 * 64 * 48


def test_a_pacs_that_refuses_may_become_well(tmp_path: Path) -> None:
    """It takes the object then, and knows when it came."""
    film = Modality((64, 48)).film()
    path = tmp_path / "film.dcm"
    film.save_as(path, enforce_file_format=True)
    with MoodyPacs(tmp_path / "pacs", Mood.REFUSING) as started:
        pacs = started
        assert isinstance(pacs, MoodyPacs)
        peer = destination(pacs.port)
        assert send_files(peer.host, peer.port, [path])[0][0] == 0xC000
        assert pacs.completed() == {}
        pacs.mood = Mood.NORMAL
        assert send_files(peer.host, peer.port, [path])[0][0] == 0
        assert list(pacs.completed()) == [film.StudyInstanceUID]


@pytest.mark.slow
@pytest.mark.parametrize("mood", [Mood.SLOW, Mood.DOWN, Mood.REFUSING])
def test_no_film_is_lost_whatever_the_pacs_does(mood: Mood) -> None:
    """A whole rehearsal: what the PACS did not take at first is there in the end."""
    pacs = {"name": "pacs", "ae_title": "REAL", "host": "pacs.hospital", "port": 104}
    config = Config.model_validate({"destinations": [pacs], "study": {"quiet_seconds": 0.5}})
    seen = rehearse(config, None, 0.2, mood, lambda _: None)
    assert seen.films > 0
    assert (seen.rejected, seen.lost, len(seen.latencies)) == (0, 0, seen.films)
    assert seen.objects >= 2 * seen.films
    assert seen.megabytes_a_film > 0
