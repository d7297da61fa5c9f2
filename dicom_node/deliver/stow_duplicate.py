"""Decide by QIDO-RS (PS3.18 10.6) whether the object that a service has already is the one sent."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError

import requests
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from dicom_node.deliver.duplicate import NOT_ANSWERED, class_in, identifier_of, queried
from dicom_node.deliver.stow_answers import OF_THE_SERVICE, status_of
from dicom_node.dicom.malformed import MALFORMED
from dicom_node.errors import PeerUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from dicom_node.deliver.duplicate import Duplicates
    from dicom_node.domain.values import Answer


def answer_by_query(
    duplicates: Duplicates, destination: str, path: Path,
    search: Callable[[str, dict[str, str]], list[dict[str, Any]]],
) -> Answer:  # fmt: skip
    """The answer that counts for an object that the service has already.

    Parameters
    ----------
    path
        The file as it was sent.
    search
        Lists the instances of a study that match, as DICOM JSON; its errors are those of requests
        and `PeerUnavailable`.
    """
    identifier, sop_class_uid = identifier_of(path)
    duplicates.audit.append(queried(ExplicitVRLittleEndian, destination, identifier))
    try:
        found = search(
            str(identifier.StudyInstanceUID), {"SOPInstanceUID": str(identifier.SOPInstanceUID)}
        )
        classes = {class_in(Dataset.from_json(each), identifier) for each in found}
    except (requests.HTTPError, requests.TooManyRedirects) as error:
        if status_of(error) in OF_THE_SERVICE:
            return NOT_ANSWERED
        return duplicates.not_compared("the service refuses the query")
    except PeerUnavailable:
        return NOT_ANSWERED
    except (ParseError, *MALFORMED):
        return duplicates.not_compared("the query's answer is not DICOM JSON")
    return duplicates.compared({each for each in classes if each is not None}, sop_class_uid)
