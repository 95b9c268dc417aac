"""Model Registries on real parts: made, allowed to store, synchronized, deleted; the tests share one platform."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import pytest

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import Conflict, NotFound, Refused
from registry_tui.schemas.models import RegisterModel, VersionStatus
from registry_tui.schemas.operations import Accepted, EventOutcome, Workflow, WorkflowStatus
from registry_tui.schemas.places import (
    Cloud,
    CollaboratorChange,
    EnvironmentCreate,
    Project,
    ProjectCreate,
    Role,
    WorkspaceCreate,
)
from registry_tui.schemas.registries import (
    ModelRegistry,
    RegistryCreate,
    RegistryDelete,
    RegistryStatus,
    StorageAccess,
    SynchronizeState,
)
from registry_tui.service.adapters.mlflow import Mlflow
from registry_tui.service.errors import NotPermitted
from registry_tui.service.stores.seaweedfs import ObjectStore
from support.machine_users import machine_key
from support.platforms import Platform, eventually, unique
from support.registered import log_model, object_names

FINISHED = WorkflowStatus.SUCCEEDED


@dataclass
class Corner:
    """An environment of a test's own."""

    client: RegistryClient
    environment: str

    async def workspace(self) -> str:
        made = await self.client.create_workspace(WorkspaceCreate(name=unique("ws"), environment=self.environment))
        return made.name

    async def project(self, workspace: str) -> Project:
        return await self.client.create_project(ProjectCreate(name=unique("p"), workspace=workspace))

    async def registry(self, **fields: object) -> ModelRegistry:
        request = RegistryCreate.model_validate(
            {"environment": self.environment, "grant_storage_access": True, **fields}
        )
        made = await self.client.create_registry(request)
        done = await self.client.wait_for_workflow(made.workflow.id)
        assert done.status is FINISHED, done.error
        return await self.client.registry(made.resource.id)

    async def synchronized(self, registry: ModelRegistry) -> Workflow:
        told = await self.client.synchronize_registry(registry.id)
        assert told.resource.status is RegistryStatus.MODIFY_STARTED
        return await self.client.wait_for_workflow(told.workflow.id)

    async def deleted(self, registry: ModelRegistry, **fields: bool) -> Workflow:
        told = await self.client.delete_registry(registry.id, RegistryDelete(**fields))
        assert told.resource.status is RegistryStatus.DEPROVISION_STARTED
        return await self.client.wait_for_workflow(told.workflow.id)

    async def log(self, workflow: Workflow) -> str:
        return "\n".join([line.text async for line in self.client.every(self.client.workflow_logs, workflow.id)])


@pytest.fixture
async def corner(client: RegistryClient) -> Corner:
    made = await client.create_environment(EnvironmentCreate(name=unique("env")))
    return Corner(client, made.name)


async def cancelled(
    client: RegistryClient, begin: Callable[[], Awaitable[Accepted[ModelRegistry]]]
) -> tuple[ModelRegistry, Workflow]:
    """Begins workflows until one is cancelled before it is finished."""
    for _ in range(10):
        accepted = await begin()
        with suppress(Conflict):
            await client.cancel_workflow(accepted.workflow.id)
        ended = await client.wait_for_workflow(accepted.workflow.id)
        if ended.status is WorkflowStatus.CANCELLED:
            return accepted.resource, ended
        assert ended.status is FINISHED, ended.error
    raise AssertionError("all were quicker than their cancel")


async def test_made_then_available_with_every_field(platform: Platform, corner: Corner) -> None:
    client, workspace = corner.client, await corner.workspace()
    request = RegistryCreate(environment=corner.environment, grant_storage_access=True)
    accepted = await client.create_registry(request)
    assert accepted.resource.status is RegistryStatus.PROVISION_STARTED and accepted.resource.model_count is None
    done = await client.wait_for_workflow(accepted.workflow.id)
    assert done.status is FINISHED, done.error
    made = await client.registry(f"registry-{corner.environment}")
    environment = await client.environment(corner.environment)
    assert (made.status, made.status.label) == (RegistryStatus.INSTALLATION_FINISHED, "Available")
    assert (made.environment_id, made.environment_crn) == (environment.id, environment.crn)
    assert (made.bucket, made.endpoint) == (environment.bucket, platform.ports.s3_endpoint)
    assert (made.storage_access, made.workflow_id, made.model_count) == (StorageAccess.GRANTED, None, 0)
    sync = made.workspaces[0]
    assert (sync.workspace_name, sync.state) == (workspace, SynchronizeState.NEVER_RUN)
    assert (await client.environment(corner.environment)).registry_id == made.id
    key = machine_key(platform, made)
    store = ObjectStore(platform.ports, platform.secrets)
    store.probe_prefix(key, made.bucket, made.prefix)
    with pytest.raises(NotPermitted):
        store.probe_prefix(key, made.bucket, "workspaces")
    told = made.model_dump_json() + await corner.log(done) + str(await client.events(registry=made.id))
    assert key.secret_access_key not in told
    events = (await client.events(registry=made.id)).items
    assert [(event.action, event.outcome) for event in events] == [
        ("registry.create", EventOutcome.SUCCEEDED),
        ("registry.create", EventOutcome.STARTED),
    ]
    assert len({(event.request_id, event.workflow_id) for event in events}) == 1


async def test_an_azure_registry_keeps_its_nfs(client: RegistryClient) -> None:
    environment = await client.create_environment(EnvironmentCreate(name=unique("blue"), cloud=Cloud.AZURE))
    made = await Corner(client, environment.name).registry(existing_nfs="nfs.example.net:/mr", nfs_protocol_version="3")
    assert (made.cloud, made.existing_nfs, made.nfs_protocol_version) == (Cloud.AZURE, "nfs.example.net:/mr", "3")


async def test_of_many_creates_at_once_one_is_made(corner: Corner) -> None:
    requests = [
        corner.client.create_registry(RegistryCreate(environment=corner.environment, name=unique("r")))
        for _ in range(4)
    ]
    answers = await asyncio.gather(*requests, return_exceptions=True)
    made = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert len(made) == 1
    refusals = [answer for answer in answers if isinstance(answer, BaseException)]
    assert all(isinstance(answer, Conflict) and made[0].resource.name in answer.message for answer in refusals)
    await corner.client.wait_for_workflow(made[0].workflow.id)


async def test_a_registry_starts_without_access_which_is_granted_and_revoked(
    platform: Platform, corner: Corner
) -> None:
    client = corner.client
    begun = await client.create_registry(RegistryCreate(environment=corner.environment))
    assert (await client.wait_for_workflow(begun.workflow.id)).status is FINISHED
    made = await client.registry(begun.resource.id)
    assert made.storage_access is StorageAccess.NOT_GRANTED and made.status is RegistryStatus.INSTALLATION_FINISHED
    key, store = machine_key(platform, made), ObjectStore(platform.ports, platform.secrets)
    for _ in range(2):
        with pytest.raises(NotPermitted):
            store.probe_prefix(key, made.bucket, made.prefix)
        assert (await client.grant_storage_access(made.name)).storage_access is StorageAccess.GRANTED
        store.probe_prefix(key, made.bucket, made.prefix)
        assert (await client.revoke_storage_access(made.id)).storage_access is StorageAccess.NOT_GRANTED
    actions = [event.action for event in (await client.events(registry=made.id)).items]
    assert actions.count("registry.grant-storage") == actions.count("registry.revoke-storage") == 2


async def test_each_workspace_has_its_own_outcome(platform: Platform, corner: Corner) -> None:
    client, good, bad = corner.client, await corner.workspace(), await corner.workspace()
    well, broken = await corner.project(good), await corner.project(bad)
    made = await corner.registry()
    mlflow = Mlflow(platform.ports, platform.secrets)
    mlflow.delete_workspace(broken.mlflow_workspace, cascade=True)
    done = await corner.synchronized(made)
    assert done.status is WorkflowStatus.FAILED and bad in str(done.error) and good not in str(done.error)
    shown = await client.registry(made.id)
    outcomes = {sync.workspace_name: sync for sync in shown.workspaces}
    assert outcomes[good].state is SynchronizeState.COMPLETED and outcomes[good].project_count == 1
    assert outcomes[bad].state is SynchronizeState.FAILED and outcomes[bad].error
    assert all(sync.started_at and sync.finished_at for sync in shown.workspaces)
    assert shown.status is RegistryStatus.MODIFY_FAILED and shown.status.live
    assert (await client.project(well.id)).registry_id == made.id
    assert (await client.project(broken.id)).registry_id is None

    mlflow.create_workspace(broken.mlflow_workspace)
    done = await client.wait_for_workflow((await client.retry_workflow(done.id)).id)
    assert done.status is FINISHED, done.error
    shown = await client.registry(made.id)
    assert shown.status is RegistryStatus.MODIFY_FINISHED and shown.workflow_id is None
    assert {(sync.state, sync.error) for sync in shown.workspaces} == {(SynchronizeState.COMPLETED, None)}
    assert (await client.project(broken.id)).registry_id == made.id
    mlflow.close()


@pytest.mark.parametrize("with_archives", [True, False], ids=["with archives", "archives kept"])
async def test_deleted_and_made_again(platform: Platform, corner: Corner, with_archives: bool) -> None:
    client, project = corner.client, await corner.project(await corner.workspace())
    made = await corner.registry()
    assert (await corner.synchronized(made)).status is FINISHED
    run = await asyncio.to_thread(log_model, platform, project)
    request = RegisterModel(name="Wine", run_id=run.run_id, artifact_path=run.artifact_path)
    await client.register_model(project.id, request)

    async def ready() -> bool:
        return (await client.version(made.id, "Wine", 1)).status is VersionStatus.READY

    await eventually(ready)
    assert (await client.registry(made.id)).model_count == 1
    archive = object_names(platform, made.bucket, f"{made.prefix}/")
    assert len(archive) == 6  # four files, their manifest and its signature

    done = await corner.deleted(made, delete_archives=with_archives)
    assert done.status is FINISHED, done.error
    with pytest.raises(NotFound):
        await client.registry(made.id)
    assert (await client.project(project.id)).registry_id is None
    assert object_names(platform, made.bucket, f"{made.prefix}/") == ([] if with_archives else archive)
    assert object_names(platform, made.bucket, run.key), "the run keeps its artifacts"
    with pytest.raises(Conflict, match="cannot register models"):
        await client.register_model(project.id, request)

    again = await corner.registry()
    assert again.id != made.id and again.crn != made.crn and again.model_count == 0
    assert again.machine_user_workload_name != made.machine_user_workload_name
    assert (await corner.synchronized(again)).status is FINISHED
    assert (await client.project(project.id)).registry_id == again.id


async def test_a_cancelled_delete_is_as_before_and_may_be_retried_once(corner: Corner) -> None:
    client, project = corner.client, await corner.project(await corner.workspace())

    async def begin() -> Accepted[ModelRegistry]:
        made = await corner.registry()
        assert (await corner.synchronized(made)).status is FINISHED
        return await client.delete_registry(made.id, RegistryDelete())

    registry, ended = await cancelled(client, begin)
    shown = await client.registry(registry.id)
    if shown.status is RegistryStatus.DEPROVISION_FAILED:  # it was cancelled when the models were gone
        assert (await client.project(project.id)).registry_id is None
    else:
        assert shown.status is RegistryStatus.MODIFY_FINISHED
        assert (await client.project(project.id)).registry_id == registry.id
    assert shown.workflow_id is None
    done = await client.wait_for_workflow((await client.retry_workflow(ended.id)).id)
    assert done.status is FINISHED, done.error
    late = await client.wait_for_workflow((await client.retry_workflow(ended.id)).id)
    assert late.status is WorkflowStatus.FAILED and "gone" in str(late.error)


async def test_a_cancelled_create_is_made_by_a_retry(client: RegistryClient) -> None:
    async def begin() -> Accepted[ModelRegistry]:
        environment = await client.create_environment(EnvironmentCreate(name=unique("env")))
        return await client.create_registry(RegistryCreate(environment=environment.name))

    registry, ended = await cancelled(client, begin)
    shown = await client.registry(registry.id)
    assert shown.status in (RegistryStatus.PROVISION_FAILED, RegistryStatus.INSTALLATION_FAILED)
    assert (shown.storage_access, shown.workflow_id) == (StorageAccess.NOT_GRANTED, None)
    with pytest.raises(Conflict, match=shown.name):
        await client.create_registry(RegistryCreate(environment=shown.environment_name))

    done = await client.wait_for_workflow((await client.retry_workflow(ended.id)).id)
    assert done.status is FINISHED and (await client.registry(shown.id)).status.live
    twice = await client.wait_for_workflow((await client.retry_workflow(ended.id)).id)
    assert twice.status is WorkflowStatus.FAILED and "made already" in str(twice.error)
    assert (await client.registry(shown.id)).status is RegistryStatus.INSTALLATION_FINISHED

    assert (await Corner(client, shown.environment_name).deleted(shown)).status is FINISHED
    await client.delete_environment(shown.environment_name)


async def test_what_a_cancelled_create_left_can_be_deleted(client: RegistryClient) -> None:
    async def begin() -> Accepted[ModelRegistry]:
        environment = await client.create_environment(EnvironmentCreate(name=unique("env")))
        return await client.create_registry(RegistryCreate(environment=environment.name))

    registry, _ = await cancelled(client, begin)
    assert (await Corner(client, registry.environment_name).deleted(registry)).status is FINISHED
    await client.delete_environment(registry.environment_name)


async def test_people_read_registries_and_the_administrator_changes_them(platform: Platform, corner: Corner) -> None:
    made, name = await corner.registry(), unique("ann")
    project = await corner.project(await corner.workspace())
    await corner.client.set_collaborator(project.id, name, CollaboratorChange(role=Role.VIEWER))
    async with platform.patient_client(name) as ann:
        assert (await ann.registry(made.id)).name == made.name
        found = await ann.registries(name=made.name, status="available", environment=corner.environment)
        assert [registry.id for registry in found.items] == [made.id]
        with pytest.raises(Refused):
            await ann.synchronize_registry(made.id)
        with pytest.raises(Refused):
            await ann.delete_registry(made.id, RegistryDelete(force=True))
