"""People and their roles, mirrored to MLflow's own auth app.

A role of ours is a role in the project's MLflow workspace, and another in its registry's, named after the project, so
that people in two projects keep the registry when they leave one of them.
"""

from __future__ import annotations

import secrets
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from registry_tui.contracts.mlflow_routes import role_prefix
from registry_tui.platform.secrets import Secrets, mlflow_password
from registry_tui.schemas.places import Role
from registry_tui.service.adapters.mlflow import Mlflow, NotLetIn
from registry_tui.service.errors import AlreadyThere, InvalidInput, Missing, UserSuspended

#: Set by our plugin in one call (`mlflow_plugin/project_roles.py`).
_PROJECT_ROLES = "registry-tui/project-roles"

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


class Access:
    """Every method may be repeated and raises as `Mlflow` does. Changes count from the next request on."""

    def __init__(
        self, mlflow: Mlflow, installation: Secrets, account: Callable[[str], str | None] = lambda user: user
    ) -> None:
        """`account` returns the text that a person's password is derived from; None for people to refuse."""
        self._mlflow = mlflow
        self._secrets = installation
        self._account = account
        self._lock = threading.Lock()
        self._guard = threading.Lock()
        #: By user: accounts are made, changed and removed under this lock, after a check that the user may have one.
        self._accounts: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        #: Users whose password was proved since this service started, with the text that it was derived from: another
        #: process may delete a user, and make another one of the same name.
        self._proved: dict[str, str] = {}
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

        Raises InvalidInput for the service's own account, UserSuspended also for deleted users.
        """
        if user == self._secrets.mlflow_admin_user:
            raise InvalidInput(f"'{user}' is the service's own account")
        if self._proved.get(user) == self._subject(user):
            return
        with self._alone(user):
            subject, password = self._subject(user), self.password(user)
            credentials = {"username": user, "password": password}
            try:
                self._mlflow.call("POST", "users/create", json=credentials)
            except AlreadyThere:
                if not self._accepts(user, password):
                    self._mlflow.call("PATCH", "users/update-password", json=credentials)
            self._proved[user] = subject

    def change_password(self, user: str, after: Secrets) -> None:
        """Makes MLflow accept the password derived from other secrets. Raises Missing, UserSuspended."""
        with self._alone(user):
            password = mlflow_password(after, self._subject(user))
            self._mlflow.call("PATCH", "users/update-password", json={"username": user, "password": password})
            self._changed[user] = password

    def forget_changes(self) -> None:
        """Called after the secrets are replaced: passwords are derived from them again, also those made meanwhile."""
        self._changed.clear()
        self._proved.clear()

    def lock_out(self, user: str) -> None:
        """Makes MLflow refuse a user's password, until `let_in`."""
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
        """Deletes a user in MLflow, with all grants."""
        with self._alone(user):
            self._forget(user)
            with suppress(Missing):
                self._mlflow.call("DELETE", "users/delete", json={"username": user})

    def _alone(self, user: str) -> threading.Lock:
        with self._guard:
            return self._accounts[user]

    def _forget(self, user: str) -> None:
        self._proved.pop(user, None)
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
            try:
                self._mirror(workspace, collaborators, registry)
            except Missing:
                # MLflow does not know an account: another process, or a request meanwhile, deleted it.
                for user in collaborators:
                    self._proved.pop(user, None)
                self._mirror(workspace, collaborators, registry)

    def _mirror(self, workspace: str, collaborators: Mapping[str, Role], registry: str | None) -> None:
        """Raises Missing for a user whose account is gone when MLflow carries it out."""
        collaborators = {user: role for user, role in collaborators.items() if self._may_have_account(user)}
        roles = [
            {"workspace": workspace_, "name": name, "grants": grants, "members": _having(collaborators, role)}
            for role in Role
            for workspace_, name, grants in _places(role, workspace, registry)
        ]
        # People who left, or are viewers now, lose MLflow's grants for experiments that they made.
        writers = sorted(user for user, role in collaborators.items() if role is not Role.VIEWER)
        body = {"project": workspace, "roles": roles, "writers": writers}
        self._mlflow.call("PUT", _PROJECT_ROLES, json=body)

    def remove_project(self, workspace: str) -> None:
        """Removes every role that a project gave, in its own workspace and in registries."""
        with self._lock:
            self._mlflow.call("DELETE", _PROJECT_ROLES, json={"project": workspace})


def _having(collaborators: Mapping[str, Role], role: Role) -> list[str]:
    return sorted(user for user, its in collaborators.items() if its is role)


def _places(role: Role, workspace: str, registry: str | None) -> Iterable[tuple[str, str, Mapping[str, str]]]:
    yield workspace, role.value, _IN_PROJECT[role]
    if registry is not None:
        yield registry, f"{role_prefix(workspace)}{role.value}", _IN_REGISTRY[role]
