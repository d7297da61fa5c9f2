"""COVID-19 collections: ieee8023's covid-chestxray-dataset, and the COVIDx split lists."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlparse

from train.data.adapters.tables import lines, sex, years
from train.data.manifest import COVID, NORMAL, PNEUMONIA, Row

_FRONTAL = {"PA": "PA", "AP": "AP", "AP Supine": "AP", "AP Erect": "AP"}
_COVIDX = {
    "covid-19": COVID, "covid": COVID, "positive": COVID,
    "pneumonia": PNEUMONIA, "normal": NORMAL,
}  # fmt: skip


def ieee8023(folder: Path) -> list[Row]:
    """Read ``metadata.csv`` and ``images/``; only frontal radiographs (Cohen et al. 2020)."""
    return [
        Row(
            path=path,
            label=label,
            pathogen=line["finding"].removeprefix("Pneumonia").strip("/"),
            view=_FRONTAL[line["view"]],
            age=years(line["age"]),
            sex=sex(line["sex"]),
            patient=line["patientid"],
            source="ieee8023",
            subsource=_publisher(line["url"]),
            licence=line["license"] or "not stated (see url)",
        )
        for line in lines(folder / "metadata.csv")
        if line["modality"] == "X-ray"
        and line["view"] in _FRONTAL
        and (label := _finding(line["finding"])) is not None
        and (folder / (path := f"{line['folder']}/{line['filename']}")).exists()
    ]


def covidx(folder: Path) -> list[Row]:
    """Read ``train_*.txt`` and ``test_*.txt`` (Wang et al. 2020): patient, film, class, source.

    The newest list of each split counts; films lie in ``train/`` and ``test/``. Films that are not
    there are left out.
    """
    rows = []
    for split in ("train", "test"):
        lists = sorted(folder.glob(f"{split}_*.txt"))
        for line in lists[-1].read_text(encoding="utf-8").splitlines() if lists else ():
            words = line.split()
            named = words[-1].lower() not in _COVIDX
            film, label = words[-3 if named else -2], words[-2 if named else -1].lower()
            path = f"{split}/{film}"
            if label in _COVIDX and (folder / path).exists():
                rows.append(
                    Row(
                        path=path,
                        split=split,
                        label=_COVIDX[label],
                        patient=" ".join(words[: -3 if named else -2]),
                        source="covidx",
                        subsource=words[-1] if named else "",
                        licence="as its sources; see COVID-Net",
                    )
                )
    return rows


def _finding(text: str) -> str | None:
    if "COVID-19" in text:
        return COVID
    if text.startswith("Pneumonia"):
        return PNEUMONIA
    return NORMAL if text == "No Finding" else None


def _publisher(url: str) -> str:
    """The site without its ending: radiopaedia, eurorad, sirm..."""
    host = urlparse(url).netloc.removeprefix("www.")
    return host.rsplit(".", 1)[0]
