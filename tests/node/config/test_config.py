"""config.yaml: what it holds, what it refuses, what the environment changes."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from dicom_node import config
from dicom_node.errors import ConfigError

COMMENTED = Path(__file__).parents[3] / "config.yaml"


def test_the_commented_file_holds_every_key_with_its_default() -> None:
    """config.yaml names every key there is, and changes none but the example destination."""
    written = yaml.safe_load(COMMENTED.read_text())
    defaults = config.Config().model_dump(mode="json")
    assert {s: set(k) if isinstance(k, dict) else None for s, k in written.items()} == {
        s: set(k) if isinstance(k, dict) else None for s, k in defaults.items()
    }
    loaded = config.load(COMMENTED, {}).model_dump(mode="json")
    assert {**loaded, "destinations": []} == {**defaults, "destinations": []}


def test_every_key_is_commented() -> None:
    """No key of config.yaml stands without a comment that gives its unit or reason."""
    lines = COMMENTED.read_text().splitlines()
    for before, line in pairwise(lines):
        if ":" in line and line.startswith("  ") and not line.strip().startswith(("#", "-")):
            assert "#" in line or before.strip().startswith("#"), line


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    """Three mistakes in the file are three lines in one error, each with its key."""
    path = tmp_path / "config.yaml"
    path.write_text("node: {port: 99999, colour: red}\nstudy: {quiet_seconds: -1}\n")
    with pytest.raises(ConfigError) as caught:
        config.load(path, {})
    for key in ("node.port", "node.colour", "study.quiet_seconds"):
        assert key in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("node:\n  prot: 104\n", "line 2: node.prot: there is no such key; did you mean port?"),
        ("nodes: {port: 104}\n", "line 1: nodes: there is no such key; did you mean node?"),
        ("\nnode: {port: many}\n", "line 2: node.port: must be a whole number"),
        ("node: {plain: perhaps}\n", "line 1: node.plain: must be true or false"),
        (
            "log: {level: warn}\n",
            "one of 'debug', 'info', 'warning' or 'error'; did you mean warning?",
        ),
        ("node:\n  port: 1\n  port: 2\n", "line 3: node.port: is given twice"),
        (
            "destinations:\n  - {name: p, ae_titel: P, host: h, port: 1}\n",
            "line 2: destinations.0.ae_titel: there is no such key; did you mean ae_title?",
        ),
        (
            "node:\n  allowed_calling:\n    - {ae_title: A, adress: 10.0.0.1}\n",
            "line 3: node.allowed_calling.0.adress: there is no such key; did you mean address?",
        ),
        ("audit: {repository: {hots: logs}}\n", "audit.repository.hots: there is no such key"),
        (
            "thresholds: {pneumonia: sensitiv}\n",
            "line 1: thresholds.pneumonia: must be balanced, sensitive, specific, or a number "
            "between 0 and 1",
        ),
        ("thresholds: {covid19: 42}\n", "thresholds.covid19: must be balanced"),
        (
            "thresholds:\n  overrides:\n    - {pneumonia: 0.4}\n",
            "line 3: thresholds.overrides.0: needs modality, view or ae_title",
        ),
        (
            "thresholds: {overrides: [{view: AP}]}\n",
            "thresholds.overrides.0: needs pneumonia or covid19",
        ),
    ],
    ids=str,
)
def test_a_mistake_names_its_line_its_key_and_what_was_meant(
    tmp_path: Path, text: str, words: str
) -> None:
    """In plain words, for each kind of mistake that a person makes."""
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        config.load(path, {})
    assert words in str(caught.value)


def test_a_section_without_keys_has_its_defaults(tmp_path: Path) -> None:
    """As when every key of it is commented out."""
    path = tmp_path / "config.yaml"
    path.write_text("node:\n  # port: 104\nlog: {level: error}\n")
    assert config.load(path, {}).node == config.NodeConfig()


_LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)


@pytest.mark.parametrize(
    "text",
    ["[1, 2]", "just a word", "node: [", "node: 7", "node: {port: 2026-99-99}", "node: !!int x",
     "node: !!bool x", "node: &a {port: *a}", "destinations: &a [*a]", f"node: {'[' * 2000}",
     "node: {ae_title: \"a\0b\"}", f"node: {{port: {'9' * 5000}}}", _LAUGHS, "#" * 2**20],
    ids=lambda text: text[:30],
)  # fmt: skip
def test_a_file_of_another_shape_is_a_config_error(tmp_path: Path, text: str) -> None:
    """Whatever the file holds, the answer is a ConfigError and not a traceback."""
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        config.load(path, {})


def test_a_pipe_or_a_device_is_a_config_error(tmp_path: Path) -> None:
    """Reading it would never end, and the supervisor would watch over no process meanwhile."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(ConfigError, match="is not a regular file"):
            config.load(path, {})


def test_a_missing_file_is_a_config_error(tmp_path: Path) -> None:
    """The message says that the file does not exist."""
    with pytest.raises(ConfigError, match="No such file"):
        config.load(tmp_path / "none.yaml", {})


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    """DICOM_NODE__SECTION__KEY overrides one key and leaves its neighbours."""
    path = tmp_path / "config.yaml"
    path.write_text("node: {port: 104, ae_title: FILE}\n")
    loaded = config.load(
        path,
        {
            "DICOM_NODE__NODE__PORT": "11113",
            "DICOM_NODE__DESTINATIONS": "[{name: p, ae_title: P, host: h, port: 1}]",
            "HOME": "/root",
        },
    )
    assert (loaded.node.port, loaded.node.ae_title) == (11113, "FILE")
    assert loaded.destinations[0].name == "p"


def test_a_mistake_in_the_environment_is_a_config_error() -> None:
    """The environment is checked as the file is, and the variable is named."""
    with pytest.raises(ConfigError, match=r"_PORT: node\.port: must be a whole"):
        config.load(None, {"DICOM_NODE__NODE__PORT": "many"})
    with pytest.raises(ConfigError, match=r"DICOM_NODE__NODE__PROT: .* did you mean port"):
        config.load(None, {"DICOM_NODE__NODE__PROT": "104"})
    with pytest.raises(ConfigError, match="DICOM_NODE__DESTINATIONS: its value is not YAML"):
        config.load(None, {"DICOM_NODE__DESTINATIONS": "[{"})


def test_destination_names_are_unique() -> None:
    """Two destinations of one name cannot be distinguished in the outbox."""
    pacs = {"name": "p", "ae_title": "P", "host": "h", "port": 1}
    with pytest.raises(ConfigError, match="twice"):
        config.load(None, {"DICOM_NODE__DESTINATIONS": yaml.safe_dump([pacs, pacs])})


def test_the_digest_follows_what_changes_a_result_and_nothing_else() -> None:
    """A new port keeps derived UIDs; a new report class changes them."""
    base = config.load(None, {}).digest
    assert config.load(None, {"DICOM_NODE__NODE__PORT": "104"}).digest == base
    assert config.load(None, {"DICOM_NODE__REPORT__SOP_CLASS": "enhanced"}).digest != base


@pytest.mark.parametrize(
    "value", ["{pneumonia: 0.42}", "{overrides: [{view: AP, covid19: sensitive}]}"]
)
def test_no_derived_uid_stays_when_a_threshold_changes(value: str) -> None:
    """The thresholds with their overrides are part of the digest."""
    base = config.load(None, {}).digest
    assert config.load(None, {"DICOM_NODE__THRESHOLDS": value}).digest != base


def test_the_first_override_that_fits_a_film_and_sets_a_stage_counts() -> None:
    """All that an override names must fit; what it leaves out comes from a later one."""
    overrides = [
        {"view": "AP", "ae_title": "PORTABLE", "pneumonia": 0.42},
        {"modality": "CR", "pneumonia": "specific", "covid19": 0.7},
    ]
    chosen = config.ThresholdsConfig.model_validate(
        {"pneumonia": "sensitive", "overrides": overrides}
    )
    portable = chosen.of_film(modality="CR", view="ap", ae_title="PORTABLE ")
    assert (portable.pneumonia, portable.covid19) == (0.42, 0.7)
    upright = chosen.of_film(modality="CR", view="PA", ae_title="PORTABLE")
    assert (upright.pneumonia, upright.covid19) == ("specific", 0.7)
    other = chosen.of_film(modality="DX", view="", ae_title="")
    assert (other.pneumonia, other.covid19) == ("sensitive", "balanced")


@pytest.mark.parametrize("title", ["", "SEVENTEENLETTERS_", "BACK\\SLASH", "TÄST"])
def test_an_ae_title_is_one_to_sixteen_plain_characters(title: str) -> None:
    """PS3.5 6.2, value representation AE."""
    with pytest.raises(ConfigError, match="ae_title"):
        config.load(None, {"DICOM_NODE__NODE__AE_TITLE": yaml.safe_dump(title)})


def _destinations(*destinations: dict[str, object]) -> config.Config:
    return config.load(None, {"DICOM_NODE__DESTINATIONS": yaml.safe_dump(list(destinations))})


def test_a_destination_is_a_pacs_unless_it_says_otherwise() -> None:
    """`kind` may be left out; each kind has its own keys."""
    pacs, disk, web = _destinations(
        {"name": "p", "ae_title": "P", "host": "h", "port": 1},
        {"name": "d", "kind": "folder", "path": "/mnt"},
        {"name": "w", "kind": "dicomweb", "url": "https://h/dicom-web/", "token_env": "TOKEN"},
    ).destinations
    assert [pacs.kind, disk.kind, web.kind] == ["dicom", "folder", "dicomweb"]
    assert isinstance(web, config.WebDestination)
    assert web.url == "https://h/dicom-web"


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ({"kind": "floppy"}, "destinations.0: kind must be dicom, folder, dicomweb, hl7 or fhir"),
        ({"kind": ["folder"]}, "destinations.0: kind must be dicom, folder, dicomweb, hl7 or fhir"),
        ({"kind": "folder"}, "destinations.0.path: is missing"),
        ({"kind": "folder", "path": "/x", "port": 1}, "destinations.0.port: there is no such key"),
        ({"ae_title": "P", "host": "h"}, "destinations.0.port: is missing"),
        ({"kind": "dicomweb", "url": "pacs/dicom-web"}, "http://... or https://..."),
        ({"kind": "dicomweb", "url": "https://me:secret@pacs/"}, "hold no user, password"),
        ({"kind": "dicomweb", "url": "https://pacs:99999/"}, "Port out of range"),
        ({"kind": "dicomweb", "url": "http://pacs/", "token_env": "T"}, "over https only"),
        (
            {"kind": "dicomweb", "url": "https://h", "token_env": "T", "token_file": "t"},
            "not both",
        ),
        ({"kind": "fhir", "url": "https://h", "user": "u"}, "user needs token_file or token_env"),
        ({"kind": "hl7", "host": "h", "prot": 1}, "did you mean port?"),
        ({"kind": "hl7", "host": "h", "port": 1, "send": ["report"]}, "there is no such key"),
        (
            {"kind": "hl7", "host": "h", "port": 1, "codes": {"score": "A^B^C"}},
            "codes.score",
        ),
        (
            {"kind": "hl7", "host": "h", "port": 1, "codes": {"model": "A|B^C^D"}},
            "has a character that is not allowed",
        ),
        ({"kind": "hl7", "host": "h", "port": 1, "tls": True}, "needs tls.ca_file"),
    ],
    ids=str,
)
def test_a_mistake_in_a_destination_names_its_key(mistake: dict[str, object], message: str) -> None:
    """The sentence says which destination, what kind it is taken for, and what is wrong."""
    with pytest.raises(ConfigError) as caught:
        _destinations({"name": "x", **mistake})
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)
