"""MLflow's auth app authenticates a person once for each request, also when the password changes meanwhile."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from registry_tui.contracts.mlflow_routes import RoutesFile
from registry_tui.mlflow_plugin.asked import Asked, answering
from registry_tui.mlflow_plugin.membership import Membership


class Passwords(dict[str, str]):
    """As MLflow's auth app checks them."""

    def authenticate(self, username: str, password: str) -> Any:
        return SimpleNamespace(username=username) if self.get(username) == password else None


def auth_app(passwords: Passwords, folder: Path) -> Any:
    auth = SimpleNamespace(
        _authenticate_cached=passwords.authenticate,
        _get_tracking_store=lambda: None,
        _get_model_registry_store=lambda: None,
    )
    app: Any = SimpleNamespace(before_request=lambda hook: None)
    Membership(auth, RoutesFile(folder / "routes.json")).install(app)
    return auth


def test_a_password_that_is_replaced_does_not_end_the_request_under_way(tmp_path: Path) -> None:
    passwords = Passwords(ana="old")
    auth, request = auth_app(passwords, tmp_path), Asked()
    with answering(request):
        assert auth._authenticate_cached("ana", "old").username == "ana"
        passwords["ana"] = "new"
        assert auth._authenticate_cached("ana", "old") is request.user is not None
    with answering(Asked()):
        assert auth._authenticate_cached("ana", "old") is None
        assert auth._authenticate_cached("ana", "new").username == "ana"
    assert auth._authenticate_cached("ana", "old") is None


def test_other_credentials_and_refusals_are_checked_again(tmp_path: Path) -> None:
    passwords = Passwords(ana="a", ben="b")
    auth, request = auth_app(passwords, tmp_path), Asked()
    with answering(request):
        assert auth._authenticate_cached("ana", "a").username == "ana"
        assert auth._authenticate_cached("ana", "wrong") is None and request.user is None
        assert auth._authenticate_cached("ben", "b").username == "ben"
        passwords["carl"] = "c"
        assert auth._authenticate_cached("carl", "x") is None
        assert auth._authenticate_cached("carl", "c").username == "carl"
