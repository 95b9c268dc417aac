"""Every POST of the API sent twice with one key, also around a kill of the service: one thing, one answer."""

from __future__ import annotations

import secrets
import signal
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from registry_tui.platform import supervisor
from registry_tui.platform.paths import PART_VARIABLE
from registry_tui.schemas.deployments import DeploymentUpdate, EnvironmentVariable
from registry_tui.schemas.operations import Accepted
from support.issuer import CLIENT, serving
from support.little_mlflow import serving as serving_mlflow
from support.little_mlflow import with_model
from support.platforms import PATIENCE, Platform, unique, wait_for
from support.posts.calls import MEMORY, Call, Place, connect
from support.posts.people import key
from support.posts.table import POSTS
from support.registered import log_model
from support.served import deploy as deploy_model
from support.served import finish
from support.served import register as registered_model

pytestmark = pytest.mark.xdist_group("idempotency")
TESTS = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def place(own_platform: Platform) -> Iterator[Place]:
    project = own_platform.new_project()
    served = registered_model(own_platform, project)
    deployment = deploy_model(own_platform, served, cpu=0.1, memory_bytes=MEMORY)
    deploy_two = DeploymentUpdate(environment=[EnvironmentVariable(name="A", value="1")])
    changed = own_platform.ask(lambda client: client.update_deployment(deployment.id, deploy_two))
    assert isinstance(changed, Accepted)
    finish(own_platform, changed.workflow)
    run = log_model(own_platform, project)
    with (
        connect(own_platform) as http,
        serving() as issuer,
        serving_mlflow(with_model("Elsewhere", 3)) as stock,
    ):
        issuer.provider.secret = secrets.token_urlsafe(32)
        settings = {"url": issuer.provider.url, "client_id": CLIENT, "client_secret": issuer.provider.secret}
        http.put("/sign-in/issuer", json=settings).raise_for_status()
        registry = http.get(f"/projects/{project.id}").raise_for_status().json()["registry_name"]
        model = served.version.model_name
        yield Place(own_platform, http, project, run, registry, issuer.provider, stock, model, deployment.id)


def test_every_post_has_a_row(place: Place) -> None:
    paths = place.get("/openapi.json")["paths"]
    posts = {path for path, found in paths.items() if "post" in found and not found["post"].get("x-reads-only")}
    assert {path.removeprefix("/api/v1") for path in posts} == set(POSTS)


@pytest.mark.parametrize("path", POSTS)
def test_a_post_that_is_sent_twice_with_one_key_makes_one_thing(place: Place, path: str) -> None:
    call, name = POSTS[path](place), str(uuid.uuid4())
    first = place.send(call.path, call.body, name)
    assert first.is_success, first.text
    assert "Idempotency-Replayed" not in first.headers
    second = place.send(call.path, call.body, name)
    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert second.headers["Idempotency-Replayed"] == "true"
    other = place.send(call.path, {"something": "else"}, name)
    assert other.status_code == 422 and other.json()["code"] == "key-reused"
    workflow = first.json().get("workflow") or {}
    if workflow:
        place.finished(workflow["id"])
    assert call.count() == 1


#: Where the service is killed: after a commit of such rows, or an answer of MLflow to such a call.
KILLS: dict[str, tuple[str, ...]] = {
    "/environments": ("EnvironmentRow",),
    "/projects": ("ProjectRow", "/api/3.0/mlflow/workspaces", "EventRow"),
    "/projects/{project}/register": ("registered-models/create", "model-versions/create", "WorkflowRow"),
    "/registries": ("WorkflowRow",),
    "/deployments": ("WorkflowRow",),
    "/keys": ("IdempotencyRow", "ApiKeyRow", "EventRow"),
    "/webhooks": ("WebhookRow", "EventRow"),
    "/users/{user}/tokens": ("UserTokenRow", "EventRow"),
    "/sign-in/id-token": ("UserTokenRow", "EventRow"),
}


@pytest.mark.parametrize(("path", "point"), [(path, point) for path, points in KILLS.items() for point in points])
def test_a_post_that_is_sent_again_after_a_kill_makes_one_thing(place: Place, path: str, point: str) -> None:
    call, name = POSTS[path](place), str(uuid.uuid4())
    with killed_service(place.platform, point) as process:
        with pytest.raises(httpx.HTTPError):
            place.send(call.path, call.body, name)
        assert process.wait(PATIENCE) == -signal.SIGKILL
    again = wait_for(lambda: sent_again(place, call, name), what="the service")
    assert again.is_success, again.text
    third = place.send(call.path, call.body, name)
    assert (third.status_code, third.content) == (again.status_code, again.content)
    if workflow := again.json().get("workflow"):
        place.finished(workflow["id"])
    assert call.count() == 1
    if path == "/keys":
        works_as_key(place, again.json()["key"])


def test_a_delete_whose_answer_was_lost_gets_it_when_it_is_sent_again(place: Place) -> None:
    run, name, other = log_model(place.platform, place.project), unique("m"), unique("m")
    for each in (name, name, other):
        body = {"name": each, "run_id": run.run_id, "artifact_path": run.artifact_path}
        made = place.send(f"/projects/{place.project.id}/register", body).raise_for_status().json()
        place.finished(made["workflow"]["id"])
    model = f"/registries/{place.registry}/models/{name}"
    place.http.put(f"{model}/aliases/best", params={"version": 2}).raise_for_status()
    paths = (f"{model}/aliases/best", f"{model}/versions/1?keep_archive=true", f"{model}/versions/2", model)
    for path in (*paths, f"/registries/{place.registry}/models/{other}?keep_archives=true"):
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        first = place.http.delete(path, headers=headers)
        assert first.is_success, first.text
        # As when the service is killed between its work and saving the response.
        with closing(sqlite3.connect(place.platform.home.service_database, timeout=PATIENCE)) as database, database:
            lost = "UPDATE idempotency SET status = NULL, answer = NULL WHERE request = ?"
            assert database.execute(lost, (f"DELETE /api/v1{path}",)).rowcount == 1
        again = place.http.delete(path, headers=headers)
        assert (again.status_code, again.content) == (first.status_code, first.content), (path, again.text)
        assert place.http.delete(path).status_code == 404, path


def test_an_answer_outlives_the_service(place: Place) -> None:
    call, name = key(place), str(uuid.uuid4())
    first = place.send(call.path, call.body, name)
    pid = place.platform.kill("service")
    wait_for(lambda: place.platform.pid("service") not in (0, pid), what="the supervisor to start it again")
    second = wait_for(lambda: sent_again(place, call, name), what="the service")
    assert second.content == first.content and call.count() == 1
    works_as_key(place, second.json()["key"])
    secret = first.json()["key"].encode()
    folder = place.platform.home.service_database.parent
    assert all(secret not in file.read_bytes() for file in folder.iterdir() if file.is_file())


def sent_again(place: Place, call: Call, name: str) -> httpx.Response | None:
    """The answer of a service that is up; it may still wait for a part."""
    answer = place.send(call.path, call.body, name)
    return None if answer.status_code == 503 else answer


def works_as_key(place: Place, secret: str) -> None:
    """The gateway answers metrics to an administrator's key."""
    url = f"http://127.0.0.1:{place.platform.ports.gateway}/metrics"

    def let_in() -> bool:
        headers = {"Authorization": f"Bearer {secret}"}
        return httpx.get(url, headers=headers, trust_env=False, timeout=30).status_code == 200

    wait_for(let_in, what="the gateway to know the key")


@contextmanager
def killed_service(platform: Platform, point: str) -> Iterator[subprocess.Popen[bytes]]:
    """In place of the platform's service: one that kills itself at a point."""
    supervisor.stop_part(platform.home, "service")
    command = [sys.executable, "-m", "support.killed_service", point]
    variables = {**platform.environment(), "PYTHONPATH": str(TESTS), PART_VARIABLE: "service"}
    with (platform.home.logs / "service.log").open("ab") as log:
        process = subprocess.Popen(command, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def ready() -> bool:
        assert process.poll() is None
        with connect(platform) as http:
            return bool(http.get("/health").json()["ready"])

    try:
        wait_for(ready, what="the service")
        yield process
    finally:
        process.kill()
        process.wait(30)
        platform.up()
