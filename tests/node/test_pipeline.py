"""One film through the pipeline, with a Reader that needs no torch."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from support.film import film, write
from support.readings import MODEL, frame, look, negative, positive

from dicom_node.config import Config, ResultsConfig
from dicom_node.domain.reading import ReadingSummary
from dicom_node.domain.values import Edition, FilmTraits, Identity, Image, RefusalCode
from dicom_node.pipeline import Pipeline, entry
from models.reading import Look, ModelIdentity, Reading
from models.thresholds import Thresholds

BALANCED = Thresholds()

CT = "1.2.840.10008.5.1.4.1.1.2"


class ScriptedReader:
    """Returns a scripted reading for a film of any shape."""

    def __init__(self, *, is_positive: bool) -> None:
        self.is_positive = is_positive
        self.images: list[Image] = []
        self.thresholds: list[Thresholds] = []
        self.guided: list[bool] = []

    @property
    def identity(self) -> ModelIdentity:
        return MODEL

    def look(self, image: Image) -> Look:
        return look()

    def read(
        self,
        image: Image,
        *,
        thresholds: Thresholds = BALANCED,
        force_stage3: bool = False,
        guided: bool = True,
    ) -> Reading:
        self.images.append(image)
        self.guided.append(guided)
        self.thresholds.append(thresholds)
        where = frame(*image.pixels.shape)
        return positive(where) if self.is_positive or force_stage3 else negative(where)


def _pipeline(*, is_positive: bool = True) -> Pipeline:
    return Pipeline(
        config=Config(),
        reader=ScriptedReader(is_positive=is_positive),
        clock=lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    )


def test_a_frontal_film_becomes_objects_on_disk_and_a_summary(tmp_path: Path) -> None:
    """Every result of the outcome is a file and belongs to the film's study."""
    source = film()
    outcome = _pipeline().read(write(source, tmp_path / "a.dcm"), tmp_path / "out")
    assert outcome.refusal is None
    assert outcome.sop_instance_uid == source.SOPInstanceUID
    for result in outcome.results:
        ds = pydicom.dcmread(tmp_path / "out" / result.path)
        assert ds.StudyInstanceUID == source.StudyInstanceUID
        assert (ds.SOPInstanceUID, ds.Modality) == (result.sop_instance_uid, result.modality)
    assert outcome.reading is not None
    assert (
        ReadingSummary.from_json(json.loads(json.dumps(outcome.reading.as_json())))
        == outcome.reading
    )


def test_what_films_are_grouped_by_comes_from_the_header(tmp_path: Path) -> None:
    """Modality, view and the decade of the age, at most 16 characters of each."""
    source = film(ViewPosition="AP", PatientAge="047Y")
    outcome = _pipeline().read(write(source, tmp_path / "a.dcm"), tmp_path / "out")
    assert outcome.traits == FilmTraits(modality=source.Modality, view="AP", decade=40)


def test_a_film_is_read_with_the_thresholds_of_its_view_and_sender(tmp_path: Path) -> None:
    """Modality and view come from the header, the sender from the association."""
    overrides = ({"view": "PA", "ae_title": "MOBILE", "pneumonia": 0.42},)
    config = Config.model_validate({"thresholds": {"overrides": overrides}})
    reader = ScriptedReader(is_positive=True)
    pipeline = replace(_pipeline(), config=config, reader=reader)
    path = write(film(ViewPosition="PA"), tmp_path / "a.dcm")
    for sender in ("MOBILE", "OTHER"):
        pipeline.read(path, tmp_path / sender, sender=sender)
    assert [each.pneumonia for each in reader.thresholds] == [0.42, "balanced"]


@pytest.mark.parametrize("switch", [None, "guided", "parametric_maps"])
def test_guided_grad_cam_is_computed_only_for_objects_that_show_it(
    tmp_path: Path, switch: str | None
) -> None:
    """It is a backward pass; with default settings nothing sent shows it."""
    reader = ScriptedReader(is_positive=True)
    config = Config(results=ResultsConfig.model_validate({switch: True} if switch else {}))
    pipeline = replace(_pipeline(), reader=reader, config=config)
    pipeline.read(write(film(), tmp_path / "a.dcm"), tmp_path / "out")
    assert reader.guided == [switch is not None]


def test_json_has_the_probability_and_the_score_that_picture_and_report_state(
    tmp_path: Path,
) -> None:
    """The float for programs; the whole number is the same everywhere."""
    outcome = _pipeline().read(write(film(), tmp_path / "a.dcm"), tmp_path / "out")
    assert outcome.reading is not None
    stage = entry(Path("a"), outcome)["pneumonia"]
    probability = outcome.reading.pneumonia.probability
    assert isinstance(stage, dict)
    assert (stage["probability"], stage["score"]) == (probability, round(100 * probability))
    report = pydicom.dcmread(tmp_path / "out" / outcome.results[-1].path)
    assert f"score {stage['score']} of 100" in json.dumps(report.to_json_dict())


def test_each_identity_gets_a_set_of_its_own(tmp_path: Path) -> None:
    """The pseudonymous results say in which study they are, because it is not the film's."""
    source = film(ViewPosition="LL")
    pipeline = replace(
        _pipeline(), editions=(Edition(), Edition(Identity.PSEUDONYM)), secret=b"s" * 32
    )
    outcome = pipeline.read(write(source, tmp_path / "a.dcm"), tmp_path / "out")
    full, pseudonymous = outcome.results[0], outcome.results[-1]
    assert outcome.faults == ()
    assert (full.editions, full.sent_study_instance_uid) == (("full",), None)
    report = pydicom.dcmread(tmp_path / "out" / pseudonymous.path)
    assert report.StudyInstanceUID == pseudonymous.sent_study_instance_uid
    assert report.StudyInstanceUID != source.StudyInstanceUID


def test_what_several_editions_share_is_one_result(tmp_path: Path) -> None:
    """A picture is one object for two destinations; each has a report of its own."""
    editions = (Edition(), Edition(sr_class="enhanced"))
    pipeline = replace(_pipeline(), editions=editions, secret=b"s" * 32)
    outcome = pipeline.read(write(film(), tmp_path / "a.dcm"), tmp_path / "out")
    of = {modality: [] for modality in ("OT", "SR")}  # type: dict[str, list[tuple[str, ...]]]
    for each in outcome.results:
        of[each.modality].append(each.editions)
    assert set(of["OT"]) == {("full", "full enhanced")}
    assert of["SR"] == [("full",), ("full enhanced",)]
    assert len({each.sop_instance_uid for each in outcome.results}) == len(outcome.results)


def test_reading_the_same_film_twice_gives_the_same_uids(tmp_path: Path) -> None:
    """A retry after a crash makes the same objects again, not new ones."""
    path = write(film(), tmp_path / "a.dcm")
    once = _pipeline().read(path, tmp_path / "out")
    again = _pipeline().read(path, tmp_path / "out")
    assert [r.sop_instance_uid for r in once.results] == [r.sop_instance_uid for r in again.results]


def test_a_refused_film_has_a_code_and_a_report_that_says_so(tmp_path: Path) -> None:
    """A lateral film gets no probability, but a picture and a report in its study."""
    source = film(ViewPosition="LL")
    outcome = _pipeline().read(write(source, tmp_path / "a.dcm"), tmp_path / "out")
    assert outcome.refusal is not None
    assert outcome.refusal.code is RefusalCode.VIEW
    assert (outcome.reading, outcome.faults) == (None, ())
    picture, result = outcome.results
    assert picture.series_description == "AI: not read: view - NOT FOR DIAGNOSTIC USE"
    report = pydicom.dcmread(tmp_path / "out" / result.path)
    assert (report.Modality, report.StudyInstanceUID) == ("SR", source.StudyInstanceUID)
    assert outcome.refusal.reason in json.dumps(report.to_json_dict())
    listed = entry(Path("a"), outcome)
    assert (listed["accepted"], listed["pneumonia"]) == (False, None)
    objects = listed["objects"]
    assert isinstance(objects, list)
    assert objects[1:] == [
        {
            "path": str(result.path),
            "sop_class_uid": report.SOPClassUID,
            "modality": "SR",
            "series_description": report.SeriesDescription,
        }
    ]


def test_without_refusals_a_refused_film_has_a_code_and_nothing_else(tmp_path: Path) -> None:
    """`report.refusals` false: nothing is composed."""
    path = write(film(ViewPosition="LL"), tmp_path / "a.dcm")
    pipeline = replace(_pipeline(), config=Config.model_validate({"report": {"refusals": False}}))
    outcome = pipeline.read(path, tmp_path / "out")
    assert outcome.refusal is not None
    assert outcome.results == ()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("source", [film(SOPClassUID=CT), film(SeriesDescription="AI result")])
def test_objects_that_are_not_radiographs_are_refused_without_a_report(
    tmp_path: Path, source: Dataset
) -> None:
    """A CT slice and a result of other software are refused, and no report is made."""
    outcome = _pipeline().read(write(source, tmp_path / "a.dcm"), tmp_path / "out")
    assert outcome.refusal is not None
    assert outcome.results == ()


@pytest.mark.parametrize(
    ("content", "code"), [(b"", RefusalCode.FILE), (b"no film at all" * 99, RefusalCode.FILE)]
)
def test_a_file_that_is_no_dicom_is_refused(
    tmp_path: Path, content: bytes, code: RefusalCode
) -> None:
    """Any file that is not DICOM is a coded refusal."""
    path = tmp_path / "a.dcm"
    path.write_bytes(content)
    outcome = _pipeline().read(path, tmp_path / "out")
    assert outcome.refusal is not None
    assert outcome.refusal.code is code


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"])
@pytest.mark.parametrize("value", ["", "1.2.x"])
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_a_film_without_the_uids_results_refer_to_is_refused(
    tmp_path: Path, keyword: str, value: str
) -> None:
    """C-STORE rejects such a film; a file from a folder is refused here."""
    path = write(film(), tmp_path / "a.dcm")
    source = pydicom.dcmread(path)
    setattr(source, keyword, value)
    source.save_as(path)
    outcome = _pipeline().read(path, tmp_path / "out")
    assert outcome.refusal is not None
    assert outcome.refusal.code is RefusalCode.FILE
    assert keyword in outcome.refusal.reason
    assert outcome.results == ()


def test_truncated_pixels_are_refused_as_unreadable(tmp_path: Path) -> None:
    """A film with too few pixels is not read."""
    source = film()
    source.PixelData = source.PixelData[: len(source.PixelData) // 2]
    outcome = _pipeline().read(write(source, tmp_path / "a.dcm"), tmp_path / "out")
    assert outcome.refusal is not None
    assert outcome.refusal.code is RefusalCode.UNREADABLE
    assert [result.modality for result in outcome.results] == ["OT", "SR"]


def test_a_negative_film_gets_pictures_and_a_report_but_no_stage_3(tmp_path: Path) -> None:
    """Below the threshold of stage 2 there is no COVID-19 entry, and fewer objects are made."""
    path = write(film(), tmp_path / "a.dcm")
    quiet = _pipeline(is_positive=False).read(path, tmp_path / "quiet")
    loud = _pipeline(is_positive=True).read(path, tmp_path / "loud")
    assert quiet.reading is not None
    assert quiet.reading.covid19 is None
    assert [r.modality for r in quiet.results].count("SR") == 1
    assert 0 < len(quiet.results) < len(loud.results)


def test_the_json_entry_has_the_documented_keys(tmp_path: Path) -> None:
    """Accepted and refused films have the same keys."""
    accepted = entry(
        Path("a"), _pipeline().read(write(film(), tmp_path / "a.dcm"), tmp_path / "out")
    )
    refused = entry(
        Path("b"),
        _pipeline().read(write(film(ViewPosition="LL"), tmp_path / "b.dcm"), tmp_path / "out"),
    )
    assert set(accepted) == set(refused)
    explanation = accepted["explanation"]
    assert isinstance(explanation, dict)
    drops = {"drop", "random_drop", "log_odds_drop", "random_log_odds_drop"}
    assert set(explanation) == {"inside_lungs", *drops, "reliable"}
    seconds = accepted["seconds"]
    assert isinstance(seconds, dict)
    networks = {"lungs", "pneumonia", "covid19", "explain"}
    assert set(seconds) == {"decode", "gate", *networks, "compose", "write", "check"}
