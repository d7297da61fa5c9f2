"""The two collections of Qatar University: COVID-QU-Ex, and the COVID-19 Radiography Database.

Both gather films of other collections and have lung masks of every film: outlined by networks and
corrected by people, opacified lung included, heart excluded. COVID-QU-Ex also has masks of the
infection (Tahir et al. 2021). Neither numbers its patients.
"""

from __future__ import annotations

from pathlib import Path

from openpyxl import load_workbook

from train.data.adapters.tables import if_there, with_lung_row
from train.data.manifest import AERATED, COVID, NORMAL, PNEUMONIA, Row

_CONVENTION = f"{AERATED} lung, heart excluded"
_VIRUS = "viral/SARS-CoV-2"

#: Folder -> label, pathogen.
_QU_EX = {"COVID-19": (COVID, _VIRUS), "Non-COVID": (PNEUMONIA, ""), "Normal": (NORMAL, "")}
_PARTS = ("Infection Segmentation Data", "Lung Segmentation Data")  # the first wins

#: Folder -> label, pathogen, what the radiologists of the RSNA challenge said of its RSNA films.
_RADIOGRAPHY = {
    "COVID": (COVID, _VIRUS, ""),
    "Lung_Opacity": (PNEUMONIA, "", "opacity"),
    "Normal": (NORMAL, "", "normal"),
    "Viral Pneumonia": (PNEUMONIA, "viral", ""),
}
#: A part of the address in the workbook -> the collection.
_ORIGINS = {
    "rsna-pneumonia": "rsna",
    "paultimothymooney": "kermany",
    "bimcv": "bimcv",
    "covid-19-image-repository": "hannover",
    "sirm": "sirm",
    "eurorad": "eurorad",
    "covid-chestxray-dataset": "ieee8023",
    "covid-cxnet": "covid-cxnet",
}


def covid_qu_ex(folder: Path) -> list[Row]:
    """Read ``PART/{Train,Val,Test}/CLASS/{images,lung masks,infection masks}``, publisher's split.

    A film of both parts is taken once, from the part with infection masks.
    """
    rows: dict[tuple[str, str], list[Row]] = {}
    for part in _PARTS:
        for film in sorted(folder.glob(f"**/{part}/**/images/*.png")):
            split, name, _, _ = film.relative_to(folder).parts[-4:]
            if name in _QU_EX and (name, film.name) not in rows:
                rows[name, film.name] = _qu_ex_rows(film, folder, split.lower(), name)
    return [row for pair in rows.values() for row in pair]


def radiography(folder: Path) -> list[Row]:
    """Read ``CLASS/images``, ``CLASS/masks`` and the origins in ``CLASS.metadata.xlsx``.

    The origin of a film is its ``subsource``: compare classes within one origin only. Films that
    come from the RSNA challenge were read by its radiologists.
    """
    return [row for name in _RADIOGRAPHY for row in _radiography_rows(folder, name)]


def _qu_ex_rows(film: Path, folder: Path, split: str, name: str) -> list[Row]:
    label, pathogen = _QU_EX[name]
    masks = film.parents[1]
    infection = if_there(masks / "infection masks" / film.name, folder)
    row = Row(
        path=film.relative_to(folder).as_posix(),
        split=split,
        label=label,
        pathogen=pathogen,
        source="quex",
        subsource="covid_qu_ex",
        licence="CC BY-SA 4.0, COVID-QU-Ex; as its sources",
        lung_mask=if_there(masks / "lung masks" / film.name, folder),
        infection_mask=infection if label == COVID else "",  # other classes have empty masks
    )
    return with_lung_row(row, _CONVENTION)


def _radiography_rows(folder: Path, name: str) -> list[Row]:
    label, pathogen, radiologist = _RADIOGRAPHY[name]
    origins, rows = _origins(folder / f"{name}.metadata.xlsx"), []
    for film in sorted((folder / name / "images").glob("*.png")):
        origin = origins.get(film.stem.lower(), "")
        row = Row(
            path=film.relative_to(folder).as_posix(),
            label=label,
            pathogen=pathogen,
            radiologist=radiologist if origin == "rsna" else "",
            source="radiography",
            subsource=origin,
            licence="as its sources; see the COVID-19 Radiography Database",
            lung_mask=if_there(folder / name / "masks" / film.name, folder),
        )
        rows += with_lung_row(row, _CONVENTION)
    return rows


def _origins(workbook: Path) -> dict[str, str]:
    """Film, in lower case, -> collection; the sheet's columns are name, format, size, address."""
    if not workbook.exists():
        return {}
    book = load_workbook(workbook, read_only=True)
    try:
        sheet = [[str(cell or "") for cell in line] for line in book.worksheets[0].values]
    finally:
        book.close()
    return {line[0].lower(): _origin(line[3]) for line in sheet[1:] if len(line) > 3}


def _origin(address: str) -> str:
    known = (name for part, name in _ORIGINS.items() if part in address.lower())
    return next(known, "")
