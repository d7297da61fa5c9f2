"""When films were taken, and the studies of a patient."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add readings.film_date, and find studies by their patient."""
    op.add_column("readings", sa.Column("film_date", sa.String(10)))
    op.create_index("ix_studies_patient_key", "studies", ["patient_key"])
