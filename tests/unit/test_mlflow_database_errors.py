"""Refusals of MLflow's database reach people as MLflow's errors, with remedy and request ID, without SQL."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import psycopg
import pytest
from flask import Flask
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INTERNAL_ERROR,
    PERMISSION_DENIED,
    RESOURCE_ALREADY_EXISTS,
    RESOURCE_DOES_NOT_EXIST,
    UNAUTHENTICATED,
)
from mlflow.store.db.utils import _get_managed_session_maker
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import sessionmaker
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from registry_tui.mlflow_plugin import database_errors
from registry_tui.mlflow_plugin.api_errors import ApiErrors, error_response
from registry_tui.mlflow_plugin.asked import Asked, answering
from registry_tui.mlflow_plugin.client_faults import ClientFaults

SQL = "SELECT secret FROM users"


def lost() -> DBAPIError:
    """SQLAlchemy's error when PostgreSQL ends a connection."""
    return OperationalError(SQL, {"name": "zoe"}, psycopg.errors.AdminShutdown("terminating connection"))


def closed() -> DBAPIError:
    """Its error when the driver finds the connection closed; it has no SQLSTATE."""
    return InterfaceError(SQL, {}, psycopg.InterfaceError("the connection is closed"), connection_invalidated=True)


def deadlocked() -> DBAPIError:
    return OperationalError(SQL, {}, psycopg.errors.DeadlockDetected("Process 1 waits for ShareLock"))


def exhausted() -> Exception:
    """Its error when no connection of the pool becomes free."""
    return PoolTimeout("QueuePool limit of size 5 overflow 10 reached, connection timed out, timeout 30.00")


def duplicate() -> DBAPIError:
    return IntegrityError(SQL, {}, psycopg.errors.UniqueViolation("duplicate key value"))


def use(raised: Callable[[], Exception] | None) -> None:
    """A session of MLflow's in which an error is raised."""
    sessions = database_errors.translated(_get_managed_session_maker(sessionmaker(create_engine("sqlite://")), "x"))
    with sessions():
        if raised is not None:
            raise raised()


def swallowing(raised: Callable[[], Exception], answer: MlflowException | None) -> ASGIApp:
    """A server that answers in its own way to what a session raises; without answer, it raises the same."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            use(raised)
        except MlflowException:
            if answer is None:
                raise
            await error_response(answer)(scope, receive, send)

    return app


async def ask(app: ASGIApp) -> httpx.Response:
    transport = httpx.ASGITransport(ApiErrors(app, lambda *_: None, tuple))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return await client.post("/x", headers={"X-Request-ID": "mine"}, json={})


def require_clear(response: httpx.Response, told_text: str = "cannot be reached") -> None:
    told = response.json()
    assert (response.status_code, told["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
    assert told_text in told["message"] and "about request mine" in told["message"]
    assert not [each for each in (SQL, "zoe", "terminating", "psycopg", "sqlalche") if each in response.text]
    assert response.headers["X-Request-ID"] == "mine"


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (lost, "cannot be reached"),
        (closed, "cannot be reached"),
        (deadlocked, "a deadlock"),
        (exhausted, "was busy for too long"),
    ],
)
@pytest.mark.parametrize("code", [None, UNAUTHENTICATED, PERMISSION_DENIED, INTERNAL_ERROR])
async def test_a_refusal_is_503_whatever_mlflow_makes_of_it(
    raised: Callable[[], Exception], told: str, code: int | None
) -> None:
    answer = None if code is None else MlflowException("Permission denied", error_code=code)
    require_clear(await ask(swallowing(raised, answer)), told)


async def test_a_refusal_of_which_mlflow_recovered_does_not_replace_its_answer() -> None:
    answer = MlflowException("No such run", error_code=RESOURCE_DOES_NOT_EXIST)
    response = await ask(swallowing(lost, answer))
    assert (response.status_code, response.json()["message"]) == (404, "No such run")
    assert response.headers["X-Request-ID"] == "mine"


async def test_a_refusal_after_an_error_was_begun_is_answered() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 500, "headers": []})
        raise lost()

    require_clear(await ask(app))


async def test_a_refusal_while_the_reason_of_another_is_looked_up_is_answered() -> None:
    denied = error_response(MlflowException("Permission denied", error_code=PERMISSION_DENIED))
    transport = httpx.ASGITransport(ApiErrors(denied, lambda *_: use(lost), tuple))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        require_clear(await client.post("/x", headers={"X-Request-ID": "mine"}, json={}))


async def test_a_refusal_in_the_middle_of_a_response_aborts_it() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise lost()

    with pytest.raises(OperationalError):
        await ask(app)


async def test_other_errors_are_left_to_mlflow() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("other")

    with pytest.raises(ValueError, match="other"):
        await ask(app)


def test_a_locked_file_is_told_without_sql(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'mlflow.db'}")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE runs (run_uuid TEXT)"))
    sessions = database_errors.translated(_get_managed_session_maker(sessionmaker(engine), "sqlite"))
    holder = sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    request = Asked(id="mine")
    with answering(request), pytest.raises(MlflowException) as caught, sessions() as session:
        session.execute(text("PRAGMA busy_timeout = 0"))
        session.execute(text("INSERT INTO runs VALUES ('x')"))
    holder.close()
    engine.dispose()
    refusal: Any = caught.value
    assert request.refusal == refusal
    assert (refusal.get_http_status_code(), refusal.error_code) == (503, "TEMPORARILY_UNAVAILABLE")
    assert refusal.message.startswith("MLflow's database was busy for too long. Try again. `registry-tui logs")


def test_the_name_of_a_duplicate_is_told_without_sql() -> None:
    def raised() -> Any:
        error = MlflowException(f"Role 'x' already exists. Error: {duplicate()}", error_code=RESOURCE_ALREADY_EXISTS)
        error.__cause__ = duplicate()
        return error

    with pytest.raises(MlflowException) as caught:
        use(raised)
    assert (caught.value.message, caught.value.error_code) == ("Role 'x' already exists.", "RESOURCE_ALREADY_EXISTS")
    with pytest.raises(MlflowException, match="another request has made or removed meanwhile"):
        use(duplicate)


def test_an_error_whose_response_points_to_the_log_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    def missing() -> DBAPIError:
        return ProgrammingError(SQL, {}, psycopg.errors.UndefinedTable("no relation"))

    with answering(Asked(id="mine")), pytest.raises(MlflowException, match="more about request mine") as caught:
        use(missing)
    assert SQL not in caught.value.message
    assert [each for each in caplog.records if each.levelname == "WARNING" and "mine" in each.getMessage()]


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ({"data": {"run": None}, "errors": ["away"]}, 503),
        ({"data": {"run": {"name": "a", "versions": None}}, "errors": None}, 503),
        ({"data": {"run": {"name": "a", "versions": [1]}}, "errors": None}, 200),
    ],
)
def test_graphql_without_a_gap_is_kept(told: dict[str, Any], status: int) -> None:
    app = Flask(__name__)
    database_errors.install(app)
    app.add_url_rule("/graphql", "graphql", lambda: told, methods=["POST"])
    for refusal, wanted in ((None, 200), (database_errors.refused(lost()), status)):
        with answering(Asked(refusal=refusal)):
            assert app.test_client().post("/graphql").status_code == wanted


def test_a_refusal_after_the_handler_is_answered() -> None:
    app = Flask(__name__)
    ClientFaults(SimpleNamespace(get_endpoints=lambda _: [])).install(app)
    app.add_url_rule("/x", "x", lambda: "fine")

    def fail(_: Any) -> Any:
        raise lost()

    app.after_request(fail)
    response = app.test_client().get("/x")
    assert (response.status_code, response.get_json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
    assert SQL not in response.text


async def test_the_id_of_a_request_is_in_every_response() -> None:
    response = await ask(Response(json.dumps({})))
    assert (response.status_code, response.headers["X-Request-ID"]) == (200, "mine")
