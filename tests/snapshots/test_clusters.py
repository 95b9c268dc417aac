"""Deployments in a Ray cluster in the terminal program: where they run, and the features of clusters only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import httpx
from textual.widget import Widget
from textual.widgets import Button, Input, Select

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from registry_tui.screens.base.form import Form
from registry_tui.screens.deployments.change_deployment import ChangeForm
from registry_tui.screens.deployments.deploy import DeployForm
from support import scenes
from support.program import Driver
from support.recorded import STREAM, Answer, Replay
from support.refusals import refusal

TOKEN = "shown-to-nobody"
CLUSTER = {"kind": "ray", "address": "http://10.0.0.5:8265", "http_port": 8000, "version": "2.60.0"}


class Cluster(Replay):
    """The recorded service, whose deployments run in a cluster, or do so once that is asked for."""

    def __init__(self, answers: Mapping[str, Answer], *, there: bool) -> None:
        super().__init__(answers)
        self.there = there
        self.asked: list[Any] = []
        #: The refusal of the next change; empty: the change succeeds.
        self.refuses = ""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v1/")
        if request.method == "GET":
            answer = await super().handle_async_request(request)
            if request.url.path == STREAM:
                return answer
            text = (await answer.aread()).decode()
            if path == "environments":
                page = json.loads(text)
                if self.there:
                    page["items"][0]["backend"] = CLUSTER
                self.first = page["items"][0]
                text = json.dumps(page)
            if self.there:
                text = text.replace('"backend": "local"', '"backend": "ray"').replace(
                    '"backend":"local"', '"backend":"ray"'
                )
            return httpx.Response(answer.status_code, content=text, headers={"Content-Type": "application/json"})
        body = await request.aread()
        self.asked.append(json.loads(body))
        if self.refuses:
            return refusal(request, 422, "invalid-input", self.refuses)
        self.there = True
        return httpx.Response(200, json=self.first | {"backend": CLUSTER})


async def shown(see: Driver, form: Form[Any]) -> Form[Any]:
    see.app.push_screen(form)
    await see.until(lambda: form.is_attached and form.query("#ok"), "the form")
    return form


def type_into(form: Form[Any], **fields: str) -> None:
    for name, value in fields.items():
        form.query_one(f"#{name}", Input).value = value


def row_of(form: Form[Any], name: str) -> Widget:
    row = form.query_one(f"#{name}").parent
    assert isinstance(row, Widget)
    return row


async def send(see: Driver, service: Cluster, form: Form[Any]) -> Any:
    """Presses OK, and returns the sent request."""
    await see.until(lambda: not form.query_one("#ok", Button).disabled, "the input")
    form.query_one("#ok", Button).press()
    await see.until(lambda: service.asked and not form.busy, "the answer")
    return service.asked.pop()


async def test_the_cluster_is_set_and_tried_by_a_form(answers: Mapping[str, Answer]) -> None:
    service = Cluster(answers, there=False)
    app = RegistryApp(lambda: RegistryClient(transport=service), start_platform=False)
    async with app.run_test(size=(80, 24)) as pilot:
        see = Driver(app, pilot)
        await see.rows("registries")
        await scenes.environments(see)
        await see.press("~")
        await see.shows("Deployments of", "They run on the registry's machine.")
        form = see.screen
        assert not row_of(form, "token").display
        assert "The cluster is tried first" not in see.text
        form.query_one("#kind", Select).value = "ray"
        await see.shows("Address", "Token", "Port of calls", "The cluster is tried first")
        type_into(form, address="http://10.0.0.5:8265")
        assert "ray get-auth-token" in (form.problem_of() or "")
        type_into(form, token=TOKEN)
        service.refuses = "The Ray cluster at http://10.0.0.5:8265 refuses the token"
        sent = await send(see, service, form)
        assert sent == {"kind": "ray", "address": "http://10.0.0.5:8265", "token": TOKEN, "http_port": 8000}
        await see.shows("refuses the token")
        assert see.screen is form and TOKEN not in see.text
        service.refuses = ""
        await send(see, service, form)
        await see.at("environments")
        await see.shows("Deployments run in the Ray 2.60.0 cluster at", "http://10.0.0.5:8265")
        await see.press("~")
        await see.shows("They run in the Ray 2.60.0 cluster", "kept where none is typed")
        see.screen.query_one("#kind", Select).value = "local"
        assert await send(see, service, see.screen) == {"kind": "local", "address": "", "token": "", "http_port": 8000}


async def test_only_in_a_cluster_replicas_have_bounds_and_gpus(answers: Mapping[str, Answer]) -> None:
    for there in (False, True):
        service = Cluster(answers, there=there)
        app = RegistryApp(partial(RegistryClient, transport=service), start_platform=False)
        async with app.run_test(size=(100, 34)) as pilot:
            see = Driver(app, pilot)
            await scenes.deployments(see)
            form = await shown(see, ChangeForm(see.screen.current, []))
            most, target = row_of(form, "most"), row_of(form, "target")
            await see.until(partial(lambda row, wanted: row.display is wanted, most, there), "the rows")
            assert row_of(form, "gpus").display is there and not target.display
            if not there:
                continue
            type_into(form, most="4", gpus="2", replicas="5")
            await see.until(partial(getattr, target, "display"), "the row about requests")
            assert form.problem_of() == "replicas at most: a number from 5 to 32"
            type_into(form, replicas="2", target="0")
            assert form.problem_of() == "requests in each: a number from 0.1 to 256"
            type_into(form, target="")
            service.refuses = "not now"
            sent = await send(see, service, form)
            assert sent["autoscaling"] == {"min_replicas": 2, "max_replicas": 4, "target_requests": 8.0}
            assert sent["gpus"] == 2 and sent["replicas"] is None


async def test_a_version_is_deployed_with_bounds_where_it_runs_in_a_cluster(answers: Mapping[str, Answer]) -> None:
    service = Cluster(answers, there=True)
    app = RegistryApp(lambda: RegistryClient(transport=service), start_platform=False)
    async with app.run_test(size=(100, 40)) as pilot:
        see = Driver(app, pilot)
        await see.rows("registries")
        project = next(each for each in (await app.client.projects()).items if each.name == "wine-quality")
        model = await app.client.model("registry-aws", "WineAlcoholRegressor")
        form = await shown(see, DeployForm(project, model, 3))
        await see.shows("in the Ray cluster of its environment", "Replicas at most", "GPUs of each")
        type_into(form, name="wine-api", most="3", target="1.5")
        service.refuses = "not now"
        sent = await send(see, service, form)
        assert sent["autoscaling"] == {"min_replicas": 1, "max_replicas": 3, "target_requests": 1.5}
        assert (sent["replicas"], sent["gpus"]) == (1, 0)
