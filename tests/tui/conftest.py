"""The terminal program on the shared platform's real service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from registry_tui.app.app import RegistryApp
from support.platforms import Platform
from support.program import Driver, Open, messages_stay


@pytest.fixture
def open_program(platform: Platform) -> Open:
    """Opens the program: `async with open_program(size=(80, 24)) as driver`."""

    @asynccontextmanager
    async def opened(size: tuple[int, int] = (110, 34), **options: Any) -> AsyncIterator[Driver]:
        app = RegistryApp(platform.client, start_platform=False, **options)
        async with app.run_test(size=size) as pilot:
            yield Driver(app, pilot)

    return opened


@pytest.fixture(autouse=True)
def _messages_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    messages_stay(monkeypatch)
