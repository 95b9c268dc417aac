"""Idempotency keys: a request that is sent again for the same intent has the same key."""

from __future__ import annotations

import hashlib
import uuid
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Self

#: The intent of the running code; None: every request is a separate intent.
current: ContextVar[Intent | None] = ContextVar("current_intent", default=None)


class Intent:
    """One intended change, however often its requests must be sent.

    Inside `with intent:` every request that changes something gets a key derived from the intent and the request's
    content, so that the same input is carried out once and other input is carried out too. With a `key` given by the
    user, the requests get this key and `<key>-2`, `<key>-3` …, and the service refuses other input.
    """

    def __init__(self, key: str | None = None) -> None:
        self._given = key
        self._id = str(uuid.uuid4())
        self._count = 0
        self._token: Token[Intent | None] | None = None

    def key_for(self, request: bytes) -> str:
        """The idempotency key of a request: method, address and body as bytes."""
        self._count += 1
        if self._given is not None:
            return self._given if self._count == 1 else f"{self._given}-{self._count}"
        return hashlib.sha256(self._id.encode() + request).hexdigest()

    def __enter__(self) -> Self:
        self._token = current.set(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._token is not None:
            current.reset(self._token)
            self._token = None


def key_for(request: bytes) -> str:
    """The idempotency key of a request that changes something."""
    intent = current.get()
    return str(uuid.uuid4()) if intent is None else intent.key_for(request)
