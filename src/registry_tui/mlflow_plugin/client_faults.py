"""Wrong values in a request are the client's fault: MLflow ends in a traceback for types that it does not expect."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, make_response, request
from google.protobuf.json_format import ParseError
from google.protobuf.message import Message
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.utils.proto_json_utils import parse_dict
from werkzeug.exceptions import HTTPException

from registry_tui.mlflow_plugin.database_errors import refused

_logger = logging.getLogger(__name__)

#: Errors that only values of a request cause, and only wrong ones.
_BY_VALUE = (OverflowError, RecursionError, UnicodeError)
#: Brackets. A body with fewer cannot be nested too deep for Python's parser.
_HARMLESS = 500
#: Uploads, whose bodies are files.
_FILES = "/mlflow-artifacts/artifacts"


class ClientFaults:
    """Checks bodies before anything else in MLflow's Flask app, and handles errors that nothing in it expects."""

    def __init__(self, handlers: Any) -> None:
        found = handlers.get_endpoints(lambda message: message)
        self._messages: dict[tuple[str, str], Any] = {
            (_call(path), method): message
            for path, message, methods in found
            if isinstance(message, type) and issubclass(message, Message)
            for method in methods
        }

    def install(self, app: Flask, *stores: Any) -> None:
        """Adds the checks to MLflow's app and to its stores' sessions."""
        for store in stores:
            store.ManagedSessionMaker = _with_cause(store.ManagedSessionMaker)
        app.before_request_funcs.setdefault(None, []).insert(0, _refuse_unreadable_body)
        app.after_request(_name_unknown_address)
        app.register_error_handler(Exception, self._answer)

    def _answer(self, error: Exception) -> Any:
        """A 400 when the request caused the error; anything else is raised again, for MLflow's log.

        Our own routes raise MLflow's errors, and those of its database.
        """
        if isinstance(error, MlflowException):
            return _response(error)
        # Flask wraps what fails after the handler.
        cause = getattr(error, "original_exception", None) if isinstance(error, HTTPException) else error
        if cause is not None and (refusal := refused(cause)) is not None:
            _logger.warning("%s %s: %s", request.method, request.path, cause)
            return _response(refusal)
        if isinstance(error, HTTPException):
            return error
        if not isinstance(error, _BY_VALUE) and not self._has_wrong_types():
            raise error
        _logger.info("%s %s was refused: %r", request.method, request.path, error)
        return _refused("A value in the request has a type or size that MLflow's API cannot take there.")

    def _has_wrong_types(self) -> bool:
        """Whether the body does not fit the endpoint's message."""
        rule = request.url_rule.rule if request.url_rule is not None else ""
        message, body = self._messages.get((_call(rule), request.method)), request.get_json(silent=True, force=True)
        if message is None or not isinstance(body, dict):
            return False
        try:
            parse_dict(body, message())
        except (ParseError, TypeError, ValueError, AttributeError):
            return True
        return False


def _call(rule: str) -> str:
    """The call behind a rule's path; MLflow's page uses another prefix for the same call."""
    return rule.rpartition("mlflow/")[2]


def _with_cause(
    sessions: Callable[..., AbstractContextManager[Any]],
) -> Callable[..., AbstractContextManager[Any]]:
    """The same sessions, but raising the original error, which MLflow wraps in a server error."""

    @contextmanager
    def session(read_only: bool = True) -> Iterator[Any]:
        try:
            with sessions(read_only=read_only) as opened:
                yield opened
        except MlflowException as error:
            if isinstance(error.__cause__, (*_BY_VALUE, AttributeError, TypeError, ValueError)):
                raise error.__cause__ from error
            raise

    return session


def _refuse_unreadable_body() -> Response | None:
    is_file = request.method == "PUT" and _FILES in request.path
    if is_file or not request.content_length or request.mimetype.startswith(("multipart/", "text/")):
        return None
    body = request.get_data(cache=True).lstrip()
    if body[:1] in (b"[", b'"') and request.is_json:
        return _refused("The body must be a JSON object.")
    if body[:1] == b"{" and body.count(b"[") + body.count(b"{") > _HARMLESS:
        try:
            json.loads(body)
        except RecursionError:
            return _refused("The body is nested too deep.")
        except ValueError:
            return None  # MLflow reports the error.
    return None


def _name_unknown_address(response: Response) -> Response:
    """Answers 404 for unknown addresses, which MLflow's auth app refuses.

    Clients fall back to older calls only after a 404.
    """
    unknown = request.routing_exception
    if response.status_code == HTTPStatus.FORBIDDEN and isinstance(unknown, HTTPException):
        return make_response(unknown.get_response())
    return response


def _refused(message: str) -> Response:
    return _response(MlflowException(message, error_code=INVALID_PARAMETER_VALUE))


def _response(error: MlflowException) -> Response:
    return Response(error.serialize_as_json(), error.get_http_status_code(), mimetype="application/json")
