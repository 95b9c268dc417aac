"""Every POST of the API sent twice with one key, also around a kill of the service: one thing, one answer."""

from __future__ import annotations

import json
import secrets
import signal
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from registry_tui.contracts import signatures
from registry_tui.platform import supervisor
from registry_tui.platform.paths import PART_VARIABLE
from registry_tui.schemas.base import Page
from registry_tui.schemas.deployments import DeploymentUpdate, EnvironmentVariable
from registry_tui.schemas.operations import Accepted, WorkflowStatus
from registry_tui.schemas.places import Project
from support.issuer import CLIENT, Provider, serving
from support.little_mlflow import Server, with_model
from support.little_mlflow import serving as serving_mlflow
from support.platforms import PATIENCE, PLAIN, Platform, unique, wait_for
from support.registered import LoggedRun, log_model
from support.served import deploy as deploy_model
from support.served import finish, split
from support.served import register as registered_model

pytestmark = pytest.mark.xdist_group("idempotency")

TESTS = Path(__file__).resolve().parent.parent

Items = list[dict[str, Any]]

#: Of replicas that hold a small model.
MEMORY = 600 << 20


@dataclass
class Place:
    """A platform's service as plain HTTP, and the subjects of the calls."""

    platform: Platform
    http: httpx.Client
    project: Project
    run: LoggedRun
    registry: str
    #: Where people sign in.
    issuer: Provider
    #: A server that can be attached.
    stock: Server
    #: A model whose version 1 can be served, and a deployment that has served something else before.
    model: str
    deployment: str

    def send(self, path: str, body: Any = None, key: str | None = None) -> httpx.Response:
        headers = {} if key is None else {"Idempotency-Key": key}
        return self.http.post(path, json=body, headers=headers)

    def get(self, path: str, **params: Any) -> Any:
        return self.http.get(path, params=params).raise_for_status().json()

    def items(self, path: str, **params: Any) -> Items:
        found = self.get(path, page_size=200, **params)
        return list(found if isinstance(found, list) else Page[dict[str, Any]].model_validate(found).items)

    def finished(self, workflow: str) -> dict[str, Any]:
        """The workflow once it has ended."""

        def ended() -> dict[str, Any] | None:
            found: dict[str, Any] = self.get(f"/workflows/{workflow}")
            return found if WorkflowStatus(found["status"]).finished else None

        return wait_for(ended, what=f"workflow {workflow}")

    def workflows(self, kind: str, resource: str | None = None) -> Items:
        found = self.items("/workflows", kind=kind)
        return [each for each in found if resource in (None, each["resource_id"], each["resource_name"])]


def connect(platform: Platform) -> httpx.Client:
    transport = httpx.HTTPTransport(uds=str(platform.home.service_socket), verify=PLAIN)
    return httpx.Client(transport=transport, base_url="http://registry-tui/api/v1", timeout=PATIENCE)


def register_body(place: Place, name: str) -> dict[str, Any]:
    return {"name": name, "run_id": place.run.run_id, "artifact_path": place.run.artifact_path}


def registered(place: Place) -> str:
    """The name of a new model whose version 1 is READY."""
    name = unique("m")
    answer = place.send(f"/projects/{place.project.id}/register", register_body(place, name)).raise_for_status()
    place.finished(answer.json()["workflow"]["id"])
    return name


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


@dataclass(frozen=True)
class Call:
    """One POST: its address, its body, and how often its result exists afterwards."""

    path: str
    body: Any
    count: Callable[[], int]


def environment(place: Place) -> Call:
    name = unique("e")
    count = lambda: [each["name"] for each in place.items("/environments")].count(name)  # noqa: E731
    return Call("/environments", {"name": name}, count)


def workspace(place: Place) -> Call:
    name = unique("w")
    count = lambda: [each["name"] for each in place.items("/workspaces")].count(name)  # noqa: E731
    return Call("/workspaces", {"name": name, "environment": "local"}, count)


def attached(place: Place) -> Call:
    name = unique("a")
    count = lambda: [each["name"] for each in place.items("/attached-servers")].count(name)  # noqa: E731
    return Call("/attached-servers", {"name": name, "environment": "local", "url": place.stock.url}, count)


def imported(place: Place) -> Call:
    name = unique("a")
    place.send("/attached-servers", {"name": name, "environment": "local", "url": place.stock.url}).raise_for_status()
    told = place.send(f"/registries/{place.registry}/synchronize").raise_for_status().json()
    place.finished(told["workflow"]["id"])
    path = f"/projects/{name}/attached-models/import"
    return Call(path, {}, lambda: len(place.workflows("import", name)))


def project(place: Place) -> Call:
    name = unique("p")
    body = {"name": name, "workspace": "default"}
    return Call("/projects", body, lambda: len(place.items("/projects", name=name)))


def registry(place: Place) -> Call:
    made = place.send("/environments", {"name": unique("e")}).raise_for_status().json()
    name = unique("r")
    body = {"name": name, "environment": made["name"]}
    return Call("/registries", body, lambda: len(place.workflows("provision", name)))


def new_registry(place: Place) -> str:
    call = registry(place)
    answer = place.send(call.path, call.body).raise_for_status().json()
    place.finished(answer["workflow"]["id"])
    return str(answer["resource"]["id"])


def synchronize(place: Place) -> Call:
    id_ = new_registry(place)
    count = lambda: len(place.workflows("synchronize", id_))  # noqa: E731
    return Call(f"/registries/{id_}/synchronize", None, count)


def delete_registry(place: Place) -> Call:
    id_ = new_registry(place)
    count = lambda: len(place.workflows("deprovision", id_))  # noqa: E731
    return Call(f"/registries/{id_}/delete", {"force": True}, count)


def clean_up(place: Place) -> Call:
    id_ = new_registry(place)
    count = lambda: len(place.workflows("clean-up", id_))  # noqa: E731
    return Call(f"/registries/{id_}/storage/clean-up", {"archives": ["aaaa-bbbb-cccc-dddd/aaaa-bbbb-cccc-dddd"]}, count)


def register(place: Place) -> Call:
    name = unique("m")
    versions = f"/registries/{place.registry}/models/{name}/versions"
    return Call(
        f"/projects/{place.project.id}/register", register_body(place, name), lambda: len(place.items(versions))
    )


def verification(place: Place) -> Call:
    model = registered(place)
    version = place.get(f"/registries/{place.registry}/models/{model}/versions/1")["id"]
    path = f"/registries/{place.registry}/models/{model}/versions/1/verification"
    return Call(path, None, lambda: len(place.workflows("verify", version)))


def deploy(place: Place) -> Call:
    name = unique("d")
    body = {"name": name, "project": place.project.id, "model": place.model, "version": 1}
    count = lambda: len([each for each in place.items("/deployments") if each["name"] == name])  # noqa: E731
    return Call("/deployments", body | {"cpu": 0.1, "memory_bytes": MEMORY}, count)


def rollout(place: Place, path: str, kind: str) -> Call:
    before = len(place.workflows(kind, place.deployment))
    count = lambda: len(place.workflows(kind, place.deployment)) - before  # noqa: E731
    return Call(f"/deployments/{place.deployment}/{path}", None, count)


def decided(place: Place) -> Call:
    """An abort of a canary, whose rollout has ended when it is counted."""
    path = f"/deployments/{place.deployment}"
    change = {"environment": [{"name": "A", "value": unique("v")}], "rollout": {"strategy": "canary"}}
    begun = place.http.patch(path, json=change).raise_for_status().json()
    before = len(changes_of(place, "deployment.canary-abort", place.deployment))
    wait_for(lambda: place.get(f"{path}/canary")["state"] == "running", what="the canary")

    def count() -> int:
        place.finished(begun["workflow"]["id"])
        return len(changes_of(place, "deployment.canary-abort", place.deployment)) - before

    return Call(f"{path}/canary", {"decision": "abort"}, count)


def cancel(place: Place) -> Call:
    """Of a rollout that does not end before: its model takes ten minutes to load."""
    slow = registered_model(place.platform, place.project, load_seconds=600)
    body = {"name": unique("d"), "project": place.project.id, "model": slow.version.model_name, "version": 1}
    begun = place.send("/deployments", body | {"cpu": 0.1, "memory_bytes": MEMORY}).raise_for_status()
    workflow = begun.json()["workflow"]["id"]
    count = lambda: int(place.finished(workflow)["status"] == "cancelled")  # noqa: E731
    return Call(f"/workflows/{workflow}/cancel", None, count)


def cancelled_provision(place: Place) -> dict[str, Any]:
    """A workflow that was cancelled while it made a registry; some may be quicker than their cancel."""
    for _ in range(10):
        call = registry(place)
        id_ = place.send(call.path, call.body).raise_for_status().json()["workflow"]["id"]
        place.send(f"/workflows/{id_}/cancel")
        if (workflow := place.finished(id_))["status"] == "cancelled":
            return workflow
    raise AssertionError("all were quicker than their cancel")


def retry(place: Place) -> Call:
    workflow = cancelled_provision(place)
    count = lambda: len(place.workflows("provision", workflow["resource_id"])) - 1  # noqa: E731
    return Call(f"/workflows/{workflow['id']}/retry", None, count)


def trying(place: Place) -> Call:
    body = {"body": json.dumps(split(a=[1.0], b=[2.0]))}
    return Call(f"/deployments/{place.deployment}/test", body, lambda: 1)


def verify(place: Place) -> Call:
    path = f"/registries/{place.registry}/models/{place.model}/versions/1/verify"
    return Call(path, None, lambda: 1)


def scan(place: Place) -> Call:
    path = f"/registries/{place.registry}/models/{place.model}/versions/1/scan"
    return Call(path, None, lambda: 1)


def signed(place: Place) -> Call:
    path = f"/registries/{place.registry}/models/{place.model}/versions/1/signatures"
    return Call(path, {}, lambda: len(place.http.get(path).json()["signatures"]))


def signing_key(place: Place) -> Call:
    name, path = unique("k"), "/environments/local/signing-keys"
    public = signatures.public_key_of(signatures.new_private_key())
    count = lambda: [each["name"] for each in place.items(path)].count(name)  # noqa: E731
    return Call(path, {"name": name, "public_key": public}, count)


def rotated_signing_key(place: Place) -> Call:
    path = "/environments/local/signing-keys"
    before = len(place.items(path))
    return Call(f"{path}/rotate", None, lambda: len(place.items(path)) - before)


def promotion(place: Place) -> Call:
    """Into the same registry, as another model."""
    name = unique("m")
    path = f"/registries/{place.registry}/models/{place.model}/versions/1/promote"
    versions = f"/registries/{place.registry}/models/{name}/versions"
    return Call(path, {"to": place.registry, "name": name}, lambda: len(place.items(versions)))


def bom(place: Place) -> Call:
    path = f"/registries/{place.registry}/models/{place.model}/versions/1/bom"
    before = int(place.get(path)["document"]["version"])
    return Call(path, None, lambda: int(place.get(path)["document"]["version"]) - before)


def key(place: Place) -> Call:
    name = unique("k")
    count = lambda: len([each for each in place.items("/keys") if each["name"] == name])  # noqa: E731
    return Call("/keys", {"name": name}, count)


def token(place: Place) -> Call:
    user = unique("u")
    place.http.put(f"/users/{user}").raise_for_status()
    return Call(f"/users/{user}/tokens", {"name": "laptop"}, lambda: len(place.items(f"/users/{user}/tokens")))


def sign_in(place: Place) -> Call:
    user = unique("u")
    place.http.put(f"/users/{user}").raise_for_status()
    id_token = place.issuer.id_token(user, preferred_username=user)
    return Call("/sign-in/id-token", {"id_token": id_token}, lambda: len(place.items(f"/users/{user}/tokens")))


def device_code(place: Place) -> Call:
    before = len(place.issuer.codes)
    return Call("/sign-in/device-code", None, lambda: len(place.issuer.codes) - before)


def device_token(place: Place) -> Call:
    user = unique("u")
    place.http.put(f"/users/{user}").raise_for_status()
    place.issuer.people[user] = {"preferred_username": user}
    code = place.send("/sign-in/device-code").raise_for_status().json()
    place.issuer.answer(code["verification_uri_complete"], user)
    body = {"device_code": code["device_code"]}
    return Call("/sign-in/device-token", body, lambda: len(place.items(f"/users/{user}/tokens")))


def secrets_rotated(place: Place) -> Call:
    before = len(place.items("/events", action="secrets.rotate"))
    count = lambda: len(place.items("/events", action="secrets.rotate")) - before  # noqa: E731
    return Call("/secrets/rotate", {}, count)


def cleaned(place: Place) -> Call:
    before = len(place.items("/events", action="platform.clean"))
    count = lambda: len(place.items("/events", action="platform.clean")) - before  # noqa: E731
    # No thing is that old: on the shared platform others still use things just left.
    return Call("/unused/clean", {"older_than_days": 36_500}, count)


def purge(place: Place) -> Call:
    before = len(place.workflows("purge-runs", place.project.id))
    body: dict[str, Any] = {"run_ids": []}
    count = lambda: len(place.workflows("purge-runs", place.project.id)) - before  # noqa: E731
    return Call(f"/projects/{place.project.id}/runs/purge", body, count)


def new_experiment(place: Place) -> str:
    made = place.send(f"/projects/{place.project.id}/experiments", {"name": unique("x")}).raise_for_status()
    return str(made.json()["id"])


def experiment(place: Place) -> Call:
    path, name = f"/projects/{place.project.id}/experiments", unique("x")
    return Call(path, {"name": name}, lambda: len(place.items(path, name=name)))


def changed_experiment(place: Place, verb: str) -> Call:
    """A call that deletes or restores an experiment: with an event of one deletion or restoration."""
    path, id_ = f"/projects/{place.project.id}/experiments", new_experiment(place)
    body = {"experiment_ids": [id_]}
    if verb == "restore":
        place.send(f"{path}/delete", body).raise_for_status()
    return Call(f"{path}/{verb}", body, lambda: len(changes_of(place, f"experiment.{verb}", id_)))


def changed_run(place: Place, verb: str) -> Call:
    """The same with a run, which is also renamed."""
    path, run = f"/projects/{place.project.id}/runs", place.run.run_id
    state = place.get(f"{path}/{run}")["lifecycle_stage"]
    if (state == "deleted") != (verb == "restore"):
        place.send(f"{path}/{'delete' if verb == 'restore' else 'restore'}", {"run_ids": [run]}).raise_for_status()
    before = len(changes_of(place, f"run.{verb}", run))
    body = {"run_ids": [run]} | ({"name": unique("run")} if verb == "update" else {})
    return Call(f"{path}/{verb}", body, lambda: len(changes_of(place, f"run.{verb}", run)) - before)


def policy(place: Place, *, apply: bool) -> Call:
    """A policy of Ranger, which has addresses of its own."""
    name, user = unique("policy"), unique("user")
    api = "http://registry-tui/service/public/v2/api/policy"
    body = {
        "service": "cm_s3",
        "name": name,
        "resources": {"bucket": {"values": ["*"]}, "path": {"values": [name]}},
        "policyItems": [{"users": [user], "accesses": [{"type": "read"}]}],
    }

    def count() -> int:
        found = [each for each in place.get(api) if each["name"] == name]
        return sum(item["users"] == [user] for each in found for item in each["policyItems"])

    return Call(f"{api}/apply" if apply else api, body, count)


def ranger_role(place: Place) -> Call:
    api, name = "http://registry-tui/service/public/v2/api/roles", unique("role")
    return Call(api, {"name": name}, lambda: [each["name"] for each in place.get(api)].count(name))


def mappings(place: Place, verb: str) -> Call:
    """A change of IDBroker mappings, or their synchronization, in an environment without RAZ."""
    made = place.send("/environments", {"name": unique("b"), "raz_enabled": False}).raise_for_status().json()
    call, action = {
        "set": ("setIdBrokerMappings", "idbroker.set"),
        "delete": ("deleteIdBrokerMappings", "idbroker.delete"),
        "sync": ("syncIdBrokerMappings", "idbroker.synchronize"),
    }[verb]
    body: dict[str, Any] = {"environmentCrn" if verb == "delete" else "environmentName": made["crn"]}
    if verb == "set":
        role = "arn:aws:iam::123456789012:role/lab"
        body |= {"dataAccessRole": role, "rangerAuditRole": role, "setEmptyMappings": True}
    return Call(f"/environments2/{call}", body, lambda: len(changes_of(place, action, made["id"])))


def webhook(place: Place) -> Call:
    name = unique("w")
    count = lambda: [each["name"] for each in place.items("/webhooks")].count(name)  # noqa: E731
    return Call("/webhooks", {"name": name, "environment": "local", "url": "http://localhost:1/"}, count)


def webhook_changed(place: Place, verb: str, body: Any = None) -> Call:
    made = webhook(place)
    id_ = place.send(made.path, made.body).raise_for_status().json()["webhook"]["id"]
    return Call(f"/webhooks/{id_}/{verb}", body, lambda: len(changes_of(place, f"webhook.{verb}", id_)))


def changes_of(place: Place, action: str, resource: str) -> Items:
    return [each for each in place.items("/events", action=action) if each["resource_id"] == resource]


#: How each POST of the API is called.
POSTS: dict[str, Callable[[Place], Call]] = {
    "/environments": environment,
    "/workspaces": workspace,
    "/attached-servers": attached,
    "/projects/{project}/attached-models/import": imported,
    "/projects": project,
    "/projects/{project}/register": register,
    "/registries": registry,
    "/registries/{registry}/synchronize": synchronize,
    "/registries/{registry}/delete": delete_registry,
    "/registries/{registry}/storage/clean-up": clean_up,
    "/registries/{registry}/models/{model}/versions/{version}/verification": verification,
    "/registries/{registry}/models/{model}/versions/{version}/verify": verify,
    "/registries/{registry}/models/{model}/versions/{version}/scan": scan,
    "/registries/{registry}/models/{model}/versions/{version}/signatures": signed,
    "/environments/{environment}/signing-keys": signing_key,
    "/environments/{environment}/signing-keys/rotate": rotated_signing_key,
    "/registries/{registry}/models/{model}/versions/{version}/promote": promotion,
    "/registries/{registry}/models/{model}/versions/{version}/bom": bom,
    "/deployments": deploy,
    "/deployments/{deployment}/restart": lambda place: rollout(place, "restart", "deploy"),
    "/deployments/{deployment}/rollback": lambda place: rollout(place, "rollback", "deploy"),
    "/deployments/{deployment}/canary": decided,
    "/deployments/{deployment}/test": trying,
    "/deployments/{deployment}/stop": lambda place: rollout(place, "stop", "stop"),
    "/workflows/{workflow}/cancel": cancel,
    "/workflows/{workflow}/retry": retry,
    "/projects/{project}/experiments": experiment,
    "/projects/{project}/experiments/delete": lambda place: changed_experiment(place, "delete"),
    "/projects/{project}/experiments/restore": lambda place: changed_experiment(place, "restore"),
    "/projects/{project}/runs/update": lambda place: changed_run(place, "update"),
    "/projects/{project}/runs/delete": lambda place: changed_run(place, "delete"),
    "/projects/{project}/runs/restore": lambda place: changed_run(place, "restore"),
    "/projects/{project}/runs/purge": purge,
    "/keys": key,
    "/webhooks": webhook,
    "/webhooks/{webhook}/pause": lambda place: webhook_changed(place, "pause"),
    "/webhooks/{webhook}/resume": lambda place: webhook_changed(place, "resume"),
    "/webhooks/{webhook}/rotate-secret": lambda place: webhook_changed(place, "rotate-secret"),
    "/webhooks/{webhook}/test": lambda place: webhook_changed(place, "test"),
    "/webhooks/{webhook}/replay": lambda place: webhook_changed(place, "replay", {"since": "2026-01-01T00:00:00Z"}),
    "/users/{user}/tokens": token,
    "/sign-in/id-token": sign_in,
    "/sign-in/device-code": device_code,
    "/sign-in/device-token": device_token,
    "/secrets/rotate": secrets_rotated,
    "/unused/clean": cleaned,
    "/service/public/v2/api/policy": lambda place: policy(place, apply=False),
    "/service/public/v2/api/policy/apply": lambda place: policy(place, apply=True),
    "/service/public/v2/api/roles": ranger_role,
    "/environments2/setIdBrokerMappings": lambda place: mappings(place, "set"),
    "/environments2/deleteIdBrokerMappings": lambda place: mappings(place, "delete"),
    "/environments2/syncIdBrokerMappings": lambda place: mappings(place, "sync"),
}


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
