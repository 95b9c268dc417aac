"""Machine users in groups, and the mappings that the object store enforces."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "group_machine_users",
        sa.Column("group", sa.Text(), nullable=False),
        sa.Column("registry_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group"], ["groups.name"], name=op.f("fk_group_machine_users_group"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["registry_id"], ["registries.id"], name=op.f("fk_group_machine_users_registry_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("group", "registry_id", name=op.f("pk_group_machine_users")),
    )
    op.create_index(op.f("ix_group_machine_users_registry_id"), "group_machine_users", ["registry_id"])
    op.add_column("idbroker_mappings", sa.Column("synced_document", sa.JSON(), nullable=True))
    op.execute("UPDATE idbroker_mappings SET synced_document = document WHERE synced_version = version")
