"""What a candidate made of the films, and the versions that were promoted."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add shadow_readings and promotions."""
    op.create_table(
        "shadow_readings",
        sa.Column("sop_instance_uid", sa.String(64), nullable=False),
        sa.Column("model_digest", sa.String(64), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("learned_before", sa.String(10)),
        sa.Column("begun_at", sa.String(32), nullable=False),
        sa.Column("read_at", sa.String(32)),
        sa.Column("summary", sa.JSON()),
        sa.Column("refusal_code", sa.String(32)),
        sa.Column("fault", sa.Text()),
        sa.ForeignKeyConstraint(
            ["sop_instance_uid"],
            ["instances.sop_instance_uid"],
            name="fk_shadow_readings_sop_instance_uid_instances",
        ),
        sa.PrimaryKeyConstraint("sop_instance_uid", "model_digest", name="pk_shadow_readings"),
    )
    op.create_index(
        "ix_shadow_readings_model_digest_begun_at", "shadow_readings", ["model_digest", "begun_at"]
    )
    op.create_table(
        "promotions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("promoted_at", sa.String(32), nullable=False),
        sa.Column("promoted_by", sa.String(64), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("model_digest", sa.String(64), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("ended_at", sa.String(32)),
        sa.PrimaryKeyConstraint("id", name="pk_promotions"),
    )
