"""A PACS routes films to the node; the results must join their study, once, and not loop."""

from __future__ import annotations

import time
import urllib.error
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from interop.cases import Case, Round
from interop.servers import Orthanc
from interop.verdicts import Verdict, verdict
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from support.running import RunningNode

#: Nothing must arrive for this long, in seconds: a PACS that sends everything back makes no loop.
QUIET_SECONDS = 12.0
PATIENCE_SECONDS = 900.0

# Equal in all objects of a study, PS3.3 C.7.1.1 and C.7.2.1.
_IDENTITY = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "PatientAge"),
    *("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "StudyDescription"),
    *("AccessionNumber", "ReferringPhysicianName"),
)

_KINDS: Mapping[UID, str] = {
    SecondaryCaptureImageStorage: "SC",
    SegmentationStorage: "SEG",
    KeyObjectSelectionDocumentStorage: "KOS",
    GrayscaleSoftcopyPresentationStateStorage: "GSPS",
    ParametricMapStorage: "PMAP",
}
_WANTED = {
    "positive": {"SC", "SR", "SEG", "KOS", "GSPS", "PMAP"},
    "negative": {"SC", "SR", "SEG", "KOS"},
    "refused": {"SC", "SR"},
}
_NEVER_OF_A_REFUSED_FILM = {"SEG", "GSPS", "PMAP"}


@dataclass(frozen=True, slots=True)
class Back:
    """A returned object: its ID in the PACS, and its file."""

    orthanc_id: str
    path: Path
    kind: str  # SC, SR, SEG, KOS, GSPS, PMAP


def kind_of(sop_class: UID) -> str:
    """The short name of a result's SOP class."""
    is_report = sop_class.startswith("1.2.840.10008.5.1.4.1.1.88.")
    return _KINDS.get(sop_class) or ("SR" if is_report else sop_class.name)


def settle(pacs: Orthanc, node: RunningNode, studies: int) -> None:
    """Wait until the node has answered every study and nothing more arrives."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    seen, since = None, time.monotonic()
    while time.monotonic() < deadline:
        now = (pacs.get("/statistics")["CountInstances"], len(pacs.get("/jobs")))
        if now != seen or not _idle(node, studies):
            seen, since = now, time.monotonic()
        if time.monotonic() - since > QUIET_SECONDS:
            return
        time.sleep(1)


def _idle(node: RunningNode, studies: int) -> bool:
    status = node.cli("status", "--json")
    deliveries = Counter[str]()
    for counts in status["deliveries"].values():
        deliveries.update(counts)
    return bool(
        status["studies"] >= studies
        and not status["instances"].get("undecided")
        and not (status["jobs"].get("waiting") or status["jobs"].get("running"))
        and not (deliveries["pending"] or deliveries["sending"])
    )


def collect(pacs: Orthanc, case: Case, folder: Path) -> tuple[list[Back], Path]:
    """Fetch the results and the film from the PACS.

    Returns
    -------
    tuple
        The results, and the path of the film.
    """
    folder.mkdir(parents=True, exist_ok=True)
    arrived: list[tuple[str, Dataset, bytes]] = []
    source = folder / "film.dcm"
    for one in _instances(pacs, case.study):
        content = pacs.fetch(f"/instances/{one}/file")
        uid = pacs.get(f"/instances/{one}")["MainDicomTags"]["SOPInstanceUID"]
        if uid == case.film.SOPInstanceUID:
            source.write_bytes(content)
            continue
        arrived.append((one, dcmread(BytesIO(content), stop_before_pixels=True), content))
    back: list[Back] = []
    numbers = Counter[str]()
    # in the order of a viewer's list, so that SC-1 is the summary
    for one, ds, content in sorted(arrived, key=lambda each: _place(each[1])):
        kind = kind_of(ds.SOPClassUID)
        numbers[kind] += 1
        path = folder / f"{kind}-{numbers[kind]}.dcm"
        path.write_bytes(content)
        back.append(Back(one, path, kind))
    return back, source


def _place(ds: Dataset) -> tuple[int, int]:
    return int(ds.SeriesNumber), int(ds.InstanceNumber)


def _instances(pacs: Orthanc, study: str) -> Iterator[str]:
    for one in pacs.get("/studies?expand"):
        if one["MainDicomTags"]["StudyInstanceUID"] == study:
            for series in one["Series"]:
                yield from pacs.get(f"/series/{series}")["Instances"]


def check(case: str, answer: str, back: list[Back], source: Path) -> Verdict:
    """Compare the results with their film."""
    film = dcmread(source)
    results = [dcmread(one.path) for one in back]
    kinds = Counter(one.kind for one in back)
    wrong = [f"no {kind} was returned" for kind in sorted(_WANTED[answer] - set(kinds))]
    if answer == "refused":
        wrong += [
            f"{kind} of a refused film" for kind in sorted(_NEVER_OF_A_REFUSED_FILM & set(kinds))
        ]
    if kinds["SR"] > 1:
        wrong.append(f"{kinds['SR']} reports for one film")
    for one, ds in zip(back, results, strict=True):
        wrong += [f"{one.path.name}: {line}" for line in _strange(film, ds)]
    series = Counter((str(ds.SeriesInstanceUID), kind_of(ds.SOPClassUID)) for ds in results)
    if len({uid for uid, _ in series}) != len(series):
        wrong.append("two kinds of results share a series")
    return verdict("round trip", case, wrong)


def _strange(film: Dataset, ds: Dataset) -> Iterator[str]:
    """Differences between a result and its film."""
    for keyword in _IDENTITY:
        if str(film.get(keyword, "")) != str(ds.get(keyword, "")):
            yield f"{keyword} differs from the film's"
    if ds.SeriesInstanceUID == film.SeriesInstanceUID:
        yield "it is in the film's own series"
    if film.SOPInstanceUID not in _references(ds):
        yield "it does not refer to its film"


def _references(ds: Dataset) -> set[str]:
    return {
        str(element.value)
        for element in ds.iterall()
        if element.keyword == "ReferencedSOPInstanceUID"
    }


def check_pacs(one: Round, pacs: Orthanc, node: RunningNode) -> Verdict:
    """The PACS as a whole: every store job succeeded, no study was added, nothing is stuck."""
    studies = len(one.cases)
    wrong = [
        f"Orthanc's job: {job.get('ErrorDescription')}"
        for job in pacs.get("/jobs?expand")
        if job["State"] != "Success"
    ]
    if (count := pacs.get("/statistics")["CountStudies"]) != studies:
        wrong.append(f"{count} studies in the PACS, {studies} were sent")
    if not _idle(node, studies):
        wrong.append(f"the node was not done in {PATIENCE_SECONDS:.0f} s")
    status = node.cli("status", "--json")
    if held := sum(counts.get("held", 0) for counts in status["deliveries"].values()):
        wrong.append(f"{held} deliveries are held")
    if parked := status["jobs"].get("parked"):
        wrong.append(f"{parked} readings are parked")
    if node.run("audit", "verify").returncode:
        wrong.append("the audit chain does not verify")
    if one.route == "dumb" and "own-result-received" not in node.run("audit", "export").stdout:
        wrong.append("none of our results was sent back to the node: the route proves nothing")
    return verdict("round trip", f"{one.name}: {one.route} route", wrong)


def preview(case: str, pacs: Orthanc, back: list[Back]) -> Verdict:
    """Request a preview of every object; it may be declined, but nothing may crash."""
    wrong: list[str] = []
    for one in back:
        try:
            picture = pacs.fetch(f"/instances/{one.orthanc_id}/preview")
            one.path.with_suffix(".preview.png").write_bytes(picture)
        except urllib.error.HTTPError as error:
            if one.kind in ("SC", "SEG"):
                wrong.append(f"{one.path.name}: no preview, HTTP {error.code}")
        except OSError as error:
            wrong.append(f"{one.path.name}: {error}")
        if not pacs.alive():
            wrong.append(f"{one.path.name} killed Orthanc")
            break
    return verdict("orthanc preview", case, wrong)
