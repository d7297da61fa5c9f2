"""An index from which `status` counts deliveries without reading their rows."""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the index of deliveries by destination and status."""
    op.create_index("ix_deliveries_destination_status", "deliveries", ["destination", "status"])
