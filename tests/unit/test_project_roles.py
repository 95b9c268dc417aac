"""A project's roles in MLflow: one call of the service replaces the previous ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, event
from sqlalchemy.orm import Session

from registry_tui.platform.paths import Home
from registry_tui.platform.secrets import load_secrets
from registry_tui.schemas.places import Role
from registry_tui.service.adapters.access import Access

WINE, REGISTRY = "wine", "mr-a"
READ, EDIT = {"workspace": "USE", "experiment": "READ"}, {"workspace": "USE", "experiment": "EDIT"}


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """MLflow's tables of users and roles, with four users."""
    # MLflow's auth app reads its settings while it is imported.
    monkeypatch.setenv("MLFLOW_FLASK_SERVER_SECRET_KEY", "unit-test")
    from mlflow.server.auth.db.models import Base, SqlUser

    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as made:
        made.add_all(SqlUser(username=name, password_hash="") for name in ("ann", "bob", "cleo", "vic"))
        made.commit()
        yield made
    engine.dispose()


def set_roles(session: Session, *wanted: tuple[str, str, Mapping[str, str], set[str]], writers: set[str]) -> None:
    from registry_tui.mlflow_plugin import project_roles

    roles = [project_roles.WantedRole(place, name, grants, frozenset(who)) for place, name, grants, who in wanted]
    project_roles.set_roles(session, WINE, roles, writers)
    session.commit()


def found(session: Session) -> dict[tuple[str, str], tuple[dict[tuple[str, str], str], set[str]]]:
    """By workspace and name: permissions by resource type and pattern, and members."""
    from mlflow.server.auth.db.models import SqlRole, SqlUser

    names = {user.id: user.username for user in session.query(SqlUser)}
    return {
        (role.workspace, role.name): (
            {(each.resource_type, each.resource_pattern): each.permission for each in role.permissions},
            {names[each.user_id] for each in role.user_assignments},
        )
        for role in session.query(SqlRole)
    }


def add(session: Session, workspace: str, name: str, permissions: Mapping[tuple[str, str], str], *users: str) -> None:
    from mlflow.server.auth.db.models import SqlRole, SqlRolePermission, SqlUser, SqlUserRoleAssignment

    ids = {user.username: user.id for user in session.query(SqlUser)}
    granted = [
        SqlRolePermission(resource_type=type_, resource_pattern=pattern, permission=permission)
        for (type_, pattern), permission in permissions.items()
    ]
    members = [SqlUserRoleAssignment(user_id=ids[user]) for user in users]
    session.add(SqlRole(name=name, workspace=workspace, permissions=granted, user_assignments=members))
    session.commit()


def test_roles_members_and_permissions_become_as_wanted(session: Session) -> None:
    add(
        session, WINE, "viewer", {("experiment", "*"): "EDIT", ("experiment", "7"): "READ", ("job", "*"): "READ"}, "bob"
    )
    set_roles(session, (WINE, "viewer", READ, {"ann", "vic"}), (WINE, "contributor", EDIT, {"bob"}), writers={"bob"})
    assert found(session) == {
        (WINE, "viewer"): ({("workspace", "*"): "USE", ("experiment", "*"): "READ"}, {"ann", "vic"}),
        (WINE, "contributor"): ({("workspace", "*"): "USE", ("experiment", "*"): "EDIT"}, {"bob"}),
    }


def test_setting_the_same_roles_again_writes_nothing(session: Session) -> None:
    wanted = ((WINE, "viewer", READ, {"vic"}), (REGISTRY, "wine:viewer", {"prompt": "READ"}, {"vic"}))
    set_roles(session, *wanted, writers=set())
    before, written = found(session), []
    event.listen(session, "before_flush", lambda at, *_: written.extend([*at.new, *at.deleted]))
    event.listen(session.get_bind(), "before_cursor_execute", lambda *given: written.append(given[2]))
    set_roles(session, *wanted, writers=set())
    assert [each for each in written if not str(each).startswith("SELECT")] == []
    assert found(session) == before


def test_roles_in_a_registry_that_the_project_left_go_and_those_of_others_stay(session: Session) -> None:
    for name in ("wine:viewer", "wine-old:viewer", "winery:viewer"):
        add(session, REGISTRY, name, {("prompt", "*"): "READ"}, "vic")
    add(session, "beer", "viewer", {("workspace", "*"): "USE"}, "vic")
    set_roles(session, (WINE, "viewer", READ, {"vic"}), writers=set())
    places = {(WINE, "viewer"), (REGISTRY, "wine-old:viewer"), (REGISTRY, "winery:viewer"), ("beer", "viewer")}
    assert found(session).keys() == places


def test_who_may_no_longer_write_loses_what_they_made(session: Session) -> None:
    for number, user in enumerate(("ann", "bob", "cleo"), start=1):
        add(session, WINE, f"__user_{number}__", {("experiment", str(number)): "MANAGE"}, user)
    add(session, "beer", "__user_2__", {("experiment", "9"): "MANAGE"}, "bob")
    set_roles(session, (WINE, "viewer", READ, {"bob"}), (WINE, "contributor", EDIT, {"ann"}), writers={"ann"})
    assert found(session).keys() == {
        *((WINE, name) for name in ("viewer", "contributor", "__user_1__")),
        ("beer", "__user_2__"),
    }


def test_a_member_that_mlflow_does_not_know_is_named_and_nothing_changes(session: Session) -> None:
    from registry_tui.mlflow_plugin.project_roles import UnknownMembers

    with pytest.raises(UnknownMembers, match="zoe"):
        set_roles(session, (WINE, "viewer", READ, {"vic", "zoe"}), writers=set())
    assert found(session) == {}


def test_the_service_sets_a_projects_roles_in_one_call_without_listing_any(tmp_path: Path) -> None:
    calls: list[tuple[str, str, Any]] = []

    class Server:
        def call(self, method: str, path: str, *, json: Any = None) -> dict[str, Any]:
            calls.append((method, path, json))
            return {}

    access = Access(Server(), load_secrets(Home(tmp_path)))  # type: ignore[arg-type]
    team = {"ann": Role.ADMIN, "vic": Role.VIEWER}
    access.mirror_project(WINE, team, REGISTRY)
    accounts, [(method, path, body)] = calls[:2], calls[2:]
    assert [path for _, path, _ in accounts] == ["users/create", "users/create"]
    assert (method, path, body["project"], body["writers"]) == ("PUT", "registry-tui/project-roles", WINE, ["ann"])
    members = {(role["workspace"], role["name"]): role["members"] for role in body["roles"]}
    who = {"viewer": ["vic"], "contributor": [], "admin": ["ann"]}
    assert members == {
        (place, f"{prefix}{role}"): names
        for place, prefix in ((WINE, ""), (REGISTRY, "wine:"))
        for role, names in who.items()
    }
    access.remove_project(WINE)
    assert calls[3:] == [("DELETE", "registry-tui/project-roles", {"project": WINE})]
