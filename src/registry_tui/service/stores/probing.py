"""Trying a bucket: each verb once, on an object of its own, and the meaning of refusals."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from secrets import token_hex

from registry_tui.schemas.stores import StoreProblem
from registry_tui.service.errors import AlreadyThere, Missing, RightMissing, ServiceError
from registry_tui.service.stores.base import Bucket

_BODY = b"registry-tui"
#: Where a probe puts its objects.
PROBE_FOLDER = ".registry-tui-probe/"


def try_verbs(bucket: Bucket) -> list[StoreProblem]:
    """The operations that fail in a bucket, in words. Stops where the rest would only repeat the first reason.

    A missing right does not stop it: each is reported.
    """
    problems: list[StoreProblem] = []
    key = f"{PROBE_FOLDER}{token_hex(8)}"
    copied = f"{key}-copy"

    def works(verb: str, act: Callable[[], object]) -> bool | None:
        """Whether it does; None where only a right is missing."""
        try:
            act()
        except ServiceError as error:
            problems.append(StoreProblem(text=f"Cannot {verb}: {error.detail}", action=error.action or ""))
            return None if isinstance(error, RightMissing) else False
        return True

    if works("list objects", lambda: next(bucket.list(PROBE_FOLDER), None)) is False:
        return problems
    stored = works("store an object", lambda: bucket.put(key, _BODY))
    if stored is False:
        return problems
    if stored is None:
        works("read objects", lambda: _look_at_none(bucket, key))
        works("delete objects", lambda: bucket.delete([key]))
        return problems
    found: list[bytes] = []
    if works("read what was stored", lambda: found.append(bucket.read(key, 1, 4))) and found != [_BODY[1:5]]:
        problems.append(
            StoreProblem(text="An object came back changed", action="Look for a proxy that changes content")
        )
    if found:
        works("copy an object", lambda: bucket.copy(key, copied))
    if (problem := _replaces(bucket, key)) is not None:
        problems.append(problem)
    works("delete objects", lambda: bucket.delete([key, copied]))
    return problems


def _look_at_none(bucket: Bucket, key: str) -> None:
    with suppress(Missing):
        bucket.head(key)


def _replaces(bucket: Bucket, key: str) -> StoreProblem | None:
    """The problem with storing an object only if the key is free; None if that works. `key` exists."""
    try:
        bucket.put_new(key, _BODY)
    except AlreadyThere:
        return None
    except ServiceError as error:
        text = f"Cannot store an object only where there is none: {error.detail}"
        return StoreProblem(text=text, action=error.action or "")
    return StoreProblem(
        text="The store replaces objects that must not be replaced (it ignores If-None-Match)",
        action="Use a newer version of the store",
    )
