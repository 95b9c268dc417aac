"""Ranger's roles, which policies name in addition to users and groups."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ranger_roles",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ranger_roles")),
        sa.UniqueConstraint("name", name=op.f("uq_ranger_roles_name")),
        sqlite_autoincrement=True,
    )
