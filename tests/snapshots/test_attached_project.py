"""A project that shows an MLflow server elsewhere: its page says so, and offers no change of experiments."""

from __future__ import annotations

import json
from collections.abc import Mapping

import httpx
from textual.widgets import Static

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from support import scenes
from support.program import Driver
from support.recorded import Answer, Replay

URL = "https://mlflow.example.com/team"


class Attached(Replay):
    """The recorded service, whose project shows a server elsewhere."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        super().__init__(answers)
        self.changes: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method != "GET":
            self.changes.append(f"{request.method} {request.url.path}")
        answer = await super().handle_async_request(request)
        await answer.aread()
        if request.url.path.rpartition("/")[0] != "/api/v1/projects":
            return answer
        return httpx.Response(200, json=json.loads(answer.content) | {"attached_url": URL})


async def test_a_project_of_a_server_elsewhere_is_shown_read_only(answers: Mapping[str, Answer]) -> None:
    service = Attached(answers)
    app = RegistryApp(lambda: RegistryClient(transport=service), start_platform=False)
    async with app.run_test(size=(120, 30)) as pilot:
        see = Driver(app, pilot)
        await see.rows("registries")
        await scenes.project(see)
        facts = " ".join(str(see.screen.query_one("#facts", Static).content).split())
        assert f"read-only: shows MLflow at {URL}" in facts and "registers into registry-aws" in facts
        for action, key in (("create", "n"), ("change", "e"), ("delete", "ctrl+d"), ("credentials", "dollar_sign")):
            assert URL in str(see.screen.reason(action)), action
            await see.press(key)
        await see.shows("experiments are changed at")
        assert "detach" in str(see.screen.reason("delete_project"))
        assert see.app.screen is see.app.frame and not service.changes
        # Experiments open, and deployments of the registry's models are still possible.
        assert see.screen.reason("open") is None and see.screen.reason("deploy") is None
