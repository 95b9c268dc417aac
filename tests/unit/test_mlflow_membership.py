"""Which reason a refusal of MLflow's server gets."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from flask import Flask
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST

from registry_tui.contracts.mlflow_routes import ProjectRoute, Routes, RoutesFile
from registry_tui.mlflow_plugin.asked import Asked, answering
from registry_tui.mlflow_plugin.membership import Membership


def auth_app() -> Any:
    """As much of MLflow's auth app as the watching needs; everybody may read everything."""
    reader = SimpleNamespace(can_read=True, can_use=True)

    def authenticate(username: str, password: str) -> Any:
        return SimpleNamespace(id=1, username=username, is_admin=False)

    return SimpleNamespace(
        _authenticate_cached=authenticate,
        _get_tracking_store=lambda: None,
        _get_model_registry_store=Registry,
        _role_grant_for_resource=lambda *_: reader,
    )


class Registry:
    """A store that has no model."""

    def get_registered_model(self, name: str) -> None:
        raise MlflowException(f"no model {name}", error_code=RESOURCE_DOES_NOT_EXIST)


def asking(path: str, *, lets_pass: bool, tmp_path: Path) -> tuple[Membership, Asked]:
    """A request during whose checks the auth app looks for a model that is missing, and then lets it pass or not."""
    auth, app = auth_app(), Flask(__name__)
    membership = Membership(auth, RoutesFile(tmp_path / "routes.json"))

    def check() -> Any:
        try:
            auth._get_model_registry_store().get_registered_model("new")
        except MlflowException:
            return None if lets_pass else ("Permission denied", 403)

    app.before_request(check)
    membership.install(app)
    request = Asked(workspace="wine", names_project=True, user=SimpleNamespace(id=1, username="bob", is_admin=False))
    with answering(request):
        app.test_client().post(path)
    return membership, request


def test_a_refusal_of_the_auth_app_says_what_it_did_not_find(tmp_path: Path) -> None:
    membership, request = asking("/api/2.0/mlflow/registered-models/get", lets_pass=False, tmp_path=tmp_path)
    reason = membership.explain(request, True)
    assert reason is not None and reason.message == "no model new"


def test_what_was_missing_for_a_check_that_let_the_request_pass_is_no_reason_of_a_later_refusal(
    tmp_path: Path,
) -> None:
    membership, request = asking("/api/2.0/mlflow/registered-models/rename", lets_pass=True, tmp_path=tmp_path)
    assert membership.explain(request, False) is None


def test_a_bare_refusal_says_which_role_is_missing(tmp_path: Path) -> None:
    bob, ann = ("viewer", "contributor")
    wine = ProjectRoute("p", "wine", "team", "lab", "bucket", None, collaborators={"bob": bob, "ann": ann})
    (tmp_path / "routes.json").write_text(Routes(projects={"wine": wine}).to_json())
    membership = Membership(auth_app(), RoutesFile(tmp_path / "routes.json"))

    def told(user: str, workspace: str, *, bare: bool = True) -> str:
        who = SimpleNamespace(id=1, username=user, is_admin=False)
        reason = membership.explain(Asked(workspace=workspace, names_project=True, user=who), bare)
        return "" if reason is None else str(reason.message)

    assert "bob is a viewer of the project 'wine'" in told("bob", "wine") and "contributor" in told("bob", "wine")
    # A refusal of our store has its reason already, and MLflow gives some things to their makers alone.
    assert told("bob", "wine", bare=False) == told("ann", "wine") == ""
    # Nobody learns whether there is a project.
    assert told("eve", "wine").replace("wine", "beer") == told("eve", "beer") != ""
