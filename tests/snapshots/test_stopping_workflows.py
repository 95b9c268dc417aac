"""A workflow is stopped after a question that starts on Cancel, from the list of workflows and from its own page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import httpx
import pytest

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from registry_tui.screens.base.dialogs import Confirm
from support import scenes
from support.program import Driver
from support.recorded import Answer, Replay

LIST = "GET /api/v1/workflows"


class Running(Replay):
    """The newest workflow still runs; a request to cancel it is kept and answered."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        super().__init__(answers)
        self.work = json.loads(answers[LIST].content)["items"][0] | {"status": "running", "finished_at": None}
        self.cancelled: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST" and request.url.path.endswith("/cancel"):
            self.cancelled.append(request.url.path.split("/")[-2])
            return httpx.Response(200, json=self.work | {"status": "cancelling"})
        return await super().handle_async_request(request)

    def find(self, key: str) -> Answer | None:
        if key == LIST:
            return self._with({"items": [self.work], "next_page_token": None, "total": None})
        return self._with(self.work) if key == f"{LIST}/{self.work['id']}" else super().find(key)

    def _with(self, body: object) -> Answer:
        return replace(self._answers[LIST], content=json.dumps(body).encode())


def sent_by(service: Running, number: int) -> bool:
    return len(service.cancelled) == number


@pytest.mark.parametrize("page", ["activity", "workflow"])
async def test_a_workflow_is_stopped_after_a_question_that_starts_on_cancel(
    page: str, answers: Mapping[str, Answer]
) -> None:
    service = Running(answers)
    app = RegistryApp(lambda: RegistryClient(transport=service), start_platform=False)
    async with app.run_test(size=(80, 24)) as pilot:
        see = Driver(app, pilot)
        await see.rows("registries")
        await scenes.activity(see)
        if page == "workflow":
            await see.press("enter")
            await see.at("workflow")
            await see.until(lambda: see.screen.work is not None, "the workflow")
        for keys, sent in ((("enter",), 0), (("escape",), 0), (("tab", "enter"), 1)):
            await see.press("S")
            await see.until(lambda: isinstance(see.screen, Confirm), "the question")
            await see.shows("Stop deploy of alcohol-api", "as far as it can")
            await see.until(lambda: see.screen.focused.id == "cancel", "Cancel")
            await see.press(*keys)
            await see.at(page)
            await see.until(partial(sent_by, service, sent), "what was sent")
        assert service.cancelled == [service.work["id"]]
