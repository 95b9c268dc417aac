"""Sets the roles of all people in a project, in one transaction inside MLflow's server.

MLflow's REST API takes some twenty calls for a new project, and has to list everybody's roles first.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, Self

from flask import Flask, Response, jsonify, request
from mlflow.server.auth.db.models import SqlRole, SqlRolePermission, SqlUser, SqlUserRoleAssignment
from sqlalchemy import or_, select
from sqlalchemy.orm import Session, selectinload

from registry_tui.contracts.mlflow_routes import role_prefix
from registry_tui.mlflow_plugin.dialects import take_turn
from registry_tui.mlflow_plugin.identity import is_administrator

#: The service calls this path, below MLflow's own.
PATH = "/api/2.0/mlflow/registry-tui/project-roles"
#: The role that MLflow gives to the creator of an experiment, with MANAGE on it.
_PERSONAL_ROLE = re.compile(r"__user_\d+__")
_EVERYTHING = "*"


@dataclass(frozen=True)
class WantedRole:
    """A role in one MLflow workspace: permission by resource type, for all resources of the type, and its members."""

    workspace: str
    name: str
    grants: Mapping[str, str]
    members: frozenset[str]

    @classmethod
    def read(cls, given: Any) -> Self:
        """The role of a request. Raises KeyError, TypeError, ValueError."""
        role = cls(given["workspace"], given["name"], given["grants"], frozenset(given["members"]))
        texts = (role.workspace, role.name, *role.grants, *role.grants.values(), *role.members)
        if not all(isinstance(text, str) and text for text in texts):
            raise ValueError("a role is made of texts")
        return role


class UnknownMembers(Exception):
    """Members that MLflow does not know."""


def install(app: Flask, auth: Any) -> None:
    """Adds the routes, for the service's account only."""
    app.add_url_rule(PATH, "registry_tui_set_roles", partial(_set, auth), methods=["PUT"])
    app.add_url_rule(PATH, "registry_tui_remove_roles", partial(_remove, auth), methods=["DELETE"])


def _set(auth: Any) -> Response | tuple[Response, int]:
    """Sets a project's roles, here and in its registry; `writers` keep their personal grants."""
    if not is_administrator():
        return _refused(HTTPStatus.FORBIDDEN, "PERMISSION_DENIED", "Ask the service.")
    asked = _asked()
    try:
        project, writers = str(asked["project"]), frozenset(map(str, asked["writers"]))
        wanted = [WantedRole.read(role) for role in asked["roles"]]
    except (KeyError, TypeError, ValueError):
        return _refused(HTTPStatus.BAD_REQUEST, "INVALID_PARAMETER_VALUE", "Give project, roles and writers.")
    try:
        with auth.store.ManagedSessionMaker(read_only=False) as session:
            take_turn(session, "roles", project)
            set_roles(session, project, wanted, writers)
    except UnknownMembers as error:
        return _refused(HTTPStatus.NOT_FOUND, "RESOURCE_DOES_NOT_EXIST", str(error))
    return jsonify({})


def _remove(auth: Any) -> Response | tuple[Response, int]:
    """Removes every role that a project gave, in its own workspace and in registries."""
    if not is_administrator():
        return _refused(HTTPStatus.FORBIDDEN, "PERMISSION_DENIED", "Ask the service.")
    project = _asked().get("project")
    if not isinstance(project, str) or not project:
        return _refused(HTTPStatus.BAD_REQUEST, "INVALID_PARAMETER_VALUE", "Give the project.")
    with auth.store.ManagedSessionMaker(read_only=False) as session:
        take_turn(session, "roles", project)
        for role in _roles_of(session, project):
            session.delete(role)
    return jsonify({})


def set_roles(session: Session, project: str, wanted: Iterable[WantedRole], writers: Collection[str]) -> None:
    """Sets the roles of a project's MLflow workspace. Raises UnknownMembers, SQLAlchemy's errors."""
    places = {(role.workspace, role.name): role for role in wanted}
    members = {user for role in places.values() for user in role.members}
    found = select(SqlUser.username, SqlUser.id).where(SqlUser.username.in_({*writers, *members}))
    ids: dict[str, int] = {row.username: row.id for row in session.execute(found)}
    if unknown := members - ids.keys():
        raise UnknownMembers(f"MLflow does not know {', '.join(sorted(unknown))}")
    may_write = {ids[user] for user in writers if user in ids}
    known = {(role.workspace, role.name): role for role in _roles_of(session, project)}
    for place, role in known.items():
        elsewhere = role.workspace != project and place not in places
        personal = role.workspace == project and _PERSONAL_ROLE.fullmatch(role.name)
        if elsewhere or (personal and not {each.user_id for each in role.user_assignments} <= may_write):
            session.delete(role)
    for place, want in places.items():
        role = known.get(place)
        if role is None:
            role = SqlRole(name=want.name, workspace=want.workspace)
            session.add(role)
        _grant(role, want.grants)
        _assign(role, {ids[user] for user in want.members})


def _roles_of(session: Session, project: str) -> list[SqlRole]:
    """The roles in a project's own workspace, and those that it gave in registries."""
    query = (
        select(SqlRole)
        .where(or_(SqlRole.workspace == project, SqlRole.name.startswith(role_prefix(project), autoescape=True)))
        .options(selectinload(SqlRole.permissions), selectinload(SqlRole.user_assignments))
    )
    return list(session.scalars(query))


def _grant(role: SqlRole, grants: Mapping[str, str]) -> None:
    missing = dict(grants)
    for grant in list(role.permissions):
        if grant.resource_pattern == _EVERYTHING and missing.get(grant.resource_type) == grant.permission:
            del missing[grant.resource_type]
        elif grant.resource_pattern == _EVERYTHING and grant.resource_type in missing:
            grant.permission = missing.pop(grant.resource_type)
        else:
            role.permissions.remove(grant)
    role.permissions.extend(
        SqlRolePermission(resource_type=resource, resource_pattern=_EVERYTHING, permission=permission)
        for resource, permission in missing.items()
    )


def _assign(role: SqlRole, members: Collection[int]) -> None:
    present = {assignment.user_id: assignment for assignment in role.user_assignments}
    for user, assignment in present.items():
        if user not in members:
            role.user_assignments.remove(assignment)
    role.user_assignments.extend(SqlUserRoleAssignment(user_id=user) for user in members if user not in present)


def _asked() -> Mapping[str, Any]:
    given = request.get_json(silent=True)
    return given if isinstance(given, dict) else {}


def _refused(status: HTTPStatus, code: str, message: str) -> tuple[Response, int]:
    return jsonify({"error_code": code, "message": message}), status
