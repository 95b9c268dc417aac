"""A hash chain over the events; existing ones are included as they are."""

import sqlalchemy as sa
from alembic import op

from registry_tui.contracts.event_chain import FIELDS, GENESIS, chained, digest

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

_BATCH = 2000


def upgrade() -> None:
    op.add_column("events", sa.Column("chain", sa.Text(), server_default="", nullable=False))
    op.create_table(
        "event_chain",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("start_id", sa.Integer(), nullable=False),
        sa.Column("start_hash", sa.Text(), nullable=False),
        sa.Column("head_id", sa.Integer(), nullable=False),
        sa.Column("head_hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_chain")),
    )
    head_id, head_hash = _seal(op.get_bind())
    chain = sa.table("event_chain", *map(sa.column, ("id", "start_id", "start_hash", "head_id", "head_hash")))
    values = {"id": 1, "start_id": 0, "start_hash": GENESIS, "head_id": head_id, "head_hash": head_hash}
    op.get_bind().execute(sa.insert(chain).values(values))


def _seal(connection: sa.Connection) -> tuple[int, str]:
    events = sa.table(
        "events",
        *(sa.column(name) for name in FIELDS if name != "created_at"),
        sa.column("created_at", sa.DateTime(timezone=True)),
        sa.column("chain"),
    )
    columns = [events.c[name] for name in FIELDS]
    change = sa.update(events).where(events.c.id == sa.bindparam("of")).values(chain=sa.bindparam("hash"))
    last, head = 0, GENESIS
    while True:
        after = sa.select(*columns).where(events.c.id > last).order_by(events.c.id).limit(_BATCH)
        rows = connection.execute(after).mappings().all()
        if not rows:
            return last, head
        hashes = []
        for row in rows:
            last, head = row["id"], chained(head, digest({name: row[name] for name in FIELDS}))
            hashes.append({"of": last, "hash": head})
        connection.execute(change, hashes)
