"""Two processes of the service on one PostgreSQL database, asked at the same time."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from threading import Barrier
from typing import Any

import httpx
import pytest

from registry_tui.platform.database_urls import databases_of
from registry_tui.platform.paths import Home
from registry_tui.schemas.places import Project
from support import secret_search, served
from support.bare import acting
from support.platforms import PATIENCE, WORKSPACE, Platform, temporary_folder, unique, wait_for
from support.postgres import PostgresServer
from support.registered import log_model
from support.rows import ask

pytestmark = pytest.mark.long

BOTH = ("service", "service-2")


@dataclass
class Pair:
    """A platform with two processes of the service, and a client of each."""

    platform: Platform
    clients: tuple[httpx.Client, httpx.Client]
    second: subprocess.Popen[bytes]

    def at_once(self, request: Callable[[httpx.Client], httpx.Response]) -> list[httpx.Response]:
        """The same request to both, in the same moment."""
        ready = Barrier(2)

        def send(client: httpx.Client) -> httpx.Response:
            ready.wait()
            return request(client)

        with ThreadPoolExecutor(2) as threads:
            return list(threads.map(send, self.clients))

    def finished(self, workflow: str) -> dict[str, Any]:
        """A workflow that has ended, as the second process knows it."""

        def ended() -> dict[str, Any] | None:
            found: dict[str, Any] = self.clients[1].get(f"/workflows/{workflow}").raise_for_status().json()
            return found if found["finished_at"] else None

        return wait_for(ended, what="the workflow to end")


@pytest.fixture(scope="module")
def pair(postgres: PostgresServer) -> Iterator[Pair]:
    with temporary_folder() as folder:
        platform = Platform(Home(folder / "h"))
        try:
            platform.command("up", "--database", postgres.new_database())
            clients = [client_of(platform, process) for process in BOTH]
            made = Pair(platform, (clients[0], clients[1]), start_second(platform))
            try:
                yield made
            finally:
                made.second.kill()
                made.second.wait()
            secret_search.require_none_out_of_place(platform)
        finally:
            platform.down()


def start_second(platform: Platform) -> subprocess.Popen[bytes]:
    """Starts the second process, and waits until it answers."""
    command = [sys.executable, "-m", "registry_tui.service", "service-2"]
    with (platform.home.logs / "service-2.log").open("ab") as log:
        started = subprocess.Popen(command, env=platform.environment(), stdout=log, stderr=log)
    with client_of(platform, "service-2") as client:
        wait_for(lambda: client.get("/health").json()["ready"] or started.poll(), what="the second process to be ready")
    assert started.poll() is None, (platform.home.logs / "service-2.log").read_text()
    return started


def client_of(platform: Platform, process: str) -> httpx.Client:
    socket = httpx.HTTPTransport(uds=str(platform.home.socket_of(process)), verify=False)
    return httpx.Client(base_url="http://registry-tui/api/v1", transport=socket, timeout=PATIENCE)


@pytest.fixture
def project(pair: Pair) -> Project:
    return pair.platform.new_project()


def make_project(name: str, client: httpx.Client, key: str | None = None) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post("/projects", json={"name": name, "workspace": WORKSPACE}, headers=headers)


def statuses(answers: list[httpx.Response]) -> list[int]:
    return sorted(each.status_code for each in answers)


def test_of_two_that_make_the_same_name_one_is_refused(pair: Pair) -> None:
    for name in (unique("same"), unique("same"), unique("same")):
        answers = pair.at_once(partial(make_project, name))
        assert statuses(answers) == [201, 409], [each.text for each in answers]
        made = [each.json() for each in answers if each.status_code == 201]
        for client in pair.clients:
            assert client.get(f"/projects/{name}").json()["id"] == made[0]["id"]
    name = unique("group")
    answers = pair.at_once(lambda client: client.put(f"/groups/{name}", json={"description": "x"}))
    assert statuses(answers) == [200, 200]
    assert len([each for each in pair.clients[0].get("/groups").json()["items"] if each["name"] == name]) == 1


def test_a_key_that_both_get_is_carried_out_once(pair: Pair) -> None:
    name = unique("keyed")
    answers = pair.at_once(partial(make_project, name, key=name))
    assert statuses(answers) == [201, 201], [each.text for each in answers]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert Counter("Idempotency-Replayed" in each.headers for each in answers) == {True: 1, False: 1}


def test_a_role_that_changes_in_one_counts_at_the_next_request_to_the_other(pair: Pair, project: Project) -> None:
    first, second = pair.clients
    user = unique("ann")
    first.put(f"/users/{user}", json={}).raise_for_status()
    mine = acting(user)
    address = f"/projects/{project.id}"
    for client, other in ((first, second), (second, first)):
        assert other.get(address, headers=mine).status_code in (403, 404)
        given = client.put(f"{address}/collaborators/{user}", json={"role": "contributor"})
        assert given.is_success, given.text
        assert other.get(address, headers=mine).status_code == 200
        assert other.get(f"{address}/credentials", headers=mine).status_code == 200
        assert client.delete(f"{address}/collaborators/{user}").is_success
    state = first.patch(f"/users/{user}", json={"state": "suspended"})
    assert state.is_success, state.text
    assert second.get("/projects", headers=mine).status_code in (401, 403)


def test_changes_of_either_reach_those_who_follow_the_other(
    pair: Pair, project: Project, postgres: PostgresServer
) -> None:
    first, second = pair.clients
    for client, other in ((first, second), (second, first)):
        with other.stream("GET", "/stream") as answer:
            lines = answer.iter_lines()
            until(lines, "event: resync")
            name = unique("told")
            make_project(name, client).raise_for_status()
            assert '"action":"project.create"' in until(lines, name)
            begun = client.post(f"/registries/{project.registry_id}/synchronize", json={}).raise_for_status().json()
            until(lines, f'"workflow":{{"id":"{begun["workflow"]["id"]}"')
            assert pair.finished(begun["workflow"]["id"])["status"] == "succeeded"
            # It cannot know the changes that it misses while it is cut off.
            cut_off_listeners(postgres, len(pair.clients))
            until(lines, "event: resync")
            name = unique("told")
            make_project(name, client).raise_for_status()
            until(lines, name)


def cut_off_listeners(postgres: PostgresServer, services: int) -> None:
    """Ends the connections on which services learn from each other; waits until all have new ones."""
    before = postgres.listeners()
    postgres.end_listeners()
    wait_for(lambda: len(postgres.listeners() - before) == services, what="the services to listen again")


def until(lines: Iterator[str], text: str) -> str:
    """The next line of a stream that has a text."""
    late = time.monotonic() + PATIENCE
    for line in lines:
        if text in line:
            return line
        assert time.monotonic() < late, f"the stream does not tell of {text}"
    raise AssertionError("the stream ended")


def test_versions_that_both_register_get_a_number_each(pair: Pair, project: Project) -> None:
    name, run = unique("Model"), log_model(pair.platform, project)
    asked = {"name": name, "run_id": run.run_id, "artifact_path": run.artifact_path}
    accepted = [
        answer
        for _ in range(3)
        for answer in pair.at_once(lambda client: client.post(f"/projects/{project.id}/register", json=asked))
    ]
    assert {each.status_code for each in accepted} == {202}, [each.text for each in accepted]
    assert sorted(each.json()["resource"]["version"] for each in accepted) == [1, 2, 3, 4, 5, 6]
    for each in accepted:
        assert pair.finished(each.json()["workflow"]["id"])["status"] == "succeeded"
    searched = {"search": name[:-1]}
    registry = accepted[0].json()["resource"]["registry_id"]
    for client in pair.clients:
        found = client.get(f"/registries/{registry}/models", params=searched).json()["items"]
        assert [(model["name"], model["latest_version"]) for model in found] == [(name, 6)]


def test_work_on_a_registry_is_done_by_one_of_both(pair: Pair, project: Project) -> None:
    registry, all_begun = project.registry_name, list[str]()
    for _ in range(3):
        answers = pair.at_once(lambda client: client.post(f"/registries/{registry}/synchronize", json={}))
        begun = [each.json()["workflow"]["id"] for each in answers if each.status_code == 202]
        assert begun and {each.status_code for each in answers} <= {202, 409}, [each.text for each in answers]
        assert all(pair.finished(each)["status"] == "succeeded" for each in begun)
        all_begun += begun
    service = databases_of(pair.platform.home).service
    found = ask(service, "SELECT workflow_id, text FROM log_lines WHERE workflow_id IS NOT NULL")
    lines = [(str(row.workflow_id), str(row.text)) for row in found]
    # The first step ends with this line.
    listed = Counter(workflow for workflow, text in lines if re.match(r"\d+ workspaces?: ", text))
    assert [listed[each] for each in all_begun] == [1] * len(all_begun), "no step ran in both"
    # A step that waited for a part of the platform wrote its lines again.
    waited = {workflow for workflow, text in lines if text.endswith("trying again")}
    steps = Counter(line for line in lines if line[0] not in waited)
    assert max(steps.values(), default=1) == 1, "no step ran in both"


def test_a_deployment_that_both_change_has_a_revision_for_each_change(pair: Pair, project: Project) -> None:
    model = served.register(pair.platform, project, add=10)
    deployment = served.deploy(pair.platform, model)
    answers = pair.at_once(lambda client: client.patch(f"/deployments/{deployment.id}", json={"replicas": 2}))
    accepted = [each.json()["workflow"]["id"] for each in answers if each.status_code == 202]
    assert accepted and {each.status_code for each in answers} <= {200, 202, 409}, [each.text for each in answers]
    assert all(pair.finished(each)["status"] == "succeeded" for each in accepted)
    for client in pair.clients:
        found = client.get(f"/deployments/{deployment.id}").json()
        assert (found["state"], found["replicas_wanted"]) == ("deployed", 2)
        history = client.get(f"/deployments/{deployment.id}/revisions").json()
        assert sorted(each["number"] for each in history) == list(range(1, 2 + len(accepted)))


def test_what_a_process_leaves_that_is_gone_is_finished_by_the_other(pair: Pair, project: Project) -> None:
    """The second one is killed with workflows under way, and the first one ends while the second one is there alone."""
    registry, run = project.registry_name, log_model(pair.platform, project, files=40)
    assert registry is not None
    asked = {"name": unique("Left"), "run_id": run.run_id, "artifact_path": run.artifact_path}
    begun = [
        pair.clients[1].post(f"/projects/{project.id}/register", json=asked).raise_for_status().json()["workflow"]["id"]
        for _ in range(4)
    ]
    pair.second.send_signal(signal.SIGKILL)
    pair.second.wait()

    def all_ended() -> bool:
        return all(pair.clients[0].get(f"/workflows/{each}").json()["finished_at"] for each in begun)

    wait_for(all_ended, what="the first process to finish what the second one began")
    assert {pair.clients[0].get(f"/workflows/{each}").json()["status"] for each in begun} == {"succeeded"}
    pair.second = start_second(pair.platform)
    os.kill(pair.platform.running("service"), signal.SIGKILL)
    made = pair.clients[1].post(f"/projects/{project.id}/register", json=asked)
    assert made.status_code == 202, made.text
    assert pair.finished(made.json()["workflow"]["id"])["status"] == "succeeded"
