"""States of users, their tokens, groups, and roles in environments."""

import uuid
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)

#: Columns with names of people. Unknown names become users.
_NAMING = (
    ("collaborators", "user"),
    ("environments", "creator"),
    ("workspaces", "creator"),
    ("projects", "creator"),
    ("registries", "owner"),
    ("registries", "creator"),
    ("deployments", "creator"),
    ("revisions", "creator"),
    ("api_keys", "user"),
)
#: The rights of everybody so far: see every environment, make projects in it, and work with its public models.
_KEPT_ROLES = ("EnvironmentUser", "MLUser")


def upgrade() -> None:
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.add_column(sa.Column("full_name", sa.Text(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("email", sa.Text(), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("state", sa.Text(), nullable=False, server_default="active"))
    op.create_table(
        "user_tokens",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("revoked_at", _TIME, nullable=True),
        sa.Column("last_used_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(["user"], ["users.name"], name=op.f("fk_user_tokens_user"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_tokens")),
    )
    op.create_index(op.f("ix_user_tokens_user"), "user_tokens", ["user"])
    op.create_table(
        "groups",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("creator", sa.Text(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_groups")),
        sa.UniqueConstraint("id", name=op.f("uq_groups_id")),
    )
    op.create_table(
        "group_members",
        sa.Column("group", sa.Text(), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["group"], ["groups.name"], name=op.f("fk_group_members_group"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user"], ["users.name"], name=op.f("fk_group_members_user"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("group", "user", name=op.f("pk_group_members")),
    )
    op.create_index(op.f("ix_group_members_user"), "group_members", ["user"])
    op.create_table(
        "environment_roles",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("environment_id", sa.Text(), nullable=False),
        sa.Column("user", sa.Text(), nullable=True),
        sa.Column("group", sa.Text(), nullable=True),
        sa.Column("role", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["environment_id"],
            ["environments.id"],
            name=op.f("fk_environment_roles_environment_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["user"], ["users.name"], name=op.f("fk_environment_roles_user"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["group"], ["groups.name"], name=op.f("fk_environment_roles_group"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_environment_roles")),
        sa.UniqueConstraint(
            "environment_id", "user", "role", name=op.f("uq_environment_roles_environment_id_user_role")
        ),
        sa.UniqueConstraint(
            "environment_id", "group", "role", name=op.f("uq_environment_roles_environment_id_group_role")
        ),
    )
    for column in ("environment_id", "user", "group"):
        op.create_index(op.f(f"ix_environment_roles_{column}"), "environment_roles", [column])
    connection = op.get_bind()
    _make_users(connection)
    _keep_what_people_may_do(connection)


def _make_users(connection: sa.Connection) -> None:
    users = sa.table("users", *(sa.column(name) for name in ("name", "id", "crn")), sa.column("created_at", _TIME))
    known = set(connection.scalars(sa.select(users.c.name)))
    account = connection.exec_driver_sql("SELECT value FROM installation WHERE key = 'account_id'").scalar()
    for table, column in _NAMING:
        named: sa.ColumnClause[str] = sa.column(column)
        for name in connection.scalars(sa.select(named).select_from(sa.table(table, named)).distinct()).all():
            if name and name not in known and account is not None:
                known.add(name)
                id_ = str(uuid.uuid4())
                crn = f"crn:altus:iam:us-west-1:{account}:user:{id_}"
                connection.execute(users.insert().values(name=name, id=id_, crn=crn, created_at=datetime.now(UTC)))


def _keep_what_people_may_do(connection: sa.Connection) -> None:
    roles = sa.table("environment_roles", *(sa.column(name) for name in ("id", "environment_id", "user", "role")))
    environments = connection.exec_driver_sql("SELECT id FROM environments").scalars().all()
    people = connection.exec_driver_sql("SELECT name FROM users").scalars().all()
    rows = [
        {"id": str(uuid.uuid4()), "environment_id": environment, "user": person, "role": role}
        for environment in environments
        for person in people
        for role in _KEPT_ROLES
    ]
    if rows:
        connection.execute(roles.insert(), rows)
