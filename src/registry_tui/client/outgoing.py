"""Requests that change something, as they are sent: the last one, and those of a rehearsal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

_rehearsing: ContextVar[bool] = ContextVar("rehearsing", default=False)


@dataclass(frozen=True)
class Outgoing:
    """A request that changes something: method, the address's segments, query and body."""

    method: str
    parts: tuple[str, ...]
    query: dict[str, Any] = field(default_factory=dict)
    content: str = ""

    @property
    def body(self) -> dict[str, Any]:
        """The body's fields."""
        found: dict[str, Any] = json.loads(self.content) if self.content else {}
        return found


class NotSent(Exception):
    """A request was not sent, because it is a rehearsal."""

    def __init__(self, request: Outgoing) -> None:
        super().__init__(f"{request.method} /{'/'.join(request.parts)} was not sent")
        self.request = request


@contextmanager
def rehearsal() -> Iterator[None]:
    """Inside it, a request that changes something raises `NotSent`; reading requests are sent as usual."""
    token = _rehearsing.set(True)
    try:
        yield
    finally:
        _rehearsing.reset(token)


def outgoing(method: str, address: str, query: dict[str, Any], content: str | None) -> Outgoing:
    """The request that is about to be sent. Raises NotSent in a rehearsal."""
    parts = tuple(unquote(part) for part in address.split("/") if part)
    # As the service has them below `/api/v1`; Ranger's addresses are outside of it.
    own = parts[2:] if parts[:2] == ("api", "v1") else parts
    request = Outgoing(method, own, dict(query), content or "")
    if _rehearsing.get():
        raise NotSent(request)
    return request
