"""A project that shows an MLflow server elsewhere: its page names the server, and offers no change of experiments."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx
from textual.widgets import Button, Input, Static

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from registry_tui.screens.base.several_names import Names
from registry_tui.screens.places.import_models import ImportModels
from support import scenes
from support.program import Driver
from support.recorded import Answer, Replay
from support.refusals import refusal

URL = "https://mlflow.example.com/team"
WORKFLOW = "import-1"
WHEN = "2026-11-29T12:00:00Z"
SKIPPED = "Skipped model 'a/b': its name may not hold /"


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


class Importing(Attached):
    """Its server has models, and imports them after it refused once."""

    def __init__(self, answers: Mapping[str, Answer], *, fails: bool = False) -> None:
        super().__init__(answers)
        self.fails = fails
        self.wanted: list[dict[str, Any]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v1/")
        if path.endswith("/attached-models"):
            names = [name for name in ("churn", "fraud", "wine") if request.url.params.get("name", "") in name]
            return httpx.Response(200, json={"items": [{"name": name, "latest_version": 3} for name in names]})
        if path.endswith("/attached-models/import"):
            self.wanted.append(json.loads(await request.aread()))
            if len(self.wanted) == 1:
                return refusal(request, 409, "in-use", "Another import is under way")
            project = json.loads((await self.handle_async_request(_project_of(request))).content)
            return httpx.Response(202, json={"resource": project, "workflow": self.workflow("running")})
        if path == f"workflows/{WORKFLOW}":
            return httpx.Response(200, json=self.workflow("failed" if self.fails else "succeeded"))
        if path == f"workflows/{WORKFLOW}/logs":
            line = {"sequence": 1, "created_at": WHEN, "request_id": "r", "level": "warning", "text": SKIPPED}
            return httpx.Response(200, json={"items": [line]})
        return await super().handle_async_request(request)

    def workflow(self, status: str) -> dict[str, Any]:
        ended = status != "running"
        return {
            "id": WORKFLOW,
            "kind": "import",
            "status": status,
            "resource_type": "project",
            "resource_id": scenes.PROJECT,
            "resource_name": scenes.PROJECT,
            "actor": scenes.USER,
            "request_id": "r",
            "steps": ["list models", "make versions", "wait for archives"],
            "steps_done": 3 if ended else 1,
            "step": None if ended else "make versions",
            "progress": {"files_done": 3, "files_total": 12},
            "created_at": WHEN,
            "updated_at": WHEN,
            "finished_at": WHEN if ended else None,
            "error": "The server went away" if status == "failed" else None,
        }


def _project_of(request: httpx.Request) -> httpx.Request:
    # Recorded by its name; the form asks by ID.
    return httpx.Request("GET", request.url.copy_with(path=f"/api/v1/projects/{scenes.PROJECT}"))


async def the_form(see: Driver) -> ImportModels:
    await see.rows("registries")
    await scenes.project(see)
    assert see.screen.reason("import_models") is None
    await see.press("R")
    await see.until(lambda: isinstance(see.screen, ImportModels) and see.screen.query("#ok"), "the form")
    form: ImportModels = see.screen
    await see.until(lambda: see.app.focused is form.query_one("#models-field"), "the field for names")
    return form


async def test_models_of_a_server_elsewhere_are_chosen_and_imported(answers: Mapping[str, Answer]) -> None:
    service = Importing(answers)
    app = RegistryApp(lambda: RegistryClient(transport=service), start_platform=False)
    async with app.run_test(size=(120, 30), notifications=True) as pilot:
        see = Driver(app, pilot)
        form = await the_form(see)
        await see.shows(URL, "registry-aws", "all, or names")
        await see.press("down")
        await see.shows("churn", "fraud", "wine", "version 3")
        await see.press("enter")
        await see.until(lambda: form.query_one(Names).given == ["churn"], "the name in the list")
        # One that is typed counts too, added or not.
        form.query_one("#models-field", Input).value = "fraud"
        await see.press("ctrl+o")
        await see.until(lambda: "copied" in _notified(see), "the command line")
        assert "attached import" in see.app.clipboard and see.app.clipboard.rstrip().endswith("churn fraud"), (
            see.app.clipboard
        )
        assert not service.wanted
        form.query_one("#ok", Button).press()
        await see.shows("Another import is under way")
        assert form.chosen == ["churn", "fraud"]
        form.query_one("#ok", Button).press()
        # It ends at the log, which lists the skipped versions.
        await see.at("workflow")
        await see.shows(SKIPPED)
        assert [each["models"] for each in service.wanted] == [["churn", "fraud"]] * 2
        assert service.wanted[0]["registry"]


async def test_without_a_name_all_models_are_imported_and_a_failure_keeps_the_form(
    answers: Mapping[str, Answer],
) -> None:
    service = Importing(answers, fails=True)
    app = RegistryApp(lambda: RegistryClient(transport=service), start_platform=False)
    async with app.run_test(size=(120, 30)) as pilot:
        see = Driver(app, pilot)
        form = await the_form(see)
        await see.press("enter")
        await see.shows("Another import is under way")
        await see.press("enter")
        await see.shows("Not everything was imported: The server went away")
        assert see.screen is form and not form.query_one("#ok", Button).disabled
        assert [each["models"] for each in service.wanted] == [[], []]


async def test_a_project_of_this_installation_offers_no_import(answers: Mapping[str, Answer]) -> None:
    app = RegistryApp(lambda: RegistryClient(transport=Replay(answers)), start_platform=False)
    async with app.run_test(size=(120, 30)) as pilot:
        see = Driver(app, pilot)
        await see.rows("registries")
        await scenes.project(see)
        assert see.screen.reason("import_models") == "the project shows no MLflow server elsewhere"
        assert not see.screen.in_menu("import_models")
        await see.press("R")
        await see.shows("shows no MLflow server elsewhere")
        assert see.app.screen is see.app.frame


def _notified(see: Driver) -> str:
    return "\n".join(each.message for each in see.app._notifications).lower()
