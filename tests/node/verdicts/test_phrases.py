"""What a rule file makes of the text of a report."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.domain.verdicts import Finding
from dicom_node.errors import ConfigError
from dicom_node.verdicts.phrases import LONGEST_TEXT
from dicom_node.verdicts.report import ReportReader
from dicom_node.verdicts.rules import read_rules, shipped_rules

READER = ReportReader(shipped_rules())


def _finding(text: str) -> str:
    finding = READER.read(text).finding
    return finding.value if finding else "none"


@pytest.mark.parametrize(
    "text",
    [
        "Right lower lobe pneumonia.",
        "No pleural effusion. Right lower lobe pneumonia.",
        "No pleural effusion but right lower lobe pneumonia.",
        "PNEUMONIA RIGHT LOWER LOBE, NO EFFUSION",
        "1. No effusion.\n2. Pneumonia.",
        "- No effusion\n- Pneumonia",
        "Right lower lobe pneumonia with possible small effusion.",
        "No change in the right lower lobe pneumonia.",
        "Pneumonia has not resolved.",
        "Findings: opacity, may be pneumonia. Impression: Right basal pneumonia.",
        "Pneumonie im rechten Unterlappen, kein Erguss.",
        "Bronchopneumonie bds. basal",
        "Keine Befundänderung der Pneumonie.",
        "No COVID-19. Pneumonia on the right.",
    ],
)
def test_a_pneumonia_that_is_affirmed(text: str) -> None:
    """Whatever else is denied or doubted in the report."""
    assert _finding(text) == "pneumonia"


@pytest.mark.parametrize(
    "text",
    [
        "Findings typical of COVID-19 pneumonia.",
        "Beidseitige Milchglasverschattungen, typisch für COVID-19-Pneumonie.",
        "Pneumonia due to SARS-CoV-2. No effusion.",
    ],
)
def test_covid19_is_more_than_pneumonia(text: str) -> None:
    """If both are said."""
    assert _finding(text) == "covid19"


@pytest.mark.parametrize(
    "text",
    [
        "No evidence of pneumonia.",
        "Negative for pneumonia.",
        "Pneumonia has resolved.",
        "No pleural effusion, pneumothorax, focal consolidation or pneumonia.",
        "No pleural effusion,\npneumothorax or pneumonia.",
        "There is no focal airspace disease, effusion, or pneumothorax.",
        "INDICATION: Rule out pneumonia.\nFINDINGS: Lungs clear.\nIMPRESSION: No active disease.",
        "Kein Nachweis eines Infiltrats.",
        "Kein Infiltrat, kein Erguss, keine Stauung.",
        "Weder Infiltrat noch Erguß.",
        "Infiltrate nicht nachweisbar.",
        "Pneumonie ausgeschlossen.",
        "Z.n. Pneumonie. Lunge frei.",
        "Klinische Angaben: Pneumonie?\nBefund: Keine Infiltrate.\nBeurteilung: Normalbefund.",
    ],
)
def test_a_pneumonia_that_is_denied(text: str) -> None:
    """With nothing else seen."""
    assert _finding(text) == "normal"


@pytest.mark.parametrize(
    "text",
    [
        "Pneumonia cannot be excluded.",
        "No evidence of pneumonia, but it cannot be excluded.",
        "Possible pneumonia.",
        "Pneumonia possible.",
        "Pneumonia?",
        "Atelectasis versus pneumonia.",
        "Right basal opacity.",
        "Pneumonia, COVID-19 cannot be excluded.",
        "Eine Pneumonie kann nicht sicher ausgeschlossen werden.",
        "Pneumonie nicht ausgeschlossen.",
        "V.a. Pneumonie rechts basal.",
        "DD Pneumonie.",
        "Evtl. Pneumonie.",
        "Bds. basal V. a. Pneumonie.",
        "Pneumonia on the right. No pneumonia on the left.",
        # A line break or comma may end a denial, or not.
        "No pleural effusion, right lower lobe pneumonia.",
        "No effusion\nRLL pneumonia",
    ],
)
def test_a_pneumonia_that_is_doubted_or_contradicted(text: str) -> None:
    """It is unknown: a guess would teach a candidate something wrong."""
    assert _finding(text) == "unknown"


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("Small left pleural effusion. No pneumonia.", "other"),
        ("Kardiomegalie. Kein Infiltrat.", "other"),
        ("INDICATION: pneumonia.", "none"),
        ("History of pneumonia.", "none"),
        ("The wrist is not swollen.", "none"),
        ("", "none"),
    ],
)
def test_something_else_or_nothing(text: str, finding: str) -> None:
    """What was asked or known before is no finding."""
    assert _finding(text) == finding


def test_a_code_counts_before_the_text() -> None:
    """In any of its systems; an unknown code leaves it to the text."""
    text = "No pneumonia."
    assert READER.read(text, [("I10", "J18.9")]).finding is Finding.PNEUMONIA
    assert READER.read(text, [("sct", "840539006")]).finding is Finding.COVID19
    assert READER.read(text, [("L", "J18.9"), ("I10", "Z99")]).finding is Finding.NORMAL
    both = READER.read("", [("I10", "J18.9"), ("I10", "U07.1")])
    assert (both.finding, both.rule) == (Finding.COVID19, "covid19")


def test_a_hospital_has_rules_of_its_own(tmp_path: Path) -> None:
    """In another language; words that YAML takes for other things are words."""
    path = tmp_path / "rules.yaml"
    path.write_text(
        "denied: unknown\n"
        "rules: [{name: neumonia, finding: pneumonia, phrases: [neumonia*]}]\n"
        "cues: {denied_before: [no, sin]}\n"
    )
    reader = ReportReader(read_rules(path))
    assert reader.read("Neumonía no. Neumonia basal.").rule == "neumonia"
    assert reader.read("No hay neumonia").rule == "denial"
    assert reader.read("Sin neumonia").finding is Finding.UNKNOWN


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("rules: []", "rules"),
        ("rules: [{name: a, finding: cold}]", "finding"),
        ("rules: [{name: a, finding: normal, phrase: [x]}]", "did you mean phrases"),
        ("rules: [{name: A b, finding: normal}]", "name"),
        ("rules: [{name: a, finding: normal, codes: [J18]}]", "codes"),
        ("[", "cannot be read"),
        ("x" * 300_000, "more than 256 KiB"),
    ],
)
def test_a_rule_file_with_mistakes_is_refused(tmp_path: Path, text: str, mistake: str) -> None:
    """With the place of the mistake."""
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=mistake):
        read_rules(path)


@given(st.text(max_size=400))
def test_any_text_is_read(text: str) -> None:
    """Nothing in it raises, and a mention's words never come from elsewhere."""
    for mention in READER.read(text).mentions:
        assert mention.words


@given(st.sampled_from(["No", "Kein", "Without"]), st.sampled_from(["pneumonia", "Infiltrat"]))
def test_a_denied_pneumonia_is_never_affirmed(cue: str, illness: str) -> None:
    """With any words between that are no cues."""
    assert _finding(f"{cue} right lower {illness}.") == "normal"


@pytest.mark.parametrize("text", ["re. ", "V.a. ", "1. ", "a b. "])
def test_a_text_of_nothing_but_abbreviations_is_read_in_time(text: str) -> None:
    """Each of its full stops might end the sentence or not."""
    began = time.process_time()
    assert _finding(text * (LONGEST_TEXT // len(text))) == "none"
    assert time.process_time() - began < 10  # a tenth of a second; it took a minute
