"""One UID, one content: whatever can change a byte of a result changes all UIDs of the result."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError
from pydicom.dataset import Dataset
from support import readings
from support.objects import AT, fixed_film

import dicom_node
from dicom_node import compose
from dicom_node.config import Config
from dicom_node.domain.values import Refusal, RefusalCode
from models.manifest import Manifest, read_manifest
from models.reading import ModelIdentity
from models.registry import DEFAULT

#: Sections without any key that changes a byte of a result, and why.
SILENT = {
    "tls": "transport",
    "spool": "storage",
    "receive": "decides what is read, not how",
    "priority": "order of reading",
    "retention": "storage",
    "audit": "audit log",
    "destinations": "transport",
    "study": "the revision covers it",
    "workers": "performance",
    "delivery": "transport",
    "log": "log",
    "quotas": "limits what is received",
    "http": "shows state",
    "store": "storage",
    "alerts": "shows state",
    "drift": "compares what was read",
    "verdicts": "what persons found afterwards",
}


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from _leaves(below, (*path, key))
    else:
        yield path, value


def _others(value: Any) -> Iterator[Any]:
    """Values to try in place of this one."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield from (value + 1, value - 1, value + 32, value * 0.5, value + 0.001)
    elif isinstance(value, str):
        yield from (
            "paper",
            "sensitive",
            "densenet121",
            "de",
            "jpeg-ls",
            "all",
            "jpeg",
            "refuse",
            "kept",
            "enhanced",
            "paper-eq1",
            "cpu",
            "auto",
            "0" * 64,
        )
        yield f"{value}x"
    elif isinstance(value, list | tuple):
        yield [*value, "OTHER"]
        yield [*value, {"view": "AP", "pneumonia": 0.25}]
    elif isinstance(value, dict):
        yield {"sensitive": 0.25}
    elif value is None:
        yield from ("other", 1, True, 0.25)


def _changed(model: Any, path: tuple[str, ...], old: Any) -> Any:
    """The same with another legal value at ``path``."""
    for value in _others(old):
        raw = model.model_dump(mode="json")
        place = raw
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        try:
            changed = type(model).model_validate(raw)
        except ValidationError:
            continue
        if value != old:
            return changed
    raise AssertionError(f"no other value for {'.'.join(path)}: add one to _others")


def _uids(config: Config, model: ModelIdentity = readings.MODEL, **more: Any) -> set[str]:
    """SOP Instance and Series UIDs of a refused film: derived like those of every object."""
    context = compose.Context(
        report=config.report,
        results=config.results,
        config_digest=config.digest,
        ae_title=config.node.ae_title,
        at=AT,
        **more,
    )
    refusal = Refusal(code=RefusalCode.VIEW, reason="a lateral view")
    objects: list[Dataset] = compose.compose_refusal(fixed_film(), refusal, model, context)
    assert objects
    return {uid for ds in objects for uid in (ds.SOPInstanceUID, ds.SeriesInstanceUID)}


CONFIG = Config()
SHAPING = [
    (path, value)
    for path, value in _leaves(CONFIG.model_dump(mode="json"))
    if path[0] not in SILENT
    and (path[0] != "node" or path[1] == "ae_title")
    and path not in {("models", "dir"), ("models", "public_key"), ("models", "shadow")}
]


@pytest.mark.parametrize(("path", "value"), SHAPING, ids=[".".join(p) for p, _ in SHAPING])
def test_a_changed_setting_leaves_no_uid(path: tuple[str, ...], value: Any) -> None:
    """Every key of every section that is not known to be silent."""
    changed = _changed(CONFIG, path, value)
    assert changed.digest != CONFIG.digest
    if changed.report.refusals:  # without them a refused film has no object to compare
        assert _uids(CONFIG).isdisjoint(_uids(changed))


@pytest.mark.parametrize("section", SILENT)
def test_a_section_that_changes_no_result_keeps_all_uids(section: str) -> None:
    """Another port, another disk: a study read again is not a second study."""
    for path, value in _leaves(CONFIG.model_dump(mode="json")[section], (section,)):
        if isinstance(value, bool | int | float):
            try:
                changed = _changed(CONFIG, path, value)
            except AssertionError:
                continue  # keys that are only legal together
            assert changed.digest == CONFIG.digest


MANIFEST = read_manifest(DEFAULT)
ENTRIES = [
    (path, value)
    for path, value in _leaves(MANIFEST.model_dump(mode="json", exclude_none=True))
    if path[0] != "engines"  # `models.device` and `models.precision` choose among them
]


@pytest.mark.parametrize(("path", "value"), ENTRIES, ids=[".".join(p) for p, _ in ENTRIES])
def test_a_changed_manifest_leaves_no_uid(path: tuple[str, ...], value: Any) -> None:
    """Thresholds, temperatures, margins and gate limits decide as much as weights do."""
    changed: Manifest = _changed(MANIFEST, path, value)
    before = _uids(CONFIG, MANIFEST.identity)
    assert before.isdisjoint(_uids(CONFIG, changed.identity))


def test_nothing_changed_keeps_all_uids() -> None:
    """A retry, on this machine or another, makes the same objects."""
    again = read_manifest(DEFAULT)
    assert _uids(Config(), again.identity) == _uids(CONFIG, MANIFEST.identity)


def test_another_version_of_the_software_leaves_no_uid(monkeypatch: pytest.MonkeyPatch) -> None:
    """The version is written into every object."""
    before = _uids(CONFIG)
    monkeypatch.setattr(dicom_node, "__version__", "99.0")
    assert before.isdisjoint(_uids(CONFIG))


def test_a_forced_stage_3_leaves_no_uid() -> None:
    """`read --force-stage3` adds a finding to a film below the threshold."""
    assert _uids(CONFIG).isdisjoint(_uids(CONFIG, force_stage3=True))
