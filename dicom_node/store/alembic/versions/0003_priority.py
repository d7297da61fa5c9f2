"""How urgent each film is: the studies of urgent ones are read first."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add instances.priority."""
    column = sa.Column("priority", sa.Integer(), server_default="0", nullable=False)
    op.add_column("instances", column)
