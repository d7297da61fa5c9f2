"""``manifest.yaml`` -> a verified cascade.

Verifying needs hashlib and YAML only; torch is imported where networks are built, so that asking
for the identity of a model costs no torch.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from models import SHIPPED
from models.manifest import (
    MANIFEST,
    Backbone,
    Classifier,
    Entry,
    GateEntry,
    Manifest,
    Networks,
    Points,
    Segmenter,
    WeightsError,
    read_manifest,
    write_manifest,
)
from models.operating import operating_points
from models.thresholds import PointName, Thresholds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from models.cascade import Cascade, Settings
    from models.classifier import ChestClassifier
    from models.engine import Engine
    from models.gate import Gate
    from models.operating import OperatingPoint
    from models.reading import ModelIdentity

__all__ = [
    "DEFAULT", "MANIFEST", "SHIPPED", "Backbone", "Classifier", "Entry", "GateEntry", "Manifest",
    "Networks", "PointName", "Points", "Segmenter", "WeightsError", "classifier", "identity",
    "load", "read_manifest", "save_weights", "sha256_of", "write_manifest",
]  # fmt: skip

#: The model version that is used by default.
DEFAULT = SHIPPED["lite"]


def identity(directory: Path | None = None) -> ModelIdentity:
    """Verify every file of a models directory and return its identity, without torch.

    Parameters
    ----------
    directory
        Holds ``manifest.yaml``; None for `DEFAULT`.

    Raises
    ------
    WeightsError
        A file is missing or altered, or the manifest is wrong.
    """
    directory = directory or DEFAULT
    manifest = read_manifest(directory)
    for name, entry in manifest.entries().items():
        _verified(directory, name, entry)
    return manifest.identity


def load(
    directory: Path | None = None,
    *,
    gate: bool = True,
    thresholds: Thresholds = Thresholds(),  # noqa: B008 - frozen
    prevalence: float | None = None,
    folded: bool = False,
    engine: Engine | None = None,
) -> Cascade:
    """Build the cascade from a verified models directory.

    Parameters
    ----------
    directory
        Holds ``manifest.yaml``; None for `DEFAULT`.
    gate
        Whether the cascade has its gate; scoring films does not need it.
    thresholds
        Operating points of stages 2 and 3.
    prevalence
        Share of pneumonia among the site's films, in (0, 1): stage 2's probabilities are moved
        there by Bayes' rule, and a named threshold with them, so that no decision changes. None for
        the manifest's.
    folded
        Whether batch norms are folded into the convolutions, and the reference's convolutions
        packed: faster, the same answers within float32's rounding, but the networks can no longer
        be trained or exported.
    engine
        Computes the networks; None for the reference, float32 on the processor.

    Raises
    ------
    WeightsError
        A file is missing, altered, or does not fit its network, an operating point does not exist,
        or the gate was fitted to other networks.
    """
    directory = directory or DEFAULT
    manifest = read_manifest(directory)
    files = {
        name: _verified(directory, name, entry)
        for name, entry in (manifest if gate else manifest.networks).entries().items()
    }
    if gate:
        _check_fit(manifest)
    # Imported late: torch takes seconds, and altered files are refused without it.
    from models.cascade import Cascade
    from models.dense_reading import packed_classifier
    from models.engine import REFERENCE, moved, moved_classifier
    from models.folding import fold
    from models.packed import available, pack
    from models.unet import LungUNet

    lungs = LungUNet()
    pneumonia, covid19 = classifier(manifest.backbone), classifier(manifest.backbone)
    _fill("lungs", lungs, files["lungs"])
    _fill("pneumonia", pneumonia, files["pneumonia"])
    _fill("covid19", covid19, files["covid19"])
    engine = engine or REFERENCE
    if folded:
        for network in (lungs, pneumonia, covid19):
            fold(network.eval())
        if engine == REFERENCE and available():
            pack(lungs)
            pneumonia, covid19 = packed_classifier(pneumonia), packed_classifier(covid19)
    points = operating_points(manifest, thresholds, prevalence)
    return Cascade(
        lungs=moved(lungs, engine),
        pneumonia=moved_classifier(pneumonia, engine),
        covid19=moved_classifier(covid19, engine),
        settings=_settings(manifest, *points),
        identity=manifest.identity,
        gate=_gate(manifest.gate, files["gate"]) if gate and manifest.gate else None,
    )


def classifier(backbone: Backbone) -> ChestClassifier:
    """Build a network of stages 2 and 3, without its weights."""
    if backbone == "efficientnet-lite0":
        from models.efficientnet import ChestEfficientNet

        return ChestEfficientNet()
    from models.densenet import ChestDenseNet

    return ChestDenseNet()


def save_weights(state: Mapping[str, Tensor], path: Path) -> str:
    """Write a state dict as half-precision safetensors.

    Parameters
    ----------
    state
        Name -> tensor; integers stay as they are.
    path
        The file to write, mode 0644; its folder is made.

    Returns
    -------
    str
        The file's SHA-256, hex.

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
    path.chmod(0o644)  # safetensors writes mode 0600; the node may be another user
    return sha256_of(path)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check_fit(manifest: Manifest) -> None:
    """Raise WeightsError if the gate was fitted to networks other than these."""
    for name, digest in (manifest.gate.fitted_to if manifest.gate else {}).items():
        if manifest.identity.digests.get(name) != digest:
            raise WeightsError(
                f"The gate was fitted to another {name} network; fit it again: "
                "`python -m train gate`."
            )


def _verified(directory: Path, name: str, entry: Entry) -> bytes:
    """Return the bytes of a weights file after checking its card and its digest."""
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


def _gate(entry: GateEntry, content: bytes) -> Gate:
    from models.gate import Gate, GateNet

    network = GateNet()
    _fill("gate", network, content)
    return Gate(network, entry.limits)


def _settings(manifest: Manifest, pneumonia: OperatingPoint, covid19: OperatingPoint) -> Settings:
    from models.cascade import Settings

    networks = manifest.networks
    return Settings(
        size=manifest.size,
        mask_margin=manifest.mask_margin,
        h2=manifest.h2,
        h2_floor=manifest.h2_floor,
        lung_threshold=networks.lungs.threshold,
        heat_drop=manifest.heat_drop,
        pneumonia=pneumonia,
        covid19=covid19,
    )
