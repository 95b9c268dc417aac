"""Deployments in a real Ray cluster, reached by its REST API only, and the life of a deployment on either.

Tests of both get the fixture `either`. Not repeated for Ray are tests of the gateway, which is the same, and of what
only this machine has: supervisord's processes and shared environments.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from registry_tui.client.errors import Conflict, WrongInput
from registry_tui.schemas.deployments import (
    Deployment,
    DeploymentState,
    DeploymentUpdate,
    ReplicaState,
    RevisionState,
)
from registry_tui.schemas.operations import Accepted, WorkflowStatus
from registry_tui.schemas.places import BackendChange, BackendKind
from registry_tui.schemas.scaling import Autoscaling, AutoscalingChange, KeptAutoscaling
from support.load import Load
from support.platforms import Platform, wait_for
from support.ray_clusters import RayServer, running_ray
from support.served import (
    Served,
    answer,
    call,
    declare,
    deploy,
    finish,
    kill_replica,
    now,
    register,
    replicas,
    split,
    two_versions,
    update,
)
from support.workflow_cases import registered_environment

pytestmark = pytest.mark.xdist_group("ray")

MIB = 1 << 20
#: A Serve application of somebody else's.
SHOP = """
from ray import serve

@serve.deployment(name="till", num_replicas=1, ray_actor_options={"num_cpus": 0.1})
def till(request):
    return "open"

application = till.bind()
"""


@pytest.fixture(scope="module")
def ray() -> Iterator[RayServer]:
    """A cluster in which somebody else's application runs."""
    with running_ray(gpus=3) as server:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("shop.py", SHOP)
            archive.writestr("README", "a shop")
        shop = {
            "name": "shop",
            "route_prefix": "/shop",
            "import_path": "shop:application",
            "runtime_env": {"working_dir": "gcs://_ray_pkg_shop.zip", "env_vars": {"TILL": "open"}},
        }
        http = {"host": "127.0.0.1", "port": server.http_port}
        config = {"proxy_location": "HeadOnly", "http_options": http, "applications": [shop]}
        with server.client() as client:
            client.put("/api/packages/gcs/_ray_pkg_shop.zip", content=packed.getvalue()).raise_for_status()
            client.put("/api/serve/applications/", json=config).raise_for_status()
        wait_for(lambda: applications(server).get("shop") == "RUNNING", what="the other application")
        yield server


@pytest.fixture(scope="module")
def two(platform: Platform, ray: RayServer) -> Served:
    """Version 1 adds 10, version 2 adds 20; this is version 2, in an environment whose deployments run in Ray."""
    environment, _, project = registered_environment(platform, synchronized=True, prefix="ray")
    # Serve listens at another port already.
    change = BackendChange(kind=BackendKind.RAY, address=ray.address, token=ray.token, http_port=1)
    changed = platform.ask(lambda client: client.change_backend(environment, change))
    assert (changed.backend.kind, changed.backend.address) == (BackendKind.RAY, ray.address)
    first = register(platform, project, add=10, example=split(a=[1.0], b=[2.0]))
    return register(platform, project, first.version.model_name, add=20)


@pytest.fixture(scope="module", params=list(BackendKind), ids=lambda kind: kind.value)
def either(request: pytest.FixtureRequest, platform: Platform) -> Served:
    """The same two versions, deployed on this machine, then in the cluster."""
    if request.param is BackendKind.LOCAL:
        return two_versions(platform)
    found: Served = request.getfixturevalue("two")
    return found


def told(ray: RayServer) -> dict[str, Any]:
    with ray.client() as client:
        found: dict[str, Any] = client.get("/api/serve/applications/").raise_for_status().json()["applications"]
    return found


def applications(ray: RayServer) -> dict[str, str]:
    """The states of the cluster's Serve applications."""
    return {name: each["status"] for name, each in told(ray).items()}


def test_a_deployment_is_made_called_changed_and_deleted_and_others_stay(
    platform: Platform, ray: RayServer, two: Served
) -> None:
    shop = told(ray)["shop"]
    deployment = deploy(platform, two, version=1)
    assert deployment.backend is BackendKind.RAY and deployment.replicas_ready == 1
    assert answer(deployment) == [13.0]
    # Serve reports that a moment after the replica answers.
    both = {"shop": "RUNNING", f"rt--{deployment.id}--g1": "RUNNING"}
    wait_for(lambda: applications(ray) == both, what="both applications to run")
    with Load(deployment, threads=4) as load:
        update(platform, deployment, version=2)
        assert answer(deployment) == [23.0]
    assert set(load.statuses) == {200}, load.statuses
    wait_for(lambda: f"rt--{deployment.id}--g1" not in applications(ray), what="the old application to go")
    log = log_of(platform, deployment, "2-0")
    assert "all sums as in the manifest" in log, log
    # Past the gateway nobody gets in.
    with ray.client() as client:
        past = client.post(f"http://127.0.0.1:{ray.http_port}/rt--{deployment.id}--g2/invocations", json=split(a=[1.0]))
    assert past.status_code == 401
    with pytest.raises(Conflict, match=deployment.name):
        local = BackendChange(kind=BackendKind.LOCAL)
        platform.ask(lambda client: client.change_backend(deployment.environment_name, local))
    gone = platform.ask(lambda client: client.delete_deployment(deployment.id, force=True))
    finish(platform, gone.workflow)
    assert call(deployment).status_code == 404
    wait_for(lambda: applications(ray) == {"shop": "RUNNING"}, what="the application to go")
    kept = told(ray)["shop"]
    assert kept["deployed_app_config"] == shop["deployed_app_config"]
    assert pids(kept) == pids(shop)


def pids(application: Any) -> list[int]:
    return [each["pid"] for of in application["deployments"].values() for each in of["replicas"]]


def test_a_rollout_a_step_back_and_a_restart_fail_no_call(platform: Platform, either: Served) -> None:
    deployment = deploy(platform, either, version=1, memory_bytes=400 * MIB)
    assert answer(deployment) == [13.0]
    with Load(deployment, threads=4, pause=0.1) as load:
        update(platform, deployment, version=2)
        assert answer(deployment) == [23.0]
        back = platform.ask(lambda client: client.roll_back_deployment(deployment.id))
        finish(platform, back.workflow)
        assert answer(deployment) == [13.0]
        before = wait_for(lambda: pids_of(platform, deployment), what="the replica to say how it is")
        again = platform.ask(lambda client: client.restart_deployment(deployment.id))
        finish(platform, again.workflow)
    assert set(load.statuses) == {200}, load.statuses
    assert set(load.predictions) == {13.0, 23.0}
    revisions = platform.ask(lambda client: client.revisions(deployment.id))
    assert [each.state for each in revisions].count(RevisionState.ACTIVE) == 1
    # Every request is counted, the replica that is there reports its process and memory, and each has a log.
    wait_for(lambda: now(platform, deployment).traffic.requests >= load.statuses[200], what="the counts")
    wait_for(lambda: len(pids_of(platform, deployment) - before) == 1, what="the new replica to say how it is")
    wait_for(lambda: [each for each in replicas(platform, deployment) if each.memory_bytes], what="its memory")
    wait_for(lambda: logs_of(platform, deployment) >= {"1-0", "2-0"}, what="the logs of those that are gone")
    # The largest body is tied to a replica's memory.
    refused = declare(deployment, 64 * MIB)
    assert refused.startswith(b"HTTP/1.1 413 ") and f"update {deployment.name} --memory ".encode() in refused


def pids_of(platform: Platform, deployment: Deployment) -> set[int]:
    return {each.pid for each in replicas(platform, deployment) if each.pid}


def logs_of(platform: Platform, deployment: Deployment) -> set[str]:
    return {each.name for each in platform.ask(lambda client: client.replica_logs(deployment.id))}


def log_of(platform: Platform, deployment: Deployment, replica: str) -> str:
    return "\n".join(platform.ask(lambda client: client.replica_log(deployment.id, replica)).lines)


def test_a_followed_alias_rolls(platform: Platform, either: Served) -> None:
    registry, model = either.registry, either.version.model_id
    platform.ask(lambda client: client.set_alias(registry, model, "champion", 1))
    deployment = deploy(platform, either, version=None, alias="champion", follow_alias=True)
    assert answer(deployment) == [13.0]
    with Load(deployment, threads=4, pause=0.1) as load:
        platform.ask(lambda client: client.set_alias(registry, model, "champion", 2))
        wait_for(lambda: now(platform, deployment).version == 2, what="the deployment to follow")
        wait_for(lambda: now(platform, deployment).state == "deployed", what="the rollout")
    assert set(load.statuses) == {200}, load.statuses
    assert answer(deployment) == [23.0]
    assert "alias champion moved" in platform.ask(lambda client: client.revisions(deployment.id))[0].comment


def test_the_end_of_a_replica_fails_no_call_and_it_comes_back_until_it_is_stopped(
    platform: Platform, either: Served
) -> None:
    deployment = deploy(platform, either, replicas=2, cpu=0.5, memory_bytes=400 * MIB)
    wait_for(lambda: len(pids_of(platform, deployment)) == 2, what="both to say how they are")
    before = pids_of(platform, deployment)
    with Load(deployment, threads=4, pause=0.1) as load:
        kill_replica(platform, deployment)
        wait_for(lambda: len(pids_of(platform, deployment) - before) == 1, what="another process")
        wait_for(lambda: now(platform, deployment).replicas_ready == 2, what="both to answer")
    assert set(load.statuses) == {200}, load.statuses
    stopped = platform.ask(lambda client: client.stop_deployment(deployment.id))
    finish(platform, stopped.workflow)
    assert call(deployment).status_code == 503 and not replicas(platform, deployment)


def test_a_version_that_does_not_load_is_taken_away_and_says_why(platform: Platform, either: Served) -> None:
    broken = register(platform, either.project, either.version.model_name, fail="no weights")
    deployment = deploy(platform, either, replicas=2, cpu=0.5, memory_bytes=400 * MIB)
    failed = update(platform, deployment, WorkflowStatus.FAILED, version=broken.version.version)
    assert failed.state is DeploymentState.DEPLOYED and "no weights" in failed.reason
    assert answer(deployment) == [23.0]
    wait_for(
        lambda: not [each for each in replicas(platform, deployment) if each.name.startswith("2-")], what="its end"
    )
    # Fewer replicas start none again.
    wait_for(lambda: len(pids_of(platform, deployment)) == 2, what="the replicas to say how they are")
    found = pids_of(platform, deployment)
    update(platform, deployment, replicas=1)
    wait_for(lambda: len(replicas(platform, deployment)) == 1, what="one replica to go")
    assert pids_of(platform, deployment) <= found
    assert answer(deployment) == [23.0]


def test_a_replica_over_its_memory_is_started_again_and_says_why(platform: Platform, two: Served) -> None:
    deployment = deploy(platform, two, memory_bytes=400 * MIB)
    # The first call decides whether the version stays.
    assert answer(deployment) == [23.0]
    call(deployment, split(grow=[300], a=[1], b=[2]))
    wait_for(lambda: [each for each in replicas(platform, deployment) if each.restarts], what="a restart")
    wait_for(lambda: "0.39 GiB" in now(platform, deployment).reason, what="the reason")
    assert platform.events(action="deployment.replica-over-memory", resource=deployment.id)
    # It is the only one: a call may end with it once more.
    wait_for(lambda: call(deployment).json().get("predictions") == [23.0], what="it to be back")


def test_the_cluster_finds_the_number_of_replicas(platform: Platform, ray: RayServer, two: Served) -> None:
    deployment = deploy(platform, two, cpu=0.5, autoscaling=Autoscaling(max_replicas=3, target_requests=1))
    assert (deployment.replicas_wanted, deployment.replicas_ready) == (1, 1)
    assert deployment.autoscaling == KeptAutoscaling(min_replicas=1, max_replicas=3, target_requests=1)
    with Load(deployment, threads=8) as load:
        wait_for(lambda: now(platform, deployment).replicas_ready > 1, what="the cluster to add replicas")
        wait_for(lambda: len(replicas(platform, deployment)) > 1, what="them to be listed")
        assert now(platform, deployment).replicas_wanted > 1
    assert set(load.statuses) == {200}, load.statuses
    # Other bounds, and a fixed number, start no replica again: the application is the same.
    name = f"rt--{deployment.id}--g1"
    found = update(platform, deployment, autoscaling=AutoscalingChange(min_replicas=2, max_replicas=2))
    assert found.autoscaling == KeptAutoscaling(min_replicas=2, max_replicas=2, target_requests=1)
    wait_for(lambda: _numbers(platform, deployment) == (2, 2), what="two replicas")
    # Serve takes a moment for each.
    wait_for(lambda: (config(ray, name).get("autoscaling_config") or {}).get("min_replicas") == 2, what="the bounds")
    fixed = update(platform, deployment, replicas=1)
    assert fixed.autoscaling is None
    wait_for(lambda: _numbers(platform, deployment) == (1, 1), what="one replica")
    wait_for(lambda: not config(ray, name).get("autoscaling_config"), what="the fixed number")
    assert config(ray, name)["num_replicas"] == 1
    wait_for(lambda: [each for each in replicas(platform, deployment) if each.pid], what="the replica to say how it is")
    assert answer(deployment) == [23.0]
    # A rollout keeps it; a rollback serves with the current numbers.
    update(platform, deployment, autoscaling=AutoscalingChange(max_replicas=2), version=1)
    back = platform.ask(lambda client: client.roll_back_deployment(deployment.id))
    finish(platform, back.workflow)
    again = now(platform, deployment)
    assert again.version == 2 and again.autoscaling is not None and again.autoscaling.max_replicas == 2
    assert answer(deployment) == [23.0]


def _numbers(platform: Platform, deployment: Deployment) -> tuple[int, int]:
    """How many replicas are shown, and how many of them are ready."""
    shown = replicas(platform, deployment)
    return len(shown), sum(each.state is ReplicaState.READY for each in shown)


def config(ray: RayServer, application: str) -> dict[str, Any]:
    """The configuration of an application's replicas in Serve."""
    found: dict[str, Any] = told(ray)[application]["deployments"]["replica"]["deployment_config"]
    return found


def test_replicas_get_the_gpus_that_they_ask_for(platform: Platform, two: Served) -> None:
    deployment = deploy(platform, two, gpus=1)
    asked = split(variable=["CUDA_VISIBLE_DEVICES"])
    assert answer(deployment, asked)[0] in ("0", "1", "2")
    changed = update(platform, deployment, gpus=2)
    assert changed.gpus == 2 and len(answer(deployment, asked)[0].split(",")) == 2


def test_a_rollout_that_waits_for_a_larger_node_says_so_meanwhile(platform: Platform, two: Served) -> None:
    deployment = deploy(platform, two, cpu=0.5)
    change = DeploymentUpdate(gpus=7)
    accepted = platform.ask(lambda client: client.update_deployment(deployment.id, change))
    assert isinstance(accepted, Accepted)
    begun = accepted.workflow
    said = "waits for a larger node: each replica requests 0.5 CPU, "
    wait_for(lambda: said in now(platform, deployment).reason, what="the deployment to say what it waits for")
    wait_for(lambda: [each for each in replicas(platform, deployment) if said in each.detail], what="the replica to")
    shown = wait_for(lambda: platform.ask(lambda client: client.workflow(begun.id)).progress.waits, what="the workflow")
    assert "7 GPU" in shown and "at most" in shown and "3 GPU" in shown
    log = platform.ask(lambda client: client.workflow_logs(begun.id))
    assert [each for each in log.items if said in each.text]
    # The version before answers all the while.
    assert answer(deployment) == [23.0]
    platform.ask(lambda client: client.cancel_workflow(begun.id))
    finish(platform, begun, WorkflowStatus.CANCELLED)
    wait_for(lambda: "waits" not in now(platform, deployment).reason, what="nothing to wait any more")


def test_callers_notice_nothing_of_the_end_of_a_node(platform: Platform, ray: RayServer, two: Served) -> None:
    other = ray.add_node(8)
    # As each wants more than half of a node's processors, they are on two.
    deployment = deploy(platform, two, replicas=2, cpu=5)
    name = f"rt--{deployment.id}--g1"
    nodes = {each["node_ip"] for each in told(ray)[name]["deployments"]["replica"]["replicas"]}
    assert nodes == {"127.0.0.2", "127.0.0.3"}
    with Load(deployment) as load:
        other.kill()
        wait_for(lambda: now(platform, deployment).replicas_ready == 1, what="the cluster to notice")
    assert set(load.statuses) == {200}, load.statuses


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"address": "ftp://127.0.0.1"}, "not the address"),
        ({"address": "http://169.254.169.254"}, "not a machine of a cluster"),
        ({"address": "http://8.8.8.8:8265"}, "readable"),
        ({"address": "http://127.0.0.1:8265", "token": "a b"}, "one line"),
        ({"address": "http://127.0.0.1:8265", "token": ""}, "token"),
        ({"address": ""}, "address"),
    ],
    ids=["scheme", "link-local", "public", "token", "no-token", "no-address"],
)
def test_what_is_no_cluster_is_not_asked(platform: Platform, fields: dict[str, str], said: str) -> None:
    change = BackendChange(**{"kind": BackendKind.RAY, "token": "t", **fields})  # type: ignore[arg-type]
    with pytest.raises(WrongInput, match=said):
        platform.ask(lambda client: client.change_backend("local", change))


def test_a_wrong_token_is_refused(platform: Platform, ray: RayServer) -> None:
    change = BackendChange(kind=BackendKind.RAY, address=ray.address, token="f" * 64)
    with pytest.raises(WrongInput, match="refuses the token"):
        platform.ask(lambda client: client.change_backend("local", change))
    assert ray.token not in str(platform.ask(lambda client: client.environments()))
