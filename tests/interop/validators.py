"""Programs that validate files: dicom3tools, PixelMed, DCMTK, GDCM."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from interop.install import PIXELMED
from interop.roundtrip import Back
from interop.verdicts import Verdict, verdict
from pydicom import dcmread

_PATIENCE_SECONDS = 600

# The Java of Debian 12 limits XPath expressions to less than PixelMed's own style sheets need.
_PIXELMED = (
    "java",
    "-Xmx2g",
    "-Xss64m",
    *(f"-Djdk.xml.xpath{limit}Limit=0" for limit in ("ExprGrp", "ExprOp", "TotalOp")),
    "-cp",
    str(PIXELMED),
    "com.pixelmed.validate.DicomSRValidator",
)

# PixelMed applies the rows of TID 1410 to every group next to a region group, even to TID 1501.
_PIXELMED_NOISE = re.compile(
    r"^Error: Template 1410 PlanarROIMeasurements/.*\[Row [57]\].*Missing conditional content item"
)


def _run(*command: str | Path) -> tuple[int, str]:
    done = subprocess.run(command, capture_output=True, check=False, timeout=_PATIENCE_SECONDS)
    return done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace")


def _dciodvfy(one: Back) -> Iterator[str]:
    """Check each IOD's attributes by type. The exit status is meaningless; the lines count."""
    status, said = _run("dciodvfy", "-new", one.path)
    lines = said.splitlines()
    if status not in (0, 1):
        yield f"exit status {status}"
    if not any(re.fullmatch(r"[A-Za-z0-9]+", line.strip()) for line in lines):
        yield "the IOD was not recognised"
    yield from (line for line in lines if line.startswith("Error") or "Abort" in line)


def _pixelmed(one: Back) -> Iterator[str]:
    """Check a report's template and context groups; a plain text report has no template."""
    _, said = _run(*_PIXELMED, one.path)
    if "IOD validation complete" not in said:
        yield f"it did not finish: {said.strip()[-300:]}"
    lines = said.splitlines()
    yield from (
        line for line in lines if line.startswith("Error") and not _PIXELMED_NOISE.match(line)
    )
    if _is_plain_text(one):
        return
    if "Found Root Template TID_1500" not in said:
        yield "the root template is not TID 1500"
    if any(re.match(r"Warning: 1: .*not in template", line) for line in lines):
        yield "the title is not in the template: nothing below it was checked"


def _dsr2html(one: Back) -> Iterator[str]:
    """A report becomes an HTML page with text."""
    page = one.path.with_suffix(".html")
    status, said = _run("dsr2html", "+U8", one.path, page)
    if status or re.search(r"^E:", said, re.MULTILINE):
        yield said.strip()[-300:]
    elif len(re.sub(r"<[^>]*>", "", page.read_text(encoding="utf-8", errors="replace"))) < 200:
        yield "the page is empty"


def _dcmtk(one: Back) -> Iterator[str]:
    """DCMTK dumps every object, renders images and checks presentation states."""
    status, said = _run("dcmdump", "-q", one.path)
    if status:
        yield f"dcmdump: {said.strip()[-300:]}"
    if one.kind == "SC":
        status, said = _run("dcmj2pnm", "--write-png", one.path, one.path.with_suffix(".dcmtk.png"))
        if status:
            yield f"dcmj2pnm: {said.strip()[-300:]}"
    if one.kind == "GSPS":
        _, said = _run("dcmpschk", one.path)
        # it takes a name of several component groups (PS3.5 6.2.1.1) for malformed
        names = len(re.findall(r"Affected attribute: .*, Type PN", said))
        if "Test passed" not in said and (not names or said.count("E: Error:") > names):
            yield f"dcmpschk: {said.strip()[-300:]}"


def _gdcm(one: Back) -> Iterator[str]:
    """Programs built on GDCM survive the object; GDCM need not know its class."""
    status, said = _run("gdcminfo", one.path)
    if status < 0 or status >= 128:
        yield f"gdcminfo died: {said.strip()[-300:]}"


def _is_plain_text(one: Back) -> bool:
    return "BasicTextSR" in _run("dcmdump", "-q", "+P", "SOPClassUID", one.path)[1]


# Validator -> the tool it needs, the kinds it checks (empty: all), and its function.
VALIDATORS: Mapping[str, tuple[str, tuple[str, ...], Callable[[Back], Iterator[str]]]] = {
    "dciodvfy": ("dicom3tools", (), _dciodvfy),
    "pixelmed": ("pixelmed", ("SR",), _pixelmed),
    "dsr2html": ("dcmtk", ("SR", "KOS"), _dsr2html),
    "dcmtk": ("dcmtk", (), _dcmtk),
    "gdcm": ("gdcm", (), _gdcm),
}


def check(
    case: str, back: Sequence[Back], source: Path, missing: Mapping[str, str]
) -> Iterator[Verdict]:
    """Run every validator on every object of a case."""
    for name, (tool, kinds, complain) in VALIDATORS.items():
        if why := missing.get(tool):
            yield Verdict(name, case, "SKIP", (why,))
            continue
        if chosen := [one for one in back if not kinds or one.kind in kinds]:
            said = (f"{one.path.name}: {line}" for one in chosen for line in complain(one))
            yield verdict(name, case, said)
    if why := missing.get("dicom3tools"):
        yield Verdict("dcentvfy", case, "SKIP", (why,))
    else:
        yield verdict("dcentvfy", case, _dcentvfy([*_comparable(source), *(o.path for o in back)]))


def _comparable(film: Path) -> list[Path]:
    """The film, if its text can be compared byte by byte with ours, which is UTF-8."""
    ds = dcmread(film, specific_tags=["SpecificCharacterSet"])
    return [film] if ds.get("SpecificCharacterSet") == "ISO_IR 192" else []


def _dcentvfy(paths: Sequence[Path]) -> Iterator[str]:
    """All objects agree on patient, study and series; warnings count, too.

    One is ignored: the Accession Number in a report's request items is not the study's.
    """
    _, said = _run("dcentvfy", *paths)
    lines = (line for line in said.splitlines() if line.startswith(("Error", "Warning")))
    yield from (line for line in lines if "Different information entities" not in line)
