"""Small screenshots of a run, for the documentation."""

from __future__ import annotations

import subprocess
from pathlib import Path

from interop.install import CHROMIUM
from PIL import Image

_WIDTH = 960  # pixels
_COLOURS = 256


def make(run: Path, folder: Path) -> None:
    """Shrink the screenshots of the first round's positive film, and render its report's page."""
    folder.mkdir(parents=True, exist_ok=True)
    case = next((run / "3d").glob("positive*"))
    page = case / "SR-1.html"
    drawn = page.with_suffix(".page.png")
    words = ["--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=900,1100"]
    subprocess.run(
        [CHROMIUM, *words, f"--screenshot={drawn}", page.as_uri()],
        check=True,
        capture_output=True,
        timeout=300,
    )
    for source, name in (
        *((case / "ohif" / f"{kind}.png", f"ohif-{kind.lower()}") for kind in _SEEN_BY_OHIF),
        *((path, "ohif-refused") for path in (run / "3d").glob("lateral*/ohif/SC.png")),
        (case / "SC-1.preview.png", "orthanc-sc"),
        (case / "SEG-1.preview.png", "orthanc-seg"),
        (drawn, "dsr2html-sr"),
    ):
        if source.exists():
            _shrink(source, folder / f"{name}.png")


_SEEN_BY_OHIF = ("film", "SC", "SEG", "SR")


def _shrink(source: Path, target: Path) -> None:
    with Image.open(source) as picture:
        small = picture.convert("RGB")
        small.thumbnail((_WIDTH, 2 * _WIDTH))
        few = small.quantize(_COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        few.save(target, optimize=True)
