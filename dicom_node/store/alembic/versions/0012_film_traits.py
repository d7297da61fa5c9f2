"""What films are grouped by."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add readings.modality, view and decade."""
    op.add_column("readings", sa.Column("modality", sa.String(16)))
    op.add_column("readings", sa.Column("view", sa.String(16)))
    op.add_column("readings", sa.Column("decade", sa.Integer()))
