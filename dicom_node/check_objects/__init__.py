"""Read each composed object again and check it before it may be sent.

Checked are required attributes by type, values by VR and VM, the templates of documents,
references, identity and the length of pixel data; pixels are not decoded. One bad object withholds
its film's whole set, because the others refer to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydicom import dcmread
from pydicom.config import disable_value_validation

from dicom_node.check_objects.attributes import check_attributes
from dicom_node.check_objects.content import check_content
from dicom_node.check_objects.identity import check_file_meta, check_identity, check_statements
from dicom_node.check_objects.pixels import check_pixels
from dicom_node.check_objects.references import Known, check_references, known, uids_of
from dicom_node.check_objects.values import check_values
from dicom_node.dicom.malformed import MALFORMED
from dicom_node.domain.values import CheckFailure
from dicom_node.pixels.files import quiet

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["check", "check_files"]


def check_files(paths: Iterable[Path], source: Dataset) -> list[CheckFailure]:
    """Read the objects of one film from disk and check them; see `check`."""
    objects, faults = [], []
    with quiet():
        for path in paths:
            try:
                objects.append(dcmread(path))
            except (OSError, *MALFORMED) as error:
                unread = f"the file cannot be read again ({type(error).__name__})"
                faults.append(CheckFailure(sop_instance_uid=path.stem, rule="file", message=unread))
        return [*faults, *_check(objects, source)]


def check(objects: Sequence[Dataset], source: Dataset) -> list[CheckFailure]:
    """Check the objects made of one film.

    Parameters
    ----------
    objects
        The whole set, with file meta information.
    source
        The film.

    Returns
    -------
    list of CheckFailure
        Empty if nothing is wrong. Messages name attributes and concepts, never values.
    """
    with quiet():
        return _check(objects, source)


@disable_value_validation()  # of pydicom, as it parses values: `check_values` looks at each
def _check(objects: Sequence[Dataset], source: Dataset) -> list[CheckFailure]:
    instances = known(source, objects)
    faults = [*_check_together(objects)]
    for ds in objects:
        uid = str(ds.get("SOPInstanceUID", ""))
        found = dict.fromkeys(_check_one(ds, source, instances))  # each once, in order
        faults += [
            CheckFailure(sop_instance_uid=uid, rule=rule, message=message)
            for rule, message in found
        ]
    return faults


def _check_one(
    ds: Dataset, source: Dataset, instances: Mapping[str, Known]
) -> Iterator[tuple[str, str]]:
    """Yield rule and message of each failure of one object."""
    checks = {
        "file-meta": check_file_meta(ds),
        "attribute": check_attributes(ds),
        "value": check_values(ds),
        "identity": check_identity(ds, source),
        "statement": check_statements(ds),
        "content": check_content(ds, source),
        "reference": check_references(ds, instances),
        "pixels": check_pixels(ds),
    }
    for rule, messages in checks.items():
        try:
            yield from ((rule, message) for message in messages)
        except MALFORMED as error:  # the check itself could not parse the object
            yield rule, f"cannot be checked ({type(error).__name__})"


def _check_together(objects: Sequence[Dataset]) -> Iterator[CheckFailure]:
    """Check that SOP Instance UIDs are unique and that a series is of one kind."""
    seen: set[str] = set()
    series: dict[str, list[object]] = {}
    for ds in objects:
        _, series_uid, uid = uids_of(ds)
        if uid in seen:
            yield CheckFailure(
                sop_instance_uid=uid, rule="unique", message="SOPInstanceUID is used twice"
            )
        seen.add(uid)
        same = [ds.get(keyword) for keyword in ("SOPClassUID", "Modality", "SeriesNumber")]
        if series.setdefault(series_uid, same) != same:
            message = "SOPClassUID, Modality or SeriesNumber differs within the series"
            yield CheckFailure(sop_instance_uid=uid, rule="unique", message=message)
