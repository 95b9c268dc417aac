"""A service that responds when the test allows it, in front of recorded answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import httpx

from support.recorded import STREAM, Answer, Replay


class Gated(Replay):
    """Answers as recorded; while it is shut, questions wait."""

    def __init__(
        self,
        answers: Mapping[str, Answer],
        waits: Callable[[httpx.Request], bool] = lambda request: True,
    ) -> None:
        super().__init__(answers)
        self._waits = waits
        self._open = asyncio.Event()
        self._open.set()
        self._fails = False
        #: Questions that wait, in the order in which they came.
        self.waiting: list[httpx.URL] = []
        self.asked: list[httpx.URL] = []

    def shut(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    def fail(self) -> None:
        """Lets waiting requests time out."""
        self._fails = True
        self.open()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url)
        if request.url.path != STREAM and not self._open.is_set() and self._waits(request):
            self.waiting.append(request.url)
            try:
                await self._open.wait()
            finally:
                self.waiting.remove(request.url)
            if self._fails:
                raise httpx.ReadTimeout("too slow", request=request)
        return await super().handle_async_request(request)
