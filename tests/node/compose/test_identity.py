"""What destinations learn of the patient: everything, what filing needs, or a pseudonym."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from support.objects import AT, composed, context, small_film, through_disk
from support.readings import MODEL

from dicom_node import check_objects, compose
from dicom_node.compose import inherited
from dicom_node.config import Config
from dicom_node.dicom.uids import is_derived
from dicom_node.domain.values import Edition, Identity, Refusal, RefusalCode, Result

SECRET = b"s" * 32
ALL = {"segmentation": True, "key_objects": True, "presentation_state": True}
REPORT_ONLY = {"summary": False, "heatmaps": "none"}
#: A word that is in no object except where a film puts it.
WORD = "Quaxo"
TEXT = {"PN", "LO", "SH", "ST", "LT", "UT", "UC"}


def labelled() -> Dataset:
    """A film whose every inherited text is the word, with dates and UIDs of its own."""
    ds = small_film()
    for keyword in (*inherited.PATIENT, *inherited.STUDY, *inherited.SITE, *inherited.EQUIPMENT):
        if dictionary_VR(keyword) in TEXT and not keyword.startswith(("Manufacturer", "Software")):
            setattr(ds, keyword, WORD)
    ds.PatientBirthDate, ds.StudyDate, ds.StudyTime = "19510203", "20260102", "091500"
    ds.TimezoneOffsetFromUTC = "+0100"
    order = Dataset()
    order.RequestedProcedureID, order.AccessionNumber = WORD, WORD
    order.StudyInstanceUID = ds.StudyInstanceUID
    ds.RequestAttributesSequence = Sequence([order])
    ds.add_new(0x00091010, "LO", WORD)
    return ds


FILM = labelled()


@cache
def whole_set(identity: Identity) -> tuple[Dataset, list[Dataset]]:
    """The restricted header of `FILM`, and every kind of object made of it."""
    return seen_as(identity, FILM, **ALL)


def seen_as(identity: Identity, ds: Dataset, **results: object) -> tuple[Dataset, list[Dataset]]:
    """The restricted header, and the objects made of it; the report alone if not said."""
    chosen: dict[str, Any] = REPORT_ONLY | results
    what = replace(context(**chosen), edition=Edition(identity), secret=SECRET, ae_title=WORD)
    header, what = compose.restrict(ds, what)
    return header, composed(header, what=what)


def values(objects: Iterable[Dataset]) -> Iterator[str]:
    """Every value of every element, in sequences too."""
    for ds in objects:
        for element in ds.iterall():
            if element.VR not in ("SQ", "OB", "OW"):
                yield str(element.value)


@pytest.mark.parametrize("identity", Identity)
def test_every_set_passes_the_node_s_own_check(identity: Identity, tmp_path: Path) -> None:
    """Pictures, masks, report, key objects: as they are read back from disk."""
    header, objects = whole_set(identity)
    assert check_objects.check(through_disk(objects, tmp_path), header) == []


def test_a_pseudonymous_set_holds_nothing_of_the_patient_or_the_site() -> None:
    """Neither text, nor UID, nor date of the film, nor the time of reading, nor our AE title."""
    ds = FILM
    _, objects = whole_set(Identity.PSEUDONYM)
    found = list(values(objects))
    secrets = [WORD, "19510203", "20260102", f"{AT:%Y%m%d}"]
    secrets += [ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID]
    assert [each for each in found for secret in secrets if secret in each] == []
    _, full = whole_set(Identity.FULL)
    assert {secret for secret in secrets if any(secret in each for each in values(full))} == set(
        secrets
    )
    for each in objects:
        assert each.PatientIdentityRemoved == "YES"
        assert [item.CodeValue for item in each.DeidentificationMethodCodeSequence] == [
            "113100", "113107",
        ]  # fmt: skip
        assert each.LongitudinalTemporalInformationModified == "MODIFIED"


def test_a_minimal_set_holds_what_filing_needs() -> None:
    """Name, number, birth date, sex, study and accession number; no other word of the film."""
    ds = FILM
    _, objects = whole_set(Identity.MINIMAL)
    for each in objects:
        assert (each.PatientID, each.StudyInstanceUID) == (WORD, ds.StudyInstanceUID)
        assert (each.AccessionNumber, each.StudyDate) == (WORD, "20260102")
        for keyword in ("PatientComments", "InstitutionName", "StudyDescription", "MedicalAlerts"):
            assert keyword not in each
        assert not each.ReferringPhysicianName
    _, full = whole_set(Identity.FULL)
    assert all(each.PatientComments == WORD for each in full)


def test_the_same_patient_has_one_pseudonym_and_one_shift() -> None:
    """In every study; another node with another secret has others."""
    ds = labelled()
    later = labelled()
    later.StudyDate = "20260112"
    made = [seen_as(Identity.PSEUDONYM, each)[1][0] for each in (ds, later)]
    assert made[0].PatientID == made[1].PatientID
    days = [int(each.StudyDate) for each in made]
    assert days[0] != 20260102
    assert made[0].StudyInstanceUID != made[1].StudyInstanceUID
    what = replace(context(), edition=Edition(Identity.PSEUDONYM), secret=b"t" * 32)
    assert compose.restrict(ds, what)[0].PatientID != made[0].PatientID
    del ds.PatientID
    del later.PatientID
    unknown = [seen_as(Identity.PSEUDONYM, each)[1][0] for each in (ds, later)]
    assert unknown[0].PatientID != unknown[1].PatientID, "two patients without a number"


@given(days=st.integers(0, 4000))
@settings(max_examples=20, deadline=None)
def test_intervals_between_studies_are_kept(days: int) -> None:
    """Dates of one patient are shifted by the same number of days, study and reading alike."""
    first, second = Dataset(), Dataset()
    start = AT.replace(hour=0)
    for ds, at in ((first, start), (second, start + timedelta(days=days))):
        ds.PatientID, ds.StudyDate = "1", f"{at:%Y%m%d}"
        ds.SOPInstanceUID = ds.StudyInstanceUID = ds.SeriesInstanceUID = "1.2"
    what = replace(context(), edition=Edition(Identity.PSEUDONYM), secret=SECRET, at=start)
    (one, read), (two, _) = (compose.restrict(ds, what) for ds in (first, second))
    assert (two["StudyDate"].value > one["StudyDate"].value) is (days > 0)
    assert f"{read.at:%Y%m%d}" == one.StudyDate, "read on the day it was made"


def test_dates_can_be_kept() -> None:
    """With `results.pseudonym_dates: kept`, and then the objects say so."""
    _, objects = seen_as(Identity.PSEUDONYM, labelled(), pseudonym_dates="kept")
    assert {each.StudyDate for each in objects} == {"20260102"}
    assert {each.InstanceCreationDate for each in objects} == {f"{AT:%Y%m%d}"}
    codes = {item.CodeValue for each in objects for item in each.DeidentificationMethodCodeSequence}
    assert codes == {"113100", "113106"}


def test_no_identity_shares_a_uid_with_another() -> None:
    """One UID, one content; and a pseudonymous UID of the film is not taken for our own result."""
    uids = [
        {uid for each in whole_set(identity)[1] for uid in (each.SOPInstanceUID,)}
        for identity in Identity
    ]
    assert sum(map(len, uids)) == len(set.union(*uids))
    header, _ = whole_set(Identity.PSEUDONYM)
    assert not is_derived(header.SOPInstanceUID, SECRET)
    assert is_derived(next(iter(uids[0])), SECRET)


def test_a_film_that_says_it_has_text_in_its_pixels_gives_no_picture() -> None:
    """The pixels are not cleaned: they may hold a name."""
    ds = labelled()
    ds.BurnedInAnnotation = "YES"
    for identity in (Identity.FULL, Identity.PSEUDONYM):
        what = replace(context(), edition=Edition(identity), secret=SECRET)
        header, what = compose.restrict(ds, what)
        assert ("OT" in {each.Modality for each in composed(header, what=what)}) is (
            identity is Identity.FULL
        )


def test_a_report_succeeds_a_report_of_its_own_identity_only() -> None:
    """Else the UID of the true report would be in the pseudonymous one."""
    earlier = tuple(
        Result(
            sop_instance_uid=f"2.25.{number}", sop_class_uid="1.2.3", series_instance_uid="2.25.9",
            modality="SR", series_description="", path=Path("x"), editions=(identity.value,),
        )
        for number, identity in enumerate(Identity, 1)
    )  # fmt: skip
    for number, identity in enumerate(Identity, 1):
        what = replace(context(), edition=Edition(identity), predecessors=earlier, secret=SECRET)
        _, what = compose.restrict(labelled(), what)
        assert [each.sop_instance_uid for each in what.predecessors] == [f"2.25.{number}"]


def test_a_refusal_s_report_is_pseudonymous_too() -> None:
    """It is made of the same header."""
    what = replace(context(), edition=Edition(Identity.PSEUDONYM), secret=SECRET)
    header, what = compose.restrict(labelled(), what)
    refusal = Refusal(code=RefusalCode.VIEW, reason="a lateral view")
    objects = compose.compose_refusal(header, refusal, MODEL, what)
    assert not [each for each in values(objects) if WORD in each]


def test_the_configuration_names_an_identity_for_each_destination() -> None:
    """Full if it does not say; it changes no UID of the others."""
    one = {"name": "a", "ae_title": "A", "host": "h", "port": 104}
    two = {"name": "b", "kind": "folder", "path": "/x", "identity": "pseudonym"}
    config = Config.model_validate({"destinations": [one, two]})
    assert [each.identity for each in config.destinations] == [Identity.FULL, Identity.PSEUDONYM]
    assert config.digest == Config().digest
