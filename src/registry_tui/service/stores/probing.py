"""Trying a bucket: each verb once, on an object of its own, and what the refusals mean."""

from __future__ import annotations

from collections.abc import Callable
from secrets import token_hex

from registry_tui.schemas.stores import StoreProblem
from registry_tui.service.errors import AlreadyThere, ServiceError
from registry_tui.service.stores.base import Bucket

_BODY = b"registry-tui"
_FOLDER = ".registry-tui-probe/"


def try_verbs(bucket: Bucket) -> list[StoreProblem]:
    """What cannot be done in a bucket, in words. Stops where the rest would only repeat the first reason."""
    problems: list[StoreProblem] = []
    key = f"{_FOLDER}{token_hex(8)}"
    copied = f"{key}-copy"

    def works(verb: str, act: Callable[[], object]) -> bool:
        try:
            act()
        except ServiceError as error:
            problems.append(StoreProblem(text=f"Cannot {verb}: {error.detail}", action=error.action or ""))
            return False
        return True

    if not works("list objects", lambda: next(bucket.list(_FOLDER), None)):
        return problems
    if not works("store an object", lambda: bucket.put(key, _BODY)):
        return problems
    found: list[bytes] = []
    if works("read what was stored", lambda: found.append(bucket.read(key, 1, 4))) and found != [_BODY[1:5]]:
        problems.append(
            StoreProblem(text="An object came back changed", action="Look for a proxy that changes content")
        )
    works("copy an object", lambda: bucket.copy(key, copied))
    try:
        bucket.put_new(key, _BODY)
    except AlreadyThere:
        pass
    except ServiceError as error:
        problems.append(
            StoreProblem(
                text=f"Cannot store an object only where there is none: {error.detail}", action=error.action or ""
            )
        )
    else:
        problems.append(
            StoreProblem(
                text="The store replaces objects that must not be replaced (it ignores If-None-Match)",
                action="Use a newer version of the store",
            )
        )
    works("delete objects", lambda: bucket.delete([key, copied]))
    return problems
