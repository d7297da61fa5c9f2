"""The three networks of the cascade and what is needed to trust them."""

from __future__ import annotations

from pathlib import Path

#: Folders of the model versions that ship with the package.
SHIPPED = {name: Path(__file__).parent / name for name in ("paper", "lite")}
