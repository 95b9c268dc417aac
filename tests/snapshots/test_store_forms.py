"""The store of an environment in the terminal program: tried in the form, shown on the page, and reached anew."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from textual.widgets import Button, Input, Select, Static

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from registry_tui.screens.base.store_fields import StoreFields
from registry_tui.screens.base.viewer import View
from registry_tui.screens.places.create_place import CreateEnvironment
from registry_tui.screens.places.store_forms import ChangeStore
from registry_tui.screens.registries.store_key import ChangeStoreKey
from support import scenes
from support.program import Driver
from support.recorded import Answer, Replay

SECRET = "shown-to-nobody"
MISSING = {"text": "There is no bucket acme-models", "action": "Make it, or correct the name", "fatal": True}
NOTE = {"text": "Versioning is on", "action": "Remove old versions by a rule", "fatal": False}
STORE = {
    "kind": "s3",
    "uri": "s3://acme-models/registry/",
    "endpoint": "https://s3.acme.example",
    "credentials": "the access key AKIAACME",
    "signs_in": "key",
    "artifacts": True,
    "notes": [NOTE],
    "checked_at": "2026-11-29T02:00:00Z",
    "settings": {"region": "eu-west-1", "endpoint": "https://s3.acme.example", "access_key_id": "AKIAACME"},
}


class Stores(Replay):
    """The recorded service, whose first environment has a store of its own; it tries stores when it is let."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        super().__init__(answers)
        self.asked: list[tuple[str, Any]] = []
        self.tries = asyncio.Event()
        self.tries.set()
        self.found: list[dict[str, Any]] = [MISSING]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v1/")
        if request.method == "GET" and path == "environments":
            answer = await super().handle_async_request(request)
            await answer.aread()
            page = json.loads(answer.content)
            page["items"][0]["store"] = STORE
            self.first = page["items"][0]
            return httpx.Response(200, json=page)
        if request.method == "GET":
            return await super().handle_async_request(request)
        body = await request.aread()
        self.asked.append((f"{request.method} {path}", json.loads(body) if body else None))
        await self.tries.wait()
        if path == "stores/check":
            return httpx.Response(200, json={"uri": "s3://acme-models/registry/", "problems": self.found})
        return httpx.Response(200, json=self.first | {"store": STORE | {"notes": self.found}})


async def filled(see: Driver) -> CreateEnvironment:
    await see.rows("registries")
    await scenes.create_environment(see)
    form: CreateEnvironment = see.screen
    form.query_one("#name", Input).value = "prod"
    form.query_one("#store", Input).value = "s3://acme-models/registry"
    form.query_one("#s3-way", Select).value = "key"
    form.query_one("#access-key-id", Input).value = "AKIAACME"
    form.query_one("#secret", Input).value = SECRET
    await see.until(lambda: not form.query_one("#ok", Button).disabled, "what is typed")
    return form


async def test_a_store_is_tried_once_and_what_is_missing_stands_in_the_form(answers: Mapping[str, Answer]) -> None:
    service = Stores(answers)
    app = RegistryApp(lambda: RegistryClient(transport=service), start_platform=False)
    async with app.run_test(size=(80, 24)) as pilot:
        see = Driver(app, pilot)
        form = await filled(see)
        service.tries.clear()
        form.query_one("#try").focus()
        await see.press("enter")
        await see.until(lambda: service.asked, "the trial")
        await see.shows("Trying …", "trying … ", "esc leaves, it goes on")
        await see.press("enter")
        form.query_one("#try", Button).press()
        await see.press("enter")
        service.tries.set()
        await see.shows("cannot be used", "There is no bucket acme-models", "Make it, or correct the name")
        assert [address for address, _ in service.asked] == ["POST stores/check"] and see.screen is form
        assert not form.busy and str(form.query_one("#ok", Button).label) == "OK"
        box = form.query_one(".box").content_region
        await see.until(lambda: box.contains_region(form.query_one("#ok").region), "the buttons")
        assert service.asked[0][1]["store"]["credentials"]["secret_access_key"] == SECRET
        assert SECRET not in see.text

        # The result is about the text typed then.
        form.query_one("#region", Input).value = "eu-west-1"
        await see.until(lambda: not form.query_one("#found").display, "the report to go")
        service.found = []
        form.query_one("#try", Button).press()
        await see.shows("can be used")
        form.query_one("#ok", Button).press()
        await see.until(lambda: see.app.screen is see.app.frame, "the form to close")
        address, body = service.asked[-1]
        assert address == "POST environments" and body["name"] == "prod"
        assert body["store"] == service.asked[-2][1]["store"]
        assert body["store"]["address"]["region"] == "eu-west-1"


async def test_a_form_that_tries_a_store_is_left_and_a_message_says_what_was_found(
    answers: Mapping[str, Answer],
) -> None:
    service = Stores(answers)
    app = RegistryApp(lambda: RegistryClient(transport=service), start_platform=False)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        see = Driver(app, pilot)
        form = await filled(see)
        service.tries.clear()
        form.query_one("#try", Button).press()
        await see.until(lambda: service.asked, "the trial")
        await see.press("escape")
        await see.until(lambda: see.screen is not form, "the form to close")
        service.tries.set()
        await see.until(lambda: "There is no bucket acme-models" in _notified(see), "what was found")
        assert [address for address, _ in service.asked] == ["POST stores/check"]


async def test_the_copied_command_line_reads_the_secret_from_a_file(answers: Mapping[str, Answer]) -> None:
    service = Stores(answers)
    app = RegistryApp(lambda: RegistryClient(transport=service), start_platform=False)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        see = Driver(app, pilot)
        await filled(see)
        await see.press("ctrl+o")
        await see.until(lambda: "copied" in _notified(see).lower(), "the command line")
        assert see.app.clipboard.endswith(
            "environments create --cloud aws --bucket s3://acme-models/registry "
            "--access-key-id AKIAACME --secret-file store.secret prod"
        )
        assert "put the secret into the file store.secret first" in _notified(see)
        assert SECRET not in see.app.clipboard + _notified(see) + see.text
        assert not service.asked


async def test_a_store_is_shown_tried_and_reached_in_another_way(answers: Mapping[str, Answer]) -> None:
    service = Stores(answers)
    app = RegistryApp(lambda: RegistryClient(transport=service), start_platform=False)
    async with app.run_test(size=(100, 30)) as pilot:
        see = Driver(app, pilot)
        await see.rows("registries")
        await scenes.environments(see)
        await see.until(lambda: see.screen.query_one("#own-store").display, "the store")
        shown = str(see.screen.query_one("#own-store", Static).content)
        assert "s3://acme-models/registry/ at https://s3.acme.example, with the access key AKIAACME" in shown
        assert "can be used (tried " in shown and "): Versioning is on" in shown

        await see.press("r")
        await see.until(lambda: isinstance(see.screen, View), "what was found")
        assert service.asked[-1][0] == f"POST environments/{service.first['id']}/store/check"
        assert "cannot be used" in see.screen.text and "Make it, or correct the name" in see.screen.text
        await see.press("escape")
        await see.at("environments")

        await see.press("e")
        await see.until(lambda: isinstance(see.screen, ChangeStore) and see.screen.query("#s3-way"), "the form")
        form: ChangeStore = see.screen
        assert (
            not form.query("#store")
            and form.store_fields.address == "s3://acme-models/registry"
            and form.query_one("#s3-way", Select).value == "key"
        )
        assert form.query_one("#region", Input).value == "eu-west-1"
        assert form.query_one("#secret", Input).value == "" and form.problem_of() == "type the secret"
        form.query_one("#secret", Input).value = SECRET
        await see.until(lambda: not form.query_one("#ok", Button).disabled, "what is typed")
        form.query_one("#ok", Button).press()
        await see.until(lambda: see.app.screen is see.app.frame, "the form to close")
        address, body = service.asked[-1]
        assert address == f"PUT environments/{service.first['id']}/store"
        assert body["store"]["address"]["endpoint"] == "https://s3.acme.example"
        assert body["artifacts"] is None, "nobody changed that here; somebody else may have meanwhile"
        assert body["store"]["credentials"]["secret_access_key"] == SECRET

        # The second environment's archives lie in the embedded store.
        await see.press("down")
        await see.until(lambda: not see.screen.query_one("#own-store").display, "no store")
        assert "no store of its own" in str(see.screen.reason("change_store"))
        assert "no store of its own" in str(see.screen.reason("try_store"))


@pytest.mark.parametrize(
    ("address", "way", "typed", "wanted"),
    [
        ("/mnt/models", "", {}, {"kind": "directory", "address": {"path": "/mnt/models"}}),
        (
            "az://acme/models/x",
            "principal",
            {"tenant-id": "t", "client-id": "c", "secret": SECRET},
            {"kind": "azure", "credentials": {"tenant_id": "t", "client_id": "c", "client_secret": SECRET}},
        ),
        ("az://acme/models", "sas", {"secret": SECRET}, {"kind": "azure", "credentials": {"sas": SECRET}}),
        ("gs://acme", "machine", {}, {"kind": "google", "credentials": {"service_account": ""}}),
        # Fields of another way to sign in are hidden and not sent.
        (
            "s3://acme",
            "profile",
            {"profile": "p", "access-key-id": "AK", "secret": SECRET},
            {"kind": "s3", "credentials": {"profile": "p", "access_key_id": "", "secret_access_key": ""}},
        ),
    ],
)
async def test_each_kind_of_store_is_meant_by_its_own_fields(
    answers: Mapping[str, Answer], address: str, way: str, typed: dict[str, str], wanted: dict[str, Any]
) -> None:
    app = RegistryApp(lambda: RegistryClient(transport=Stores(answers)), start_platform=False)
    async with app.run_test(size=(80, 24)) as pilot:
        see = Driver(app, pilot)
        await see.rows("registries")
        await scenes.create_environment(see)
        fields: StoreFields = see.screen.store_fields
        fields.query_one("#store", Input).value = address
        await see.until(lambda: fields.query_one("#row-try").display, "the fields")
        if way:
            fields.query_one(f"#{fields.kind}-way", Select).value = way
        for name, value in typed.items():
            fields.query_one(f"#{name}", Input).value = value
        await see.until(lambda: fields.problem() is None, "a store")
        store = await fields.store()
        assert store is not None
        found = store.model_dump(mode="json")
        assert found["kind"] == wanted["kind"]
        for part, values in wanted.items():
            if part != "kind":
                assert values.items() <= found[part].items()


async def test_what_is_wrong_is_said_without_the_secret(answers: Mapping[str, Answer]) -> None:
    app = RegistryApp(lambda: RegistryClient(transport=Stores(answers)), start_platform=False)
    async with app.run_test(size=(80, 24)) as pilot:
        see = Driver(app, pilot)
        form = await filled(see)
        for address, words in (("ftp://x", "is not s3://BUCKET"), ("s3://a", "bucket: "), ("acme", "is not s3://")):
            form.query_one("#store", Input).value = address
            problem = form.problem_of() or ""
            assert words in problem and SECRET not in problem, problem
        form.query_one("#store", Input).value = ""
        assert form.problem_of() is None, "the embedded store needs nothing"


async def test_nothing_of_a_file_that_is_no_key_is_shown(answers: Mapping[str, Answer], tmp_path: Path) -> None:
    file = tmp_path / "private.json"
    file.write_text("SECRETBEGIN" + "x" * 20_000 + "SECRETEND", encoding="utf-8")
    service = Stores(answers)
    app = RegistryApp(lambda: RegistryClient(transport=service), start_platform=False)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        see = Driver(app, pilot)
        await see.rows("registries")
        await scenes.create_environment(see)
        form: CreateEnvironment = see.screen
        form.query_one("#name", Input).value = "prod"
        form.query_one("#store", Input).value = "gs://acme-models/registry"
        form.query_one("#gs-way", Select).value = "key"
        form.query_one("#key-file", Input).value = str(file)
        await see.until(lambda: not form.query_one("#ok", Button).disabled, "what is typed")
        for button in ("#try", "#ok"):
            form.query_one(button, Button).press()
            await see.shows("is not the key of a service account", "16,384 characters at most")
            assert "SECRET" not in see.text + _notified(see)
            form.query_one("#key-file", Input).value = str(tmp_path / "missing")
            form.query_one(button, Button).press()
            await see.shows("cannot be read")
            form.query_one("#key-file", Input).value = str(file)
        assert not service.asked


def _notified(see: Driver) -> str:
    return "\n".join(each.message for each in see.app._notifications)


GIVEN = {"way": "given", "held": "the access key AKIAGIVEN", "granted": True}


class Keys(Replay):
    """The recorded service, whose registries are in an environment's own store; it records its requests."""

    def __init__(self, answers: Mapping[str, Answer], store: Any = STORE) -> None:
        super().__init__(answers)
        self.asked: list[tuple[str, Any]] = []
        self.key: dict[str, Any] = {}
        self.store = store

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v1/")
        if request.method == "GET":
            answer = await super().handle_async_request(request)
            if path.startswith("registries/") and path.endswith("/storage-access"):
                await answer.aread()
                return httpx.Response(200, json=json.loads(answer.content) | {"access": "not needed"})
            if not path.startswith("registries/") or path.count("/") != 1:
                return answer
            await answer.aread()
            self.shown = json.loads(answer.content)
            return httpx.Response(200, json=self.shown | self._own())
        body = await request.aread()
        self.asked.append((f"{request.method} {path}", json.loads(body) if body else None))
        self.key = GIVEN if request.method == "PUT" else {}
        return httpx.Response(200, json=self.shown | self._own())

    def _own(self) -> dict[str, Any]:
        held = self.key.get("held", "one key for the environment's one registry")
        archives = "s3://acme-models/registry/modelregistry-1/"
        return {
            "store": self.store,
            "store_key": self.key,
            "archives_access": f"by {held}",
            "archives_uri": archives,
            "storage_access": "not needed",
        }


async def the_registry(see: Driver) -> None:
    await see.rows("registries")
    see.go("registry", registry=scenes.REGISTRY)
    await see.shows("Workload user name")


async def the_key_form(see: Driver) -> ChangeStoreKey:
    await the_registry(see)
    await see.press("ctrl+n")
    await see.until(lambda: isinstance(see.screen, ChangeStoreKey) and see.screen.query("#s3-way"), "the form")
    form: ChangeStoreKey = see.screen
    return form


async def test_a_registry_is_given_a_key_and_forgets_it(answers: Mapping[str, Answer]) -> None:
    service = Keys(answers)
    app = RegistryApp(lambda: RegistryClient(transport=service), start_platform=False)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        see = Driver(app, pilot)
        form = await the_key_form(see)
        await see.shows("Access now: by one key for the environment's one registry", "modelregistry-1")
        assert form.query_one("#s3-way", Select).value == "key" and not form.query("#what")
        assert form.query_one("#access-key-id", Input).value == "", "the environment's own is no proposal"
        shown = {each.id for each in form.query(".row") if each.display and each.region.height}
        assert shown & {"row-region", "row-endpoint", "row-more", "row-artifacts", "row-try"} == set()
        form.query_one("#access-key-id", Input).value = "AKIAGIVEN"
        form.query_one("#principal", Input).value = "ann"
        form.query_one("#secret", Input).value = SECRET
        await see.until(lambda: "the principal is an ARN" in str(form.problem_of()), "the complaint")
        form.query_one("#principal", Input).value = "arn:aws:iam::123456789012:user/ann"
        await see.until(lambda: not form.query_one("#ok", Button).disabled, "what is typed")
        assert SECRET not in see.text
        await see.press("ctrl+o")
        await see.until(lambda: "copied" in _notified(see).lower(), "the command line")
        line = see.app.clipboard
        assert "registries give-key" in line and "--secret-file store.secret" in line and "AKIAGIVEN" in line
        assert "--principal arn:aws:iam::123456789012:user/ann" in line
        assert SECRET not in line + _notified(see) + see.text
        form.query_one("#ok", Button).press()
        await see.until(lambda: see.app.screen is see.app.frame, "the form to close")
        address, body = service.asked[-1]
        assert address == f"PUT registries/{service.shown['id']}/store-key"
        assert body["store"]["credentials"]["secret_access_key"] == SECRET
        assert body["principal"] == "arn:aws:iam::123456789012:user/ann"
        assert "uses the key that was given" in see.text

        await see.shows("AKIAGIVEN")
        await see.press("ctrl+n")
        await see.until(lambda: isinstance(see.screen, ChangeStoreKey) and see.screen.query("#what"), "the form")
        form = see.screen
        form.query_one("#what", Select).value = "forget"
        await see.until(lambda: not form.query_one("#ok", Button).disabled, "nothing has to be typed")
        assert str(form.query_one("#ok", Button).label) == "Forget" and not form.query_one("#key").display
        await see.press("ctrl+o")
        await see.until(lambda: "registries forget-key" in see.app.clipboard, "the command line")
        form.query_one("#ok", Button).press()
        await see.until(lambda: see.app.screen is see.app.frame, "the form to close")
        assert service.asked[-1][0] == f"DELETE registries/{service.shown['id']}/store-key"
        assert "uses the environment's credentials" in see.text


async def test_a_registry_without_keys_says_why(answers: Mapping[str, Answer]) -> None:
    folder = {"kind": "directory", "uri": "file:///mnt/models/", "signs_in": "nowhere"}
    for service, reason in ((Keys(answers, folder), "a directory has no keys"), (Replay(answers), "embedded store")):
        app = RegistryApp(lambda service=service: RegistryClient(transport=service), start_platform=False)  # type: ignore[misc]
        async with app.run_test(size=(100, 30)) as pilot:
            see = Driver(app, pilot)
            await the_registry(see)
            assert reason in str(see.screen.reason("store_key"))
            if isinstance(service, Keys):
                await see.shows("not needed: the environment's credentials count")
                await see.press("p")
                await see.shows("will be able to read run artifacts in the embedded store")
                assert "grants it" not in see.text
