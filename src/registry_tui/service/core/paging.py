"""Opaque page tokens, and lists in pages by the values of the last row (keyset), so that no row is shown twice."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, and_, or_
from sqlalchemy.orm import InstrumentedAttribute, Session

from registry_tui.schemas.base import MAX_PAGE_SIZE, FieldProblem, Page
from registry_tui.service.database.tables import UtcDateTime
from registry_tui.service.errors import InvalidInput

Row = TypeVar("Row")
Item = TypeVar("Item")
Value = str | int | float | bool | None

_MAX_TOKEN = 4096


def encode_token(scope: str, *position: Value) -> str:
    """A token for the place `position` in the list that `scope` names (its filter and order)."""
    raw = json.dumps([scope, *position], separators=(",", ":"), ensure_ascii=False).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode_token(scope: str, token: str, *types: type | tuple[type, ...]) -> list[Any]:
    """The position in a token. Raises InvalidInput when it belongs to another list or order."""
    try:
        if len(token) > _MAX_TOKEN:
            raise ValueError
        raw = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
        found = json.loads(raw)
        if not isinstance(found, list) or found[:1] != [scope] or len(found) != 1 + len(types):
            raise ValueError
        if not all(isinstance(value, type_) for value, type_ in zip(found[1:], types, strict=True)):
            raise ValueError
    except (ValueError, binascii.Error, RecursionError) as error:
        raise wrong_token() from error
    return found[1:]


def wrong_token() -> InvalidInput:
    """The error for a page token that does not belong to the list."""
    message = "not a page token of this list with this filter and order"
    return InvalidInput(
        "The page token is not valid",
        action="Ask for the first page, without a page token",
        errors=[FieldProblem(field="page_token", message=message)],
    )


def check_page_size(page_size: int) -> int:
    """`page_size` when it is allowed. Raises InvalidInput."""
    if not 1 <= page_size <= MAX_PAGE_SIZE:
        message = f"must be from 1 to {MAX_PAGE_SIZE}"
        raise InvalidInput("The page size is not valid", errors=[FieldProblem(field="page_size", message=message)])
    return page_size


@dataclass(frozen=True)
class Key:
    """A column (never null) that a list is sorted by. The last key of a list must be unique."""

    column: InstrumentedAttribute[Any]
    descending: bool = False


@dataclass(frozen=True)
class Keyset(Generic[Row]):
    """The rows of one page and the token of the next."""

    rows: list[Row]
    next_page_token: str | None

    def to_page(self, convert: Callable[[Row], Item], total: int | None = None) -> Page[Item]:
        return Page(items=[convert(row) for row in self.rows], next_page_token=self.next_page_token, total=total)


def keyset_page(
    session: Session,
    query: Select[Row],
    keys: Sequence[Key],
    *,
    scope: str,
    page_size: int,
    page_token: str | None,
) -> Keyset[Row]:
    """One page of a query of whole rows, sorted by `keys`. Raises InvalidInput for a wrong token or page size.

    `scope` must be unique for each combination of filters, for example `projects:<workspace>`; the order is added here.
    """
    check_page_size(page_size)
    scope = "|".join([scope, *(f"{'-' if key.descending else ''}{key.column.key}" for key in keys)])
    if page_token is not None:
        query = query.where(
            _after(keys, [_from_token(key, value) for key, value in _position(scope, keys, page_token)])
        )
    query = query.order_by(*(key.column.desc() if key.descending else key.column.asc() for key in keys))
    rows = list(session.scalars(query.limit(page_size + 1)))
    if len(rows) <= page_size:
        return Keyset(rows, None)
    last = rows[page_size - 1]
    return Keyset(rows[:page_size], encode_token(scope, *(_to_token(getattr(last, key.column.key)) for key in keys)))


def _position(scope: str, keys: Sequence[Key], token: str) -> list[tuple[Key, Any]]:
    types = [str if _is_time(key) else key.column.type.python_type for key in keys]
    return list(zip(keys, decode_token(scope, token, *types), strict=True))


def _after(keys: Sequence[Key], values: Sequence[Any]) -> ColumnElement[bool]:
    alternatives = []
    for index, (key, value) in enumerate(zip(keys, values, strict=True)):
        equal = [before.column == given for before, given in zip(keys[:index], values[:index], strict=True)]
        alternatives.append(and_(*equal, key.column < value if key.descending else key.column > value))
    return or_(*alternatives)


def _is_time(key: Key) -> bool:
    return isinstance(key.column.type, UtcDateTime)


def _to_token(value: Any) -> Value:
    return value.isoformat() if isinstance(value, datetime) else value


def _from_token(key: Key, value: Any) -> Any:
    if not _is_time(key):
        return value
    try:
        return datetime.fromisoformat(value)
    except ValueError as error:
        raise wrong_token() from error
