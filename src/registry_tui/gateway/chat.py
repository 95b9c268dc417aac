"""Paths of OpenAI's protocol that replicas support, and refusals in its format."""

from __future__ import annotations

from typing import Any

from registry_tui.contracts.names import problem
from registry_tui.gateway.access import Refusal

#: The paths to list for people who requested another one.
SHOWN = ("v1/chat/completions", "v1/models")
_METHODS = {"v1/chat/completions": "POST", "v1/responses": "POST", "v1/models": "GET"}


def method_of(path: str) -> str | None:
    """The method of a path; None for one outside the protocol."""
    name = path.removeprefix("v1/models/")
    if name != path:
        return None if "/" in name or problem(name) else "GET"
    return _METHODS.get(path)


def error(refusal: Refusal) -> dict[str, Any]:
    """A refusal in OpenAI's format."""
    type_ = "invalid_request_error" if refusal.status < 500 else "server_error"
    if refusal.status == 429:
        type_ = "rate_limit_error" if refusal.code == "rate-limited" else "insufficient_quota"
    return {"message": refusal.detail, "type": type_, "param": None, "code": refusal.code}
