"""Calls of deployments: every address, API keys, the gateway's bounds, and its choice of a replica."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from registry_tui.client.errors import NotFound
from registry_tui.schemas.deployments import ApiKeyCreate, DeploymentState, TestRequest
from registry_tui.schemas.places import CollaboratorChange, Role
from support.platforms import PATIENCE, Platform, ending_soon, unique, wait_for
from support.served import Served, answer, call, declare, deploy, now, replicas, split

MIB = 1 << 20


def test_every_way_to_call_and_its_errors(platform: Platform, two: Served) -> None:
    deployment = deploy(platform, two, version=1, own_port=True, description="adds")
    assert (deployment.state, deployment.version, deployment.revision) == (DeploymentState.DEPLOYED, 1, 1)
    base = deployment.endpoint_url
    with httpx.Client(trust_env=False, timeout=PATIENCE) as http:
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

    def counted() -> tuple[bool, int]:
        traffic = now(platform, deployment).traffic
        assert traffic is not None
        return traffic.by_status["200"] >= 6, traffic.by_status["400"]

    wait_for(lambda: counted() == (True, 1), what="the counts")


def test_a_body_that_is_too_large_is_refused_before_it_is_read(platform: Platform, two: Served) -> None:
    deployment = deploy(platform, two)

    def endless() -> Any:
        for _ in range(200):
            yield b" " * MIB

    url = httpx.URL(f"{deployment.endpoint_url}/invocations")
    declared = declare(deployment, 1 << 30)
    assert declared.startswith(b"HTTP/1.1 413 ") and b"body-too-large" in declared
    # The limit is the size that a replica with so much memory can read, and the response names the remedy.
    assert f"deployments update {deployment.name} --memory ".encode() in declared
    try:
        streamed = httpx.post(url, content=endless(), trust_env=False, timeout=PATIENCE)
        assert streamed.status_code == 413
    except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):  # it hung up on the rest
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
    expiring = ending_soon(lambda end: make(member, expires_at=end)[1])
    wait_for(lambda: outcome(expiring) == (401, "api-key-expired"), what="the key to expire")
    listed = platform.ask(lambda client: client.keys(), member).items
    assert good not in str(listed) and listed[-1].owner == member
    used = wait_for(lambda: platform.ask(lambda client: client.keys(), member).items[-1].last_used_at, what="the use")
    assert listed[-1].created_at <= used <= datetime.now(UTC)
    assert abs(listed[-1].expires_at - datetime.now(UTC) - timedelta(days=365)) < timedelta(days=1)
    with pytest.raises(NotFound):
        platform.ask(lambda client: client.revoke_key(id_), stranger)
    platform.ask(lambda client: client.revoke_key(id_), member)
    assert outcome(good) == (401, "api-key-revoked")
    # Nothing on disk holds the key.
    secret = good.split("_", 2)[2]
    files = [platform.home.gateway_routes_file, platform.home.service_database, platform.home.logs / "service.log"]
    assert not any(secret.encode() in file.read_bytes() for file in files)
    # People who leave the project cannot call any more.
    again = make(member)[1]
    assert outcome(again) == (200, None)
    platform.ask(lambda client: client.remove_collaborator(two.project.id, member))
    assert outcome(again) == (403, "api-key-foreign")


def test_trying_it_and_the_copied_curl(platform: Platform, two: Served) -> None:
    deployment = deploy(platform, two, version=1)
    example = platform.ask(lambda client: client.deployment_example(deployment.id))
    assert json.loads(example.example) == split(a=[1.0], b=[2.0])
    tried = platform.ask(lambda client: client.test_deployment(deployment.id, TestRequest(body=example.example)))
    assert (tried.status, json.loads(tried.body)) == (200, {"predictions": [13.0]})
    assert tried.replica == replicas(platform, deployment)[0].name
    copied = subprocess.run(["sh", "-c", tried.curl], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert json.loads(copied.stdout) == {"predictions": [13.0]}
    bad = platform.ask(lambda client: client.test_deployment(deployment.id, TestRequest(body='{"a": 1}')))
    assert bad.status == 400 and "error_code" in bad.body


def test_metrics(platform: Platform, two: Served) -> None:
    deployment = deploy(platform, two)
    answer(deployment)
    made = platform.ask(lambda client: client.create_key(ApiKeyCreate(name="prometheus")))
    url = f"{platform.ports.gateway_url}/metrics"
    assert httpx.get(url, trust_env=False, timeout=PATIENCE).status_code == 401

    def metrics() -> str:
        headers = {"Authorization": f"Bearer {made.key}"}
        return httpx.get(url, headers=headers, trust_env=False, timeout=PATIENCE).text

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

    def ready() -> list[int]:
        return sorted(each.restarts for each in replicas(platform, deployment) if each.state == "ready")

    wait_for(lambda: ready() == [0, 1], what="the one to come back")
    # A small one is given to the other replica too, before it is called guilty.
    assert call(deployment, split(a=[1], b=[2], die=[1])).status_code == 502
    wait_for(lambda: ready() == [1, 2], what="both to come back")


def test_time_is_kept_while_others_wait(platform: Platform, two: Served, tmp_path: Path) -> None:
    """A slow request does not hold up those of other replicas."""
    deployment = deploy(platform, two, replicas=2)
    begun, go = tmp_path / "begun", tmp_path / "go"
    body = split(a=[1], b=[2], log=[str(begun)], until=[str(go)])
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(answer, deployment, body)
        try:
            wait_for(begun.exists, what="the slow request to be under way")
            answers = [answer(deployment) for _ in range(20)]
            assert not slow.done()
        finally:
            go.touch()
    assert answers == [[23.0]] * 20 and slow.result() == [23.0]
