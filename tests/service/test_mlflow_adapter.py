"""The service's view of MLflow: calls, their errors, and the mirror of people and roles."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from registry_tui.schemas.places import Role
from registry_tui.service.adapters.access import Access
from registry_tui.service.adapters.mlflow import Mlflow, NotLetIn
from registry_tui.service.errors import AlreadyThere, InvalidInput, Missing, PartUnavailable, WrongState
from support.mlflow_parts import REGISTRY, Parts, running_parts
from support.platforms import wait_for


@pytest.fixture(scope="module")
def parts() -> Iterator[Parts]:
    with running_parts() as running:
        yield running


def test_mlflows_errors_are_the_services(parts: Parts) -> None:
    call = parts.mlflow.call
    with pytest.raises(Missing):
        call("GET", "runs/get", workspace="wine", params={"run_id": "0" * 32})
    call("POST", "experiments/create", workspace="wine", json={"name": "twice"})
    with pytest.raises(AlreadyThere):
        call("POST", "experiments/create", workspace="wine", json={"name": "twice"})
    with pytest.raises(InvalidInput):
        call("POST", "runs/search", workspace="wine", json={"experiment_ids": ["0"], "filter": "not a filter"})
    with pytest.raises(NotLetIn):
        call("GET", "users/current", auth=("ann", "not her password"))


def test_a_part_that_is_down_is_unavailable(parts: Parts) -> None:
    nowhere = Mlflow(replace(parts.ports, mlflow=1), parts.secrets)
    with pytest.raises(PartUnavailable, match="does not answer") as raised:
        nowhere.call("GET", "users/current")
    assert raised.value.action
    assert not nowhere.answers()
    assert parts.mlflow.answers()


def test_workspaces_come_and_go(parts: Parts) -> None:
    parts.mlflow.create_workspace("passing")
    parts.mlflow.create_workspace("passing")
    parts.mlflow.call("POST", "experiments/create", workspace="passing", json={"name": "kept"})
    with pytest.raises(WrongState):
        parts.mlflow.delete_workspace("passing")
    parts.mlflow.delete_workspace("passing", cascade=True)
    parts.mlflow.delete_workspace("passing", cascade=True)
    with pytest.raises(Missing):
        parts.mlflow.call("GET", "/api/3.0/mlflow/workspaces/passing")


def test_artifacts_are_streamed(parts: Parts) -> None:
    logged = parts.log_model("ann")
    with parts.mlflow.stream(f"/api/2.0/mlflow-artifacts/artifacts/{logged.path}/MLmodel", workspace="wine") as body:
        assert b"".join(body.iter_bytes()) == b"flavors: {}\n"
    with (
        pytest.raises(Missing),
        parts.mlflow.stream(f"/api/2.0/mlflow-artifacts/artifacts/{logged.path}/nothing", workspace="wine"),
    ):
        pass


def test_mirroring_again_changes_nothing_and_a_new_role_counts_at_once(parts: Parts) -> None:
    logged = parts.log_model("ann", "beer")
    rename = {"run_id": logged.run_id, "run_name": "renamed"}
    team = {"ann": Role.CONTRIBUTOR, "dora": Role.VIEWER}
    for _ in range(2):
        parts.access.mirror_project("beer", team, REGISTRY)
    assert parts.ask("dora", "GET", "runs/get", project="beer", params={"run_id": logged.run_id}).is_success
    assert parts.ask("dora", "POST", "runs/update", project="beer", json=rename).status_code == 403
    parts.access.mirror_project("beer", {**team, "dora": Role.CONTRIBUTOR}, REGISTRY)
    assert parts.ask("dora", "POST", "runs/update", project="beer", json=rename).is_success
    own = parts.log_model("dora", "beer")
    parts.access.mirror_project("beer", team, REGISTRY)
    own_rename = {"run_id": own.run_id, "run_name": "renamed"}
    assert parts.ask("dora", "POST", "runs/update", project="beer", json=own_rename).status_code == 403
    assert parts.ask("dora", "GET", "registered-models/search", project="beer").is_success

    parts.access.mirror_project("beer", team, None)
    assert parts.ask("dora", "GET", "registered-models/search", project=REGISTRY).json() == {}
    parts.access.remove_project("beer")
    assert parts.ask("dora", "GET", "runs/get", project="beer", params={"run_id": logged.run_id}).status_code == 403


def test_users_keep_this_installations_password(parts: Parts) -> None:
    parts.access.ensure_user("frida")
    other = Access(parts.mlflow, replace(parts.secrets, user_password_seed="another seed"))
    other.ensure_user("frida")
    assert parts.mlflow.call("GET", "users/current", auth=("frida", other.password("frida")))["user"]
    with pytest.raises(NotLetIn):
        parts.mlflow.call("GET", "users/current", auth=("frida", parts.access.password("frida")))
    with pytest.raises(InvalidInput):
        parts.access.ensure_user(parts.secrets.mlflow_admin_user)


def test_the_embedded_database_is_analysed_as_it_grows(parts: Parts) -> None:
    parameters = [{"key": f"p{number}", "value": "1"} for number in range(100)]
    for _ in range(4):
        run = parts.log_model("ann", "wine").run_id
        parts.mlflow.call("POST", "runs/log-batch", workspace="wine", json={"run_id": run, "params": parameters})
    counted = "SELECT count(*) FROM sqlite_stat1 WHERE tbl = 'params'"
    with closing(sqlite3.connect(parts.home.mlflow_database)) as database:
        wait_for(lambda: database.execute(counted).fetchone()[0], what="statistics of the parameters")
