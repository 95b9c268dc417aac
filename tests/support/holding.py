"""A real service that receives some requests only when the test lets them: after checking the screen meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx

from registry_tui.client import RegistryClient
from support.platforms import Platform


class Holding(httpx.AsyncBaseTransport):
    """Passes requests on to a platform's service. While it holds, those that `held` names wait before they go there."""

    def __init__(self, platform: Platform, held: Callable[[httpx.Request], bool]) -> None:
        self._real = httpx.AsyncHTTPTransport(uds=str(platform.home.service_socket))
        self._held = held
        self._open = asyncio.Event()
        self._open.set()

    def client(self) -> RegistryClient:
        return RegistryClient(transport=self)

    def hold(self) -> None:
        self._open.clear()

    def let(self) -> None:
        """Releases the waiting requests, and those to come."""
        self._open.set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._held(request):
            await self._open.wait()
        return await self._real.handle_async_request(request)

    async def aclose(self) -> None:
        await self._real.aclose()


def about_one_workflow(request: httpx.Request) -> bool:
    """Whether a request asks how far one workflow is."""
    return request.method == "GET" and "/workflows/" in request.url.path
