"""Profiles of versions' training data, and rules of drift of deployments."""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "version_profiles",
        sa.Column("version_id", sa.Text(), nullable=False),
        sa.Column("registry_id", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Text(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["registry_id"], ["registries.id"], name=op.f("fk_version_profiles_registry_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("version_id", name=op.f("pk_version_profiles")),
    )
    op.create_index(op.f("ix_version_profiles_registry_id"), "version_profiles", ["registry_id"])
    op.create_index(op.f("ix_version_profiles_model_id"), "version_profiles", ["model_id"])
    op.add_column("deployments", sa.Column("drift", sa.JSON(), nullable=False, server_default="{}"))
