"""Room for uploads through MLflow's server, in threads that nothing else waits for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import ParamSpec, TypeVar
from weakref import WeakValueDictionary

import anyio.to_thread
from anyio import CapacityLimiter

from registry_tui.contracts.bodies import UPLOADS, UPLOADS_EACH

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


class Uploads:
    """Places for so many uploads, and threads for as many; one person cannot take all of them.

    asyncio's own threads are few, and MLflow's downloads wait for them too.
    """

    def __init__(self, most: int = UPLOADS, most_each: int = UPLOADS_EACH) -> None:
        self._most_each = most_each
        self._places = asyncio.Semaphore(most)
        #: While somebody waits for one or has one.
        self._places_of: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._threads = CapacityLimiter(most)

    @asynccontextmanager
    async def place(self, person: str) -> AsyncIterator[None]:
        """Waits for a place, and gives it back at the end."""
        own = self._places_of.setdefault(person, asyncio.Semaphore(self._most_each))
        async with own, self._places:
            yield

    async def aside(self, work: Callable[_Given, _Result], *given: _Given.args, **named: _Given.kwargs) -> _Result:
        """Runs work in a thread, for a holder of a place."""
        return await anyio.to_thread.run_sync(lambda: work(*given, **named), limiter=self._threads)
