"""Asks the service whether its rules let a version have an alias, where the environment has rules about that."""

from __future__ import annotations

from pathlib import Path

import httpx
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_CONFLICT, TEMPORARILY_UNAVAILABLE

from registry_tui.mlflow_plugin.outside import said

_PATIENCE = httpx.Timeout(60.0, connect=5.0)


def require_alias(socket: Path, registry_id: str, model: str, version: str, alias: str) -> None:
    """Raises MlflowException when a rule refuses it, naming each rule, or when the service does not answer."""
    transport = httpx.HTTPTransport(uds=str(socket), verify=False, trust_env=False)
    try:
        with httpx.Client(transport=transport, timeout=_PATIENCE) as client:
            answer = client.get(
                f"http://registry-tui/api/v1/internal/admission/{registry_id}/aliases",
                params={"model": model, "version": version, "alias": alias},
            )
    except httpx.HTTPError as error:
        raise MlflowException(
            f"Whether version {version} of '{model}' may get the alias '{alias}' cannot be found out just now. "
            "`registry-tui status` shows whether the service is well.",
            error_code=TEMPORARILY_UNAVAILABLE,
        ) from error
    if not answer.is_error:
        return
    code = RESOURCE_CONFLICT if answer.status_code == httpx.codes.CONFLICT else TEMPORARILY_UNAVAILABLE
    raise MlflowException(said(answer), error_code=code)
