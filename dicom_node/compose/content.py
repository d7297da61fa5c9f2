"""The content tree of a report (PS3.16 TID 1500), in a form that real viewers can show.

Three rules follow from OHIF: every measurement has coordinates, because OHIF crashes on one
without; regions are polylines, the only shape it always draws; and a measurement is named after
its finding, because OHIF shows nothing but the name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from dicom_node.compose import codes
from dicom_node.compose.lineage import Lineage
from dicom_node.compose.refusal import accepted
from dicom_node.compose.sanitize import clean
from dicom_node.compose.tid1500 import Group, comment, region_source, root, tracking
from models.reading import HeatCheck, Reading, StageResult

if TYPE_CHECKING:
    from dicom_node.explain import Explanation, Polygon, Region


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    """The names and codes with which one stage's decision is reported."""

    name: str
    algorithm: str
    finding: Code
    probability: Code
    heat: Code
    says_presence: bool = True


_PNEUMONIA = _Stage(
    name="stage 2",
    algorithm="Pneumonia classifier",
    finding=codes.PNEUMONIA,
    probability=codes.PNEUMONIA_PROBABILITY,
    heat=codes.PNEUMONIA_HEAT,
)
_COVID19 = _Stage(
    name="stage 3",
    algorithm="COVID-19 classifier",
    finding=codes.COVID19,
    probability=codes.COVID19_PROBABILITY,
    heat=codes.COVID19_HEAT,
)
# report.stage3_code off: COVID-19 is reported as a property of the pneumonia, which is present.
_COVID19_UNCODED = _Stage(
    name="stage 3",
    algorithm="COVID-19 classifier",
    finding=codes.PNEUMONIA,
    probability=codes.COVID19_PROBABILITY,
    heat=codes.COVID19_HEAT,
    says_presence=False,
)


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes the measurement groups of one film's report."""

    lineage: Lineage
    reading: Reading
    explanation: Explanation
    remarks: Sequence[str]

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
        yield accepted(self.lineage, self.remarks)

    def decision(self, stage: _Stage, result: StageResult) -> Group:
        """Write a TID 1501 group: a stage's decision about the whole film."""
        source = self.lineage.source
        where = hd.sr.CoordinatesForMeasurement(
            "POLYLINE", self._scoord(self._ground(stage)), region_source(self.lineage)
        )
        return hd.sr.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=tracking(self.lineage, stage.name),
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
            yield hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
                tracking_identifier=tracking(self.lineage, f"{stage.name} region {number}"),
                referenced_region=hd.sr.ImageRegion(
                    "POLYLINE", self._scoord(region.points), region_source(self.lineage)
                ),
                finding_type=stage.finding,
                finding_sites=[hd.sr.FindingSite(codes.LUNG, laterality=self._side(region))],
                measurements=[_percent(stage.heat, region.share)],
            )

    def _algorithm(self, stage: _Stage, result: StageResult) -> hd.sr.AlgorithmIdentification:
        model = self.reading.model
        parameters = [
            f"threshold={result.threshold:g}",
            f"probability={result.probability:.6f}",
            f"logit={result.logit:.6g}",
            f"temperature={result.temperature:g}",
            f"heatmap={model.h2_variant if stage is _PNEUMONIA else 'grad-cam'}",
            f"model sha256={model.digest}",
            *(f"{name} weights sha256={sha}" for name, sha in sorted(model.digests.items())),
            f"config sha256={self.lineage.context.config_digest}",
        ]
        if stage is _PNEUMONIA and (check := self.reading.heat_check):
            parameters += _measured(check)
        if self.reading.covid19 is None:
            parameters.append("stage3=not run (stage2 below threshold)")
        return hd.sr.AlgorithmIdentification(
            name=stage.algorithm, version=model.version, parameters=parameters, family=codes.AI
        )

    def _ground(self, stage: _Stage) -> Polygon:
        """Return the polygon a decision is attached to: the lungs.

        OHIF puts a label beside the middle of its outline. The polygon of stage 3 is a tenth of
        the film longer, upwards or downwards as there is room, so that the labels do not overlap.
        """
        lungs = self.explanation.lungs
        if stage is _PNEUMONIA:
            return lungs
        tenth = self.reading.frame.rows / 10
        top, bottom = lungs[:, 1].min(), lungs[:, 1].max()
        upwards = top >= tenth or top >= self.reading.frame.rows - bottom
        beyond = lungs[:, 1] < (top + bottom) / 2 if upwards else lungs[:, 1] > (top + bottom) / 2
        longer = lungs.copy()
        longer[beyond, 1] += -tenth if upwards else tenth
        return longer

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
    lineage: Lineage, reading: Reading, explanation: Explanation, remarks: Sequence[str]
) -> Dataset:
    """Return the root container of the report; ``remarks`` are sentences about the film."""
    writer = _Writer(lineage, reading, explanation, remarks)
    return root(lineage, writer.groups())


def unreliable(check: HeatCheck) -> str:
    """Explain in a sentence why the heatmap is not reliable."""
    why = f"{check.inside_lungs:.0%} of the heat lies inside the lungs"
    if check.drop is not None and check.random_drop is not None:
        why += (
            f", and with the hottest region hidden the probability falls by {check.drop:.1%}, "
            f"with others hidden by {check.random_drop:.1%}"
        )
    return f"The heatmap is unreliable as an explanation: {why}."


def _measured(check: HeatCheck) -> Iterator[str]:
    yield f"heat inside lungs={check.inside_lungs:.4f}"
    if check.drop is not None and check.random_drop is not None:
        yield f"drop={check.drop:.4f}"
        yield f"random drop={check.random_drop:.4f}"


def _percent(
    name: Code, fraction: float, where: hd.sr.CoordinatesForMeasurement | None = None
) -> hd.sr.Measurement:
    """Return a measurement (TID 300) in per cent."""
    return hd.sr.Measurement(
        name=name,
        value=round(100 * fraction, 1),
        unit=codes.PERCENT,
        referenced_coordinates=[where] if where else None,
    )
