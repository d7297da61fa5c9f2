"""Films with lung masks: Montgomery County and Shenzhen (NLM), JSRT with the SCR outlines.

All three outline the aerated lung and leave the heart out.
"""

from __future__ import annotations

import re
from pathlib import Path

from train.data.adapters.tables import sex, years
from train.data.manifest import AERATED, NORMAL, Row

_NLM = "NLM: research and education, cite Jaeger et al. 2014"
_SEX, _AGE = re.compile(r"\b(male|female|[MF])\b", re.IGNORECASE), re.compile(r"(\d+)\s*(?:Y|yrs)")


def montgomery(folder: Path) -> list[Row]:
    """Read ``MontgomerySet``: a mask for each lung, a text file of findings."""
    rows = []
    for film in sorted((folder / "CXR_png").glob("MCUCXR_*.png")):
        masks = [folder / "ManualMask" / side / film.name for side in ("leftMask", "rightMask")]
        if all(mask.exists() for mask in masks):
            reading = folder / "ClinicalReadings" / f"{film.stem}.txt"
            rows.append(_nlm("montgomery", folder, film, masks, reading))
    return rows


def shenzhen(folder: Path) -> list[Row]:
    """Read ``ChinaSet_AllFiles`` with the masks of Stirenko et al. 2018 in ``mask``."""
    rows = []
    for film in sorted((folder / "CXR_png").glob("CHNCXR_*.png")):
        mask = folder / "mask" / f"{film.stem}_mask.png"
        if mask.exists():
            reading = folder / "ClinicalReadings" / f"{film.stem}.txt"
            rows.append(_nlm("shenzhen", folder, film, [mask], reading))
    return rows


def jsrt(folder: Path) -> list[Row]:
    """Read ``All247images/*.IMG`` with the SCR masks in ``scratch/fold{1,2}/masks``."""
    rows = []
    for film in sorted((folder / "All247images").glob("*.IMG")):
        folds = [folder / "scratch" / fold / "masks" for fold in ("fold1", "fold2")]
        masks = [
            fold / side / f"{film.stem}.gif"
            for fold in folds
            for side in ("left lung", "right lung")
            if (fold / side / f"{film.stem}.gif").exists()
        ]
        if masks:
            rows.append(
                Row(
                    path=_relative(film, folder),
                    mask="|".join(_relative(mask, folder) for mask in masks),
                    convention=AERATED,
                    label=NORMAL if film.stem.startswith("JPCNN") else "nodule",
                    view="PA",
                    patient=film.stem,
                    source="jsrt",
                    licence="JSRT: research, cite Shiraishi 2000 and van Ginneken 2006",
                )
            )
    return rows


def _nlm(source: str, folder: Path, film: Path, masks: list[Path], reading: Path) -> Row:
    """The name ends in 0 for a normal film, in 1 for tuberculosis."""
    words = reading.read_text(encoding="utf-8", errors="replace") if reading.exists() else ""
    found_sex, found_age = _SEX.search(words), _AGE.search(words)
    return Row(
        path=_relative(film, folder),
        mask="|".join(_relative(mask, folder) for mask in masks),
        convention=AERATED,
        label=NORMAL if film.stem.endswith("_0") else "tuberculosis",
        view="PA",
        age=years(found_age[1]) if found_age else "",
        sex=sex(found_sex[1]) if found_sex else "",
        patient=film.stem,
        source=source,
        licence=_NLM,
    )


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
