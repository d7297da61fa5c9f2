"""Miniatures of data sets, drawn in their publishers' layout, become manifest rows."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from openpyxl import Workbook
from PIL import Image
from support.film import film as dicom_film
from support.film import phantom, write

from train.data import films, manifest
from train.data.adapters import (
    ADAPTERS,
    adapt,
    clinical,
    covid,
    lungs,
    nih,
    padchest,
    qatar,
    rsna,
    siim,
)
from train.data.image_io import load_pixels
from train.data.manifest import AERATED, COVID, FIELD, NORMAL, NOT_NORMAL, PNEUMONIA, Row


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
    _draw(folder / "CXR_png" / "CHNCXR_0002_0.png", 2)  # without a mask
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
             ("p5", "nan", "PA"), ("p6", "['normal']", "PA")]  # fmt: skip
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
                "MethodLabel": "RNN_model" if patient == "p6" else "Physician",
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


def _nih(folder: Path) -> None:
    found = {"00000001_000": "Pneumonia|Effusion", "00000001_001": "Infiltration|Pneumonia",
             "00000002_000": "No Finding", "00000003_000": "Mass",
             "00000004_000": "Mass"}  # fmt: skip
    lines = [
        {"Image Index": f"{name}.png", "Finding Labels": words, "Patient ID": name[:8],
         "Patient Age": "058Y", "Patient Gender": "M", "View Position": "AP"}
        for name, words in found.items()
    ]  # fmt: skip
    _table(folder / "Data_Entry_2017_v2020.csv", lines)
    for i, name in enumerate([*found][:-1]):  # the last one was not downloaded
        _draw(folder / "images_001" / "images" / f"{name}.png", i)
    _table(folder / rsna.TABLE, [{"patientId": "a", "class": "Normal"}])
    people = [{"subset_img_id": "a", "img_id": "00000001_000.png"}]
    (folder / rsna.MAPPING).write_text(json.dumps(people))


def _qu_ex(folder: Path) -> None:
    infection, lung = (
        folder / "COVID-QU-Ex" / part / part  # the archive has the folder in itself
        for part in ("Infection Segmentation Data", "Lung Segmentation Data")
    )
    films = [(infection, "Train", "COVID-19", "covid_1"), (lung, "Val", "COVID-19", "covid_1"),
             (lung, "Val", "Non-COVID", "non_COVID (1)"),
             (lung, "Test", "Normal", "Normal (1)")]  # fmt: skip
    for i, (part, split, name, film) in enumerate(films):
        _draw(part / split / name / "images" / f"{film}.png", i)
        _box(part / split / name / "lung masks" / f"{film}.png", 10, 80)
        if part == infection:
            _box(part / split / name / "infection masks" / f"{film}.png", 20, 40)


def _radiography(folder: Path) -> None:
    kaggle = "https://www.kaggle.com"
    films = {
        "COVID": ["https://bimcv.cipf.es/bimcv-projects/bimcv-covid19/"],
        "Lung_Opacity": [f"{kaggle}/c/rsna-pneumonia-detection-challenge/data"],
        "Normal": [f"{kaggle}/c/rsna-pneumonia-detection-challenge/data",
                   f"{kaggle}/paultimothymooney/chest-xray-pneumonia"],
        "Viral Pneumonia": [""],
    }  # fmt: skip
    for i, (name, origins) in enumerate(films.items()):
        book = Workbook()
        sheet = book.worksheets[0]
        sheet.append(["FILE NAME", "FORMAT", "SIZE", "URL"])
        for number, origin in enumerate(origins, 1):
            film = f"{name}-{number}"
            _draw(folder / name / "images" / f"{film}.png", 2 * i + number)
            sheet.append([film.upper(), "PNG", "256*256", origin])
            if origin:
                _box(folder / name / "masks" / f"{film}.png", 10, 80)
        if any(origins):
            book.save(folder / f"{name}.metadata.xlsx")


def _siim(folder: Path) -> None:
    grades = ("Negative for Pneumonia", "Typical Appearance", "Indeterminate Appearance",
              "Atypical Appearance")  # fmt: skip
    lines = []
    for i, grade in enumerate(grades):
        lines.append({"id": f"s{i}_study"} | {name: str(int(name == grade)) for name in grades})
        ds = dicom_film(phantom(80, 80 + i), PatientID="P0" if i < 2 else f"P{i}")
        write(ds, folder / "train" / f"s{i}" / "series" / "film.dcm")
    (folder / "train" / "s0" / "series" / "broken.dcm").write_bytes(b"")
    _table(folder / "train_study_level.csv", lines)


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
    _box(folder / "lungs.png", 10, 80)
    _box(folder / "infection.png", 20, 40)
    base = {"path": "", "sop_instance_uid": "", "label": "", "radiologist": "", "lung_mask": "",
            "infection_mask": "", "convention": ""}  # fmt: skip
    masks = {"lung_mask": "lungs.png", "infection_mask": "infection.png", "convention": FIELD}
    uid = str(other.SOPInstanceUID)
    lines = [
        base | {"path": "one", "label": "Normal", "radiologist": "Normal"},
        base | {"sop_instance_uid": uid, "label": "covid"} | masks,
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
    "nih": _nih,
    "covid-qu-ex": _qu_ex,
    "radiography": _radiography,
    "siim": _siim,
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
    known = [row for row in rows if row.mask or row.label in (NORMAL, PNEUMONIA, COVID)]
    assert len(masked) + len(labelled) == len(known) > 0
    assert all((tmp_path / m).exists() for row in rows for m in (row.lung_mask, row.infection_mask))
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
    """A film without a mask teaches stage 1 nothing."""
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
    """Other findings, laterals and unreadable labels are left out; a network's labels say so."""
    _padchest(tmp_path)
    rows = padchest.padchest(tmp_path)
    assert [(r.patient, r.label, r.view, r.age) for r in rows] == [
        ("p1", NORMAL, "PA", "64"),
        ("p2", PNEUMONIA, "AP", "64"),
        ("p6", "text-normal", "PA", "64"),
    ]


def test_rsna_films_of_one_nih_patient_are_one_patient(tmp_path: Path) -> None:
    """The challenge's own patient id names a film only."""
    _rsna(tmp_path)
    rows = rsna.rsna(tmp_path)
    assert [(row.label, row.radiologist, row.patient) for row in rows] == [
        (NORMAL, "normal", "00000001"),
        (PNEUMONIA, "opacity", "00000001"),
        (NOT_NORMAL, "not-normal", "c"),  # not in the mapping
    ]
    assert {(row.view, row.age) for row in rows} == {("PA", "56")}
    one, other, _ = adapt("rsna", tmp_path, seed=1)
    assert one.split == other.split


def test_nih_films_have_the_radiologists_label_where_they_read_it(tmp_path: Path) -> None:
    """Elsewhere the label was mined from report text, and says so."""
    _nih(tmp_path)
    rows = {Path(row.path).stem: row for row in nih.nih(tmp_path)}
    assert {name: (row.label, row.radiologist) for name, row in rows.items()} == {
        "00000001_000": (NORMAL, "normal"),  # text called it pneumonia
        "00000001_001": ("text-pneumonia", ""),
        "00000002_000": ("text-normal", ""),
        "00000003_000": ("other", ""),
    }
    one = rows["00000001_000"]
    assert (one.findings, one.view, one.age, one.sex) == ("Pneumonia|Effusion", "AP", "58", "M")
    assert one.patient == rows["00000001_001"].patient


def test_nih_without_the_challenges_tables_has_mined_labels_only(tmp_path: Path) -> None:
    """No label of stages 2 and 3 comes from text."""
    _nih(tmp_path)
    (tmp_path / rsna.TABLE).unlink()
    assert not {row.label for row in nih.nih(tmp_path)} & {NORMAL, PNEUMONIA, COVID}


def test_covid_qu_ex_keeps_its_publishers_split_and_both_masks(tmp_path: Path) -> None:
    """A film of both parts is taken from the one with infection masks; its lungs teach stage 1."""
    _qu_ex(tmp_path)
    rows = qatar.covid_qu_ex(tmp_path)
    labelled = [row for row in rows if not row.mask]
    assert [(row.split, row.label, bool(row.infection_mask)) for row in labelled] == [
        ("train", COVID, True),
        ("test", NORMAL, False),
        ("val", PNEUMONIA, False),
    ]
    assert all((tmp_path / row.lung_mask).exists() for row in labelled)
    assert "Infection" in labelled[0].path
    lung_rows = [row for row in rows if row.mask]
    assert [row.mask for row in lung_rows] == [row.lung_mask for row in labelled]
    assert {row.convention.split()[0] for row in lung_rows} == {AERATED}


def test_the_radiography_database_keeps_the_origin_of_each_film(tmp_path: Path) -> None:
    """Films of the RSNA challenge were read by its radiologists, children's films were not."""
    _radiography(tmp_path)
    rows = [row for row in qatar.radiography(tmp_path) if not row.mask]
    assert [(row.label, row.subsource, row.radiologist) for row in rows] == [
        (COVID, "bimcv", ""),
        (PNEUMONIA, "rsna", "opacity"),
        (NORMAL, "rsna", "normal"),
        (NORMAL, "kermany", ""),
        (PNEUMONIA, "", ""),  # no workbook
    ]
    assert [bool(row.lung_mask) for row in rows] == [True, True, True, True, False]


def test_siim_grades_that_leave_covid_19_open_are_no_label(tmp_path: Path) -> None:
    """Typical appearance is COVID-19; the other grades teach neither stage."""
    _siim(tmp_path)
    rows = siim.siim(tmp_path)
    assert [(row.label, row.radiologist, row.patient) for row in rows] == [
        ("negative", "", "P0"),
        (COVID, "opacity", "P0"),
        ("indeterminate", "opacity", "P2"),
        ("atypical", "opacity", "P3"),
    ]
    manifest.write(adapt("siim", tmp_path, seed=1), tmp_path / manifest.NAME)
    assert {film.label for film in films.read_films(tmp_path)} == {COVID}


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


def test_a_hospitals_patients_are_distinguished_without_their_numbers(tmp_path: Path) -> None:
    """Nothing that names a patient reaches the manifest."""
    _clinical(tmp_path)
    rows = clinical.clinical(tmp_path)
    assert {row.label for row in rows} == {NORMAL, COVID}
    assert len({row.patient for row in rows}) == 1
    assert "SECRET" not in "".join(str(row) for row in rows)


def test_a_hospitals_table_may_name_readings_and_masks(tmp_path: Path) -> None:
    """A film with a lung mask has two rows in the manifest: with its label, and for stage 1."""
    _clinical(tmp_path)
    rows = clinical.clinical(tmp_path)
    labelled = {row.label: row for row in rows if not row.mask}
    (of_lungs,) = (row for row in rows if row.mask)
    assert labelled[NORMAL].radiologist == "normal"
    assert labelled[NORMAL].lung_mask == ""
    assert labelled[COVID].lung_mask == of_lungs.mask == "lungs.png"
    assert labelled[COVID].infection_mask == "infection.png"
    assert (of_lungs.path, of_lungs.convention) == (labelled[COVID].path, FIELD)


def test_a_hospitals_table_that_names_a_lost_mask_is_refused(tmp_path: Path) -> None:
    """The message names the mask."""
    _clinical(tmp_path)
    (tmp_path / "infection.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"infection\.png"):
        clinical.clinical(tmp_path)


def test_a_film_in_two_parts_of_a_publishers_split_stays_in_the_first(tmp_path: Path) -> None:
    """Validation and test share no film, either."""
    _qu_ex(tmp_path)
    val, test = (
        next(tmp_path.glob(f"**/Lung*/**/{split}/{name}/images/*.png"))
        for split, name in (("Val", "Non-COVID"), ("Test", "Normal"))
    )
    test.write_bytes(val.read_bytes())
    assert {row.split for row in adapt("covid-qu-ex", tmp_path, seed=1)} == {"train", "val"}


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_folder_that_is_not_the_data_set_is_refused(name: str, tmp_path: Path) -> None:
    """The message names what was looked for."""
    with pytest.raises(FileNotFoundError):
        adapt(name, tmp_path, seed=1)


def test_a_data_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    """The message names the command that writes one."""
    with pytest.raises(FileNotFoundError, match="train manifest"):
        manifest.read(tmp_path)


def test_a_row_survives_the_disk(tmp_path: Path) -> None:
    """Commas and umlauts too."""
    row = Row(path="a,b.png", label=NORMAL, licence="Universität, frei")
    manifest.write([row], tmp_path / "m" / manifest.NAME)
    assert manifest.read(tmp_path / "m") == [row]
