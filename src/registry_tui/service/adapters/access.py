"""People and their roles, mirrored to MLflow's own auth app.

A role of ours is a role in the project's MLflow workspace, and another in its registry's, named after the project, so
that somebody who works in two projects keeps the registry when leaving one of them.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from registry_tui.platform.secrets import Secrets, mlflow_password
from registry_tui.schemas.places import Role
from registry_tui.service.adapters.mlflow import Mlflow, NotLetIn
from registry_tui.service.errors import AlreadyThere, InvalidInput, Missing, UserSuspended

_ROLES = "/api/3.0/mlflow/roles"

#: Resource type and permission, for all resources of the type (`mlflow/server/auth/permissions.py`). `workspace` USE
#: lets read archives through the artifact proxy and make experiments; the plugin keeps viewers from the latter.
_IN_PROJECT: Mapping[Role, Mapping[str, str]] = {
    Role.VIEWER: {"workspace": "USE", "experiment": "READ"},
    Role.CONTRIBUTOR: {"workspace": "USE", "experiment": "EDIT"},
    Role.ADMIN: {"workspace": "USE", "experiment": "MANAGE"},
}
#: In the registry, MANAGE lets owners delete; that they are owners is checked by the plugin's store.
_IN_REGISTRY: Mapping[Role, Mapping[str, str]] = {
    Role.VIEWER: {"registered_model": "READ", "prompt": "READ"},
    Role.CONTRIBUTOR: {"registered_model": "MANAGE", "prompt": "MANAGE"},
    Role.ADMIN: {"registered_model": "MANAGE", "prompt": "MANAGE"},
}

#: The role that MLflow gives to each user who made an experiment, with MANAGE on it.
_PERSONAL_ROLE = re.compile(r"__user_\d+__")


@dataclass(frozen=True)
class _WantedRole:
    workspace: str
    name: str
    grants: Mapping[str, str]
    members: frozenset[str]


class Access:
    """Every method may be repeated and raises as `Mlflow` does. Changes count from the next request on."""

    def __init__(
        self, mlflow: Mlflow, installation: Secrets, account: Callable[[str], str | None] = lambda user: user
    ) -> None:
        """`account` gives what a person's password is made from, and None for whoever is to be refused."""
        self._mlflow = mlflow
        self._secrets = installation
        self._account = account
        self._lock = threading.Lock()
        self._guard = threading.Lock()
        #: By user: an account is made, changed and taken away by one at a time, who looks first whether it may be.
        self._accounts: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        #: Users whose password was proved since this service started.
        self._proved: set[str] = set()
        #: Passwords that are new already while people's passwords are rotated.
        self._changed: dict[str, str] = {}

    def password(self, user: str) -> str:
        """A person's MLflow password. Raises UserSuspended."""
        subject = self._subject(user)
        return self._changed.get(user) or mlflow_password(self._secrets, subject)

    def usable_password(self, user: str) -> str:
        """A person's MLflow password, which MLflow takes. Raises as `ensure_user`."""
        self.ensure_user(user)
        return self.password(user)

    def ensure_user(self, user: str) -> None:
        """Makes the MLflow user with this installation's password for it.

        Raises InvalidInput for the service's own, UserSuspended also for who was deleted.
        """
        if user == self._secrets.mlflow_admin_user:
            raise InvalidInput(f"'{user}' is the service's own account")
        if user in self._proved:
            return
        with self._alone(user):
            password = self.password(user)
            credentials = {"username": user, "password": password}
            try:
                self._mlflow.call("POST", "users/create", json=credentials)
            except AlreadyThere:
                if not self._accepts(user, password):
                    self._mlflow.call("PATCH", "users/update-password", json=credentials)
            self._proved.add(user)

    def change_password(self, user: str, after: Secrets) -> None:
        """Makes MLflow take the password that follows from other secrets. Raises Missing, UserSuspended."""
        with self._alone(user):
            password = mlflow_password(after, self._subject(user))
            self._mlflow.call("PATCH", "users/update-password", json={"username": user, "password": password})
            self._changed[user] = password

    def forget_changes(self) -> None:
        """The secrets are replaced: passwords follow from them again, also those that were made meanwhile."""
        self._changed.clear()
        self._proved.clear()

    def lock_out(self, user: str) -> None:
        """Makes MLflow refuse a user's password, which only `let_in` brings back."""
        with self._alone(user):
            self._forget(user)
            with suppress(Missing):
                nobody_knows = {"username": user, "password": secrets.token_urlsafe(32)}
                self._mlflow.call("PATCH", "users/update-password", json=nobody_knows)

    def let_in(self, user: str) -> None:
        """Makes MLflow accept a user's password again."""
        self._forget(user)
        self.ensure_user(user)

    def remove_user(self, user: str) -> None:
        """Makes MLflow forget a user, with all that it granted them."""
        with self._alone(user):
            self._forget(user)
            with suppress(Missing):
                self._mlflow.call("DELETE", "users/delete", json={"username": user})

    def _alone(self, user: str) -> threading.Lock:
        with self._guard:
            return self._accounts[user]

    def _forget(self, user: str) -> None:
        self._proved.discard(user)
        self._changed.pop(user, None)

    def _subject(self, user: str) -> str:
        found = self._account(user)
        if found is None:
            raise UserSuspended(
                f"The user {user} is suspended or was deleted",
                action="An administrator lets users in again: `registry-tui users resume`",
            )
        return found

    def _may_have_account(self, user: str) -> bool:
        """Makes a person's account, unless they were suspended or deleted just now."""
        try:
            self.ensure_user(user)
        except UserSuspended:
            return False
        return True

    def _accepts(self, user: str, password: str) -> bool:
        try:
            self._mlflow.call("GET", "users/current", auth=(user, password))
        except NotLetIn:
            return False
        return True

    def mirror_project(self, workspace: str, collaborators: Mapping[str, Role], registry: str | None) -> None:
        """Makes MLflow let exactly these people into a project, and into its registry when it has one.

        `workspace` and `registry` are MLflow workspaces; None takes the project's people out of every registry.
        """
        with self._lock:
            collaborators = {user: role for user, role in collaborators.items() if self._may_have_account(user)}
            wanted = [
                _WantedRole(workspace_, name, grants, frozenset(u for u, r in collaborators.items() if r == role))
                for role in Role
                for workspace_, name, grants in _places(role, workspace, registry)
            ]
            known = self._roles()
            self._delete_roles(
                role for role in known if role["name"].startswith(_prefix(workspace)) and role["workspace"] != registry
            )
            members = self._members()
            for role in wanted:
                self._mirror_role(role, known, members)
            self._forget_personal_grants(workspace, collaborators, members)

    def remove_project(self, workspace: str) -> None:
        """Takes away every role that a project gave, in its own workspace and in registries."""
        with self._lock:
            self._delete_roles(
                role
                for role in self._roles()
                if role["workspace"] == workspace or role["name"].startswith(_prefix(workspace))
            )

    def _mirror_role(self, wanted: _WantedRole, known: list[dict[str, Any]], members: Mapping[int, set[str]]) -> None:
        found = next((r for r in known if (r["workspace"], r["name"]) == (wanted.workspace, wanted.name)), None)
        if found is None:
            body = {"name": wanted.name, "workspace": wanted.workspace}
            found = self._mlflow.call("POST", f"{_ROLES}/create", json=body)["role"]
        there = {grant["resource_type"]: grant for grant in found["permissions"] if grant["resource_pattern"] == "*"}
        for grant in found["permissions"]:
            if grant not in there.values() or wanted.grants.get(grant["resource_type"]) != grant["permission"]:
                self._mlflow.call("DELETE", f"{_ROLES}/permissions/remove", json={"role_permission_id": grant["id"]})
        for resource, permission in wanted.grants.items():
            if there.get(resource, {}).get("permission") != permission:
                body = {"role_id": found["id"], "resource_type": resource, "resource_pattern": "*"}
                self._mlflow.call("POST", f"{_ROLES}/permissions/add", json={**body, "permission": permission})
        present = members.get(found["id"], set())
        for user in present - wanted.members:
            with suppress(Missing):
                self._mlflow.call("DELETE", f"{_ROLES}/unassign", json={"username": user, "role_id": found["id"]})
        for user in wanted.members - present:
            with suppress(AlreadyThere):
                self._mlflow.call("POST", f"{_ROLES}/assign", json={"username": user, "role_id": found["id"]})

    def _forget_personal_grants(
        self, workspace: str, collaborators: Mapping[str, Role], members: Mapping[int, set[str]]
    ) -> None:
        """Who left, or may only look now, loses what MLflow granted for experiments that they made."""
        may_write = {user for user, role in collaborators.items() if role is not Role.VIEWER}
        self._delete_roles(
            role
            for role in self._roles(workspace)
            if _PERSONAL_ROLE.fullmatch(role["name"]) and not members.get(role["id"], set()) <= may_write
        )

    def _delete_roles(self, roles: Iterable[dict[str, Any]]) -> None:
        for role in roles:
            with suppress(Missing):
                self._mlflow.call("DELETE", f"{_ROLES}/delete", json={"role_id": role["id"]})

    def _roles(self, workspace: str | None = None) -> list[dict[str, Any]]:
        answer = self._mlflow.call("GET", f"{_ROLES}/list", params={"workspace": workspace})
        return list(answer["roles"])

    def _members(self) -> dict[int, set[str]]:
        """User names by role ID."""
        found: dict[int, set[str]] = {}
        for user in self._mlflow.call("GET", "users/list")["users"]:
            for role in user["roles"]:
                found.setdefault(role["id"], set()).add(user["username"])
        return found


def _places(role: Role, workspace: str, registry: str | None) -> Iterable[tuple[str, str, Mapping[str, str]]]:
    yield workspace, role.value, _IN_PROJECT[role]
    if registry is not None:
        yield registry, f"{_prefix(workspace)}{role.value}", _IN_REGISTRY[role]


def _prefix(workspace: str) -> str:
    return f"{workspace}:"
