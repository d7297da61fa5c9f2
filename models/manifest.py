"""The content of ``manifest.yaml``: a version's networks and how their outputs are used."""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, TypeAlias

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from models.reading import GateLimits, ModelIdentity
from models.thresholds import PointName

MANIFEST = "manifest.yaml"

#: Of an engine's answers from the reference's: of probabilities, and of maps.
MOST_DIFFERENCE, LEAST_CORRELATION = 0.01, 0.99

#: Networks that stages 2 and 3 can be.
Backbone: TypeAlias = Literal["densenet121", "efficientnet-lite0"]

_HEADER = """\
# The model version: which weights, and how their answers become decisions.
# Written by `train export`, verified at start-up; paths are relative to this file.
#
# backbone     of stages 2 and 3: densenet121 (the paper's) or efficientnet-lite0
# size         side of the square network frame, pixels
# mask_margin  added around the lung field before stage 2, network pixels; null: the whole film
# h2           stage-2 heatmap: cam (class activation map) or paper-eq1 (eq. 1 literally)
# h2_floor     stage 3 sees the film times (h2_floor + (1 - h2_floor) H2); 0: paper eq. 3
# sha256       of the weights file; a file that differs is refused
# threshold    positive at or above this probability (lungs: of a pixel)
# temperature  probability = sigmoid((logit + bias) / temperature)
# bias         added to the logit before that; it makes the probability that of `prevalence`
# prevalence   share of ill among the films that the probability speaks of
# points       other thresholds by name: sensitive (screening), specific; `threshold` is balanced
# normals_above  share of normal films at or above each of these thresholds
# heat_drop    points lost with H2's hottest region hidden, as log odds at 1/2 (0.02: 0.08)
# gate         which films are read at all; written by `train gate`
# fitted_to    the networks whose films and features the gate's distance is measured with
# engines      how other engines than cpu fp32 compare with it on validation films; only those that
#              agree are used; not part of the version, for they decide nothing
# adapted      the version that taught this one, and the first day whose films it did not learn from
"""


class WeightsError(Exception):
    """The models cannot be used: files are missing, altered, or not correctly signed."""


def _inside(path: str) -> str:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts:
        raise ValueError("must be a path inside the models directory")
    return path


_Path = Annotated[str, Field(min_length=1), AfterValidator(_inside)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


_Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Entry(_Strict):
    """One network's files."""

    file: _Path  # safetensors, half precision
    sha256: _Digest
    card: _Path  # what was measured, on what, with which command
    licence: str = Field(min_length=1)


class GateEntry(Entry):
    """The gate's entry: its limits, and the digests of the networks it was fitted to."""

    limits: GateLimits
    fitted_to: dict[str, _Digest]  # lungs, pneumonia -> sha256


class Segmenter(Entry):
    """One network's entry: its files and the threshold of its probabilities."""

    threshold: float = Field(gt=0, lt=1)


class Points(_Strict):
    """Thresholds a site may choose instead of the balanced one."""

    sensitive: float | None = Field(default=None, gt=0, lt=1)
    specific: float | None = Field(default=None, gt=0, lt=1)


class NormalsAbove(_Strict):
    """Share of normal films at or above the threshold of each operating point."""

    balanced: float | None = Field(default=None, ge=0, le=1)
    sensitive: float | None = Field(default=None, ge=0, le=1)
    specific: float | None = Field(default=None, ge=0, le=1)


class Classifier(Segmenter):
    """A network whose logit is calibrated."""

    temperature: float = Field(gt=0, allow_inf_nan=False)
    bias: float = Field(default=0.0, allow_inf_nan=False)
    prevalence: float = Field(default=0.5, gt=0, lt=1)
    points: Points = Points()
    normals_above: NormalsAbove = NormalsAbove()

    def threshold_at(self, point: PointName) -> float:
        """Give the threshold of a named operating point.

        Raises
        ------
        WeightsError
            These models do not have that point.
        """
        if point == "balanced":
            return self.threshold
        chosen: float | None = getattr(self.points, point)
        if chosen is None:
            known = ["balanced", *self.points.model_dump(exclude_none=True)]
            raise WeightsError(
                f"These models have no operating point {point!r}, only {', '.join(known)}; "
                "or give a number."
            )
        return chosen


class Networks(_Strict):
    """Exactly these three."""

    lungs: Segmenter
    pneumonia: Classifier
    covid19: Classifier

    def entries(self) -> dict[str, Segmenter]:
        """Name -> entry, in the order of the cascade."""
        return {"lungs": self.lungs, "pneumonia": self.pneumonia, "covid19": self.covid19}


class Adapted(_Strict):
    """How a version came from another one by films of one site."""

    base: _Digest  # of the version that taught it, `ModelIdentity.digest`
    learned_before: date  # no film taken on this day or later taught it


class Measured(_Strict):
    """How an engine's answers compare with those of the reference, float32 on the processor."""

    engine: str  # such as "cuda bf16", see `models.engine.Engine`
    machine: str  # what it was measured on
    films: int = Field(gt=0)
    largest_difference: float = Field(ge=0)  # of a probability
    least_correlation: float = Field(le=1)  # of a map with the reference's
    changed_decisions: int = Field(ge=0)

    @property
    def agrees(self) -> bool:
        """Whether it may be used."""
        return (
            self.largest_difference <= MOST_DIFFERENCE
            and self.least_correlation >= LEAST_CORRELATION
            and self.changed_decisions == 0
        )


class Manifest(_Strict):
    """What ``manifest.yaml`` says; the comments are in its header."""

    version: str = Field(min_length=1)
    backbone: Backbone = "densenet121"
    size: int = Field(gt=0, multiple_of=32)
    mask_margin: int | None = Field(ge=0)
    h2: Literal["cam", "paper-eq1"]
    h2_floor: float = Field(default=0.0, ge=0, le=1)
    heat_drop: float = Field(default=0.02, ge=0, lt=1)
    networks: Networks
    gate: GateEntry | None = None
    adapted: Adapted | None = None
    engines: tuple[Measured, ...] = ()

    def entries(self) -> dict[str, Entry]:
        """Name -> entry, the gate's where there is one."""
        gate: dict[str, Entry] = {"gate": self.gate} if self.gate else {}
        return {**self.networks.entries(), **gate}

    @property
    def identity(self) -> ModelIdentity:
        """Return the version and digests of the networks."""
        digests = {name: entry.sha256 for name, entry in self.entries().items()}
        absent = set() if self.adapted else {"adapted"}  # as older versions wrote it
        content = self.model_dump_json(exclude={"engines"} | absent)
        return ModelIdentity(
            version=self.version,
            digests=digests,
            h2_variant=self.h2,
            manifest=hashlib.sha256(content.encode()).hexdigest(),
            learned_before=self.adapted.learned_before if self.adapted else None,
        )


def read_manifest(directory: Path) -> Manifest:
    """Parse ``manifest.yaml`` of a models directory.

    Raises
    ------
    WeightsError
        The file cannot be read, is not YAML, or is not a manifest; every mistake in it is named at
        once.
    """
    path = directory / MANIFEST
    try:
        return Manifest.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise WeightsError(
            f"{path} cannot be read ({error.strerror}); check models.dir."
        ) from error
    except yaml.YAMLError as error:
        raise WeightsError(f"{path} is not YAML: {error}") from error
    except ValidationError as error:
        mistakes = "; ".join(
            f"{'.'.join(map(str, one['loc'])) or 'the file'}: {one['msg']}"
            for one in error.errors()
        )
        raise WeightsError(f"{path} is not a model manifest: {mistakes}.") from error


def write_manifest(manifest: Manifest, directory: Path) -> None:
    """Write ``manifest.yaml`` with its comments into an existing folder, over an earlier one."""
    content = manifest.model_dump(exclude_none=True)
    content["mask_margin"] = manifest.mask_margin  # null is an answer here
    if not manifest.engines:
        del content["engines"]
    body = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    (directory / MANIFEST).write_text(f"{_HEADER}\n{body}", encoding="utf-8")
