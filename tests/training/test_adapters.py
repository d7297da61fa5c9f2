"""Data sets in their publishers' layout, drawn by the test, become manifest rows."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.film import film as dicom_film
from support.film import phantom

from train.data import films, manifest
from train.data.adapters import ADAPTERS, adapt, clinical, covid, lungs, padchest, rsna
from train.data.image_io import load_pixels
from train.data.manifest import AERATED, COVID, NORMAL, PNEUMONIA, Row


def _draw(path: Path, seed: int = 0, side: int = 48) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (side, side), np.uint8)
    Image.fromarray(pixels).resize((96, 96)).save(path)


def _box(path: Path, left: int, right: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((96, 96), np.uint8)
    mask[20:80, left:right] = 255
    Image.fromarray(mask).save(path)


def _table(path: Path, lines: list[dict[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)


def _montgomery(folder: Path) -> None:
    for name, seed in (("MCUCXR_0001_0", 1), ("MCUCXR_0104_1", 2)):
        _draw(folder / "CXR_png" / f"{name}.png", seed)
        _box(folder / "ManualMask" / "leftMask" / f"{name}.png", 10, 40)
        _box(folder / "ManualMask" / "rightMask" / f"{name}.png", 56, 86)
    words = "Patient's Sex: F\nPatient's Age: 027Y\nnormal\n"
    (folder / "ClinicalReadings").mkdir()
    (folder / "ClinicalReadings" / "MCUCXR_0001_0.txt").write_text(words)


def _shenzhen(folder: Path) -> None:
    _draw(folder / "CXR_png" / "CHNCXR_0001_0.png", 1)
    _draw(folder / "CXR_png" / "CHNCXR_0002_0.png", 2)  # nobody drew its lungs
    _box(folder / "mask" / "CHNCXR_0001_0_mask.png", 10, 80)
    (folder / "ClinicalReadings").mkdir()
    (folder / "ClinicalReadings" / "CHNCXR_0001_0.txt").write_text("male 45yrs\nnormal")


def _jsrt(folder: Path) -> None:
    raw = np.full((2048, 2048), 4095, ">u2")
    raw[:, 1000:] = np.arange(1048)
    (folder / "All247images").mkdir()
    raw.tofile(folder / "All247images" / "JPCLN001.IMG")
    _box(folder / "scratch" / "fold2" / "masks" / "left lung" / "JPCLN001.gif", 50, 80)
    _box(folder / "scratch" / "fold2" / "masks" / "right lung" / "JPCLN001.gif", 10, 40)


def _padchest(folder: Path) -> None:
    found = [("p1", "['normal']", "PA"), ("p2", "['pneumonia', 'infiltrates']", "AP_horizontal"),
             ("p3", "['cardiomegaly']", "PA"), ("p4", "['normal']", "L"),
             ("p5", "nan", "PA")]  # fmt: skip
    lines = []
    for i, (patient, labels, projection) in enumerate(found):
        (folder / "0").mkdir(exist_ok=True)
        deep = np.random.default_rng(i).integers(0, 4096, (64, 64)).astype(np.uint16)
        Image.fromarray(deep).save(folder / "0" / f"{patient}.png")
        lines.append(
            {
                "ImageID": f"{patient}.png",
                "ImageDir": "0",
                "StudyDate_DICOM": "20140915",
                "PatientID": patient,
                "PatientBirth": "1950.0",
                "PatientSex_DICOM": "F",
                "Projection": projection,
                "Labels": labels,
            }
        )
    _table(folder / "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv", lines)


def _rsna(folder: Path) -> None:
    classes = {"a": "Normal", "b": "Lung Opacity", "c": "No Lung Opacity / Not Normal"}
    lines = [{"patientId": film, "class": found} for film, found in classes.items()]
    _table(folder / "stage_2_detailed_class_info.csv", [*lines, lines[1]])
    people = [{"subset_img_id": "a", "img_id": "00000001_000.png"},
              {"subset_img_id": "b", "img_id": "00000001_001.png"}]  # fmt: skip
    (folder / "pneumonia-challenge-dataset-mappings_2018.json").write_text(json.dumps(people))
    (folder / "stage_2_train_images").mkdir()
    for i, film in enumerate(classes):
        dicom_film(phantom(80, 80 + i)).save_as(
            folder / "stage_2_train_images" / f"{film}.dcm", enforce_file_format=True
        )


def _ieee8023(folder: Path) -> None:
    base = {"sex": "M", "age": "65", "modality": "X-ray", "folder": "images", "license": "CC BY",
            "url": "https://radiopaedia.org/cases/1"}  # fmt: skip
    lines = [
        base | {"patientid": "2", "finding": "Pneumonia/Viral/COVID-19", "view": "PA"},
        base | {"patientid": "3", "finding": "Pneumonia/Bacterial", "view": "AP Supine"},
        base | {"patientid": "4", "finding": "No Finding", "view": "AP"},
        base | {"patientid": "5", "finding": "Pneumonia/Viral/COVID-19", "view": "L"},
        base | {"patientid": "6", "finding": "Tuberculosis", "view": "PA"},
    ]
    for i, line in enumerate(lines):
        line["filename"] = f"{line['patientid']}.jpg"
        _draw(folder / "images" / line["filename"], i)
    _table(folder / "metadata.csv", lines)


def _covidx(folder: Path) -> None:
    for i, name in enumerate(("train/a.png", "train/b.png", "test/c.png", "test/d.png")):
        _draw(folder / name, min(i, 2))  # d is a copy of c, both in the test
    (folder / "train_COVIDx9A.txt").write_text("1 a.png positive cohen\n2 b.png normal rsna\n")
    (folder / "test_COVIDx9A.txt").write_text(
        "3 c.png pneumonia rsna\n4 d.png COVID-19 sirm\n5 gone.png normal rsna\n"
    )


def _clinical(folder: Path) -> None:
    one, other = dicom_film(phantom(80, 80)), dicom_film(phantom(90, 80))
    one.PatientID, other.PatientID = "SECRET-1", "SECRET-1"
    for name, film in (("one", one), ("other", other)):
        film.save_as(folder / name, enforce_file_format=True)
    lines = [
        {"path": "one", "sop_instance_uid": "", "label": "Normal"},
        {"path": "", "sop_instance_uid": str(other.SOPInstanceUID), "label": "covid"},
    ]
    _table(folder / "labels.csv", lines)
    (folder / "readme.txt").write_text("not a film")


LAYOUTS: dict[str, Callable[[Path], None]] = {
    "montgomery": _montgomery,
    "shenzhen": _shenzhen,
    "jsrt": _jsrt,
    "padchest": _padchest,
    "rsna": _rsna,
    "ieee8023": _ieee8023,
    "covidx": _covidx,
    "clinical": _clinical,
}


@pytest.mark.parametrize("name", ADAPTERS)
def test_every_adapter_writes_a_manifest_that_training_reads(name: str, tmp_path: Path) -> None:
    """From the publisher's folder to films, masks and pixels, with every film in one split."""
    LAYOUTS[name](tmp_path)
    rows = adapt(name, tmp_path, seed=1)
    manifest.write(rows, tmp_path / manifest.NAME)
    assert manifest.read(tmp_path) == rows
    splits = {row.split for row in rows}
    assert splits <= {"train", "val", "test"}
    assert all(row.group for row in rows)
    masked = films.read_lung_films(tmp_path)
    labelled = films.read_films(tmp_path)
    assert len(masked) + len(labelled) == len(rows) > 0
    for film in masked:
        assert 0.05 < films.load_mask(film.masks, 64).mean() < 0.8
    for row in rows:
        pixels = load_pixels(tmp_path / row.path)
        assert pixels.dtype == np.float32
        assert 0.0 <= pixels.min() < pixels.max() <= 1.0


def test_montgomery_joins_the_two_lungs(tmp_path: Path) -> None:
    """Each lung has its own mask; both belong to the film."""
    _montgomery(tmp_path)
    first, second = lungs.montgomery(tmp_path)
    assert (first.label, first.sex, first.age) == (NORMAL, "F", "27")
    assert (second.label, second.sex) == ("tuberculosis", "")
    assert first.convention == AERATED
    joined = films.load_mask([tmp_path / part for part in first.mask.split("|")], 96)
    assert joined[50, 20]
    assert joined[50, 70]
    assert not joined[50, 48]


def test_shenzhen_leaves_out_films_without_a_mask(tmp_path: Path) -> None:
    """A film nobody outlined teaches stage 1 nothing."""
    _shenzhen(tmp_path)
    (row,) = lungs.shenzhen(tmp_path)
    assert (row.path, row.age, row.sex) == ("CXR_png/CHNCXR_0001_0.png", "45", "M")


def test_jsrt_films_are_shown_with_dense_white(tmp_path: Path) -> None:
    """The raw files store dense as low."""
    _jsrt(tmp_path)
    (row,) = lungs.jsrt(tmp_path)
    pixels = load_pixels(tmp_path / row.path)
    assert pixels[0, 0] == 0.0
    assert pixels[0, 1000] == 1.0


def test_padchest_keeps_frontal_normals_and_pneumonias(tmp_path: Path) -> None:
    """Other findings, laterals and unreadable labels are no film of either class."""
    _padchest(tmp_path)
    rows = padchest.padchest(tmp_path)
    assert [(r.patient, r.label, r.view, r.age) for r in rows] == [
        ("p1", NORMAL, "PA", "64"),
        ("p2", PNEUMONIA, "AP", "64"),
    ]


def test_rsna_films_of_one_nih_patient_are_one_patient(tmp_path: Path) -> None:
    """The challenge's own patient id names a film only."""
    _rsna(tmp_path)
    rows = rsna.rsna(tmp_path)
    assert [(row.label, row.patient) for row in rows] == [
        (NORMAL, "00000001"),
        (PNEUMONIA, "00000001"),
    ]
    assert len({row.split for row in adapt("rsna", tmp_path, seed=1)}) == 1


def test_ieee8023_keeps_frontal_films_and_their_publisher(tmp_path: Path) -> None:
    """Laterals and other diseases are left out; the site a film came from is kept."""
    _ieee8023(tmp_path)
    rows = covid.ieee8023(tmp_path)
    assert [(r.patient, r.label, r.view, r.subsource) for r in rows] == [
        ("2", COVID, "PA", "radiopaedia"),
        ("3", PNEUMONIA, "AP", "radiopaedia"),
        ("4", NORMAL, "AP", "radiopaedia"),
    ]
    assert [row.pathogen for row in rows[:2]] == ["Viral/COVID-19", "Bacterial"]


def test_covidx_keeps_its_publishers_split_and_the_films_that_are_there(tmp_path: Path) -> None:
    """The protocol of Table 7 is the publisher's list."""
    _covidx(tmp_path)
    rows = covid.covidx(tmp_path)
    assert [(r.split, r.label) for r in rows] == [
        ("train", COVID), ("train", NORMAL), ("test", PNEUMONIA), ("test", COVID)
    ]  # fmt: skip


def test_a_copy_of_a_film_learned_from_is_not_tested_on(tmp_path: Path) -> None:
    """A publisher's own split may hold one film on both sides."""
    _covidx(tmp_path)
    (tmp_path / "test" / "c.png").write_bytes((tmp_path / "train" / "a.png").read_bytes())
    assert "test/c.png" not in {row.path for row in adapt("covidx", tmp_path, seed=1)}


@pytest.mark.parametrize("seed", range(4))
def test_a_near_copy_under_another_patient_never_crosses_a_split(tmp_path: Path, seed: int) -> None:
    """Compilations hold one film twice, scaled and compressed, as two patients'."""
    lines = []
    for i in range(12):
        for kind, patient in (("film", f"a{i}"), ("copy", f"b{i}")):
            name = f"{kind}{i}.jpg"
            _draw(tmp_path / "images" / name, i)
            if kind == "copy":
                with Image.open(tmp_path / "images" / name) as film:
                    film.resize((80, 80)).save(tmp_path / "images" / name, quality=40)
            lines.append({"patientid": patient, "finding": "Pneumonia/Viral/COVID-19",
                          "view": "PA", "modality": "X-ray", "folder": "images",
                          "filename": name, "url": "", "license": "", "age": "",
                          "sex": ""})  # fmt: skip
    _table(tmp_path / "metadata.csv", lines)
    splits = {Path(row.path).stem: row.split for row in adapt("ieee8023", tmp_path, seed)}
    assert set(splits.values()) == {"train", "val", "test"}
    assert all(splits[f"film{i}"] == splits[f"copy{i}"] for i in range(12))


def test_a_hospitals_patients_are_told_apart_without_their_numbers(tmp_path: Path) -> None:
    """Nothing that names a patient reaches the manifest."""
    _clinical(tmp_path)
    rows = clinical.clinical(tmp_path)
    assert {row.label for row in rows} == {NORMAL, COVID}
    assert len({row.patient for row in rows}) == 1
    assert "SECRET" not in "".join(str(row) for row in rows)


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_folder_that_is_not_the_data_set_is_refused(name: str, tmp_path: Path) -> None:
    """The message names what was looked for."""
    with pytest.raises(FileNotFoundError):
        adapt(name, tmp_path, seed=1)


def test_a_data_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    """And the reader is told how to write one."""
    with pytest.raises(FileNotFoundError, match="train manifest"):
        manifest.read(tmp_path)


def test_a_row_survives_the_disk(tmp_path: Path) -> None:
    """Commas and umlauts too."""
    row = Row(path="a,b.png", label=NORMAL, licence="Universität, frei")
    manifest.write([row], tmp_path / "m" / manifest.NAME)
    assert manifest.read(tmp_path / "m") == [row]
