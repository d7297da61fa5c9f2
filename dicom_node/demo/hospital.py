"""What a rehearsal puts around a node: films as modalities send them, and a PACS with moods."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from pydicom.uid import generate_uid

from dicom_node.conformance.trial_study import trial_film
from dicom_node.demo.pacs import DemoPacs
from dicom_node.demo.phantom import phantom
from dicom_node.domain.mood import Mood

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom.dataset import Dataset
    from pynetdicom.events import Event

SHAPE = (2000, 1700)  # rows and columns of a film of 6.8 MB, uncompressed
_LARGEST = 4095  # 12 bits
_PICTURES = 3  # drawn ahead, so that drawing takes no time from the node
_CYCLE = 10  # films: one is a lateral, which is refused; three have an opacity, for stage 3
_LATERAL = 9

_SLOW_SECONDS = 1.0
_REFUSED = 0xC000  # cannot understand, PS3.4 B.2.3


class MoodyPacs(DemoPacs):
    """A `DemoPacs` that answers by its mood, which may change."""

    def __init__(self, folder: Path, mood: Mood) -> None:
        super().__init__(folder)
        self.mood = mood

    def store(self, event: Event) -> int:
        """See `DemoPacs`."""
        if self.mood is Mood.REFUSING:
            return _REFUSED
        if self.mood is Mood.SLOW:
            time.sleep(_SLOW_SECONDS)
        return super().store(event)

    def completed(self) -> dict[str, float]:
        """Study Instance UID -> when its last object came, in seconds since 1970."""
        last: dict[str, float] = {}
        for path in self.instances().values():
            study, came = path.parent.name, path.stat().st_mtime
            last[study] = max(last.get(study, came), came)
        return last


class Modality:
    """Makes films, each of a study of its own: one lateral in ten, three with an opacity."""

    def __init__(self, shape: tuple[int, int] = SHAPE) -> None:
        self._shape = shape
        self._clear = [_picture(shape, seed, 0.0) for seed in range(_PICTURES)]
        self._opaque = [_picture(shape, seed, 0.9) for seed in range(_PICTURES)]
        self._made = 0

    def film(self) -> Dataset:
        """The next film, of the test patient of `trial_film`."""
        number, self._made = self._made, self._made + 1
        turn = number % _CYCLE
        pictures = self._opaque if turn % 3 == 2 and turn != _LATERAL else self._clear
        film = trial_film(datetime.now(UTC))
        film.PatientID = f"ZZZ-TEST-{number}"
        film.PatientAge, film.BodyPartExamined = "056Y", "CHEST"
        film.ViewPosition = "LL" if turn == _LATERAL else "PA"
        film.ImageType = ["ORIGINAL", "PRIMARY", ""]
        film.PresentationIntentType = "FOR PRESENTATION"
        film.Rows, film.Columns = self._shape
        film.BitsStored, film.HighBit = 12, 11
        film.WindowCenter, film.WindowWidth = (_LARGEST + 1) / 2, _LARGEST + 1
        film.PixelData = pictures[number % _PICTURES]
        film.file_meta.MediaStorageSOPClassUID = film.SOPClassUID
        film.SOPInstanceUID = generate_uid()
        film.file_meta.MediaStorageSOPInstanceUID = film.SOPInstanceUID
        return film


def _picture(shape: tuple[int, int], seed: int, opacity: float) -> bytes:
    drawn = phantom(*shape, seed, opacity)
    return np.asarray(np.rint(drawn * _LARGEST), dtype="<u2").tobytes()
