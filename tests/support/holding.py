"""A real service that gets some questions only when the test says so: once it has seen what is shown meanwhile."""

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
        """Lets go of what waits, and of what comes from here on."""
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
