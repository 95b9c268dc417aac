"""The current request, for our code around MLflow's two apps (FastAPI and Flask)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from mlflow.exceptions import MlflowException
from starlette.types import Message, Receive

#: The header that names the MLflow workspace (`mlflow.utils.workspace_utils`).
WORKSPACE_HEADER = "x-mlflow-workspace"
#: With which the network's listener passes on at which address it was reached.
REACHED_HEADER = "x-registry-reached"
#: The workspace of calls that name none.
DEFAULT_WORKSPACE = "default"


@dataclass
class Asked:
    """The known facts about one request. MLflow's threads share the object with the event loop."""

    #: The MLflow workspace that the request is about.
    workspace: str = DEFAULT_WORKSPACE
    #: Whether an address or a header named it.
    names_project: bool = False
    #: MLflow's `User`, once the password was checked.
    user: Any | None = None
    #: The user name and password that were checked then.
    credentials: tuple[str, str] | None = None
    #: The first error of a store while MLflow looked for the resource whose permission it wants to check.
    not_found: MlflowException | None = None
    #: Whether that resource belongs to a Model Registry.
    in_registry: bool = False
    #: Bytes of the body, where the request has its length.
    length: int | None = None
    #: Whether it came over the network, without access to addresses of this machine.
    elsewhere: bool = False
    #: Why the rest of the body is not awaited.
    stalled: MlflowException | None = None
    #: By which people find the request in the log.
    id: str = "-"
    #: Why MLflow's database refused: while permissions were checked until the handler begins, then in the handler.
    refusal: MlflowException | None = None


_asked: ContextVar[Asked | None] = ContextVar("registry_tui_asked", default=None)


def asked() -> Asked | None:
    """The current request; None outside requests."""
    return _asked.get()


@contextmanager
def answering(request: Asked) -> Iterator[None]:
    """Makes `asked` return this request inside the block, also in threads that are started from it."""
    token = _asked.set(request)
    try:
        yield
    finally:
        _asked.reset(token)


async def read_body(receive: Receive) -> bytes:
    """The whole body of a request."""
    chunks: list[bytes] = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(chunks)


def replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that returns a body that was read already, then the connection's further messages."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
