"""Calls of the service over its socket: checks that may refuse a change, and notices."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INVALID_PARAMETER_VALUE,
    PERMISSION_DENIED,
    RESOURCE_CONFLICT,
    TEMPORARILY_UNAVAILABLE,
)

_logger = logging.getLogger(__name__)

#: The base URL for this platform's own processes; the host is only a name, as the connection is a socket.
INTERNAL = "http://registry-tui/api/v1/internal"
#: Seconds for the service to read the data for a rule.
_QUESTION = httpx.Timeout(60.0, connect=5.0)
_NOTICE = httpx.Timeout(10.0, connect=5.0)
#: MLflow's error codes for the service's refusals of a change.
_CODES = {
    403: PERMISSION_DENIED,
    409: RESOURCE_CONFLICT,
    422: INVALID_PARAMETER_VALUE,
}


def service(socket: Path, timeout: httpx.Timeout) -> httpx.Client:
    """A client of the service, to be closed after use."""
    transport = httpx.HTTPTransport(uds=str(socket), verify=False, trust_env=False)
    return httpx.Client(transport=transport, timeout=timeout)


def ask(socket: Path, method: str, path: str, unanswered: str, **request: Any) -> None:
    """Asks the service whether a change is allowed. `unanswered` is the message for a failed request.

    Raises MlflowException when the service refuses, with its reason and the remedy, or does not respond.
    """
    try:
        with service(socket, _QUESTION) as client:
            answer = client.request(method, f"{INTERNAL}/{path}", **request)
    except httpx.HTTPError as error:
        raise MlflowException(
            f"{unanswered} `registry-tui status` shows whether the service is well.",
            error_code=TEMPORARILY_UNAVAILABLE,
        ) from error
    if answer.is_error:
        raise MlflowException(said(answer), error_code=_CODES.get(answer.status_code, TEMPORARILY_UNAVAILABLE))


def notify(socket: Path, method: str, path: str, *bodies: Mapping[str, str]) -> None:
    """Reports changes that are made already, one after the other: in the background, and only once."""
    threading.Thread(target=_notify, args=(socket, method, path, bodies), name="notify-service", daemon=True).start()


def _notify(socket: Path, method: str, path: str, bodies: Sequence[Mapping[str, str]]) -> None:
    try:
        with service(socket, _NOTICE) as client:
            for body in bodies or (None,):
                answer = client.request(method, f"{INTERNAL}/{path}", json=None if body is None else dict(body))
                if answer.is_error:
                    _logger.info("The service refused a notice: %s", answer.status_code)
    except httpx.HTTPError as error:
        _logger.info("The service did not take a notice (%s).", error)


def said(answer: httpx.Response) -> str:
    """The problem in a response of the service and the remedy, for people."""
    try:
        problem = answer.json()
        return ". ".join(str(problem[name]) for name in ("detail", "action") if problem.get(name))
    except (ValueError, KeyError, AttributeError):
        return f"The service answered {answer.status_code}"
