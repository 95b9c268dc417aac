"""An environment obeys an outside Ranger: the service of a second platform, behind a door that asks for a password."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
import psutil
import pytest
from textual.widgets import Input

from registry_tui.app.app import RegistryApp
from registry_tui.client.client import RegistryClient
from registry_tui.schemas.operations import EventOutcome, WorkflowStatus
from registry_tui.schemas.places import Cloud, Environment, EnvironmentCreate
from registry_tui.schemas.ranger import PolicyItem, PolicyItemAccess, PolicyResource, RangerPolicy, RangerSource
from registry_tui.schemas.registries import ModelRegistry, RegistryCreate, StorageAccess
from registry_tui.screens.ranger.source_form import SourceForm
from support.forwarding import forwarded
from support.machine_users import can_put
from support.platforms import PATIENCE, Platform, unique, wait_for
from support.program import Driver
from support.secret_search import hidden
from support.team import free_port

API = "/service/public/v2/api"
USER, PASSWORD = "registry-tui", hidden()


@dataclass(frozen=True)
class Obeying:
    """A RAZ-enabled environment of one platform, and the platform whose policies it obeys."""

    here: Platform
    there: Platform
    environment: Environment
    registry: ModelRegistry
    http: httpx.Client = field(repr=False)

    @property
    def machine_user(self) -> str:
        return self.registry.machine_user_workload_name or ""

    @property
    def address(self) -> str:
        return f"/api/v1/environments/{self.environment.name}/ranger-source"

    def ask(self, method: str, path: str, *, status: int = 200, **options: Any) -> Any:
        answer = self.http.request(method, path, **options)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def source(self) -> RangerSource | None:
        return self.here.call(RegistryClient.ranger_service, self.environment.name).source

    def failing(self) -> RangerSource | None:
        """The outside Ranger while it gives nothing."""
        found = self.source()
        return found if found is not None and found.problem else None

    def fetches(self) -> list[EventOutcome]:
        """The outcomes of fetching changed policies of the outside Ranger, the last first."""
        found = self.here.ask(lambda client: client.events(action="ranger-source.fetch", page_size=100)).items
        return [each.outcome for each in found]

    def policies(self) -> list[RangerPolicy]:
        return self.here.call(RegistryClient.policies, self.environment.name)

    def access(self) -> StorageAccess:
        return self.here.call(RegistryClient.registry, self.registry.id).storage_access

    def can_put(self) -> bool:
        return can_put(self.here, self.registry)

    def let_in(self, name: str) -> RangerPolicy:
        """A policy of the other platform that lets the machine user store archives."""
        accesses = [PolicyItemAccess(type=each) for each in ("read", "write", "list", "delete")]
        policy = RangerPolicy(
            service="cm_s3",
            name=name,
            resources={
                "bucket": PolicyResource(values=[self.environment.bucket]),
                "path": PolicyResource(values=[f"/{self.registry.prefix}"], is_recursive=True),
            },
            policy_items=[PolicyItem(users=[self.machine_user], accesses=accesses)],
        )
        return self.there.call(RegistryClient.create_policy, policy)


@pytest.fixture(scope="module")
def obeying(own_platform: Platform, platform: Platform) -> Iterator[Obeying]:
    made = own_platform.call(
        RegistryClient.create_environment, EnvironmentCreate(name=unique("raz").lower(), cloud=Cloud.AWS)
    )
    wanted = RegistryCreate(environment=made.name, grant_storage_access=False)
    accepted = own_platform.call(RegistryClient.create_registry, wanted)
    done = own_platform.call(RegistryClient.wait_for_workflow, accepted.workflow.id)
    assert done.status is WorkflowStatus.SUCCEEDED, done.error
    registry = own_platform.call(RegistryClient.registry, accepted.resource.id)
    transport = httpx.HTTPTransport(uds=str(own_platform.home.service_socket))
    with httpx.Client(transport=transport, base_url="http://service", timeout=PATIENCE) as http:
        yield Obeying(own_platform, platform, made, registry, http)


def test_an_environment_obeys_an_outside_ranger_also_while_that_is_away(obeying: Obeying) -> None:
    name = unique("outside")
    before = obeying.policies()
    assert obeying.source() is None and not obeying.can_put()
    given = obeying.let_in(name)
    with ExitStack() as door:
        # A port that no connection takes by chance while the door is closed.
        port = free_port()
        url = door.enter_context(forwarded(obeying.there.home.service_socket, (USER, PASSWORD), port))
        wanted = {"url": url, "service": "cm_s3", "user": USER, "password": PASSWORD, "every": 1}

        # A failed fetch changes nothing.
        for wrong, status, words in (
            ({"password": "wrong"}, 503, "does not accept the credentials"),
            ({"service": "cm_nothing"}, 503, "has no service"),
            ({"url": "http://127.0.0.1:9"}, 503, "does not answer"),
            ({"url": "http://ranger.example.com"}, 422, "must begin with https://"),
            ({"url": "ftp://127.0.0.1"}, 422, "must look like https://"),
        ):
            answer = obeying.ask("PUT", obeying.address, status=status, json=wanted | wrong)
            assert words in answer["detail"] and PASSWORD not in str(answer)
        assert obeying.source() is None and obeying.policies() == before

        answer = obeying.ask("PUT", obeying.address, json=wanted)
        assert answer["source"]["url"] == url and PASSWORD not in str(answer) and "password" not in str(answer)
        assert obeying.can_put() and obeying.access() is StorageAccess.GRANTED
        shown = {each.name: each for each in obeying.policies()}
        assert shown[name].policy_items[0].users == [obeying.machine_user]
        assert shown[name].resources["path"].values == [obeying.registry.prefix]
        changes_are_refused(obeying, shown[name])

        # Changes there apply here.
        obeying.there.call(RegistryClient.delete_policy, given.id or 0)
        wait_for(lambda: name not in [each.name for each in obeying.policies()], what="the policy to be gone")
        assert not obeying.can_put()
        obeying.let_in(name)
        wait_for(obeying.can_put, what="the policy to be back")

    # Away: its last policies stay, also after a restart, and the service reports since when.
    problem = wait_for(obeying.failing, what="the problem")
    assert "does not answer" in problem.problem and problem.failing_since is not None
    assert name in [each.name for each in obeying.policies()] and obeying.can_put()
    pid = obeying.here.kill("service")
    wait_for(lambda: obeying.here.pid("service") not in (0, pid) and obeying.source(), what="the service")
    assert name in [each.name for each in obeying.policies()] and obeying.can_put()
    again = wait_for(obeying.failing, what="the problem")
    assert again.failing_since == problem.failing_since
    shown_text = obeying.here.command("ranger", "source", "show", obeying.environment.name).stdout
    assert "does not answer" in shown_text and PASSWORD not in shown_text

    with forwarded(obeying.there.home.service_socket, (USER, PASSWORD), port):
        wait_for(lambda: obeying.failing() is None, what="it to answer again")
        # The event, which the terminal program follows.
        wait_for(lambda: obeying.fetches()[0] is EventOutcome.SUCCEEDED, what="the event")
        both = {EventOutcome.SUCCEEDED, EventOutcome.FAILED}
        wait_for(lambda: fetched(obeying.here) == both, what="an event about each end")
        # Without it, the environment's own policies are back.
        obeying.here.command("ranger", "source", "delete", "--yes", obeying.environment.name)
    assert obeying.source() is None and obeying.policies() == before
    assert not obeying.can_put() and obeying.access() is StorageAccess.NOT_GRANTED
    nowhere_shown(obeying.here, PASSWORD)


def fetched(platform: Platform) -> set[EventOutcome]:
    """How fetching the policies ended, by the events."""
    events = platform.ask(lambda client: client.events(action="ranger-source.fetch", page_size=1000)).items
    return {each.outcome for each in events}


def changes_are_refused(obeying: Obeying, outside: RangerPolicy) -> None:
    """At every door, with the reason."""
    service = obeying.here.call(RegistryClient.ranger_service, obeying.environment.name).name
    body = outside.model_dump(mode="json", by_alias=True) | {"service": service}
    registry = f"/api/v1/registries/{obeying.registry.id}"
    first = {"servicename": service, "policyname": outside.name}
    for method, path, options in (
        ("POST", f"{API}/policy", {"json": body | {"name": "mine"}}),
        ("POST", f"{API}/policy/apply", {"json": body}),
        ("PUT", f"{API}/policy/{outside.id}", {"json": body}),
        ("PUT", f"{API}/service/{service}/policy/{outside.name}", {"json": body}),
        ("DELETE", f"{API}/policy/{outside.id}", {}),
        ("DELETE", f"{API}/policy", {"params": first}),
        ("PUT", f"{registry}/storage-access", {}),
        ("DELETE", f"{registry}/storage-access", {}),
    ):
        answer = obeying.ask(method, path, status=409, **options)
        assert "cannot be changed here" in answer["detail"] and "Change them there" in answer["action"], (method, path)
    done = obeying.here.command(
        "ranger", "policies", "update", outside.name, "--service", service, "--disable", check=False
    )
    assert done.returncode != 0 and "cannot be changed here" in done.stderr
    assert obeying.can_put()


def nowhere_shown(platform: Platform, secret: str) -> None:
    """In no log, no event and no command line; the database that holds secrets is for its owner alone."""
    for path in platform.home.root.rglob("*.log"):
        assert secret.encode() not in path.read_bytes(), path
    events = platform.ask(lambda client: client.events(page_size=1000)).items
    assert secret not in str([each.model_dump() for each in events])
    for process in psutil.process_iter(["cmdline"]):
        assert secret not in " ".join(process.info["cmdline"] or ()), process
    assert stat.S_IMODE(platform.home.service_database.parent.stat().st_mode) & 0o077 == 0


async def test_the_form_lets_an_environment_obey_and_brings_own_policies_back(obeying: Obeying) -> None:
    name = unique("outside")
    given = obeying.let_in(name)
    environment = obeying.environment.name
    app = RegistryApp(obeying.here.client, start_platform=False)
    with forwarded(obeying.there.home.service_socket, (USER, PASSWORD)) as url:
        async with app.run_test(size=(120, 40)) as pilot:
            see = Driver(app, pilot)
            see.go("policies", environment=environment)
            await see.rows("policies")
            await see.press("Y")
            await see.until(lambda: isinstance(see.screen, SourceForm) and see.screen.query("#ok"), "the form")
            for field, value in (("url", url), ("user", USER), ("password", "wrong"), ("every", "3600")):
                see.screen.query_one(f"#{field}", Input).value = value
            see.screen.query_one("#url").focus()
            await see.press("enter")
            await see.shows("does not accept the credentials")
            see.screen.query_one("#password", Input).value = PASSWORD
            await see.until(lambda: not see.screen.query_one("#ok").disabled, "the input")
            await see.press("enter")
            await see.at("policies")
            await see.until(lambda: see.screen.service.source is not None, "the source")
            await see.shows(f"read-only: service cm_s3 of Ranger at {url}")
            await see.until(lambda: name in [row.name for row in see.screen.table.source.loaded_rows()], name)
            assert obeying.can_put()

            await see.press("Y", "end", "enter")
            await see.shows("obeys its own policies again")
            await see.press("right", "enter")
            await see.until(lambda: see.screen.service.source is None, "own policies")
    assert obeying.source() is None and not obeying.can_put()
    obeying.there.call(RegistryClient.delete_policy, given.id or 0)
