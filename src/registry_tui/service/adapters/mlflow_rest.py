"""MLflow's REST API as every server of it speaks it: addresses, parameters and refusals."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registry_tui.contracts import names
from registry_tui.service.errors import (
    AlreadyThere,
    InvalidInput,
    Missing,
    NotPermitted,
    PartUnavailable,
    ServiceError,
    WrongState,
)

_ERRORS: Mapping[str, type[ServiceError]] = {
    "RESOURCE_DOES_NOT_EXIST": Missing,
    "NOT_FOUND": Missing,
    "ENDPOINT_NOT_FOUND": Missing,
    "RESOURCE_ALREADY_EXISTS": AlreadyThere,
    "ALREADY_EXISTS": AlreadyThere,
    "RESOURCE_CONFLICT": WrongState,
    "INVALID_STATE": WrongState,
    "INVALID_PARAMETER_VALUE": InvalidInput,
    "BAD_REQUEST": InvalidInput,
    "PERMISSION_DENIED": NotPermitted,
    "TEMPORARILY_UNAVAILABLE": PartUnavailable,
}
_STATUSES: Mapping[int, type[ServiceError]] = {
    400: InvalidInput,
    403: NotPermitted,
    404: Missing,
    409: WrongState,
    502: PartUnavailable,
    503: PartUnavailable,
    504: PartUnavailable,
}


@dataclass(frozen=True)
class Refusal:
    """An error response of MLflow: our error of the same meaning, MLflow's code and its message, which may be empty."""

    kind: type[ServiceError]
    code: str
    message: str


def refusal_of(status: int, content: bytes) -> Refusal:
    """The meaning of an error response."""
    try:
        body = json.loads(content)
    except ValueError:
        body = {}
    fields = body if isinstance(body, dict) else {}
    code, message = str(fields.get("error_code") or ""), str(fields.get("message") or "")
    # A response with neither (an INTERNAL_ERROR) is MLflow's own fault: retrying would not help.
    return Refusal(_ERRORS.get(code) or _STATUSES.get(status, ServiceError), code, message)


def segment(name: str) -> str:
    """A name or ID as one part of a path. Raises InvalidInput for a name that would change the address."""
    try:
        return names.segment(name)
    except names.UnusableName as error:
        raise InvalidInput(f"The name {name[:100]!r} {error}") from error


def api_path(path: str) -> str:
    """A path of MLflow's server; one without a leading slash is below `/api/2.0/mlflow/`. Raises InvalidInput."""
    try:
        names.check_address(path)
    except names.UnusableName as error:
        raise InvalidInput(f"MLflow's server has no address {path[:100]!r}: it {error}") from error
    return path if path.startswith("/") else f"/api/2.0/mlflow/{path}"


def present(params: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Parameters without those that are empty."""
    return None if params is None else {key: value for key, value in params.items() if value not in (None, "", [])}
