"""NIH ChestX-ray14 (Wang et al. 2017): labels mined from report text, some films read again.

Radiologists read a part of it for the RSNA challenge of 2018. With the challenge's table and
mapping in the folder, their reading is the label of these films.
"""

from __future__ import annotations

from pathlib import Path

from train.data.adapters import rsna
from train.data.adapters.tables import lines, sex, years
from train.data.manifest import NORMAL, PNEUMONIA, TEXT, Row

_MINED = {"No Finding": TEXT + NORMAL, "Pneumonia": TEXT + PNEUMONIA}


def nih(folder: Path) -> list[Row]:
    """Read ``Data_Entry_2017*.csv`` and the films below ``images*``."""
    table = next(iter(sorted(folder.glob("Data_Entry_2017*.csv"))), None)
    films = {film.name: film for film in folder.glob("images*/**/*.png")}
    read = _read_by_radiologists(folder)
    return [
        _row(line, film.relative_to(folder).as_posix(), read.get(film.stem))
        for line in (lines(table) if table else ())
        if (film := films.get(line["Image Index"]))
    ]


def _read_by_radiologists(folder: Path) -> dict[str, str]:
    """NIH name -> class of the RSNA challenge."""
    if not (folder / rsna.TABLE).exists():
        return {}
    names = rsna.nih_names(folder / rsna.MAPPING)
    return {
        names[film]: found
        for film, found in rsna.classes(folder / rsna.TABLE).items()
        if film in names
    }


def _row(line: dict[str, str], path: str, read: str | None) -> Row:
    findings = line["Finding Labels"]
    mined = [_MINED[found] for found in findings.split("|") if found in _MINED]
    label, radiologist = rsna.CLASSES[read] if read else (mined[0] if mined else "other", "")
    return Row(
        path=path,
        label=label,
        findings=findings,
        radiologist=radiologist,
        view=line["View Position"],
        age=years(line["Patient Age"]),
        sex=sex(line.get("Patient Gender") or line.get("Patient Sex") or ""),
        patient=line["Patient ID"],
        source="nih",
        licence="NIH: unrestricted use, attribution",
    )
