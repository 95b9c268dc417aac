"""The address under which an attached server was first known, where it has moved since."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("attached_servers") as batch_op:
        batch_op.add_column(sa.Column("first_url", sa.Text(), nullable=False, server_default=""))
