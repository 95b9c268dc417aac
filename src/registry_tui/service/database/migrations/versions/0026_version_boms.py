"""Bills of materials of versions, and their components."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "version_boms",
        sa.Column("version_id", sa.Text(), nullable=False),
        sa.Column("registry_id", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Text(), nullable=False),
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["registry_id"], ["registries.id"], name=op.f("fk_version_boms_registry_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("version_id", name=op.f("pk_version_boms")),
    )
    op.create_index(op.f("ix_version_boms_registry_id"), "version_boms", ["registry_id"])
    op.create_index(op.f("ix_version_boms_model_id"), "version_boms", ["model_id"])
    op.create_index(op.f("ix_version_boms_registered_at_version_id"), "version_boms", ["registered_at", "version_id"])
    op.create_table(
        "version_components",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("version_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("wanted", sa.Text(), nullable=False),
        sa.Column("known", sa.Boolean(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id"],
            ["version_boms.version_id"],
            name=op.f("fk_version_components_version_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_version_components")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_version_components_kind_name_wanted"), "version_components", ["kind", "name", "wanted"])
    op.create_index(
        op.f("ix_version_components_version_id_kind_name"), "version_components", ["version_id", "kind", "name"]
    )
