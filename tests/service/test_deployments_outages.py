"""Deployments on a platform whose processes are killed, whose queue is full and whose ports are taken."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections import Counter
from pathlib import Path

import httpx
import pytest

from registry_tui.client.errors import Conflict
from registry_tui.platform import lifecycle, processes
from registry_tui.schemas.deployments import BuildState
from support.load import Load
from support.platforms import PATIENCE, Platform, wait_for
from support.served import answer, call, deploy, finish, now, register, replicas, split, two_versions, update
from support.team import free_port


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


def test_a_full_queue_and_a_slow_request(own_platform: Platform, tmp_path: Path) -> None:
    platform = own_platform
    platform.home.config_file.write_text("[service]\nprediction_queue = 2\nprediction_seconds = 8.0\n")
    list(lifecycle.restart(platform.home, "service"))
    deployment = deploy(platform, register(platform, platform.new_project()))
    go = tmp_path / "go"
    slow = split(a=[1], b=[2], until=[str(go)])
    answers: list[httpx.Response] = []
    threads = [threading.Thread(target=lambda: answers.append(call(deployment, slow))) for _ in range(8)]
    for thread in threads:
        thread.start()
    wait_for(lambda: 429 in {each.status_code for each in list(answers)}, what="the queue to be full")
    go.touch()
    for thread in threads:
        thread.join()
    statuses = Counter(each.status_code for each in answers)
    assert statuses[429] >= 1 and statuses[200] >= 1, statuses
    full = next(each for each in answers if each.status_code == 429)
    assert full.headers["Retry-After"] and full.json()["error_code"] == "RESOURCE_EXHAUSTED"
    late = call(deployment, split(a=[1], b=[2], sleep=[16.0]))
    assert (late.status_code, late.text) == (504, "Request processing time exceeded limit")
    # The model is still busy: requests behind it have their own timeout.
    wait_for(lambda: call(deployment).status_code == 200, what="the slow prediction to end")
    # Deployments are deployed again after the platform was down, also when it was killed.
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
    port = free_port()
    settings = f"[service]\nfirst_deployment_port = {port}\nlast_deployment_port = {port}\n"
    platform.home.config_file.write_text(settings)
    list(lifecycle.restart(platform.home, "service"))
    model = register(platform, platform.new_project())
    deployment = deploy(platform, model, own_port=True)
    assert deployment.port == port
    own = f"http://127.0.0.1:{port}/invocations"
    wait_for(lambda: called(own).status_code == 200, what="the port of its own")
    with pytest.raises(Conflict, match=f"from {port} to {port}, are taken"):
        deploy(platform, model, own_port=True)
    assert called(own).json() == {"predictions": [3]}
    # Another program takes the port while the platform is down: this is reported, and everything else works.
    platform.down()
    with socket.create_server(("127.0.0.1", port)):
        platform.up()
        wait_for(lambda: now(platform, deployment).replicas_ready == 1, what="the replica")
        wait_for(lambda: now(platform, deployment).port_error == "another program listens on it", what="the taken port")
        assert answer(deployment) == [3]
    wait_for(lambda: now(platform, deployment).port_error == "", what="the port to be opened again")
    assert called(own).json() == {"predictions": [3]}


def called(url: str) -> httpx.Response:
    """One call of a deployment at an address of its own."""
    return httpx.post(url, json=split(a=[1], b=[2]), timeout=PATIENCE, trust_env=False)


def platform_pids(platform: Platform, part: str) -> dict[int, str]:
    return {pid: found for pid, found in processes.ours(platform.home).items() if found == part}
