"""From bytes to an image, and from a reading to DICOM objects."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from bench.floors import whole_floor
from bench.inference import COLUMNS, ROWS, picture
from bench.machine import times
from bench.rows import Row
from bench.run import Run
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from support import readings
from support.film import film, write

from dicom_node import compose, explain, pixels
from dicom_node.config import Config
from dicom_node.domain.values import Image
from dicom_node.pixels.decode import decode as stored_values
from dicom_node.pixels.decode import decode_in_child, decode_with
from dicom_node.pixels.sandbox import SANDBOX

_SYNTAXES = {
    "raw": ExplicitVRLittleEndian,
    "RLE": RLELossless,
    "JPEG lossless": JPEGLosslessSV1,
    "JPEG-LS": JPEGLSLossless,
    "JPEG 2000": JPEG2000Lossless,
    "HTJ2K": HTJ2KLossless,
}


def decode(run: Run) -> Iterator[Row]:
    """File to image, over the time of the bare decoder and one look-up per pixel."""
    for name, syntax in _SYNTAXES.items():
        path = run.scratch / f"{name}.dcm"
        yield (
            _decoded(name, path, run.repeat)
            if _made(path, syntax)
            else Row(name=f"decode {name}", measured="not measured: no encoder is installed")
        )


def confined(run: Run) -> Iterator[Row]:
    """Compressed film to stored values in the sandbox, over the same decoder in this process."""
    for name, syntax in _SYNTAXES.items():
        path = run.scratch / f"{name}.dcm"
        if syntax is not ExplicitVRLittleEndian and _made(path, syntax):
            yield _confined(name, path, run.repeat)


def _confined(name: str, path: Path, repeat: int) -> Row:
    ds = pixels.read_dataset(path)
    syntax, plugin = ds.file_meta.TransferSyntaxUID, stored_values(ds).decoder
    here = times(lambda: decode_with(ds, syntax, plugin), repeat)
    there = times(lambda: decode_in_child(ds, syntax, plugin, SANDBOX), repeat)
    missing = ", ".join(SANDBOX.missing())
    return Row(
        name=f"sandbox {name} / same decoder, not confined",
        ratio=there.best / here.best,
        measured=f"{1000 * there.best:.0f} / {1000 * here.best:.0f} ms ({plugin}), "
        f"{f'not confined by {missing}' if missing else 'fully confined'}",
    )


def _made(path: Path, syntax: UID) -> bool:
    try:
        write(film(picture(), syntax=syntax), path)
    except (NotImplementedError, RuntimeError, ValueError):  # pydicom: no encoder for it
        return False
    return True


def _decoded(name: str, path: Path, repeat: int) -> Row:
    ds = pixels.read_dataset(path)
    table = np.linspace(0, 1, 1 << 16, dtype=np.float32)
    decoder = stored_values(ds).decoder
    syntax, plugin = ds.file_meta.TransferSyntaxUID, "" if decoder == "none" else decoder
    bare = times(lambda: table[decode_with(ds, syntax, plugin)], repeat)
    whole = times(lambda: pixels.to_image(pixels.read_dataset(path)), repeat)
    return Row(
        name=f"decode {name} / bare decoder",
        ratio=whole.best / bare.best,
        measured=f"{1000 * whole.best:.0f} / {1000 * bare.best:.0f} ms ({decoder}), "
        f"{path.stat().st_size / 1e6:.1f} MB",
    )


def compose_objects(run: Run) -> Iterator[Row]:
    """Everything after the networks: maps drawn, objects composed and written durably."""
    source = film(picture(), kind="dx")
    image = Image(pixels=picture(), spacing_mm=(0.14, 0.14))
    reading = readings.positive(readings.frame(ROWS, COLUMNS))
    settings = Config()
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    context = compose.Context(report=settings.report, results=settings.results,
                              config_digest=settings.digest, ae_title="AINODE", at=at)  # fmt: skip
    style = explain.Style(width=settings.results.picture_width,
                          max_regions=settings.report.max_regions, at=at)  # fmt: skip
    objects = compose.compose(source, image, reading, context)

    def written() -> None:
        for number, ds in enumerate(objects):
            compose.write(ds, run.scratch / f"{number}.dcm")

    drawn = times(lambda: explain.explain(image, reading, style).draw(), run.repeat)
    made = times(lambda: compose.compose(source, image, reading, context), run.repeat)
    saved = times(written, run.repeat)
    size = sum(path.stat().st_size for path in run.scratch.glob("*.dcm")) / 1e6
    yield Row(
        name="compose / arithmetic floor of the whole film",
        ratio=(made.best + saved.median) / whole_floor(),
        measured=f"{1000 * made.best:.0f} ms, of it drawing {1000 * drawn.best:.0f}; "
        f"writing {1000 * saved.median:.0f} ms for {len(objects)} objects, {size:.1f} MB",
    )
