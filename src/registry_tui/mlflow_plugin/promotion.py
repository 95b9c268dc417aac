"""Asks the service whether a person may move an alias or change a stage, and tells it what was done."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from pathlib import Path

import httpx
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, PERMISSION_DENIED, TEMPORARILY_UNAVAILABLE

_logger = logging.getLogger(__name__)

_TIMEOUT_SECONDS = 10.0
_CODES = {403: PERMISSION_DENIED, 409: INVALID_PARAMETER_VALUE, 422: INVALID_PARAMETER_VALUE}


def check(socket: Path, what: str, change: Mapping[str, str]) -> None:
    """Raises MlflowException when the service refuses the change, or cannot be asked."""
    try:
        answer = _send(socket, what, change)
    except httpx.HTTPError as error:
        raise MlflowException(
            "It is protected, and the service cannot be asked just now. `registry-tui status` shows how it is.",
            error_code=TEMPORARILY_UNAVAILABLE,
        ) from error
    if not answer.is_error:
        return
    try:
        problem = answer.json()
        detail = ". ".join(str(problem[name]) for name in ("detail", "action") if problem.get(name))
    except (ValueError, KeyError, AttributeError):
        detail = f"The service answered {answer.status_code}"
    raise MlflowException(detail, error_code=_CODES.get(answer.status_code, TEMPORARILY_UNAVAILABLE))


def tell(socket: Path, what: str, change: Mapping[str, str]) -> None:
    """Best effort and in the background: what was done is done."""
    threading.Thread(target=_tell, args=(socket, what, change), name="tell-service", daemon=True).start()


def _tell(socket: Path, what: str, change: Mapping[str, str]) -> None:
    try:
        answer = _send(socket, what, change)
    except httpx.HTTPError as error:
        _logger.info("The service did not take the notice (%s).", error)
        return
    if answer.is_error:
        _logger.info("The service refused the notice: %s", answer.status_code)


def _send(socket: Path, what: str, change: Mapping[str, str]) -> httpx.Response:
    transport = httpx.HTTPTransport(uds=str(socket), verify=False, trust_env=False)
    with httpx.Client(transport=transport, timeout=_TIMEOUT_SECONDS) as client:
        return client.put(f"http://registry-tui/api/v1/internal/promotion/{what}", json=dict(change))
