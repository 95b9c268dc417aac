"""Promoted copies of versions."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "version_copies",
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("version_id", "source_version_id", "registry_id", "model_id", "model_name")
        ),
        sa.Column("version", sa.Integer(), nullable=False),
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("source_registry_id", "source_registry_name", "source_model_id", "source_model_name")
        ),
        sa.Column("source_version", sa.Integer(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["registry_id"], ["registries.id"], name=op.f("fk_version_copies_registry_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("version_id", "source_version_id", name=op.f("pk_version_copies")),
    )
    for column in ("source_version_id", "model_id", "source_model_id"):
        op.create_index(op.f(f"ix_version_copies_{column}"), "version_copies", [column])
