"""Reports as the pipeline writes them for destinations that get messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support import readings
from support.objects import composed, context, small_film

from dicom_node import compose


def reports(folder: Path, films: int = 1, **elements: Any) -> list[Path]:
    """Write reports of films of one study; the first film's score is above the cut-off."""
    folder.mkdir(exist_ok=True)
    paths = []
    for number in range(films):
        film = small_film(**elements)
        where = readings.frame(film.Rows, film.Columns)
        reading = readings.negative(where) if number else readings.positive(where)
        paths.append(folder / f"{number}.dcm")
        [report] = composed(film, reading, context(summary=False, heatmaps="none"))
        compose.write(report, paths[-1])
    return paths
