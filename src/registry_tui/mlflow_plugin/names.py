"""Names and IDs of registered models."""

from __future__ import annotations

import secrets
import string

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from registry_tui.mlflow_plugin.mlflow_private import check_alias_name
from registry_tui.schemas.names import alias_problem, model_name_problem

_ALPHABET = string.ascii_lowercase + string.digits


def new_id() -> str:
    """A random ID, four groups of four: `k3v9-x0ab-77qz-mm2c`."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4))


def check_model_name(name: str) -> None:
    """Raises MlflowException for an invalid name of a registered model, with the reason."""
    if problem := model_name_problem(name):
        raise MlflowException(f"The model's name {problem}.", error_code=INVALID_PARAMETER_VALUE)


def check_alias(alias: str) -> None:
    """Raises MlflowException for an invalid alias, with the reason, in MLflow's words if it has any."""
    check_alias_name(alias)
    if problem := alias_problem(alias):
        raise MlflowException(f"{problem}.", error_code=INVALID_PARAMETER_VALUE)
