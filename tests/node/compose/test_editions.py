"""Destinations choose what they get: which kinds of result, and which class of report."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from support.objects import composed, context, small_film, through_disk
from support.readings import MODEL

from dicom_node import check_objects, compose
from dicom_node.compose import series
from dicom_node.compose.lineage import Lineage
from dicom_node.compose.report import SOP_CLASSES
from dicom_node.config import Config
from dicom_node.domain.values import Edition, Identity, Refusal, RefusalCode, ResultKind

EVERYTHING: dict[str, Any] = dict.fromkeys(("lungs", "segmentation", "key_objects"), True)
FILM = small_film(160, 144)

send = st.none() | st.frozensets(st.sampled_from(ResultKind), min_size=1)
editions = st.builds(
    Edition,
    identity=st.sampled_from(Identity),
    send=send,
    sr_class=st.none() | st.sampled_from(sorted(SOP_CLASSES)),
    refusals=st.booleans(),
)


@cache
def made(edition: Edition) -> tuple[Dataset, ...]:
    """The objects of an edition."""
    what = replace(context(**EVERYTHING), edition=edition, secret=b"s" * 32)
    header, what = compose.restrict(FILM, what)
    return tuple(composed(header, what=what))


def content(ds: Dataset) -> str:
    """A digest of every element."""
    return hashlib.sha256(json.dumps(ds.to_json_dict(), sort_keys=True).encode()).hexdigest()


def report_uid(edition: Edition) -> str:
    """The UID of the report in an edition, without composing it."""
    what = replace(context(), edition=edition, secret=b"s" * 32)
    lineage = Lineage(source=FILM, model=MODEL, context=what)
    return str(lineage.derive(series.REPORT, "sr", 1).SOPInstanceUID)


@given(one=editions, other=editions)
def test_two_editions_never_share_a_report(one: Edition, other: Edition) -> None:
    """Any difference of identity, kinds or class gives another UID."""
    assert (report_uid(one) == report_uid(other)) is (one == other)


def test_two_contents_never_share_a_uid() -> None:
    """An object under one UID is the same in every edition, to the last element."""
    few = frozenset({ResultKind.SUMMARY, ResultKind.REPORT, ResultKind.KEY_OBJECTS})
    chosen = (Edition(), Edition(sr_class="enhanced"), Edition(send=few), Edition(Identity.MINIMAL))
    contents: dict[str, str] = {}
    for edition in chosen:
        for ds in made(edition):
            assert contents.setdefault(ds.SOPInstanceUID, content(ds)) == content(ds)
        assert len({ds.SOPInstanceUID for ds in made(edition)}) == len(made(edition))


def test_a_destination_gets_the_kinds_it_lists(tmp_path: Path) -> None:
    """Its report and key objects list these only, and pass the node's own check."""
    kinds = frozenset({ResultKind.SUMMARY, ResultKind.REPORT, ResultKind.KEY_OBJECTS})
    objects = made(Edition(send=kinds))
    assert [ds.SeriesNumber for ds in objects] == [9900, 9901, 9906]
    assert check_objects.check(through_disk(list(objects), tmp_path), FILM) == []
    known = {ds.SOPInstanceUID for ds in (FILM, *objects)}
    report = json.dumps(objects[1].to_json_dict())
    for each in made(Edition()):
        if each.SOPInstanceUID not in known:
            assert each.SOPInstanceUID not in report


def test_without_a_report_there_is_none() -> None:
    """The pictures are those of the other destinations."""
    [mask] = made(Edition(send=frozenset({ResultKind.SEGMENTATION})))
    assert mask.SOPInstanceUID in {ds.SOPInstanceUID for ds in made(Edition())}


@pytest.mark.parametrize("sr_class", SOP_CLASSES)
def test_a_destination_gets_its_class_of_report(sr_class: str) -> None:
    """As an object of its own, in a series of its own; the pictures are the same objects."""
    *pictures, report, _ = made(Edition(sr_class=sr_class))
    *same, default, _ = made(Edition())
    assert report.SOPClassUID == SOP_CLASSES[sr_class]
    assert report.SOPInstanceUID != default.SOPInstanceUID
    assert report.SeriesInstanceUID != default.SeriesInstanceUID
    assert [ds.SOPInstanceUID for ds in pictures] == [ds.SOPInstanceUID for ds in same]


@pytest.mark.parametrize(("kind", "number"), [("summary", 9900), ("report", 9901)])
def test_a_refusal_is_sent_as_its_destination_chooses(kind: str, number: int) -> None:
    """The picture alone, or the report alone."""
    refusal = Refusal(code=RefusalCode.VIEW, reason="a lateral view")
    what = replace(context(), edition=Edition(send=frozenset({ResultKind(kind)})))
    [only] = compose.compose_refusal(FILM, refusal, MODEL, what)
    assert only.SeriesNumber == number


def test_a_refusal_makes_nothing_for_destinations_without_refusals() -> None:
    """So there is nothing to deliver, either."""
    refusal = Refusal(code=RefusalCode.VIEW, reason="a lateral view")
    what = replace(context(), edition=Edition(refusals=False))
    assert compose.compose_refusal(FILM, refusal, MODEL, what) == []


def test_messages_are_made_of_a_coded_report() -> None:
    """Whatever the class of the reports for other destinations, and of no refusal unless chosen."""
    ris = {"name": "ris", "kind": "hl7", "host": "ris", "port": 2575}
    ehr = {"name": "ehr", "kind": "fhir", "url": "https://ehr/fhir", "refusals": True}
    report = frozenset({ResultKind.REPORT})
    for written, sr_class in (("comprehensive_3d", None), ("basic_text", "comprehensive_3d")):
        config = Config.model_validate(
            {"destinations": [ris, ehr], "report": {"sop_class": written}}
        )
        assert config.editions == {
            "ris": Edition(send=report, sr_class=sr_class, refusals=False),
            "ehr": Edition(send=report, sr_class=sr_class),
        }


def configured(*choices: dict[str, object], **sections: object) -> Config:
    """A configuration with a folder for each choice."""
    folders = [
        {"name": f"d{n}", "kind": "folder", "path": "/x", **choice}
        for n, choice in enumerate(choices)
    ]
    return Config.model_validate({"destinations": folders, **sections})


def test_a_choice_that_is_the_default_is_the_default_edition() -> None:
    """Such destinations share the report with those that do not choose."""
    all_kinds = ["summary", "heatmaps", "key_objects", "report"]
    config = configured(
        {}, {"send": all_kinds, "sr_class": "enhanced"}, {"send": ["report"]},
        report={"sop_class": "enhanced"}, results={"key_objects": True},
    )  # fmt: skip
    one, two, three = config.editions.values()
    assert one == two == Edition()
    assert three == Edition(send=frozenset({ResultKind.REPORT}))


def test_a_kind_that_is_not_made_cannot_be_sent() -> None:
    """The mistake names the key to switch on."""
    with pytest.raises(ValueError, match=r"d0: .* switch on results\.segmentation"):
        configured({"send": ["segmentation"]})
    with pytest.raises(ValueError, match=r"switch on results\.heatmaps"):
        configured({"send": ["heatmaps"]}, results={"heatmaps": "none"})
