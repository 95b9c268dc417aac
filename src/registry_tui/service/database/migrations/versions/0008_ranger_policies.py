"""Ranger's policies of RAZ-enabled environments."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ranger_policies",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["environment_id"],
            ["environments.id"],
            name=op.f("fk_ranger_policies_environment_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ranger_policies")),
        sa.UniqueConstraint("environment_id", "name", name=op.f("uq_ranger_policies_environment_id_name")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_ranger_policies_environment_id"), "ranger_policies", ["environment_id"])
    with op.batch_alter_table("environments", schema=None) as batch_op:
        batch_op.add_column(sa.Column("ranger_service", sa.Text(), nullable=True))
        batch_op.create_unique_constraint(batch_op.f("uq_environments_ranger_service"), ["ranger_service"])
        batch_op.add_column(sa.Column("policy_version", sa.Integer(), nullable=False, server_default="0"))
