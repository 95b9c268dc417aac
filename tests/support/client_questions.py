"""Every method of the client with the names that it takes, found by looking at their signatures."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any, get_type_hints

import httpx

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import InvalidName, RegistryError

#: Methods that take no name, or that only repeat another method.
NO_QUESTIONS = {"close", "every", "changes", "wait_for_workflow"}
USUAL, MARKED = "usual-name", "marked-name"


def questions() -> Iterator[tuple[str, str]]:
    """Every method of the client, with each of its text parameters."""
    for name, method in inspect.getmembers(RegistryClient, inspect.iscoroutinefunction):
        if not name.startswith("_") and name not in NO_QUESTIONS:
            for parameter, kind in get_type_hints(method).items():
                if parameter != "return" and kind in (str, str | None):
                    yield name, parameter


def arguments(method: str) -> dict[str, Any]:
    """Values for the required parameters of a client's method."""
    function = getattr(RegistryClient, method)
    signature, found = inspect.signature(function), dict[str, Any]()
    for parameter, kind in get_type_hints(function).items():
        described = signature.parameters.get(parameter)
        if described is None or described.kind is described.VAR_KEYWORD or described.default is not described.empty:
            continue
        if kind is str:
            found[parameter] = USUAL
        elif kind is int:
            found[parameter] = 7
        elif kind is datetime:
            found[parameter] = datetime(2026, 11, 20, 14, 3, tzinfo=UTC)
        elif isinstance(kind, type) and issubclass(kind, Enum):
            found[parameter] = next(iter(kind))
        elif kind is Path:
            found[parameter] = Path("/nowhere/at/all")
        elif kind == list[str]:
            found[parameter] = [USUAL]
        else:
            found[parameter] = kind.model_construct()
    return found


async def sent_parts(method: str, values: dict[str, Any]) -> list[str]:
    """The parts of the address that a call of the client is sent to. Raises InvalidName when nothing is sent."""
    seen: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.url)
        return httpx.Response(418)

    async with RegistryClient(transport=httpx.MockTransport(answer)) as client:
        try:
            await getattr(client, method)(**values)
        except InvalidName:
            assert not seen
            raise
        except RegistryError:
            pass
    assert len(seen) == 1
    return parts_of(seen[0])


def parts_of(url: httpx.URL) -> list[str]:
    """The parts of an address's path, as they are sent."""
    return url.raw_path.split(b"?")[0].decode().split("/")
