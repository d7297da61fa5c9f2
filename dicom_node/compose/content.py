"""The content tree of a report (PS3.16 TID 1500), in a form that real viewers can show.

Three rules follow from OHIF: every measurement has coordinates, because OHIF crashes on one
without; regions are polylines, the only shape it always draws; and a measurement is named after
its finding, because OHIF shows nothing but the name. Percentages are whole numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from dicom_node.compose import codes, film_pixels
from dicom_node.compose.lineage import Lineage
from dicom_node.compose.refusal import accepted
from dicom_node.compose.sanitize import clean
from dicom_node.compose.tid1500 import (
    Group,
    comment,
    region_name,
    region_source,
    root,
    tracking,
)
from dicom_node.explain.message import points
from models.reading import HeatCheck, Reading, StageResult

if TYPE_CHECKING:
    from dicom_node.domain.values import Image
    from dicom_node.explain import Explanation, Polygon, Region


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    """The names and codes with which one stage's decision is reported."""

    key: str  # derives the groups' tracking UIDs
    name: str
    algorithm: str
    finding: Code
    probability: Code
    heat: Code
    says_presence: bool = True


_PNEUMONIA = _Stage(
    key="stage 2",
    name="Pneumonia",
    algorithm="Pneumonia classifier",
    finding=codes.PNEUMONIA,
    probability=codes.PNEUMONIA_PROBABILITY,
    heat=codes.PNEUMONIA_HEAT,
)
_COVID19 = _Stage(
    key="stage 3",
    name="COVID-19",
    algorithm="COVID-19 classifier",
    finding=codes.COVID19,
    probability=codes.COVID19_PROBABILITY,
    heat=codes.COVID19_HEAT,
)
# report.stage3_code off: COVID-19 is reported as a property of the pneumonia, which is present.
_COVID19_UNCODED = _Stage(
    key="stage 3",
    name="COVID-19",
    algorithm="COVID-19 classifier",
    finding=codes.PNEUMONIA,
    probability=codes.COVID19_PROBABILITY,
    heat=codes.COVID19_HEAT,
    says_presence=False,
)


_OUTLINES_DIFFER = "The outlines of the lungs differ: an opacity outside them was not assessed."


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes the measurement groups of one film's report."""

    lineage: Lineage
    reading: Reading
    explanation: Explanation
    remarks: Sequence[str]
    flawed: bool

    def groups(self) -> Iterator[Group]:
        reading, explanation = self.reading, self.explanation
        decision = self.decision(_PNEUMONIA, reading.pneumonia)
        if reading.heat_check and reading.heat_check.reliable is False:
            comment(decision, unreliable(reading.heat_check))
        yield decision
        yield from self.heat(_PNEUMONIA, explanation.pneumonia)
        if reading.covid19 is not None:
            coded = self.lineage.context.report.stage3_code
            stage = _COVID19 if coded else _COVID19_UNCODED
            yield self.decision(stage, reading.covid19)
            yield from self.heat(stage, explanation.covid19)
        yield accepted(self.lineage, self.remarks, flawed=self.flawed)

    def decision(self, stage: _Stage, result: StageResult) -> Group:
        """Write a TID 1501 group: a stage's decision about the whole film."""
        source = self.lineage.source
        where = hd.sr.CoordinatesForMeasurement(
            "POLYLINE", self._scoord(self._mark(stage)), region_source(self.lineage)
        )
        return hd.sr.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=tracking(self.lineage, stage.key, stage.name),
            finding_type=stage.finding,
            finding_sites=[hd.sr.FindingSite(codes.LUNG)],
            algorithm_id=self._algorithm(stage, result),
            source_images=[
                hd.sr.SourceImageForMeasurementGroup(source.SOPClassUID, source.SOPInstanceUID)
            ],
            measurements=[_percent(stage.probability, result.probability, where)],
            qualitative_evaluations=list(self._evaluations(stage, result)),
        )

    def _evaluations(
        self, stage: _Stage, result: StageResult
    ) -> Iterator[hd.sr.QualitativeEvaluation]:
        if stage.says_presence:
            presence = codes.PRESENT if result.positive else codes.ABSENT
            yield hd.sr.QualitativeEvaluation(codes.PRESENCE, presence)
        check = self.reading.heat_check
        if stage is _PNEUMONIA and check and check.reliable is not None:
            rating = codes.FIT if check.reliable else codes.UNFIT
            yield hd.sr.QualitativeEvaluation(codes.VISUAL_EXPLANATION, rating)

    def heat(self, stage: _Stage, regions: tuple[Region, ...]) -> Iterator[Group]:
        """Write a TID 1410 group for each outlined region."""
        for number, region in enumerate(regions, 1):
            key = f"{stage.key} region {number}"
            name = region_name(stage.name, number, region)
            yield hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
                tracking_identifier=tracking(self.lineage, key, name),
                referenced_region=hd.sr.ImageRegion(
                    "POLYLINE", self._scoord(region.points), region_source(self.lineage)
                ),
                finding_type=stage.finding,
                finding_sites=[hd.sr.FindingSite(codes.LUNG, laterality=self._side(region))],
                measurements=[_percent(stage.heat, region.share)],
            )

    def _algorithm(self, stage: _Stage, result: StageResult) -> hd.sr.AlgorithmIdentification:
        model = self.reading.model
        heatmap = model.h2_variant if stage is _PNEUMONIA else "grad-cam"
        parameters = (
            f"threshold={result.threshold:g} point={result.point} "
            f"probability={result.probability:.6f} "
            f"logit={result.logit:.6g} temperature={result.temperature:g} heatmap={heatmap}"
        )
        if stage is _PNEUMONIA and (check := self.reading.heat_check):
            parameters += f" {_measured(check)}"
        if self.reading.covid19 is None:
            parameters += " stage3=not run (stage2 below threshold)"
        return hd.sr.AlgorithmIdentification(
            name=stage.algorithm, version=model.version, parameters=[parameters], family=codes.AI
        )

    def _mark(self, stage: _Stage) -> Polygon:
        """Return a short line at the film's left edge, to which a decision is attached.

        A decision is about the whole film; OHIF writes it beside the line, inside the viewport.
        """
        frame = self.reading.frame
        left, right = 0.02 * frame.columns, 0.04 * frame.columns
        row = (0.05 if stage is _PNEUMONIA else 0.1) * frame.rows
        return np.array([[left, row], [right, row], [left, row]], np.float64)

    def _scoord(self, points: Polygon) -> Polygon:
        """Convert film points to SCOORD: its origin is the first pixel's corner (C.18.6.1.2)."""
        frame = self.reading.frame
        inside: Polygon = np.clip(points + 0.5, 0.0, [frame.columns, frame.rows])
        return np.round(inside, 1)

    def _side(self, region: Region) -> Code | None:
        """Return the side of a region, or None if Patient Orientation does not say."""
        orientation = clean(self.lineage.source, ["PatientOrientation"]).get("PatientOrientation")
        towards = str(orientation[0])[:1] if orientation else ""
        if towards not in ("L", "R"):
            return None
        middle = (self.explanation.lungs[:, 0].min() + self.explanation.lungs[:, 0].max()) / 2
        beyond = float(region.points[:, 0].mean()) > middle
        return codes.LEFT if beyond == (towards == "L") else codes.RIGHT


def content(
    lineage: Lineage, reading: Reading, explanation: Explanation, image: Image, summary: str
) -> Dataset:
    """Return the root container of the report; ``summary`` is what it says first."""
    remarks, flawed = film_pixels.remarks(image), film_pixels.is_flawed(image)
    if reading.lungs.asymmetry and reading.lungs.asymmetry.suspicious:
        remarks, flawed = [*remarks, _OUTLINES_DIFFER], True
    writer = _Writer(lineage, reading, explanation, remarks, flawed)
    return root(lineage, writer.groups(), summary)


def unreliable(check: HeatCheck) -> str:
    """Explain in a sentence why the heatmap is not reliable."""
    why = f"{check.inside_lungs:.0%} of the heat lies inside the lungs"
    if check.log_odds_drop is not None:
        why += (
            f", and with the hottest region hidden the log odds fall by {check.log_odds_drop:.2f}"
        )
    if check.random_log_odds_drop is not None:
        why += f", with others hidden by {check.random_log_odds_drop:.2f}"
    return f"The heatmap is unreliable as an explanation: {why}."


def _measured(check: HeatCheck) -> str:
    measured = {
        "heat inside lungs": check.inside_lungs,
        "drop": check.drop,
        "log odds drop": check.log_odds_drop,
        "random drop": check.random_drop,
        "random log odds drop": check.random_log_odds_drop,
    }
    return " ".join(f"{name}={value:.4f}" for name, value in measured.items() if value is not None)


def _percent(
    name: Code, fraction: float, where: hd.sr.CoordinatesForMeasurement | None = None
) -> hd.sr.Measurement:
    """Return a measurement (TID 300) in whole per cent."""
    return hd.sr.Measurement(
        name=name,
        value=points(fraction),
        unit=codes.PERCENT,
        referenced_coordinates=[where] if where else None,
    )
