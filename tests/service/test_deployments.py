"""Deployments on a real platform: real processes, real requests through the gateway."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from registry_tui.client.errors import Conflict, NotFound, Refused, WrongInput
from registry_tui.platform import lifecycle, processes
from registry_tui.schemas.deployments import (
    ApiKeyCreate,
    BuildState,
    Deployment,
    DeploymentCreate,
    DeploymentState,
    DeploymentUpdate,
    EnvironmentVariable,
    ReplicaStatus,
    RevisionState,
    TestRequest,
)
from registry_tui.schemas.operations import Accepted, WorkflowStatus
from registry_tui.schemas.places import CollaboratorChange, Role
from registry_tui.service.adapters.mlflow import Mlflow
from support import served
from support.load import Load
from support.platforms import ENVIRONMENT, Platform, unique, wait_for
from support.served import Served, answer, call, deploy, finish, register, split

MIB = 1 << 20


@pytest.fixture(scope="module")
def two(platform: Platform) -> Served:
    """Version 1 adds 10, version 2 adds 20; this is version 2."""
    return two_versions(platform)


def two_versions(platform: Platform) -> Served:
    project = platform.new_project()
    first = register(platform, project, add=10, example=split(a=[1.0], b=[2.0]))
    return register(platform, project, first.version.model_name, add=20)


def now(platform: Platform, deployment: Deployment) -> Deployment:
    return platform.ask(lambda client: client.deployment(deployment.id))


def replicas(platform: Platform, deployment: Deployment) -> list[ReplicaStatus]:
    return platform.ask(lambda client: client.replicas(deployment.id))


def update(
    platform: Platform, deployment: Deployment, status: WorkflowStatus = WorkflowStatus.SUCCEEDED, **fields: Any
) -> Deployment:
    """Rolls a change out, which must end so."""
    accepted = platform.ask(lambda client: client.update_deployment(deployment.id, DeploymentUpdate(**fields)))
    assert isinstance(accepted, Accepted)
    finish(platform, accepted.workflow, status)
    return now(platform, deployment)


def test_every_way_to_call_and_its_errors(platform: Platform, two: Served) -> None:
    deployment = deploy(platform, two, version=1, own_port=True, description="adds")
    assert (deployment.state, deployment.version, deployment.revision) == (DeploymentState.DEPLOYED, 1, 1)
    base = deployment.endpoint_url
    with httpx.Client(trust_env=False, timeout=60) as http:
        assert http.get(f"{base}/ping").status_code == 200
        assert http.get(f"{base}/health").text == "\n"
        assert http.get(f"{base}/version").text.startswith("3.")
        for body in (
            {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2], [3, 4]]}},
            {"dataframe_records": [{"a": 1, "b": 2}, {"a": 3, "b": 4}]},
        ):
            assert answer(deployment, body) == [13, 17]
        csv = http.post(f"{base}/invocations", content="a,b\n1,2\n", headers={"Content-Type": "text/csv"})
        assert csv.json() == {"predictions": [13]}
        own = http.post(f"http://127.0.0.1:{deployment.port}/invocations", json=split(a=[1], b=[2]))
        assert own.json() == {"predictions": [13]}
        documented = {"accessKey": deployment.access_key, "request": split(a=[1], b=[2])}
        told = http.post(deployment.model_url, json=documented).json()
        assert (told["success"], told["response"]) == (True, {"predictions": [13]})
        assert told["replica"] == replicas(platform, deployment)[0].name
        queried = http.post(
            deployment.model_url, params={"accessKey": deployment.access_key}, json={"request": split(a=[1], b=[2])}
        )
        assert queried.json()["success"] is True
        wrong = http.post(f"{base}/invocations", content="{", headers={"Content-Type": "application/json"})
        assert (wrong.status_code, wrong.json()["error_code"]) == (400, "BAD_REQUEST")
        assert http.post(f"{base}/invocations", content="x", headers={"Content-Type": "text/odd"}).status_code == 415
        for path, status in (("/endpoints/nobody/invocations", 404), ("/endpoints/nobody", 404)):
            assert http.post(deployment.model_url.removesuffix("/model") + path).status_code == status
        for url, allowed in ((f"{base}/invocations", "POST"), (deployment.model_url, "POST")):
            refused = http.get(url)
            assert (refused.status_code, refused.headers["Allow"]) == (405, allowed)
            assert refused.json()["action"] == f"Use {allowed}"
        assert http.post(deployment.model_url, content="no json").json()["code"] == "bad-request"
        for nameless in ({}, {"request": split(a=[1], b=[2])}):
            unnamed = http.post(deployment.model_url, json=nameless)
            assert unnamed.status_code == 400 and "accessKey" in unnamed.json()["detail"]
        assert http.post(deployment.model_url, json={"accessKey": "x"}).json()["code"] == "access-key-unknown"
    counted = wait_for(lambda: now(platform, deployment).traffic, what="traffic")
    assert counted.by_status["200"] >= 6 and counted.by_status["400"] == 1


def test_a_body_that_is_too_large_is_refused_before_it_is_read(platform: Platform, two: Served) -> None:
    deployment = deploy(platform, two)

    def endless() -> Any:
        for _ in range(200):
            yield b" " * MIB

    url = httpx.URL(f"{deployment.endpoint_url}/invocations")
    with socket.create_connection((url.host, url.port or 0), timeout=60) as connection:
        head = f"POST {url.path} HTTP/1.1\r\nHost: {url.host}\r\nContent-Length: {1 << 30}\r\n\r\n"
        connection.sendall(head.encode())
        declared = connection.makefile("rb").read()
    assert declared.startswith(b"HTTP/1.1 413 ") and b"body-too-large" in declared
    try:
        streamed = httpx.post(url, content=endless(), trust_env=False, timeout=60)
        assert streamed.status_code == 413
    except (httpx.WriteError, httpx.RemoteProtocolError):  # it hung up on the rest
        pass
    assert answer(deployment) == [23.0]


def test_api_keys(platform: Platform, two: Served) -> None:
    deployment = deploy(platform, two, authentication=True)
    member, stranger = unique("member"), unique("stranger")
    viewer = CollaboratorChange(role=Role.VIEWER)
    platform.ask(lambda client: client.set_collaborator(two.project.id, member, viewer))
    other = platform.new_project()
    platform.ask(lambda client: client.set_collaborator(other.id, stranger, viewer))

    def make(user: str | None, **fields: Any) -> tuple[str, str]:
        made = platform.ask(lambda client: client.create_key(ApiKeyCreate(name="k", **fields)), user)
        return made.api_key.id, made.key

    def outcome(key: str | None) -> tuple[int, str | None]:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        response = call(deployment, headers=headers)
        return response.status_code, response.json().get("code")

    id_, good = make(member)
    assert outcome(good) == (200, None)
    assert outcome(make(None)[1]) == (200, None)  # the administrator's
    assert outcome(None) == (401, "api-key-missing")
    assert outcome("abc") == (401, "api-key-unknown")
    assert outcome(good + "x") == (401, "api-key-unknown")
    assert outcome(make(stranger)[1]) == (403, "api-key-foreign")
    soon = datetime.now(UTC) + timedelta(seconds=1)
    expiring = make(member, expires_at=soon)[1]
    wait_for(lambda: outcome(expiring) == (401, "api-key-expired"), what="the key to expire")
    listed = platform.ask(lambda client: client.keys(), member).items
    assert good not in str(listed) and listed[-1].owner == member and listed[-1].last_used_at is not None
    assert abs(listed[-1].expires_at - datetime.now(UTC) - timedelta(days=365)) < timedelta(days=1)
    with pytest.raises(NotFound):
        platform.ask(lambda client: client.revoke_key(id_), stranger)
    platform.ask(lambda client: client.revoke_key(id_), member)
    assert outcome(good) == (401, "api-key-revoked")
    # Nothing on disk holds the key.
    secret = good.rsplit("_", 1)[1]
    files = [platform.home.gateway_routes_file, platform.home.service_database, platform.home.logs / "service.log"]
    assert not any(secret.encode() in file.read_bytes() for file in files)
    # Who leaves the project cannot call any more.
    again = make(member)[1]
    assert outcome(again) == (200, None)
    platform.ask(lambda client: client.remove_collaborator(two.project.id, member))
    assert outcome(again) == (403, "api-key-foreign")


def test_nobody_notices_a_killed_replica_a_rollout_and_a_killed_service(own_platform: Platform) -> None:
    platform = own_platform
    deployment = deploy(platform, two_versions(platform), version=1, replicas=2)
    with Load(deployment) as load:
        victim = replicas(platform, deployment)[0]
        assert victim.pid is not None
        os.kill(victim.pid, signal.SIGKILL)
        wait_for(
            lambda: [each.restarts for each in replicas(platform, deployment) if each.state == "ready"] == [1, 0],
            what="the replica to come back",
        )
        platform.kill("service")
        wait_for(lambda: now(platform, deployment).replicas_ready == 2, what="the service to come back")
        assert update(platform, deployment, version=2, comment="next").version == 2
        moved = platform.ask(lambda client: client.roll_back_deployment(deployment.id))
        finish(platform, moved.workflow)
    assert set(load.statuses) == {200}, load.statuses
    assert set(load.predictions) == {13.0, 23.0}
    history = platform.ask(lambda client: client.revisions(deployment.id))
    assert [(each.number, each.version, each.state.value) for each in history] == [
        (3, 1, "active"),
        (2, 2, "replaced"),
        (1, 1, "replaced"),
    ]
    assert history[0].comment == "rolled back to revision 1"
    assert all(each.build is BuildState.BUILT and each.python_environment == "platform" for each in history)


def test_scaling_leaves_the_replicas_that_stay(platform: Platform, two: Served) -> None:
    deployment = deploy(platform, two)
    first = replicas(platform, deployment)[0]
    with Load(deployment) as load:
        assert update(platform, deployment, replicas=4).replicas_ready == 4
        four = replicas(platform, deployment)
        assert len({each.pid for each in four}) == 4 and four[0].pid == first.pid
        assert update(platform, deployment, replicas=1).replicas_ready == 1
    assert [each.pid for each in replicas(platform, deployment)] == [first.pid]
    assert set(load.statuses) == {200}, load.statuses
    # The logs of those that went are there still, after that of the one that serves.
    logs = platform.ask(lambda client: client.replica_logs(deployment.id))
    assert (logs[0].name, logs[0].serving) == ("1-0", True)
    assert {each.name for each in logs if not each.serving} == {"1-1", "1-2", "1-3"}


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"fail": "no such file: weights.bin"}, "no such file: weights.bin"),
        ({"die": True}, "ends while it starts"),
        ({"requirements": None}, "the file 'requirements.txt', which is missing"),
        ({"requirements": "mlflow\nno-such-package-at-all==1.2.3\n"}, "no-such-package-at-all==1.2.3"),
    ],
    ids=["load", "die", "no requirements", "impossible requirement"],
)
def test_a_version_that_cannot_serve_leaves_the_old_one(
    platform: Platform, two: Served, settings: dict[str, Any], reason: str
) -> None:
    first = register(platform, two.project, add=1)
    register(platform, two.project, first.version.model_name, **settings)
    deployment = deploy(platform, first)
    before = replicas(platform, deployment)[0].pid
    found = update(platform, deployment, WorkflowStatus.FAILED, version=2)
    assert (found.state, found.version) == (DeploymentState.DEPLOYED, 1)
    assert "rolled back" in found.reason and reason in found.reason
    assert answer(deployment) == [4.0]
    assert [each.pid for each in replicas(platform, deployment)] == [before]
    failed = platform.ask(lambda client: client.revisions(deployment.id))[0]
    assert failed.state is RevisionState.FAILED and reason in failed.error
    built = BuildState.FAILED if "requirements" in settings else BuildState.BUILT
    assert failed.build is built


def test_a_damaged_archive_is_not_served(platform: Platform, two: Served) -> None:
    from support.registered import object_names, object_store

    victim = register(platform, two.project, add=1)
    bucket = platform.ask(lambda client: client.registry(victim.registry)).bucket
    [name] = [
        name
        for name in object_names(platform, bucket, f"modelregistry/{victim.version.model_id}/")
        if name.endswith("settings.json")
    ]
    object_store(platform).put_object(Bucket=bucket, Key=name, Body=b'{"add": 9}')
    request = DeploymentCreate(name=unique("d"), project=two.project.id, model=victim.version.model_id, version=1)
    accepted = platform.ask(lambda client: client.create_deployment(request))
    ended = finish(platform, accepted.workflow, WorkflowStatus.FAILED)
    assert "damaged" in str(ended.error) and "settings.json" in str(ended.error)
    assert now(platform, accepted.resource).state is DeploymentState.FAILED


def test_a_local_copy_that_changed_is_noticed_when_it_is_loaded(platform: Platform, two: Served) -> None:
    victim = register(platform, two.project, add=1)
    deployment = deploy(platform, victim)
    copy = platform.home.serving / "models" / victim.version.model_id / victim.version.id / "files"
    [settings] = copy.rglob("settings.json")
    settings.write_text('{"add": 9}')
    os.kill(replicas(platform, deployment)[0].pid or 0, signal.SIGKILL)
    told = wait_for(
        lambda: [each for each in replicas(platform, deployment) if "damaged" in each.detail], what="the reason"
    )
    assert "settings.json" in told[0].detail
    # A restart fetches the archive again.
    moved = platform.ask(lambda client: client.restart_deployment(deployment.id))
    finish(platform, moved.workflow)
    assert answer(deployment) == [4.0]


def test_a_followed_alias_rolls(platform: Platform, two: Served) -> None:
    registry, model = two.registry, two.version.model_id
    platform.ask(lambda client: client.set_alias(registry, model, "champion", 1))
    deployment = deploy(platform, two, version=None, alias="champion", follow_alias=True)
    assert answer(deployment) == [13.0]
    with Load(deployment) as load:
        platform.ask(lambda client: client.set_alias(registry, model, "champion", 2))
        wait_for(lambda: now(platform, deployment).version == 2, what="the deployment to follow")
        wait_for(lambda: now(platform, deployment).state == "deployed", what="the rollout")
    assert set(load.statuses) == {200}, load.statuses
    assert answer(deployment) == [23.0]
    assert "alias champion moved" in platform.ask(lambda client: client.revisions(deployment.id))[0].comment


def test_a_deployment_says_why_it_cannot_follow_its_alias(platform: Platform, two: Served) -> None:
    registry, model, name = two.registry, two.version.model_id, two.version.model_name
    mlflow = Mlflow(platform.ports, platform.secrets)
    platform.ask(lambda client: client.set_alias(registry, model, "followed", 1))
    deployment = deploy(platform, two, version=None, alias="followed", follow_alias=True)

    def says(words: str) -> None:
        wait_for(lambda: words in now(platform, deployment).reason, what=words)
        assert "version 1 goes on serving" in now(platform, deployment).reason

    try:
        platform.ask(lambda client: client.delete_alias(registry, model, "followed"))
        says(f"model {name} has no alias followed any more")
        mlflow.set_version_status(f"mr-{ENVIRONMENT}", name, 2, "FAILED_REGISTRATION", "the disk was full")
        # As an alias that was set while the version was being stored.
        with closing(sqlite3.connect(platform.home.mlflow_database, timeout=60)) as database, database:
            columns = "INSERT INTO registered_model_aliases (workspace, name, alias, version) VALUES (?, ?, ?, ?)"
            database.execute(columns, (f"mr-{ENVIRONMENT}", name, "followed", 2))
        says("version 2, which could not be stored (the disk was full)")
        refused = platform.command("models", "alias", "set", name, "other", "2", check=False)
        assert refused.returncode != 0 and "could not be stored: the disk was full" in refused.stderr
        assert answer(deployment) == [13.0]
    finally:
        mlflow.set_version_status(f"mr-{ENVIRONMENT}", name, 2, "READY")
    wait_for(lambda: now(platform, deployment).version == 2, what="the deployment to follow", timeout=300)
    wait_for(lambda: now(platform, deployment).state == "deployed", what="the rollout", timeout=300)
    wait_for(lambda: not now(platform, deployment).reason, what="the reason to go")
    assert answer(deployment) == [23.0]


def test_a_replica_over_its_memory_is_restarted_and_says_why(platform: Platform, two: Served) -> None:
    deployment = deploy(platform, two, memory_bytes=400 * MIB)
    call(deployment, split(grow=[300], a=[1], b=[2]))
    found = wait_for(lambda: [each for each in replicas(platform, deployment) if each.restarts == 1], what="a restart")
    wait_for(lambda: now(platform, deployment).replicas_ready == 1, what="it to be back")
    assert "0.39 GiB" in now(platform, deployment).reason
    log = platform.ask(lambda client: client.replica_log(deployment.id, found[0].name))
    assert any("was restarted" in line for line in log.lines)
    actions = [event.action for event in platform.ask(lambda client: client.events(page_size=50)).items]
    assert "deployment.replica-over-memory" in actions
    assert answer(deployment) == [23.0]


def test_stop_restart_delete(platform: Platform, two: Served) -> None:
    deployment = deploy(platform, two)
    with pytest.raises(Conflict, match="is deployed"):
        platform.ask(lambda client: client.delete_deployment(deployment.id))
    with pytest.raises(Conflict, match="It is deployed"):
        platform.ask(lambda client: client.delete_version(two.registry, two.version.model_id, 2))
    with pytest.raises(Conflict, match=r"still has (deployments|experiments)"):
        platform.ask(lambda client: client.delete_project(two.project.id))
    stopped = platform.ask(lambda client: client.stop_deployment(deployment.id))
    finish(platform, stopped.workflow)
    assert replicas(platform, deployment) == []
    refused = call(deployment)
    assert refused.status_code == 503 and "is stopped" in refused.json()["detail"] and refused.headers["Retry-After"]
    started = platform.ask(lambda client: client.restart_deployment(deployment.id))
    finish(platform, started.workflow)
    assert answer(deployment) == [23.0]
    gone = platform.ask(lambda client: client.delete_deployment(deployment.id, force=True))
    finish(platform, gone.workflow)
    assert call(deployment).status_code == 404
    assert not (platform.home.serving / "deployments" / deployment.id).exists()


def test_what_is_not_possible_is_said(platform: Platform, two: Served) -> None:
    taken = deploy(platform, two)

    def refused(error: type[Exception], match: str, **fields: Any) -> None:
        values: dict[str, Any] = {"name": unique("d"), "project": two.project.id, "model": two.version.model_id}
        request = DeploymentCreate(**{**values, "version": 1, **fields})
        with pytest.raises(error, match=match):
            platform.ask(lambda client: client.create_deployment(request))

    refused(Conflict, "has a deployment", name=taken.name)
    refused(WrongInput, "this machine has", memory_bytes=1 << 50)
    refused(WrongInput, "CPUs are asked for", cpu=200)
    refused(NotFound, "no version 99", version=99)
    refused(WrongInput, "has no alias 'gold'", version=None, alias="gold")
    refused(WrongInput, "either a version or an alias", alias="gold")
    refused(WrongInput, "either a version or an alias", version=None)
    refused(NotFound, "no project", project="nowhere")
    refused(NotFound, "no model", model="Nothing")
    twice = [EnvironmentVariable(name="A", value="1"), EnvironmentVariable(name="A", value="2")]
    refused(WrongInput, "given twice", environment=twice)
    refused(WrongInput, "has no value", environment=[EnvironmentVariable(name="A", secret=True)])
    for name in ("LD_PRELOAD", "PYTHONPATH", "_MLFLOW_IS_IN_SERVING_ENVIRONMENT"):
        refused(WrongInput, "belong to the platform", environment=[EnvironmentVariable(name=name, value="x")])
    for count in (0, 10_000):
        body = {"name": "d", "project": two.project.id, "model": "m", "version": 1, "replicas": count}
        with pytest.raises(ValueError, match="replicas"):
            DeploymentCreate(**body)
    outsider = unique("outsider")
    elsewhere = platform.new_project()
    viewer = CollaboratorChange(role=Role.VIEWER)
    platform.ask(lambda client: client.set_collaborator(elsewhere.id, outsider, viewer))
    with pytest.raises(Refused):
        platform.ask(lambda client: client.deployment(taken.id), outsider)
    assert platform.ask(lambda client: client.deployments(), outsider).items == []


def test_variables_reach_the_model_and_secret_ones_are_not_told(platform: Platform, two: Served) -> None:
    given = [
        EnvironmentVariable(name="PLAIN", value="seen"),
        EnvironmentVariable(name="TOKEN", value="s3cr3t-value", secret=True),
    ]
    deployment = deploy(platform, two, environment=given)
    assert answer(deployment, split(variable=["PLAIN", "TOKEN"])) == ["seen", "s3cr3t-value"]
    told = platform.ask(lambda client: client.revisions(deployment.id))[0].environment
    assert [(each.name, each.value, each.secret) for each in told] == [("PLAIN", "seen", False), ("TOKEN", None, True)]
    pid = replicas(platform, deployment)[0].pid
    with open(f"/proc/{pid}/environ", "rb") as environ, open(f"/proc/{pid}/cmdline", "rb") as command:
        assert b"s3cr3t" not in environ.read() + command.read()
    kept = [EnvironmentVariable(name="PLAIN", value="new"), EnvironmentVariable(name="TOKEN", secret=True)]
    update(platform, deployment, environment=kept)
    assert answer(deployment, split(variable=["PLAIN", "TOKEN"])) == ["new", "s3cr3t-value"]


def test_the_command_line_sets_and_takes_away_single_variables(platform: Platform, two: Served) -> None:
    given = [
        EnvironmentVariable(name="PLAIN", value="seen"),
        EnvironmentVariable(name="TOKEN", value="s3cr3t-value", secret=True),
    ]
    deployment = deploy(platform, two, environment=given)

    def update(*options: str, check: bool = True) -> str:
        return platform.command("deployments", "update", deployment.name, *options, check=check).stderr

    update("--env", "MORE=also", "--unset-env", "PLAIN")
    asked = split(variable=["PLAIN", "TOKEN", "MORE"])
    assert answer(deployment, asked) == ["", "s3cr3t-value", "also"]
    assert "no variable is named NONE" in update("--unset-env", "NONE", check=False)
    update("--unset-env", "TOKEN")
    assert answer(deployment, asked) == ["", "", "also"]


def test_trying_it_and_the_copied_curl(platform: Platform, two: Served) -> None:
    deployment = deploy(platform, two, version=1)
    example = platform.ask(lambda client: client.deployment_example(deployment.id))
    assert json.loads(example.example) == split(a=[1.0], b=[2.0])
    tried = platform.ask(lambda client: client.test_deployment(deployment.id, TestRequest(body=example.example)))
    assert (tried.status, json.loads(tried.body)) == (200, {"predictions": [13.0]})
    assert tried.replica == replicas(platform, deployment)[0].name
    copied = subprocess.run(["sh", "-c", tried.curl], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(copied.stdout) == {"predictions": [13.0]}
    bad = platform.ask(lambda client: client.test_deployment(deployment.id, TestRequest(body='{"a": 1}')))
    assert bad.status == 400 and "error_code" in bad.body


def test_a_full_queue_and_a_slow_request(own_platform: Platform) -> None:
    platform = own_platform
    platform.home.config_file.write_text("[service]\nprediction_queue = 2\nprediction_seconds = 2.0\n")
    list(lifecycle.restart(platform.home, "service"))
    deployment = deploy(platform, register(platform, platform.new_project()))
    slow = split(a=[1], b=[2], sleep=[1.0])
    answers: list[httpx.Response] = []
    threads = [threading.Thread(target=lambda: answers.append(call(deployment, slow))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statuses = Counter(each.status_code for each in answers)
    assert statuses[429] >= 1 and statuses[200] >= 1, statuses
    full = next(each for each in answers if each.status_code == 429)
    assert full.headers["Retry-After"] and full.json()["error_code"] == "RESOURCE_EXHAUSTED"
    late = call(deployment, split(a=[1], b=[2], sleep=[4.0]))
    assert (late.status_code, late.text) == (504, "Request processing time exceeded limit")
    # The model is still at it: what waits behind it has its own time.
    wait_for(lambda: call(deployment).status_code == 200, what="the slow prediction to end")
    # What is deployed is deployed again after the platform was down, also when it was killed.
    with Load(deployment, threads=1) as load:
        supervisor_pid = next(iter(platform_pids(platform, "supervisor")))
        os.kill(supervisor_pid, signal.SIGKILL)
        wait_for(lambda: not platform_pids(platform, "supervisor"), what="the supervisor's end")
    assert set(load.statuses) == {200}, load.statuses
    platform.up()
    wait_for(lambda: now(platform, deployment).replicas_ready == 1, what="the replica after a killed supervisor")
    assert answer(deployment) == [3]
    platform.down()
    assert platform_pids(platform, "replica") == {}
    platform.up()
    wait_for(lambda: now(platform, deployment).replicas_ready == 1, what="the replica after down and up")
    assert answer(deployment) == [3]


def test_ports_that_run_out_or_are_taken_are_told(own_platform: Platform) -> None:
    platform = own_platform
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
    settings = f"[service]\nfirst_deployment_port = {port}\nlast_deployment_port = {port}\n"
    platform.home.config_file.write_text(settings)
    list(lifecycle.restart(platform.home, "service"))
    model = register(platform, platform.new_project())
    deployment = deploy(platform, model, own_port=True)
    assert deployment.port == port
    own = f"http://127.0.0.1:{port}/invocations"
    wait_for(lambda: httpx.post(own, json=split(a=[1], b=[2])).status_code == 200, what="the port of its own")
    with pytest.raises(Conflict, match=f"from {port} to {port}, are taken"):
        deploy(platform, model, own_port=True)
    assert httpx.post(own, json=split(a=[1], b=[2])).json() == {"predictions": [3]}
    # Another program takes the port while the platform is down: told, and everything else answers.
    platform.down()
    with socket.create_server(("127.0.0.1", port)):
        platform.up()
        wait_for(lambda: now(platform, deployment).replicas_ready == 1, what="the replica")
        wait_for(lambda: now(platform, deployment).port_error == "another program listens on it", what="the taken port")
        assert answer(deployment) == [3]
    wait_for(lambda: now(platform, deployment).port_error == "", what="the port to be opened again")
    assert httpx.post(own, json=split(a=[1], b=[2])).json() == {"predictions": [3]}


def platform_pids(platform: Platform, part: str) -> dict[int, str]:
    return {pid: found for pid, found in processes.ours(platform.home).items() if found == part}


def test_metrics(platform: Platform, two: Served) -> None:
    deployment = deploy(platform, two)
    answer(deployment)
    made = platform.ask(lambda client: client.create_key(ApiKeyCreate(name="prometheus")))
    url = f"{platform.ports.gateway_url}/metrics"
    assert httpx.get(url, trust_env=False).status_code == 401

    def metrics() -> str:
        headers = {"Authorization": f"Bearer {made.key}"}
        return httpx.get(url, headers=headers, trust_env=False, timeout=60).text

    labels = f'deployment="{deployment.name}",project="{two.project.name}"'
    workspace = f'workspace="{deployment.workspace_name}"'
    bucket = f'registry_tui_request_seconds_bucket{{deployment="{deployment.name}",le="+Inf"'
    wait_for(
        lambda: f'registry_tui_requests_total{{{labels},status="200",{workspace}}} 1.0' in metrics(), what="the count"
    )
    text = metrics()
    assert f'registry_tui_deployment_state{{{labels},state="deployed",{workspace}}} 1.0' in text
    assert 'registry_tui_part_up{part="gateway"} 1.0' in text
    assert f'{bucket},project="{two.project.name}",{workspace}}} 1.0' in text


def test_a_step_back_is_to_what_served_before_and_not_to_another_number_of_replicas(
    platform: Platform, two: Served
) -> None:
    deployment = deploy(platform, two, version=1)
    update(platform, deployment, version=2)
    update(platform, deployment, replicas=2)
    finish(platform, platform.ask(lambda client: client.restart_deployment(deployment.id)).workflow)
    finish(platform, platform.ask(lambda client: client.roll_back_deployment(deployment.id)).workflow)
    found = now(platform, deployment)
    assert (found.version, found.replicas_wanted) == (1, 2)


def test_a_contributor_may_change_what_serves_somebody_elses_private_model(platform: Platform, two: Served) -> None:
    elsewhere, helper = platform.new_project(), unique("helper")
    deployment = deploy(platform, two, version=1, project=elsewhere.id)
    contributor = CollaboratorChange(role=Role.CONTRIBUTOR)
    platform.ask(lambda client: client.set_collaborator(elsewhere.id, helper, contributor))
    request = DeploymentUpdate(replicas=2)
    accepted = platform.ask(lambda client: client.update_deployment(deployment.id, request), helper)
    assert isinstance(accepted, Accepted)
    finish(platform, accepted.workflow)
    assert platform.ask(lambda client: client.deployment_example(deployment.id), helper).example
    # Another version of a model that he may not see is not his to choose.
    with pytest.raises(NotFound):
        platform.ask(lambda client: client.update_deployment(deployment.id, DeploymentUpdate(version=2)), helper)


def test_deployments_of_one_name_are_told_apart_and_those_of_others_do_not_count(
    platform: Platform, two: Served
) -> None:
    elsewhere, member, name = platform.new_project(), unique("member"), unique("same")
    deploy(platform, two, name=name)
    other = deploy(platform, two, name=name, project=elsewhere.id)
    whole = f"{elsewhere.workspace_name}/{elsewhere.name}/{name}"
    with pytest.raises(WrongInput, match=whole):
        platform.ask(lambda client: client.deployment(name))
    assert platform.ask(lambda client: client.deployment(whole)).id == other.id
    viewer = CollaboratorChange(role=Role.VIEWER)
    platform.ask(lambda client: client.set_collaborator(elsewhere.id, member, viewer))
    assert platform.ask(lambda client: client.deployment(name), member).id == other.id


def test_a_model_that_exits_or_fails_takes_no_replica_away(platform: Platform, two: Served) -> None:
    deployment = deploy(platform, two, version=1)
    pid = replicas(platform, deployment)[0].pid
    assert call(deployment, split(a=[1], b=[2], exit=[1])).status_code == 500
    assert answer(deployment) == [13]
    assert replicas(platform, deployment)[0].pid == pid


def test_those_with_nothing_to_do_take_turns_and_a_large_request_takes_one_replica_only(
    platform: Platform, two: Served
) -> None:
    deployment = deploy(platform, two, version=1, replicas=2)
    names = {call(deployment).headers["X-Replica"] for _ in range(4)}
    assert names == {each.name for each in replicas(platform, deployment)}
    large = {**split(a=[1], b=[2], die=[1]), "params": {"filling": "x" * (9 * MIB)}}
    ended = call(deployment, large)
    assert (ended.status_code, ended.json()["code"]) == (502, "replicas-died")
    assert answer(deployment) == [13]
    wait_for(lambda: now(platform, deployment).replicas_ready == 2, what="the one to come back")
    assert sorted(each.restarts for each in replicas(platform, deployment)) == [0, 1]
    # A small one is given to the other replica too, before it is called guilty.
    assert call(deployment, split(a=[1], b=[2], die=[1])).status_code == 502
    wait_for(lambda: [each.restarts for each in replicas(platform, deployment)] in ([1, 2], [2, 1]), what="both to end")


def test_a_version_that_fails_over_its_own_example_is_rolled_back(platform: Platform, two: Served) -> None:
    deployment = deploy(platform, two, version=1)
    failing = register(platform, two.project, two.version.model_name, example=split(a=[1.0], b=[2.0], exit=[1.0]))
    found = update(platform, deployment, WorkflowStatus.FAILED, version=failing.version.version)
    assert found.version == 1 and "own input example" in found.reason
    assert answer(deployment) == [13]


def test_the_command_line(platform: Platform, two: Served) -> None:
    name = unique("cli")
    arguments = ["create", name, "-p", two.project.name, "-m", two.version.model_name, "--version", "1"]
    platform.command("deployments", *arguments, "--no-authentication")
    shown = json.loads(platform.command("deployments", "show", name, "--json").stdout)
    assert (shown["state"], shown["version"]) == ("deployed", 1)
    assert json.loads(platform.command("deployments", "test", name).stdout) == {"predictions": [13.0]}
    platform.command("deployments", "scale", name, "2")
    assert "2/2" in platform.command("deployments", "list").stdout
    platform.command("deployments", "update", name, "--version", "2")
    assert "ready" in platform.command("deployments", "logs", name).stdout
    platform.command("deployments", "rollback", name)
    assert "rolled back to revision 2" in platform.command("deployments", "history", name).stdout
    failed = platform.command("deployments", "update", name, "--version", "77", check=False)
    assert failed.returncode == 1 and "no version 77" in failed.stderr
    platform.command("deployments", "stop", name)
    platform.command("deployments", "delete", name, "--yes")
    assert name not in platform.command("deployments", "list").stdout
    key = platform.command("keys", "create", "ci", "--expires", "30").stdout.strip()
    assert key.startswith("rtk_")
    platform.command("keys", "revoke", key.split("_")[1], "--yes")


def test_an_environment_is_made_once_from_the_same_requirements(platform: Platform, two: Served) -> None:
    """iniconfig is older than the one that tests run with, so that the platform's environment does not do."""
    first = register(platform, two.project, add=5, requirements="mlflow==3.17.2\niniconfig<2\n")
    second = register(platform, two.project, add=6, requirements="iniconfig<2\nmlflow==3.17.2\n")
    made = [deploy(platform, each) for each in (first, second)]
    assert [answer(each) for each in made] == [[8.0], [9.0]]
    builds = [platform.ask(lambda client, each=each: client.revisions(each.id))[0] for each in made]
    assert builds[0].python_environment == builds[1].python_environment != "platform"
    found = platform.ask(lambda client: client.workflows(kind="deploy", page_size=2)).items
    logs = [
        platform.ask(lambda client, each=each: client.workflow_logs(each.id, page_size=1000)).items for each in found
    ]
    later, earlier = ([line.text for line in lines] for lines in logs)
    assert any("iniconfig<2 (here" in line for line in earlier) and any("+ mlflow==3.17.2" in line for line in earlier)
    assert any("was made earlier" in line for line in later)
    with open(f"/proc/{replicas(platform, made[0])[0].pid}/cmdline", "rb") as command:
        assert builds[0].python_environment.encode() in command.read()


def test_time_is_kept_while_others_wait(platform: Platform, two: Served) -> None:
    """A slow request does not hold up those of other replicas."""
    deployment = deploy(platform, two, replicas=2)
    slow = threading.Thread(target=lambda: call(deployment, split(a=[1], b=[2], sleep=[3.0])))
    slow.start()
    wait_for(lambda: served.call(deployment).status_code == 200, what="an answer")
    began = time.monotonic()
    answers = [answer(deployment) for _ in range(20)]
    assert slow.is_alive() or time.monotonic() - began < 3.0
    slow.join()
    assert answers == [[23.0]] * 20
