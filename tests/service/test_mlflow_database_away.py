"""PostgreSQL ends a connection in the middle of a request to MLflow's server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg
import pytest
from mlflow.utils.rest_utils import MlflowHostCreds, http_request

from registry_tui.platform.database_urls import Databases, schema_of
from registry_tui.platform.paths import Home
from support import secret_search
from support.platforms import Platform, temporary_folder, wait_for
from support.postgres import PostgresServer
from support.raw_mlflow import RawMlflow, contributor

#: Parts of the driver's and SQLAlchemy's texts, and names that only statements have.
THEIRS = ("psycopg", "sqlalche", "SELECT", "INSERT", "terminat", "closed", "run_uuid", "users")


@pytest.fixture(scope="module")
def url(postgres: PostgresServer) -> str:
    return postgres.new_database()


@pytest.fixture(scope="module")
def raw(url: str) -> Iterator[RawMlflow]:
    """A contributor of a project on a platform with its rows in PostgreSQL."""
    with temporary_folder() as folder:
        platform = Platform(Home(folder / "h"))
        try:
            platform.command("up", "--database", url)
            yield contributor(platform, platform.new_project().id)
            secret_search.require_none_out_of_place(platform)
        finally:
            platform.down()


@contextmanager
def held(url: str, database: str, table: str) -> Iterator[Any]:
    """Keeps a table of MLflow's to itself; yields a function that ends the connections of those who wait for it."""
    schema = schema_of(getattr(Databases.on_postgresql(url), database))
    with psycopg.connect(url) as holder, psycopg.connect(url, autocommit=True) as other:
        holder.execute(f"LOCK TABLE {schema}.{table} IN ACCESS EXCLUSIVE MODE")

        def end() -> None:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE wait_event_type = 'Lock' AND %s = ANY(pg_blocking_pids(pid))",
                (holder.info.backend_pid,),
            )

        yield end


def cut_off(url: str, database: str, table: str, raw: RawMlflow, *call: str, **sent: Any) -> httpx.Response:
    """The response to a request whose connection is ended while it waits for a table."""
    answers: list[httpx.Response] = []
    with held(url, database, table) as end:
        asking = threading.Thread(target=lambda: answers.append(raw.ask(*call, **sent)))
        asking.start()

        def over() -> bool:
            end()
            return not asking.is_alive()

        wait_for(over, what="a response")
    return answers[0]


def require_clear(response: httpx.Response, number: str) -> None:
    told = response.json()
    assert (response.status_code, told["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE"), told
    assert told["message"].startswith("MLflow's database cannot be reached. See whether its server runs, then try")
    assert f"`registry-tui logs mlflow` has more about request {number}." in told["message"]
    assert response.headers["X-Request-ID"] == number
    assert not [each for each in THEIRS if each in response.text]


def test_every_door_names_the_lost_connection_and_the_remedy(raw: RawMlflow, url: str) -> None:
    experiment = raw.ask("POST", "experiments/create", json={"name": "sums"}).json()["experiment_id"]
    run = raw.ask("POST", "runs/create", json={"experiment_id": experiment}).json()["run"]["info"]["run_id"]
    query = "query q($i: MlflowGetRunInput) { mlflowGetRun(input: $i) { run { info { runId } } } }"
    graphql = {"query": query, "operationName": "q", "variables": {"i": {"runId": run}}}
    artifact = f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/note.txt"
    calls: dict[str, tuple[str, str, str, str, dict[str, Any]]] = {
        "read": ("mlflow", "runs", "GET", "runs/get", {"params": {"run_id": run}}),
        "write": ("mlflow", "runs", "POST", "runs/set-tag", {"json": {"run_id": run, "key": "k", "value": "v"}}),
        "graphql": ("mlflow", "runs", "POST", "/graphql", {"json": graphql}),
        "artifact": ("mlflow", "experiments", "GET", artifact, {}),
        "password": ("mlflow_auth", "users", "GET", "runs/get", {"params": {"run_id": run}}),
        "graphql-password": ("mlflow_auth", "users", "POST", "/graphql", {"json": graphql}),
        "upload-password": ("mlflow_auth", "users", "PUT", artifact, {"content": b"hello"}),
        "workspace": ("mlflow", "workspaces", "GET", "runs/get", {"params": {"run_id": run}}),
    }
    for name, (database, table, method, path, sent) in calls.items():
        response = cut_off(url, database, table, raw, method, path, headers={"X-Request-ID": name}, **sent)
        require_clear(response, name)
    assert raw.ask("POST", "/graphql", json=graphql).json()["data"]["mlflowGetRun"]["run"]["info"] == {"runId": run}
    found = raw.ask("GET", "runs/get", params={"run_id": run}).json()["run"]
    assert not [tag for tag in found["data"].get("tags", []) if tag["key"] == "k"], "the write was half done"


def test_a_stock_client_repeats_a_request_whose_password_could_not_be_looked_up(raw: RawMlflow, url: str) -> None:
    log, answers = raw.platform.home.logs / "mlflow.log", list[Any]()
    creds = MlflowHostCreds(raw.uri, username=raw.user, password=raw.auth[1])
    sent = {"extra_headers": {"X-Request-ID": "again"}, "params": {"max_results": 1}}

    def ask() -> None:
        answers.append(http_request(creds, "/api/2.0/mlflow/experiments/search", "GET", **sent))

    asking = threading.Thread(target=ask)
    with held(url, "mlflow_auth", "users") as end:
        asking.start()

        def noted() -> bool:
            end()
            return "Request again: MLflow's database cannot be reached" in log.read_text()

        wait_for(noted, what="the refusal of the first attempt")
    asking.join()
    assert answers[0].status_code == 200
