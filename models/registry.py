"""``manifest.yaml`` -> a verified cascade.

Verifying needs hashlib and YAML only; torch is imported where networks are built, so that asking
for the identity of a model costs no torch.
"""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from models.reading import ModelIdentity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from models.cascade import Cascade, Settings

#: The models that ship with the package.
DEFAULT = Path(__file__).parent
MANIFEST = "manifest.yaml"

_HEADER = """\
# The model version: which weights, and how their answers become decisions.
# Written by `train export`, verified at start-up; paths are relative to this file.
#
# size         side of the square network frame, pixels
# mask_margin  added around the lung field before stage 2, network pixels
# h2           stage-2 heatmap: cam (class activation map) or paper-eq1 (eq. 1 literally)
# sha256       of the weights file; a file that differs is refused
# threshold    positive at or above this probability (lungs: of a pixel)
# temperature  probability = sigmoid(logit / temperature)
"""


class WeightsError(Exception):
    """The models cannot be trusted as they lie there: missing, altered, or not ours."""


def _inside(path: str) -> str:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts:
        raise ValueError("must be a path inside the models directory")
    return path


_Path = Annotated[str, Field(min_length=1), AfterValidator(_inside)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Segmenter(_Strict):
    """One network's entry: its files and the threshold of its probabilities."""

    file: _Path  # safetensors, half precision
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    card: _Path  # what was measured, on what, with which command
    licence: str = Field(min_length=1)
    threshold: float = Field(gt=0, lt=1)


class Classifier(Segmenter):
    """A network whose logit is calibrated."""

    temperature: float = Field(gt=0, allow_inf_nan=False)


class Networks(_Strict):
    """Exactly these three."""

    lungs: Segmenter
    pneumonia: Classifier
    covid19: Classifier

    def entries(self) -> dict[str, Segmenter]:
        """Name -> entry, in the order of the cascade."""
        return {"lungs": self.lungs, "pneumonia": self.pneumonia, "covid19": self.covid19}


class Manifest(_Strict):
    """What ``manifest.yaml`` says; the comments are in its header."""

    version: str = Field(min_length=1)
    size: int = Field(gt=0, multiple_of=32)
    mask_margin: int = Field(ge=0)
    h2: Literal["cam", "paper-eq1"]
    networks: Networks

    @property
    def identity(self) -> ModelIdentity:
        """Which networks these are."""
        digests = {name: entry.sha256 for name, entry in self.networks.entries().items()}
        return ModelIdentity(version=self.version, digests=digests, h2_variant=self.h2)


def identity(directory: Path | None = None) -> ModelIdentity:
    """Verify every file of a models directory and say which models these are, without torch.

    Raises
    ------
    WeightsError
        A file is missing or altered.
    """
    directory = directory or DEFAULT
    manifest = read_manifest(directory)
    for name, entry in manifest.networks.entries().items():
        _verified(directory, name, entry)
    return manifest.identity


def load(directory: Path | None = None) -> Cascade:
    """Build the cascade from a verified models directory; None for the packaged one.

    Raises
    ------
    WeightsError
        A file is missing, altered, or does not fit its network.
    """
    directory = directory or DEFAULT
    manifest = read_manifest(directory)
    files = {
        name: _verified(directory, name, entry)
        for name, entry in manifest.networks.entries().items()
    }
    # Late, because torch takes seconds: altered files are refused before it is paid for.
    from models.cascade import Cascade
    from models.densenet import ChestDenseNet
    from models.unet import LungUNet

    lungs, pneumonia, covid19 = LungUNet(), ChestDenseNet(), ChestDenseNet()
    _fill("lungs", lungs, files["lungs"])
    _fill("pneumonia", pneumonia, files["pneumonia"])
    _fill("covid19", covid19, files["covid19"])
    return Cascade(
        lungs=lungs,
        pneumonia=pneumonia,
        covid19=covid19,
        settings=_settings(manifest),
        identity=manifest.identity,
    )


def read_manifest(directory: Path) -> Manifest:
    """Parse ``manifest.yaml``; every mistake in it is named at once."""
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
    """Write ``manifest.yaml`` with its comments."""
    body = yaml.safe_dump(manifest.model_dump(), sort_keys=False, allow_unicode=True)
    (directory / MANIFEST).write_text(f"{_HEADER}\n{body}", encoding="utf-8")


def save_weights(state: Mapping[str, Tensor], path: Path) -> str:
    """Write a state dict as half-precision safetensors; return the file's SHA-256, hex.

    Raises
    ------
    WeightsError
        A weight is not finite, or too large for half precision.
    """
    from safetensors.torch import save_file

    halved = {
        name: (
            tensor.detach().cpu().half() if tensor.is_floating_point() else tensor.detach().cpu()
        )
        .contiguous()
        .clone()  # safetensors refuses tensors that share memory
        for name, tensor in state.items()
    }
    for name, tensor in halved.items():
        if not bool(tensor.isfinite().all()):
            raise WeightsError(f"{name} does not survive half precision; nothing was written.")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(halved, path)
    path.chmod(0o644)  # safetensors writes for the owner alone; the node may be somebody else
    return sha256_of(path)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _verified(directory: Path, name: str, entry: Segmenter) -> bytes:
    """Bytes of a weights file whose card is there and whose digest is the manifest's."""
    if not (directory / entry.card).is_file():
        raise WeightsError(
            f"The {name} network has no card at {directory / entry.card}; "
            "networks whose measurements are unknown are not used."
        )
    path = directory / entry.file
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"The weights of the {name} network cannot be read at {path} ({error.strerror}); "
            "restore the file or check models.dir."
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != entry.sha256:
        raise WeightsError(
            f"{path} is not the file its manifest describes (SHA-256 {found}, expected "
            f"{entry.sha256}); restore it, or export the {name} network again."
        )
    return content


def _fill(name: str, network: nn.Module, content: bytes) -> None:
    """Strictly load weights into a network; half precision becomes the network's float32."""
    from safetensors import SafetensorError
    from safetensors.torch import load as read_tensors

    try:
        network.load_state_dict(read_tensors(content), strict=True)
    except (SafetensorError, RuntimeError) as error:
        raise WeightsError(f"The weights of the {name} network do not fit it: {error}") from error


def _settings(manifest: Manifest) -> Settings:
    from models.cascade import OperatingPoint, Settings

    def point(entry: Classifier) -> OperatingPoint:
        return OperatingPoint(threshold=entry.threshold, temperature=entry.temperature)

    return Settings(
        size=manifest.size,
        mask_margin=manifest.mask_margin,
        h2=manifest.h2,
        lung_threshold=manifest.networks.lungs.threshold,
        pneumonia=point(manifest.networks.pneumonia),
        covid19=point(manifest.networks.covid19),
    )
