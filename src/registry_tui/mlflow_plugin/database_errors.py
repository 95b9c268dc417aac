"""Refusals of MLflow's database as MLflow's errors: with remedy and request ID, without SQL or a driver's text.

MLflow's sessions put the driver's text, which has the statement, into the error. Its auth app takes some of these
errors for a wrong password or a missing permission, and its GraphQL handler answers them with 200.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from flask import Flask, Response, request
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, INVALID_PARAMETER_VALUE, TEMPORARILY_UNAVAILABLE
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from registry_tui.mlflow_plugin.asked import asked
from registry_tui.platform.databases import DatabaseFault, database_fault

_logger = logging.getLogger(__name__)

#: In messages.
_NAME = "MLflow's database"
_GRAPHQL = "/graphql"
#: No connection of SQLAlchemy's pool became free in time: all wait for the database.
_BUSY = DatabaseFault(f"{_NAME} was busy for too long", "Try again", final=False)

Sessions = Callable[..., AbstractContextManager[Any]]


class DatabaseRefusal(MlflowException):  # type: ignore[misc]
    """MLflow's database refused, in words for people."""


def install(app: Flask, *stores: Any) -> None:
    """Adds the translation to the sessions of MLflow's stores, and to the responses of its GraphQL handler."""
    for store in stores:
        store.ManagedSessionMaker = translated(store.ManagedSessionMaker)
    app.after_request(_refuse_partial_graphql)


def refused(error: BaseException) -> DatabaseRefusal | None:
    """The error to respond with, from a database's error or one that wraps it; None when something else is wrong."""
    if isinstance(error, DatabaseRefusal):
        return error
    fault = _BUSY if isinstance(error, PoolTimeout) else database_fault(error, _NAME)
    if fault is None:
        return None
    code = INTERNAL_ERROR if fault.final else TEMPORARILY_UNAVAILABLE
    return DatabaseRefusal(f"{fault.detail}. {fault.action}.{_where_to_look()}", error_code=code)


def translated(sessions: Sessions) -> Sessions:
    """The same sessions, whose errors have no text of the driver's. A refusal is noted with the request."""

    @contextmanager
    def session(read_only: bool = True) -> Iterator[Any]:
        try:
            with sessions(read_only=read_only) as opened:
                yield opened
        except DatabaseRefusal:  # of a session inside
            raise
        except (MlflowException, SQLAlchemyError) as error:
            cause = error if isinstance(error, SQLAlchemyError) else error.__cause__ or error.__context__
            if not isinstance(cause, SQLAlchemyError):
                raise
            raise _clear(error, cause) from cause

    return session


def _clear(error: MlflowException | SQLAlchemyError, cause: SQLAlchemyError) -> MlflowException:
    current = asked()
    number = current.id if current else "-"
    if (refusal := refused(cause)) is not None:
        _logger.warning("Request %s: %s %s", number, refusal.message, cause)
        if current is not None:
            current.refusal = refusal
        return refusal
    said = error.message if isinstance(error, MlflowException) else str(error)
    if (text := str(cause)) not in said:
        return error
    _logger.info("Request %s: MLflow's database refused a statement: %s", number, cause)
    if isinstance(cause, DataError):
        return MlflowException(
            "A value in the request is too long, or of a kind that MLflow's database cannot keep.",
            error_code=INVALID_PARAMETER_VALUE,
        )
    own = said.replace(text, "").strip().removesuffix("Error:").strip()
    if not own and isinstance(cause, IntegrityError):
        own = "The request names something that is missing, or that another request has made or removed meanwhile."
    if not own:
        # MLflow's log has no messages below this level, and the response points there.
        _logger.warning("Request %s: %s", number, cause)
        own = f"MLflow's database cannot carry out the request.{_where_to_look()}"
    if not isinstance(error, MlflowException):
        return MlflowException(own, error_code=INTERNAL_ERROR)
    error.message, error.args = own, (own,)
    return error


def _where_to_look() -> str:
    current = asked()
    return "" if current is None else f" `registry-tui logs mlflow` has more about request {current.id}."


def _refuse_partial_graphql(response: Response) -> Response:
    """Answers with the refusal in place of 200 with an error, or with the `null` that stands for what was not read."""
    current = asked()
    rule = "" if request.url_rule is None else request.url_rule.rule
    if current is None or current.refusal is None or not rule.endswith(_GRAPHQL):
        return response
    answered = response.get_json(silent=True)
    if not isinstance(answered, dict) or not (answered.get("errors") or _has_gap(answered.get("data"))):
        return response
    refusal = current.refusal
    return Response(refusal.serialize_as_json(), refusal.get_http_status_code(), mimetype="application/json")


def _has_gap(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_gap, value.values()))
    return any(map(_has_gap, value)) if isinstance(value, list) else value is None
