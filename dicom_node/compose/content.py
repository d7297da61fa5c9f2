"""What a report says: the content tree of TID 1500 (PS3.16), as real viewers want it.

Every measurement has coordinates, for OHIF dies of one without; regions are polylines, the only
shape it always draws; and a measurement is named after its finding, for the name is all it shows.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    """How one stage's decision is told."""

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
# Where a site wants no COVID-19 code: a property of the pneumonia, which itself stays present.
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
    """Writes the groups of one film's report."""

    lineage: Lineage
    reading: Reading
    explanation: Explanation
    polarity_corrected: bool

    def groups(self) -> Iterator[Group]:
        reading, explanation = self.reading, self.explanation
        decision = self.decision(_PNEUMONIA, reading.pneumonia)
        if reading.heat_check and not reading.heat_check.reliable:
            comment(decision, unreliable(reading.heat_check))
        yield decision
        yield from self.heat(_PNEUMONIA, explanation.pneumonia)
        if reading.covid19 is not None:
            coded = self.lineage.context.report.stage3_code
            stage = _COVID19 if coded else _COVID19_UNCODED
            yield self.decision(stage, reading.covid19)
            yield from self.heat(stage, explanation.covid19)
        yield accepted(self.lineage, polarity_corrected=self.polarity_corrected)

    def decision(self, stage: _Stage, result: StageResult) -> Group:
        """TID 1501: what a stage says of the whole film."""
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
        if stage is _PNEUMONIA and (check := self.reading.heat_check):
            rating = codes.FIT if check.reliable else codes.UNFIT
            yield hd.sr.QualitativeEvaluation(codes.VISUAL_EXPLANATION, rating)

    def heat(self, stage: _Stage, regions: tuple[Region, ...]) -> Iterator[Group]:
        """TID 1410: one group for each outlined region."""
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
        """What a decision was inferred from: the lungs.

        OHIF writes a label beside the middle of its outline, so stage 3's is drawn longer by a
        tenth of the film, upwards or where there is room: else the two labels cover each other.
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
        """Film points to SCOORD's, whose origin is the corner of the first pixel (C.18.6.1.2)."""
        frame = self.reading.frame
        inside: Polygon = np.clip(points + 0.5, 0.0, [frame.columns, frame.rows])
        return np.round(inside, 1)

    def _side(self, region: Region) -> Code | None:
        """Which lung, where the header says which way the film hangs."""
        orientation = clean(self.lineage.source, ["PatientOrientation"]).get("PatientOrientation")
        towards = str(orientation[0])[:1] if orientation else ""
        if towards not in ("L", "R"):
            return None
        middle = (self.explanation.lungs[:, 0].min() + self.explanation.lungs[:, 0].max()) / 2
        beyond = float(region.points[:, 0].mean()) > middle
        return codes.LEFT if beyond == (towards == "L") else codes.RIGHT


def content(
    lineage: Lineage, reading: Reading, explanation: Explanation, *, polarity_corrected: bool
) -> Dataset:
    """The root container of the report."""
    writer = _Writer(lineage, reading, explanation, polarity_corrected)
    return root(lineage, writer.groups())


def unreliable(check: HeatCheck) -> str:
    """Tell a person why not to trust the picture."""
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
    """TID 300 in per cent."""
    return hd.sr.Measurement(
        name=name,
        value=round(100 * fraction, 1),
        unit=codes.PERCENT,
        referenced_coordinates=[where] if where else None,
    )
