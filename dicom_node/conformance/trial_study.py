"""A drawn film of a test patient, and the objects that this configuration makes of it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from pydicom.uid import generate_uid

from dicom_node.conformance.probe import objects_of_film, small_film

if TYPE_CHECKING:
    from datetime import datetime

    from pydicom.dataset import Dataset

    from dicom_node.config import Config

PATIENT_NAME, PATIENT_ID = "ZZZ^TEST", "ZZZ-TEST"
_DESCRIPTION = "TEST STUDY - NO PATIENT - REMOVE"


def trial_study(config: Config, at: datetime) -> list[Dataset]:
    """Compose the results of `trial_film`; every call is a new study."""
    return objects_of(trial_film(at), config, at)


def objects_of(film: Dataset, config: Config, at: datetime) -> list[Dataset]:
    """Compose the results of a drawn film, as if the networks had found something in it."""
    with warnings.catch_warnings(action="ignore"):  # the drawn film lacks what real films have
        return objects_of_film(config, film, at)


def trial_film(at: datetime) -> Dataset:
    """Make the header of a film of patient ``ZZZ^TEST``, in a study of its own."""
    film = small_film()
    film.PatientName, film.PatientID = PATIENT_NAME, PATIENT_ID
    film.PatientBirthDate, film.PatientSex = "19000101", "O"
    film.StudyDate = film.AcquisitionDate = f"{at:%Y%m%d}"
    film.StudyTime = film.AcquisitionTime = f"{at:%H%M%S}"
    film.StudyID, film.AccessionNumber, film.StudyDescription = "TEST", "TEST", _DESCRIPTION
    film.StudyInstanceUID, film.SeriesInstanceUID = generate_uid(), generate_uid()
    film.SOPInstanceUID, film.InstanceNumber = generate_uid(prefix=None), 1  # a short one
    film.ViewPosition, film.PatientOrientation = "PA", ["L", "F"]
    return film
