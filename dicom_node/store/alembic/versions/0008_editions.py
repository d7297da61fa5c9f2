"""Which editions a result is part of, in place of its identity."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Replace results.identity by results.editions; until now each identity was an edition."""
    editions = sa.Column("editions", sa.JSON, server_default='["full"]', nullable=False)
    op.add_column("results", editions)
    results = sa.table("results", sa.column("identity"), sa.column("editions", sa.JSON))
    for identity in ("minimal", "pseudonym"):
        changed = results.update().where(results.c.identity == identity)
        op.execute(changed.values(editions=[identity]))
    op.drop_column("results", "identity")
