"""Deployments while their processes are killed and restarted, under load."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import httpx
import pytest

from registry_tui.client import RegistryClient
from registry_tui.client.errors import Conflict
from registry_tui.contracts.replica_spec import ReplicaSpec
from registry_tui.platform import lifecycle, processes, supervisor
from registry_tui.platform.paths import GATEWAYS
from registry_tui.schemas.deployments import Deployment, DeploymentState, DeploymentUpdate, EnvironmentVariable
from registry_tui.schemas.operations import Accepted, Workflow, WorkflowStatus
from registry_tui.service.backends.base import ReplicaName
from registry_tui.service.backends.supervisord import LocalReplicas
from registry_tui.service.deployments import machine
from registry_tui.serving.scorer import MOST_LONG
from support.load import Load
from support.platforms import PATIENCE, Platform, wait_for
from support.served import answer, call, deploy, finish, register, split


def test_nobody_notices_a_killed_supervisor_and_the_next_start(own_platform: Platform) -> None:
    platform, home = own_platform, own_platform.home
    deployment = deploy(platform, register(platform, platform.new_project()), replicas=2)
    before = {pid for pid, part in processes.ours(home).items() if part in lifecycle.SERVING}
    with Load(deployment) as load:
        os.kill(supervisor.pid(home), signal.SIGKILL)
        wait_for(lambda: supervisor.state(home) == "stopped", what="the supervisor's end")
        told = list(lifecycle.up(home))
    assert set(load.statuses) == {200}, load.statuses
    assert [each.detail for each in told if each.part == "replicas"][-1] == "2 of 2 answer"
    # All serving processes were restarted; no other is left.
    now_serving = {pid for pid, part in processes.ours(home).items() if part in lifecycle.SERVING}
    assert len(now_serving) == 2 + len(GATEWAYS) and not now_serving & before
    assert all(info.running for info in supervisor.processes(home).values())
    assert answer(deployment) == answer(deployment)


def test_a_model_that_never_comes_back_is_started_again_and_says_so(fresh_platform: Platform) -> None:
    platform = fresh_platform
    platform.home.config_file.write_text("[service]\nprediction_queue = 3\nprediction_seconds = 5.0\n")
    list(lifecycle.restart(platform.home, "service"))
    deployment = deploy(platform, register(platform, platform.new_project()))
    answers: list[httpx.Response] = []
    slow = split(a=[1], b=[2], sleep=[10_000])
    threads = [threading.Thread(target=lambda: answers.append(call(deployment, slow))) for _ in range(12)]
    for thread in threads:
        thread.start()
    wait_for(lambda: 429 in {each.status_code for each in list(answers)}, what="the queue to be full")
    for thread in threads:
        thread.join()
    # Three may wait beside those that the model was given at once.
    assert Counter(each.status_code for each in answers)[429] >= 12 - 3 - 1 - MOST_LONG
    ping = f"{deployment.endpoint_url}/ping"
    asked = partial(httpx.get, ping, trust_env=False, timeout=PATIENCE)
    wait_for(lambda: asked().status_code == 503, what="the replica to say that it is stuck")
    wait_for(
        lambda: platform.ask(lambda client: client.replicas(deployment.id))[0].restarts >= 1,
        what="the replica to be started again",
    )
    wait_for(lambda: call(deployment).status_code == 200, what="answers again")
    log = platform.command("deployments", "logs", deployment.name).stdout
    assert "has taken more than 20 seconds" in log


def test_room_is_given_once_also_while_rollouts_run(own_platform: Platform) -> None:
    # Its own: on the shared one other tests' deployments have room, and need some.
    platform = own_platform
    project = platform.new_project()
    first = register(platform, project)
    held = register(platform, project, first.version.model_name, load_seconds=600)
    share = int(machine.memory_bytes() * 0.6)
    one, other = (deploy(platform, first, version=1) for _ in range(2))
    change = DeploymentUpdate(version=held.version.version, memory_bytes=share)
    accepted = platform.ask(lambda client: client.update_deployment(one.id, change))
    with pytest.raises(Conflict, match="other deployments have"):
        platform.ask(lambda client: client.update_deployment(other.id, DeploymentUpdate(memory_bytes=share)))
    assert isinstance(accepted, Accepted)
    platform.call(RegistryClient.cancel_workflow, accepted.workflow.id)
    finish(platform, accepted.workflow, WorkflowStatus.CANCELLED)
    # The reserved memory is free again.
    platform.ask(lambda client: client.update_deployment(other.id, DeploymentUpdate(memory_bytes=share)))


def test_replicas_that_a_rollout_could_not_take_away_go_later(platform: Platform) -> None:
    deployment = deploy(platform, register(platform, platform.new_project()))
    local = LocalReplicas(platform.home)
    [serving] = local.names(deployment.id)
    stray = ReplicaName(deployment.id, serving.generation + 1, 0)
    spec = replace(ReplicaSpec.load(local.spec(serving)), name=stray.program, socket=str(local.socket(stray)))
    local.start({stray: (spec, Path(sys.executable))})
    wait_for(lambda: local.names(deployment.id) == [serving], what="the other one to go")
    wait_for(lambda: stray.program not in supervisor.processes(platform.home), what="its process to go")
    assert answer(deployment) == [3.0]


def test_callers_stay_with_the_new_replicas_when_the_old_ones_cannot_be_cleared_away(own_platform: Platform) -> None:
    platform = own_platform
    deployment = deploy(platform, register(platform, platform.new_project()))
    local = LocalReplicas(platform.home)
    [old] = local.names(deployment.id)
    # A file that cannot be unlinked, in the place of the old replica's socket.
    local.socket(old).unlink()
    local.socket(old).mkdir()
    accepted = platform.ask(lambda client: client.restart_deployment(deployment.id))
    finish(platform, accepted.workflow)
    assert answer(deployment) == [3.0]
    assert platform.ask(lambda client: client.deployment(deployment.id)).revision == 2
    assert old.program not in supervisor.processes(platform.home)
    local.socket(old).rmdir()


def test_a_rollout_that_callers_reached_is_not_undone_when_it_is_cancelled_and_the_service_killed(
    own_platform: Platform, tmp_path: Path
) -> None:
    platform = own_platform
    deployment = deploy(platform, register(platform, platform.new_project()))
    local = LocalReplicas(platform.home)
    [old] = local.names(deployment.id)
    slow: list[httpx.Response] = []
    begun, go = tmp_path / "begun", tmp_path / "go"
    body = split(a=[1], b=[2], log=[str(begun)], until=[str(go)])
    caller = threading.Thread(target=lambda: slow.append(call(deployment, body)))
    caller.start()
    wait_for(begun.exists, what="the slow request to be under way")
    accepted = platform.ask(lambda client: client.restart_deployment(deployment.id))
    # The old one answers its last request, so that it takes a while to end.
    wait_for(lambda: not local.configured(old), what="the old replica to be told to go")
    assert isinstance(accepted, Accepted)
    platform.call(RegistryClient.cancel_workflow, accepted.workflow.id)
    platform.kill("service")
    go.touch()
    caller.join()
    assert [each.status_code for each in slow] == [200]
    platform.up()
    finish(platform, accepted.workflow)
    assert answer(deployment) == [3.0]
    assert platform.ask(lambda client: client.deployment(deployment.id)).revision == 2


def test_a_rollout_that_is_tried_again_goes_back_to_what_serves_by_then(platform: Platform, tmp_path: Path) -> None:
    # Where the file is missing, a rollout waits for its replica until it is cancelled.
    loads = tmp_path / "loads"
    loads.touch()
    deployment = deploy(platform, register(platform, platform.new_project(), load_until=str(loads)))
    stopped = platform.ask(lambda client: client.stop_deployment(deployment.id))
    finish(platform, stopped.workflow)
    loads.unlink()
    change = DeploymentUpdate(environment=[EnvironmentVariable(name="A", value="1")])
    update = platform.ask(lambda client: client.update_deployment(deployment.id, change))
    assert not isinstance(update, Deployment)
    cancel(platform, update.workflow)
    assert platform.ask(lambda client: client.deployment(deployment.id)).state is DeploymentState.STOPPED
    loads.touch()
    finish(platform, platform.ask(lambda client: client.restart_deployment(deployment.id)).workflow)
    assert answer(deployment) == [3.0]
    loads.unlink()
    cancel(platform, platform.ask(lambda client: client.retry_workflow(update.workflow.id)))
    assert platform.ask(lambda client: client.deployment(deployment.id)).state is DeploymentState.DEPLOYED
    assert answer(deployment) == [3.0]


def test_a_rollout_from_replicas_that_are_gone_does_not_end_as_deployed(platform: Platform, tmp_path: Path) -> None:
    loads = tmp_path / "loads"
    loads.touch()
    deployment = deploy(platform, register(platform, platform.new_project(), load_until=str(loads)))
    loads.unlink()
    local = LocalReplicas(platform.home)
    local.remove(local.names(deployment.id))
    change = DeploymentUpdate(environment=[EnvironmentVariable(name="A", value="1")])
    update = platform.ask(lambda client: client.update_deployment(deployment.id, change))
    assert not isinstance(update, Deployment)
    cancel(platform, update.workflow)
    assert platform.ask(lambda client: client.deployment(deployment.id)).state is DeploymentState.FAILED
    refused = wait_for(
        lambda: call(deployment) if "failed" in call(deployment).text else None, what="callers to be told"
    )
    assert refused.status_code == 503 and "deployments show" in refused.text


def cancel(platform: Platform, workflow: Workflow) -> None:
    """Cancels a workflow that has just begun, and waits for its end."""
    platform.ask(lambda client: client.cancel_workflow(workflow.id))
    wait_for(
        lambda: platform.ask(lambda client: client.workflow(workflow.id)).status is WorkflowStatus.CANCELLED,
        what="the workflow to be cancelled",
    )
