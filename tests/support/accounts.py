"""MLflow's accounts as its server keeps them, for tests of the service's rules alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from registry_tui.platform.secrets import Secrets, mlflow_password
from registry_tui.service.adapters.mlflow import NotLetIn
from registry_tui.service.errors import AlreadyThere, Missing


class Accounts:
    """MLflow's users and their passwords; `before` is called with the path of each request."""

    def __init__(self) -> None:
        self.passwords: dict[str, str] = {}
        self.before: Callable[[str], None] = lambda path: None

    def call(self, method: str, path: str, json: Mapping[str, Any] | None = None, **given: Any) -> dict[str, Any]:
        self.before(path)
        body = json or {}
        user = body.get("username", "")
        if path == "users/create":
            if user in self.passwords:
                raise AlreadyThere("There is one")
            self.passwords[user] = body["password"]
        elif path == "users/update-password":
            if user not in self.passwords:
                raise Missing("There is none")
            self.passwords[user] = body["password"]
        elif path == "users/delete":
            if self.passwords.pop(user, None) is None:
                raise Missing("There is none")
        elif path == "users/current":
            name, password = given["auth"]
            if self.passwords.get(name) != password:
                raise NotLetIn("Another password")
        return {"roles": [], "users": [], "role": {"id": 1, "permissions": []}}

    def open_to(self, user: str, secrets: Secrets) -> bool:
        """Whether the password that follows from the secrets opens the account."""
        return self.passwords.get(user) == mlflow_password(secrets, user)

    def search_versions(self, workspace: str, *, filter: str = "") -> Iterator[dict[str, Any]]:
        """No model, no version."""
        yield from ()
