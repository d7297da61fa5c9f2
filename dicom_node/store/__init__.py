"""Everything the node remembers. SQL lives here and nowhere else.

`open_store` and `Store` come from `dicom_node.store.store` when they are first asked for:
importing this package costs nothing, so that `dicom-node status` starts without SQLAlchemy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dicom_node.store.store import Store, open_store

__all__ = ["Store", "open_store"]


def __getattr__(name: str) -> object:
    """Load `Store` and `open_store` when they are first asked for (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dicom_node.store import store

    return getattr(store, name)
