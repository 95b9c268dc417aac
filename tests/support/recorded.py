"""The service's answers, recorded once and replayed: the program draws the same from them each time.

`python tests/support/recorded.py` records again: it starts a platform in a temporary folder, loads the demo, opens
every scene of `scenes.py` at both sizes of the snapshots, and writes each request with its last answer to
`tests/snapshots/answers.json`. Names of people, folders and ports of this machine are replaced by others.
`python tests/support/recorded.py HOME SCENE…` opens these scenes alone, on the platform of a home, and adds the answers
to requests that were not recorded before.
"""

from __future__ import annotations

import asyncio
import base64
import getpass
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from functools import partial

from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from registry_tui.platform.paths import ENVIRONMENT_VARIABLE, Home
from registry_tui.schemas.admission import ExceptionChange, RulesChange
from registry_tui.schemas.attached import AttachedServerCreate
from registry_tui.schemas.people import (
    EnvironmentRole,
    GroupChange,
    RolesChange,
    UserChange,
    UserState,
    UserTokenCreate,
)
from registry_tui.schemas.promotion import ApprovalAsk, ApprovalDecision, Decision, StageChange
from registry_tui.schemas.stages import Stage
from registry_tui.schemas.webhooks import WebhookCreate
from registry_tui.wording import words
from support.program import Driver
from support.scenes import ENVIRONMENT, GROUP, MODEL, REGISTRY, SCENES, USER, WEBHOOK
from support.secret_search import hidden
from support.stock_mlflow import stock_server
from support.watched_requests import make_requests

ANSWERS = Path(__file__).resolve().parent.parent / "snapshots" / "answers.json"
#: Columns and rows of the snapshots.
SIZES = ((80, 24), (170, 50))
#: The environment variable of the setting `webhook_private_hosts`.
HOSTS = "REGISTRY_TUI_WEBHOOK_PRIVATE_HOSTS"
STREAM = "/api/v1/stream"
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
#: The last line of a recording has its time.
_MADE = "made"


@dataclass(frozen=True)
class Answer:
    """The service's response."""

    status: int
    content_type: str
    content: bytes

    def response(self) -> httpx.Response:
        return httpx.Response(self.status, headers={"Content-Type": self.content_type}, content=self.content)


class Unrecorded(Exception):
    """A request that no scene made while it was recorded."""


def key_of(request: httpx.Request) -> str:
    """The identity of a request: method, path with query, and body."""
    body = request.content.decode("utf-8", "replace")
    return f"{request.method} {request.url.raw_path.decode()}" + (f" {body}" if body else "")


# -- recording ---------------------------------------------------------------------------------------------


class Recorder(httpx.AsyncBaseTransport):
    """Passes requests on, and keeps the last answer to each."""

    def __init__(self, home: Home) -> None:
        self._real = httpx.AsyncHTTPTransport(uds=str(home.service_socket))
        self.answers: dict[str, Answer] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._real.handle_async_request(request)
        if request.url.path == STREAM:
            return response
        await request.aread()
        content = await response.aread()
        await response.aclose()
        answer = Answer(response.status_code, response.headers.get("Content-Type", ""), content)
        self.answers[key_of(request)] = answer
        return answer.response()

    async def aclose(self) -> None:
        await self._real.aclose()


def save(
    answers: Mapping[str, Answer], names: Mapping[str, str], path: Path = ANSWERS, made: datetime | None = None
) -> None:
    """Writes answers as JSON, an answer a line, with `names` replaced; binary bodies in base64. `made`: now."""

    def replaced(text: str) -> str:
        for name, other in names.items():
            text = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", other, text)
        return text

    lines = [json.dumps({_MADE: (made or datetime.now(UTC)).isoformat(timespec="seconds")})]
    for key, answer in sorted(answers.items()):
        line: dict[str, Any] = {"request": replaced(key), "status": answer.status, "type": answer.content_type}
        if "json" in answer.content_type:
            line["json"] = json.loads(replaced(answer.content.decode()))
        elif answer.content_type.startswith("text/"):
            line["text"] = replaced(answer.content.decode())
        else:
            line["base64"] = base64.b64encode(answer.content).decode()
        lines.append(json.dumps(line, ensure_ascii=False))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


def add(answers: Mapping[str, Answer], names: Mapping[str, str]) -> None:
    """Adds answers to new requests to those that were recorded before, as if they had been given then."""
    made, known = load()
    passed = datetime.now(UTC) - made

    def as_then(found: re.Match[str]) -> str:
        return (datetime.fromisoformat(found[0]) - passed).isoformat().replace("+00:00", "Z")

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "new.json"
        save(answers, names, path)
        path.write_text(_MOMENT.sub(as_then, path.read_text(encoding="utf-8")), encoding="utf-8")
        _, new = load(path)
    save({**new, **known}, {}, made=made)


async def make_people(home: Home) -> None:
    """Gives the demo's people roles, a group and tokens, which the demo leaves to the administrator."""
    async with RegistryClient(home) as client:
        await client.put_user(USER, UserChange(full_name="Grace Hopper", email="grace@example.org"))
        await client.put_user("linus", UserChange(state=UserState.SUSPENDED))
        await client.put_group(GROUP, GroupChange(description="Trains and registers models"))
        for member in (USER, "linus"):
            await client.add_member(GROUP, member)
        roles = [EnvironmentRole.ENVIRONMENT_USER, EnvironmentRole.ML_USER]
        await client.set_group_roles(ENVIRONMENT, GROUP, RolesChange(roles=roles))
        await client.set_user_roles(ENVIRONMENT, USER, RolesChange(roles=[EnvironmentRole.ML_ADMIN]))
        if not (await client.tokens(USER)).items:
            await client.create_token(USER, UserTokenCreate(name="laptop", days=90))
            ci = await client.create_token(USER, UserTokenCreate(name="ci", days=30))
            await client.revoke_token(USER, ci.user_token.id)


async def make_approvals(home: Home) -> None:
    """Asks for approvals of the demo's newest versions, as somebody else than the administrator: they wait for them."""
    async with RegistryClient(home) as client:
        versions = (await client.versions(REGISTRY, MODEL, page_size=2)).items
        if (await client.approvals(page_size=1)).items:
            return
        first, second = (each.version for each in versions)
        asked = await client.ask_approval(
            REGISTRY, MODEL, second, "stage:PreProduction", ApprovalAsk(comment="Trained on all vintages")
        )
        withdrawn = ApprovalDecision(decision=Decision.WITHDRAW, comment="One vintage was missing")
        await client.decide_approval(asked.id, withdrawn)
    async with RegistryClient(home, user=USER) as client:
        question = "Better than the champion on all slices; drift was looked at on the last three months"
        await client.ask_approval(REGISTRY, MODEL, first, "stage:Production", ApprovalAsk(comment=question))
        await client.ask_approval(REGISTRY, MODEL, second, "deploy", ApprovalAsk(comment="For the canary"))


async def make_webhooks(home: Home) -> None:
    """Makes webhooks, one of which nobody answers, and moves a version through stages.

    Nothing listens at their addresses; the service has the setting `webhook_private_hosts` with `localhost`.
    """
    async with RegistryClient(home) as client:
        if not (await client.webhooks()).items:
            for name, url, events in (
                (WEBHOOK, "https://localhost:9/registry", ["version.*"]),
                ("pager", "https://localhost:10/v2/deployments-of-the-winery", ["deployment.*"]),
            ):
                request = WebhookCreate(name=name, environment=ENVIRONMENT, url=url, events=events)
                await client.create_webhook(request)
            await client.pause_webhook("pager")
            await client.test_webhook(WEBHOOK)
        version = (await client.versions(REGISTRY, MODEL, page_size=1)).items[0]
        if not (await client.stages(REGISTRY, MODEL, version.version)).items:
            for stage, comment in ((Stage.DEVELOPMENT, ""), (Stage.QA, "All slices were looked at")):
                change = StageChange(stage=stage, comment=comment)
                await client.set_stage(REGISTRY, MODEL, version.version, change)


async def make_attached(home: Home) -> dict[str, str]:
    """Attaches a stock server, with and without a user; the name that its address has in the answers."""
    async with RegistryClient(home) as client:
        if not (await client.attached_servers()).items:
            with tempfile.TemporaryDirectory(prefix="rt-") as folder, stock_server(Path(folder)) as server:
                for name, user in (("lab", "ann"), ("team", None)):
                    secret = None if user is None else hidden()
                    request = AttachedServerCreate(
                        name=name, environment=ENVIRONMENT, url=server.url, user=user, secret=secret
                    )
                    await client.attach_server(request)
        return {each.url: "https://mlflow.example.com/team" for each in (await client.attached_servers()).items}


#: Requirements for promoting versions, at first and then.
_FIRST_RULES = """\
rules:
  - name: has-signature
    for: [promote]
    requires: model_signature
"""
_RULES = (
    _FIRST_RULES
    + """\
  # The canary showed what slow answers cost.
  - name: has-card
    for: [promote]
    requires: model_card
    headings: [Limitations]
  - name: approved
    for: [promote]
    models: ["Wine*"]
    requires: approval
    advice: The winery's data team approves
"""
)


async def make_rules(home: Home) -> None:
    """Sets rules of an environment twice, and lets a version through one."""
    async with RegistryClient(home) as client:
        if not (await client.rules_history(ENVIRONMENT)).items:
            await client.set_rules(ENVIRONMENT, RulesChange(text=_FIRST_RULES, comment="Versions say what they take"))
            await client.set_rules(ENVIRONMENT, RulesChange(text=_RULES, comment="Approved and described, too"))
            version = (await client.versions(REGISTRY, MODEL, page_size=2)).items[1]
            reason = "Known since the spring; its card is being written"
            until = datetime(2027, 6, 30, tzinfo=UTC)
            change = ExceptionChange(reason=reason, expires_at=until)
            await client.set_exception(REGISTRY, MODEL, version.version, "has-card", change)
            await client.set_exception(
                REGISTRY, MODEL, version.version, "approved", ExceptionChange(reason="Ticket 11")
            )


async def record(home: Home, scenes: Collection[str] = ()) -> dict[str, Answer]:
    """Opens every scene, or the named ones, on a platform with the demo.

    Returns the requests with their last answers.
    """

    def answered(app: RegistryApp) -> bool:
        return app.status is not None

    await make_people(home)
    await make_approvals(home)
    await make_webhooks(home)
    await make_rules(home)
    await make_attached(home)
    await make_requests(home)
    recorder = Recorder(home)
    for name, scene in (each for each in SCENES.items() if not scenes or each[0] in scenes):
        for size in SIZES:
            app = RegistryApp(lambda: RegistryClient(transport=recorder), start_platform=False)
            async with app.run_test(size=size) as pilot:
                driver = Driver(app, pilot)
                await driver.rows("registries")
                await scene(driver)
                await driver.until(partial(answered, app), "the parts' health")
                await pilot.pause(1.2)  # polled requests were sent once more
        print(f"{name}: {len(recorder.answers)} answers", flush=True)
    return recorder.answers


def main() -> None:
    repository = Path(__file__).resolve().parents[2]
    with tempfile.TemporaryDirectory(prefix="rt-") as folder:
        home = Home(Path(folder) / "h")
        environment = {**os.environ, ENVIRONMENT_VARIABLE: str(home.root), HOSTS: "localhost"}
        command = [sys.executable, "-m", "registry_tui"]
        if len(sys.argv) > 1:
            home = Home(Path(sys.argv[1]))
        try:
            if len(sys.argv) == 1:
                subprocess.run([*command, "up"], env=environment, check=True)
                subprocess.run([*command, "demo"], env=environment, check=True)
            answers = asyncio.run(record(home, sys.argv[2:]))
            elsewhere = asyncio.run(make_attached(home))
        finally:
            if len(sys.argv) == 1:
                subprocess.run([*command, "down"], env=environment, check=False)
    asked = ["git", "-C", str(repository), "remote", "get-url", "origin"]
    origin = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    names = {
        **elsewhere,
        **({origin: "https://git.example.org/registry-tui"} if origin else {}),
        str(home.root): "/home/ada/registry",
        str(Path(sys.executable).parent.parent): "/home/ada/venv",
        sys.prefix: "/home/ada/venv",
        str(repository): "/home/ada/registry-tui",
        getpass.getuser(): "ada",
    }
    (add if sys.argv[2:] else save)(answers, names)
    print(f"{len(answers)} answers, {ANSWERS.stat().st_size:,} bytes")


# -- giving again ------------------------------------------------------------------------------------------


def load(path: Path = ANSWERS) -> tuple[datetime, dict[str, Answer]]:
    """When they were recorded, and the answers by request."""
    first, *lines = json.loads(path.read_text(encoding="utf-8"))
    return datetime.fromisoformat(first[_MADE]), {line["request"]: _answer(line) for line in lines}


def _answer(line: Mapping[str, Any]) -> Answer:
    if "json" in line:
        content = json.dumps(line["json"]).encode()
    else:
        content = line["text"].encode() if "text" in line else base64.b64decode(line["base64"])
    return Answer(line["status"], line["type"], content)


@contextmanager
def an_hour_after(made: datetime) -> Iterator[None]:
    """On the screen it is an hour after the answers were given, and everywhere the same time of day."""
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(words, "present", lambda: made + timedelta(hours=1))
            patch.setenv("TZ", "UTC")
            time.tzset()
            yield
    finally:
        time.tzset()


class _Silence(httpx.AsyncByteStream):
    """A stream that sends a sign of life, and nothing else until it is closed."""

    def __init__(self) -> None:
        self._closed = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b":\n\n"
        await self._closed.wait()

    async def aclose(self) -> None:
        self._closed.set()


class Replay(httpx.AsyncBaseTransport):
    """Gives recorded answers. `changed` may alter each; an unknown request is kept in `unknown` and fails."""

    def __init__(self, answers: Mapping[str, Answer], changed: Callable[[Answer], Answer] = lambda same: same) -> None:
        self._answers, self._changed = answers, changed
        self.unknown: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == STREAM:
            return httpx.Response(200, headers={"Content-Type": "text/event-stream"}, stream=_Silence())
        await request.aread()
        key = key_of(request)
        answer = self.find(key)
        if answer is None:
            self.unknown.append(key)
            raise Unrecorded(key)
        return self._changed(answer).response()

    def find(self, key: str) -> Answer | None:
        return self._answers.get(key)


if __name__ == "__main__":
    main()
