"""Names and IDs of registered models."""

from __future__ import annotations

import secrets
import string
import unicodedata

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from registry_tui.contracts.names import problem as address_problem

MAX_NAME = 250
_ALPHABET = string.ascii_lowercase + string.digits


def new_id() -> str:
    """A random ID, four groups of four: `k3v9-x0ab-77qz-mm2c`."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4))


def check_model_name(name: str) -> None:
    """Raises MlflowException with what is wrong with a registered model's name."""
    if problem := _problem(name):
        raise MlflowException(f"The model's name {problem}.", error_code=INVALID_PARAMETER_VALUE)


def _problem(name: str) -> str | None:
    if not name:
        return "is empty"
    if len(name) > MAX_NAME:
        return f"has {len(name)} characters; at most {MAX_NAME} are possible"
    if name != name.strip():
        return "starts or ends with a space"
    for sign in ("/", "\\", ":", ".."):
        if sign in name:
            return f"holds '{sign}', which names of files and model URIs give a meaning"
    # Cc and Cf: control characters and invisible ones, such as those that turn the direction of text.
    if any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") for character in name):
        return "holds a control character"
    return address_problem(name)
