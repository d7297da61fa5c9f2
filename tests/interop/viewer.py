"""OHIF in Chromium on a PACS with the results: is everything drawn that should be?"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from interop.install import CHROMIUM, NPM
from interop.roundtrip import Back
from interop.servers import Orthanc, ohif
from interop.verdicts import Verdict, verdict
from PIL import Image
from pydicom import dcmread
from pydicom.uid import BasicTextSRStorage

_SCRIPT = Path(__file__).with_name("ohif.mjs")
_SECONDS_A_SERIES = 1500  # three attempts, each with its own patience

# What to wait for in the viewport, by kind. OHIF lists GSPS, KOS and PMAP and does not draw them.
_UNTIL = {"film": "picture", "SC": "colour", "SEG": "colour", "SR": "labels"}

_LEAST_COLOUR = {"SC": 0.001, "SEG": 0.02}  # share of the canvas: some heat; two lungs
_LEAST_CHANGE = 0.0005  # share of the viewport: a thin contour is more
_SEEN = 40  # grey levels, or levels of a channel


def check(
    case: str, answer: str, pacs: Orthanc, source: Path, back: Sequence[Back], out: Path
) -> Verdict:
    """Open the film, the summary and the report; of a positive film the lungs, too.

    Screenshots of the page and of the viewport are saved in ``out`` (``.pane.png``).
    """
    kinds = ("SC", "SEG", "SR") if answer == "positive" else ("SC", "SR")
    chosen = {one.kind: one.path for one in reversed(back) if one.kind in kinds}
    series = [_task(kind, path, answer) for kind, path in {"film": source, **chosen}.items()]
    wrong = [f"{kind}: nothing to open" for kind in kinds if kind not in chosen]
    study = str(dcmread(source, stop_before_pixels=True).StudyInstanceUID)
    try:
        seen = _browse(pacs, study, series, out)
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        return verdict("ohif", case, [*wrong, str(error)])
    for one in seen:
        wrong += [f"{one['name']}: {line}" for line in _complaints(one, answer, out)]
    return verdict("ohif", case, wrong)


def _task(kind: str, path: Path, answer: str) -> dict[str, Any]:
    ds = dcmread(path, stop_before_pixels=True)
    is_page = kind == "SR" and (answer == "refused" or ds.SOPClassUID == BasicTextSRStorage)
    until = "page" if is_page else _UNTIL[kind]
    return {"number": int(ds.SeriesNumber), "name": kind, "until": until}


def _browse(
    pacs: Orthanc, study: str, series: list[dict[str, Any]], out: Path
) -> list[dict[str, Any]]:
    out.mkdir(parents=True, exist_ok=True)
    with ohif(pacs) as base:
        task = {
            "base": base,
            "study": study,
            "out": str(out),
            "npm": str(NPM),
            "chromium": str(CHROMIUM),
            "series": series,
        }
        (out / "task.json").write_text(json.dumps(task))
        done = subprocess.run(
            ["node", _SCRIPT, out / "task.json"],
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS_A_SERIES * len(series),
        )
    if done.returncode:
        raise RuntimeError(f"the browser script broke: {done.stderr[-500:]}")
    (out / "seen.json").write_text(done.stdout)
    seen: list[dict[str, Any]] = json.loads(done.stdout)
    return seen


def _complaints(seen: dict[str, Any], answer: str, out: Path) -> Iterator[str]:
    if broke := seen.get("broke"):
        yield broke
    elif seen["wrong"] or not seen["pane"]:
        yield f"the viewer crashed: {'; '.join(seen['errors'])}"
    else:
        yield from seen["errors"]
        yield from _not_drawn(seen, answer, out)


def _not_drawn(seen: dict[str, Any], answer: str, out: Path) -> Iterator[str]:
    name = seen["name"]
    pane, film = out / f"{name}.pane.png", out / "film.pane.png"
    if name == "film" and _pixels(pane).std() < 5:
        yield "the picture is flat"
    if seen["loading"]:
        yield "it never finishes loading"
    elif name in ("SC", "SEG") and seen["colour"] < _LEAST_COLOUR[name]:
        yield f"too little colour is drawn: {seen['colour']:.2%} of the picture"
    if answer == "positive" and name in ("SEG", "SR") and _change(pane, film) < _LEAST_CHANGE:
        yield f"it looks like the film alone ({_change(pane, film):.2%} of the viewport differs)"
    if name == "SR" and answer != "refused" and not _says_score(seen):
        yield f"no label names probability or score: {seen['labels'] or seen['text'][:200]!r}"


def _says_score(seen: dict[str, Any]) -> bool:
    said = (seen["labels"] + seen["text"]).lower()
    return "probability" in said or "score" in said


def _pixels(path: Path) -> np.ndarray[Any, np.dtype[np.int16]]:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"), dtype=np.int16)


def _change(one: Path, other: Path) -> float:
    a, b = _pixels(one), _pixels(other)
    if a.shape != b.shape:
        return 1.0  # another layout
    return float(np.mean(np.abs(a - b).max(axis=2) > _SEEN))
