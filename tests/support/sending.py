"""Forms that send, on a service that holds each change until it is given an outcome."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from textual.widgets import Button, Checkbox, Input, Select, TextArea

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from registry_tui.screens.base.form import Form
from registry_tui.screens.models.verify import VerifyForm
from support import scenes
from support.program import Driver
from support.recorded import STREAM, Answer, Replay
from support.refusals import refusal

SIZE = (100, 34)


class Held(Replay):
    """Answers reading requests as recorded, and holds changing ones until released, or given an outcome."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        super().__init__(answers)
        self.sent: list[httpx.Request] = []
        self.cut_off = 0
        self.answered = 0
        #: While this is set, requests that were not recorded get a 404.
        self.denies = asyncio.Event()
        self.denies.set()
        self._ends: asyncio.Queue[Exception | httpx.Response] = asyncio.Queue()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET" and request.url.path.endswith("/attached-models"):
            return httpx.Response(200, json={"items": []})
        if request.method == "GET" or request.url.path == STREAM or "Idempotency-Key" not in request.headers:
            if request.method == "GET" and request.url.path != STREAM and self.find(f"GET {_target(request)}") is None:
                await self.denies.wait()
                return refusal(request, 404, "not-found", "There is none")
            return await super().handle_async_request(request)
        await request.aread()
        self.sent.append(request)
        try:
            end = await self._ends.get()
        except asyncio.CancelledError:
            self.cut_off += 1
            raise
        self.answered += 1
        if isinstance(end, Exception):
            raise end
        return end

    def time_out(self) -> None:
        """The request that waits gets no answer in time."""
        self._ends.put_nowait(httpx.ReadTimeout("too slow"))

    def refuse(self) -> None:
        """The request that waits is refused."""
        self._ends.put_nowait(refusal(self.sent[-1], 409, "in-use", "It is in use just now"))

    @property
    def keys(self) -> list[str]:
        return [request.headers["Idempotency-Key"] for request in self.sent]


def _target(request: httpx.Request) -> str:
    return request.url.raw_path.decode()


async def the_project(see: Driver) -> Any:
    await scenes.projects(see)
    return next(row for row in see.screen.table.source.loaded_rows() if row.name == scenes.PROJECT)


async def the_version(see: Driver) -> tuple[Any, Any]:
    see.go("model", registry=scenes.REGISTRY, model=scenes.MODEL)
    await see.rows("model")
    await see.until(lambda: see.screen.model is not None, "the model")
    return see.screen.model, see.screen.current


async def opened(see: Driver, form: Form[Any], **fields: str) -> None:
    """Shows a form with these texts typed into its fields; the first has the focus."""
    see.app.push_screen(form)
    await see.until(lambda: form.is_attached and form.query("#ok"), "the form")
    for name, value in fields.items():
        field = form.query_one(f"#{name}")
        if isinstance(field, TextArea):
            field.text = value
        else:
            assert isinstance(field, Input)
            field.value = value
    await see.until(lambda: form.problem_of() is None and not form.query_one("#ok", Button).disabled, "the input")
    form.query_one(f"#{next(iter(fields))}").focus()


def typed(form: Form[Any]) -> dict[str | None, Any]:
    """All that is in the fields."""
    found: dict[str | None, Any] = {each.id: each.value for each in form.query(Input)}
    found |= {each.id: each.text for each in form.query(TextArea)}
    found |= {each.id: each.value for each in form.query(Checkbox)}
    return found | {each.id: each.value for each in form.query(Select)}


@asynccontextmanager
async def program(answers: Mapping[str, Answer], size: tuple[int, int] = SIZE) -> AsyncIterator[tuple[Driver, Held]]:
    held = Held(answers)
    app = RegistryApp(lambda: RegistryClient(transport=held), start_platform=False)
    async with app.run_test(size=size, notifications=True) as pilot:
        see = Driver(app, pilot)
        await see.rows("registries")
        yield see, held


def notified(see: Driver) -> str:
    return "\n".join(each.message for each in see.app._notifications)


async def press_ok(see: Driver, form: Form[Any]) -> None:
    """Enter three times, in a field or on OK, then a click."""
    if not isinstance(form, VerifyForm):
        if not isinstance(see.app.focused, Input):
            form.query_one("#ok").focus()
        await see.press("enter")
    await see.press("enter", "enter", "ctrl+t")
    await see.pilot.click("#ok")
