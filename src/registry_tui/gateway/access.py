"""Checks whether a request may call a deployment, by its API key and without asking another process."""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping

from registry_tui.contracts.api_keys import PREFIX, digest
from registry_tui.contracts.gateway_routes import Key, Route, Routes


class Refusal(Exception):
    """The reason why a call is refused: HTTP status, code, sentence, remedy, allowed methods (405), further headers."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        action: str,
        allow: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.action, self.allow = status, code, detail, action, allow
        self.headers = headers or {}


def authenticate(routes: Routes, authorization: str | None, now: float | None = None) -> Key:
    """The API key from a caller's `Authorization` header. Raises Refusal, with the reason."""
    scheme, _, given = (authorization or "").partition(" ")
    if not authorization:
        raise _unauthorized("api-key-missing", "The call needs an API key, and has none")
    if scheme.lower() != "bearer" or not given.strip():
        raise _unauthorized("api-key-malformed", "The header Authorization does not hold a bearer token")
    prefix, _, rest = given.strip().partition("_")
    id_, _, secret = rest.partition("_")
    key = routes.by_key_id.get(id_) if prefix == PREFIX else None
    if key is None or not hmac.compare_digest(key.sha256, digest(secret)):
        raise _unauthorized("api-key-unknown", "This API key is not known here")
    if key.revoked:
        raise _unauthorized("api-key-revoked", f"The API key {key.id} was revoked")
    if key.expires_at <= (time.time() if now is None else now):
        raise _unauthorized("api-key-expired", f"The API key {key.id} has expired")
    if key.suspended:
        raise Refusal(
            403, "user-suspended", f"The user {key.user} is suspended", "An administrator lets users in again"
        )
    return key


def authorize(routes: Routes, route: Route, key: Key) -> None:
    """Raises Refusal (403) unless the key's owner is a collaborator of the deployment's project."""
    if key.user not in route.members and key.user not in routes.administrators:
        raise Refusal(
            403,
            "api-key-foreign",
            f"The API key {key.id} belongs to {key.user}, who is not a collaborator of project {route.project}",
            "Use the API key of a collaborator, or ask an administrator of the project to add the user",
        )


def _unauthorized(code: str, detail: str) -> Refusal:
    return Refusal(
        401, code, detail, "Send `Authorization: Bearer <API key>`; make one with `registry-tui keys create NAME`"
    )
