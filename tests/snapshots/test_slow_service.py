"""A slow service: text typed meanwhile is not lost, and breaks nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httpx
import pytest

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from support.program import Driver
from support.recorded import Answer, Replay
from support.scenes import REGISTRY

pytestmark = pytest.mark.slow


class Slow(Replay):
    """Lists registries once released, and records the requests."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        super().__init__(answers)
        self.let = asyncio.Event()
        self.asked: list[httpx.URL] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url)
        if request.url.path.endswith("/registries") and request.url.params.get("page_size") == "1000":
            await self.let.wait()
        return await super().handle_async_request(request)


async def test_a_filter_may_be_typed_before_its_list_is_known(answers: Mapping[str, Answer]) -> None:
    slow = Slow(answers)
    app = RegistryApp(lambda: RegistryClient(transport=slow), start_platform=False)
    async with app.run_test() as pilot:
        see = Driver(app, pilot)
        await see.rows("registries")
        see.go("models", registry=REGISTRY)
        await see.at("models")
        await see.press("slash")
        await see.type("wine")
        await see.press("enter")
        await see.until(lambda: see.screen.filters["search"] == "wine", "the filter")
        slow.let.set()
        await see.until(lambda: [url for url in slow.asked if url.params.get("search") == "wine"], "the question")
