"""Mutations with an `Idempotency-Key`: the request of a key is carried out once, also across a crash of the service.

A request with a key writes a row before it begins, and its response into it at the end. The first row that it makes in
the service's database is noted in the same transaction (`note`), so that a request that was cut off is answered from
the row that it made, and one that made nothing runs again. Responses are kept for a day, encrypted with a key that is
derived from the header's value: the database alone does not reveal an API key that was shown once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from registry_tui.contracts.api_keys import redacted
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import (
    ApiKeyRow,
    AttachedServerRow,
    EnvironmentRow,
    IdempotencyRow,
    ProjectRow,
    UserTokenRow,
    WebhookRow,
    WorkflowRow,
    WorkspaceRow,
    now,
)
from registry_tui.service.errors import KeyReused, Missing, WrongState

logger = logging.getLogger(__name__)

#: How long a response can be repeated.
KEPT = timedelta(hours=24)
#: Bytes of the largest response that is kept.
LARGEST_ANSWER = 1 << 20

#: The prefix of `made`, before an ID, where a request takes something away: it found that, and may take it away.
TAKES = "takes"

#: Key in a workflow's arguments: the resource in the response to its request, which the workflow may delete.
SHOWN = "shown"

#: The ID of the keyed request that this code runs for.
current: ContextVar[str | None] = ContextVar("current_keyed_request", default=None)

#: The tables whose rows a response can be made from, in order of preference when a transaction makes several.
_KINDS: tuple[tuple[type, str], ...] = (
    (WorkflowRow, "workflow"),
    (AttachedServerRow, "attached-server"),
    (ProjectRow, "project"),
    (WorkspaceRow, "workspace"),
    (EnvironmentRow, "environment"),
    (ApiKeyRow, "key"),
    (UserTokenRow, "token"),
    (WebhookRow, "webhook"),
)


@dataclass(frozen=True, repr=False)
class Keyed:
    """One request with a key: its ID (of person and key), the digest of its content, and the response's secret."""

    id: str
    digest: str
    person: str
    request: str
    secret: bytes


@dataclass(frozen=True)
class Answered:
    """The earlier response."""

    status: int
    body: bytes


@dataclass(frozen=True)
class Begun:
    """The request is to be carried out; `made` names the thing that an earlier attempt made or took: `<kind>:<ID>`."""

    made: str | None = None

    @property
    def takes(self) -> bool:
        """Whether an earlier attempt found the thing that it removes."""
        return self.made is not None and self.made.startswith(TAKES)


def keyed(service: Service, person: str, key: str, method: str, address: str, body: bytes) -> Keyed:
    """A request as it is known by its key. `address` holds path and query."""
    owner = f"{person}\0{key}".encode()
    seed = service.secrets.idempotency_seed.encode()
    return Keyed(
        id=hashlib.sha256(owner).hexdigest(),
        digest=hashlib.sha256(f"{method}\0{address}\0".encode() + body).hexdigest(),
        person=person,
        request=f"{method} {redacted(address)}"[:500],
        secret=hmac.new(seed, b"idempotency\0" + owner, hashlib.sha256).digest(),
    )


def begin(service: Service, request: Keyed) -> Begun | Answered:
    """Notes that a request begins, unless it was answered before.

    Old rows are deleted by the next request, so that an idle service does no work. Raises KeyReused for another request
    with the same key, WrongState when the response was not kept.
    """
    with service.database.session() as session:
        session.execute(delete(IdempotencyRow).where(IdempotencyRow.created_at < now() - KEPT))
        row = session.get(IdempotencyRow, request.id)
        if row is None:
            session.add(
                IdempotencyRow(id=request.id, digest=request.digest, person=request.person, request=request.request)
            )
            return Begun()
    if row.digest != request.digest:
        raise KeyReused(
            f"This Idempotency-Key was used for another request ({row.request})",
            action="Send a new key with each request that is not a repetition",
        )
    if row.status is None:
        return Begun(row.made)
    body = None if row.answer is None else _decrypt(request, row.answer)
    if body is None:
        raise WrongState("This request was carried out before, but its answer was not kept")
    return Answered(row.status, body)


def answered(service: Service, request: Keyed, status: int, body: bytes) -> None:
    """Keeps the response. Errors of the database are logged: the request was carried out."""
    kept = _encrypt(request, body) if len(body) <= LARGEST_ANSWER else None
    try:
        with service.database.session() as session:
            changed = update(IdempotencyRow).where(IdempotencyRow.id == request.id)
            session.execute(changed.values(status=status, answer=kept))
    except Exception:
        logger.exception("the answer to %s was not kept", request.request)


def refused(service: Service, request: Keyed) -> None:
    """Forgets a request that was refused and made nothing, so that its key can be used again."""
    nothing = or_(IdempotencyRow.made.is_(None), IdempotencyRow.made.startswith(TAKES))
    try:
        with service.database.session() as session:
            session.execute(delete(IdempotencyRow).where(IdempotencyRow.id == request.id, nothing))
    except Exception:
        logger.exception("the refused request %s was not forgotten", request.request)


def takes(session: Session, id_: str = "") -> None:
    """Notes the ID of the thing that the keyed request removes, and that it may do so.

    Call it before anything changes, or in the transaction that takes a row away; there a row may have no ID. Raises
    Missing where an earlier attempt took something else away: another one of the same name was made since then.
    """
    request = current.get()
    if request is None:
        return
    noted = f"{TAKES}:{id_}"
    if taken(session) and (not id_ or _made(session) != noted):
        raise Missing("This request has deleted the resource that it names; the present one was made later")
    session.execute(update(IdempotencyRow).where(IdempotencyRow.id == request).values(made=noted))


def taken(session: Session) -> bool:
    """Whether an earlier attempt of the keyed request found the thing that it removes."""
    return Begun(_made(session)).takes


def takes_elsewhere(service: Service, id_: str) -> None:
    """As `takes`, where another system or several transactions take something away."""
    if current.get() is not None:
        with service.database.session() as session:
            takes(session, id_)


def gives_back(session: Session) -> None:
    """Notes that the keyed request took nothing away, in the transaction that undoes it."""
    if (request := current.get()) is not None:
        mine = update(IdempotencyRow).where(IdempotencyRow.id == request, IdempotencyRow.made.startswith(TAKES))
        session.execute(mine.values(made=None))


def note(session: Session, made: Sequence[object]) -> None:
    """Notes the rows that a keyed request makes, in their transaction."""
    request = current.get()
    if request is None:
        return
    for table, kind in _KINDS:
        for row in made:
            if isinstance(row, table):
                name = f"{kind}:{row.id}"  # type: ignore[attr-defined]
                session.execute(update(IdempotencyRow).where(IdempotencyRow.id == request).values(made=name))
                return


def _made(session: Session) -> str | None:
    return session.scalar(select(IdempotencyRow.made).where(IdempotencyRow.id == current.get()))


def _encrypt(request: Keyed, body: bytes) -> bytes:
    return Fernet(base64.urlsafe_b64encode(request.secret)).encrypt(body)


def _decrypt(request: Keyed, answer: bytes) -> bytes | None:
    """The decrypted body; None if it was encrypted with other secrets of the installation."""
    try:
        return Fernet(base64.urlsafe_b64encode(request.secret)).decrypt(answer)
    except InvalidToken:
        return None
