"""Spellings of `models:/…` that MLflow cannot read are the client's fault, not the server's."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, INVALID_PARAMETER_VALUE, ErrorCode

from registry_tui.mlflow_plugin.mlflow_private import read_model_uri, replace_model_uri_reader


def _as_client_fault(read: Callable[..., Any]) -> Callable[..., Any]:
    """The same function; MLflow's error without a code, which is a 500, becomes one for an invalid parameter."""

    @wraps(read)
    def reading(*arguments: Any, **named: Any) -> Any:
        try:
            return read(*arguments, **named)
        except MlflowException as error:
            if error.error_code != ErrorCode.Name(INTERNAL_ERROR):
                raise
            raise MlflowException(error.message, error_code=INVALID_PARAMETER_VALUE) from error

    return reading


#: Reads a `models:/` URI. Raises MlflowException for the client.
parse_model_uri = _as_client_fault(read_model_uri)


def install(auth: Any, handlers: Any) -> None:
    """Makes MLflow's auth app and its handlers read model URIs so."""
    replace_model_uri_reader(auth, parse_model_uri)
    handlers.get_model_name_and_version = _as_client_fault(handlers.get_model_name_and_version)


def copied_version(source: str) -> tuple[str, str] | None:
    """Name and version of a `models:/Name/1` source, which copies that version."""
    if not source.startswith("models:/"):
        return None
    try:
        parsed = parse_model_uri(source)
    except MlflowException:
        return None
    return None if parsed.model_id else (str(parsed.name), str(parsed.version))
