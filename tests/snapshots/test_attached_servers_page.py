"""The page of attached MLflow servers: attach one, change how it is reached, try it, detach it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from textual.widgets import Input, Select, Static

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from registry_tui.schemas.base import FieldProblem, Problem
from registry_tui.screens.base.form import Tick
from registry_tui.screens.places.attach_forms import AttachServer, ChangeServer
from support import scenes
from support.life_cycle_scenes import attach, attached, change_server, detach
from support.program import Driver
from support.recorded import Answer, Replay

LIST = "/api/v1/attached-servers"
OTHER = "https://mlflow.example.org"
PEM = "-----BEGIN CERTIFICATE-----"


class Servers(Replay):
    """The recorded service, which takes changes of attached servers, or refuses a field of the next one."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        super().__init__(answers)
        self.rows: list[dict[str, Any]] = json.loads(answers[f"GET {LIST}"].content)["items"]
        self.sent: list[tuple[str, str, dict[str, Any]]] = []
        #: The field that the next change is refused for, and the words.
        self.wrong: tuple[str, str] | None = None
        self.problem: str | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.startswith(LIST):
            return await super().handle_async_request(request)
        content = await request.aread()
        if request.method == "GET":
            if request.url.path == LIST:
                return httpx.Response(200, json={"items": self.rows})
            return httpx.Response(200, json=self.rows[0] | {"problem": self.problem})
        self.sent.append((request.method, request.url.path, json.loads(content) if content else {}))
        if self.wrong is not None:
            field, words = self.wrong
            self.wrong = None
            return _refused(request, FieldProblem(field=field, message=words))
        if request.method == "DELETE":
            self.rows.pop(0)
            return httpx.Response(204)
        body = self.sent[-1][2]
        row = self.rows[0] | {"url": body["url"], "name": body.get("name", self.rows[0]["name"])}
        return httpx.Response(201 if request.method == "POST" else 200, json=row)


def _refused(request: httpx.Request, wrong: FieldProblem) -> httpx.Response:
    problem = Problem(
        type="/problems/wrong-state",
        title="It cannot be done now",
        status=409,
        detail=f"MLflow: {wrong.message}",
        instance=request.url.path,
        code="wrong-state",
        request_id=request.headers["X-Request-ID"],
        errors=[wrong],
    )
    return httpx.Response(409, content=problem.model_dump_json(), headers={"Content-Type": "application/json"})


@asynccontextmanager
async def program(service: Servers, size: tuple[int, int] = (80, 24)) -> AsyncIterator[Driver]:
    app = RegistryApp(lambda: RegistryClient(transport=service), start_platform=False)
    async with app.run_test(size=size, notifications=True) as pilot:
        see = Driver(app, pilot)
        await see.rows("registries")
        yield see


def fill(see: Driver, **values: str) -> None:
    for name, value in values.items():
        see.screen.query_one(f"#{name.replace('_', '-')}", Input).value = value


def shown(see: Driver, name: str) -> bool:
    return bool(see.screen.query_one(f"#row-{name}").display)


async def closed(see: Driver) -> None:
    await see.until(lambda: see.screen is see.app.frame, "the page behind the form")


async def choose(see: Driver, name: str, value: str) -> None:
    see.screen.query_one(f"#{name}", Select).value = value
    await see.settled()


async def test_a_server_is_attached_with_a_password_and_what_is_wrong_stands_at_its_field(
    answers: Mapping[str, Answer],
) -> None:
    service = Servers(answers)
    async with program(service) as see:
        await attach(see)
        form = see.screen
        assert isinstance(form, AttachServer)
        await see.press("enter")
        await see.shows("type a name")
        fill(see, name="stock", url=OTHER)
        assert not shown(see, "user") and not shown(see, "token") and not shown(see, "proxy")
        await choose(see, "way", "user")
        assert shown(see, "user") and shown(see, "password") and not shown(see, "token")
        await see.press("enter")
        await see.shows("type the user's name")
        fill(see, user="ann", password="of ann")
        service.wrong = ("secret", "the server does not accept these credentials")
        form.query_one("#user").focus()
        await see.press("enter")
        await see.until(lambda: form.query_one("#wrong-password", Static).display, "the words at the password")
        assert "does not accept" in str(form.query_one("#wrong-password", Static).content)
        await see.until(lambda: see.app.focused is form.query_one("#password"), "the password's field")
        # The message is about the typed password; it goes when the password changes.
        await see.press("x")
        await see.until(lambda: not form.query_one("#wrong-password", Static).display, "the words to go")
        await see.press("enter")
        await closed(see)
        assert [body["secret"] for _, _, body in service.sent] == ["of ann", "x"]
        _, path, body = service.sent[-1]
        assert path == LIST and (body["name"], body["url"], body["user"]) == ("stock", OTHER, "ann")
        assert body["environment"] and not body["allow_http"] and body["certificate"] is None


async def test_a_token_certificates_and_a_proxy_are_given_and_a_file_that_is_none_is_said(
    answers: Mapping[str, Answer], tmp_path: Path
) -> None:
    service = Servers(answers)
    async with program(service, (100, 30)) as see:
        await attach(see)
        form = see.screen
        fill(see, name="stock", url=OTHER)
        await choose(see, "way", "token")
        fill(see, token="t-1")
        form.query_one("#more", Tick).value = True
        await see.settled()
        await choose(see, "trust", "file")
        fill(see, certificate=str(tmp_path / "none.pem"), proxy="http://proxy:3128")
        form.query_one("#url").focus()
        await see.press("enter")
        await see.shows("cannot be read: No such file")
        assert not service.sent
        (tmp_path / "ca.pem").write_text(PEM)
        fill(see, certificate=str(tmp_path / "ca.pem"))
        form.query_one("#allow-http", Tick).value = True
        await see.press("enter")
        await closed(see)
        body = service.sent[-1][2]
        assert (body["secret"], body["user"], body["certificate"]) == ("t-1", None, PEM)
        assert (body["proxy"], body["allow_http"]) == ("http://proxy:3128", True)


async def test_another_address_keeps_credentials_and_others_can_be_given_or_none(
    answers: Mapping[str, Answer],
) -> None:
    service = Servers(answers)
    service.rows[0] |= {"has_certificate": True, "proxy": "http://proxy:3128"}
    async with program(service, (100, 30)) as see:
        await change_server(see)
        form = see.screen
        assert isinstance(form, ChangeServer)
        assert form.query_one("#proxy", Input).value == "http://proxy:3128"
        fill(see, url=OTHER)
        await see.press("enter")
        await closed(see)
        method, path, body = service.sent[-1]
        assert (method, path) == ("PUT", f"{LIST}/{service.rows[0]['workspace_id']}")
        assert body["url"] == OTHER and body["without"] == []
        assert not any(body[name] for name in ("user", "secret", "certificate", "proxy", "aws_profile"))
        await see.press("e")
        await see.until(lambda: isinstance(see.screen, ChangeServer), "the form")
        await choose(see, "way", "none")
        await choose(see, "trust", "usual")
        fill(see, proxy="")
        see.screen.query_one("#url").focus()
        await see.press("enter")
        await closed(see)
        assert service.sent[-1][2]["without"] == ["credentials", "certificate", "proxy"]
        await see.press("e")
        await see.until(lambda: isinstance(see.screen, ChangeServer), "the form")
        await choose(see, "way", "aws")
        see.screen.query_one("#url").focus()
        await see.press("enter")
        await see.shows("type the server's region")
        fill(see, aws_region="eu-west-1")
        await see.press("enter")
        await closed(see)
        body = service.sent[-1][2]
        assert (body["aws_profile"], body["aws_region"], body["without"]) == ("default", "eu-west-1", [])


async def test_a_server_is_tried_and_detached_from_its_page(answers: Mapping[str, Answer]) -> None:
    service = Servers(answers)
    service.problem = "MLflow does not answer: connection refused"
    async with program(service) as see:
        await attached(see)
        await see.press("r")
        await see.shows("connection refused")
        service.problem = None
        await see.press("r")
        await see.shows("lab can be read")
        workspace = service.rows[0]["workspace_id"]
        await detach(see)
        # It begins on Cancel.
        await see.press("right", "enter")
        await see.shows("lab is detached")
        assert service.sent == [("DELETE", f"{LIST}/{workspace}", {})]


async def test_the_page_is_reached_from_environments_and_projects(answers: Mapping[str, Answer]) -> None:
    async with program(Servers(answers)) as see:
        for place in (scenes.environments, scenes.projects):
            await place(see)
            await see.press("right_parenthesis")
            await see.rows("attached")
