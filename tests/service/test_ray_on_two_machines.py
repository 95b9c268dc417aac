"""A Ray cluster of two machines with private addresses: calls go to the proxies of both."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from registry_tui.contracts.gateway_routes import Routes
from registry_tui.schemas.operations import WorkflowStatus
from registry_tui.schemas.places import BackendChange, BackendKind, EnvironmentCreate, WorkspaceCreate
from registry_tui.schemas.registries import RegistryCreate
from registry_tui.schemas.stores import S3Address, S3Store
from support.load import Load
from support.networks import Network, private_network
from support.other_stores import BUCKET, moto
from support.platforms import Platform, unique, wait_for
from support.ray_clusters import RayServer, running_ray
from support.served import Served, answer, deploy, finish, now, register, remove_registry, split

pytestmark = pytest.mark.xdist_group("ray")


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with private_network(2) as made:
        yield made


@pytest.fixture(scope="module")
def served(platform: Platform, network: Network) -> Iterator[Served]:
    """A version in an environment with a store that the machines reach, once deployed in a cluster of this machine.

    That one fetches the packages which the others, without a way out, take from uv's cache.
    """
    with moto(network.own) as store:
        name, workspace = unique("env"), unique("ws")
        address = S3Address(bucket=BUCKET, prefix="registry", endpoint=store.endpoint, region=store.region)
        made = EnvironmentCreate(name=name, store=S3Store(address=address, credentials=store.credentials))
        platform.ask(lambda client: client.create_environment(made))
        platform.ask(lambda client: client.create_workspace(WorkspaceCreate(name=workspace, environment=name)))
        request = RegistryCreate(environment=name, grant_storage_access=True)
        registry = platform.ask(lambda client: client.create_registry(request))
        finish(platform, registry.workflow)
        synchronizing = platform.ask(lambda client: client.synchronize_registry(registry.resource.id))
        finish(platform, synchronizing.workflow, WorkflowStatus.SUCCEEDED)
        try:
            found = register(platform, platform.new_project(workspace), add=20, example=split(a=[1.0], b=[2.0]))
            with running_ray() as here:
                use(platform, name, here)
                deployment = deploy(platform, found)
                assert answer(deployment) == [23.0]
                gone = platform.ask(lambda client: client.delete_deployment(deployment.id, force=True))
                finish(platform, gone.workflow)
            yield found
        finally:
            # Also where Ray is not installed: the store ends here.
            remove_registry(platform, registry.resource.id)


def use(platform: Platform, environment: str, ray: RayServer) -> None:
    change = BackendChange(kind=BackendKind.RAY, address=ray.address, token=ray.token, http_port=ray.http_port)
    changed = platform.ask(lambda client: client.change_backend(environment, change))
    assert changed.backend.address == ray.address


@pytest.fixture(scope="module")
def ray(platform: Platform, network: Network, served: Served) -> Iterator[RayServer]:
    with running_ray(machines=network.machines) as server:
        server.add_node(8)
        use(platform, served.project.environment_name, server)
        yield server


def hosts(platform: Platform, deployment: str) -> set[str]:
    """The machines that the gateway sends a deployment's calls to."""
    routes = Routes.from_json(platform.home.gateway_routes_file.read_text(encoding="utf-8"))
    found = next(each for each in routes.deployments if each.id == deployment)
    return {urlsplit(each.socket).hostname or "" for each in found.replicas}


def test_calls_go_on_through_the_other_node_when_one_ends(
    platform: Platform, network: Network, served: Served, ray: RayServer
) -> None:
    # As each wants more than half of a node's processors, they are on two.
    deployment = deploy(platform, served, replicas=2, cpu=5)
    both = {each.address for each in network.machines}
    wait_for(lambda: hosts(platform, deployment.id) == both, what="the gateway to know both proxies")
    assert answer(deployment) == [23.0]
    with Load(deployment) as load:
        ray.nodes[1].kill()
        wait_for(
            lambda: hosts(platform, deployment.id) == {network.machines[0].address}, what="the proxy to be left out"
        )
        wait_for(lambda: now(platform, deployment).replicas_ready == 1, what="the cluster to notice")
    assert set(load.statuses) == {200}, load.statuses
    reason = "waits for resources of the cluster that other replicas use"
    wait_for(lambda: reason in now(platform, deployment).reason, what="the other replica's reason")
