"""Storing an archive while things fail: no access to the storage, a cancel, parts killed in the middle."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import boto3
import pytest

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import Conflict
from registry_tui.schemas.models import ModelVersion, RegisterModel, VersionStatus
from registry_tui.schemas.operations import Workflow, WorkflowStatus
from registry_tui.schemas.places import EnvironmentCreate, Project, ProjectCreate, WorkspaceCreate
from registry_tui.schemas.registries import RegistryCreate
from support.platforms import PATIENCE, Platform, eventually, run_python, unique

#: Enough files that something can happen while they are copied.
FILES = 1000
LOG = """
import json, mlflow
mlflow.set_experiment("faults")
with mlflow.start_run() as run:
    mlflow.log_text("flavors: {python_function: {loader_module: mlflow.sklearn}}", "model/MLmodel")
print(json.dumps({"run": run.info.run_id, "uri": run.info.artifact_uri}))
"""


def store(platform: Platform) -> Any:
    key = platform.secrets.object_store_admin
    return boto3.client(
        "s3",
        endpoint_url=platform.ports.s3_endpoint,
        aws_access_key_id=key.access_key_id,
        aws_secret_access_key=key.secret_access_key,
        region_name="us-east-1",
    )


def log_large_model(platform: Platform, project: Project, bucket: str, files: int = FILES) -> str:
    """A run with a model of many files; put straight into the object store, which is quicker."""
    logged = json.loads(run_python(LOG, platform.exports(project.id)).splitlines()[-1])
    path = logged["uri"].removeprefix("mlflow-artifacts:/")
    folder = path if path.startswith("workspaces/") else f"workspaces/default/{path}"
    s3 = store(platform)
    for number in range(files):
        s3.put_object(Bucket=bucket, Key=f"{folder}/model/data/{number:05}", Body=b"%05d" % number * 200)
    return str(logged["run"])


def stored_keys(platform: Platform, bucket: str, version: ModelVersion) -> list[str]:
    pages = (
        store(platform)
        .get_paginator("list_objects_v2")
        .paginate(Bucket=bucket, Prefix=f"modelregistry/{version.model_id}/{version.id}/")
    )
    return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


async def in_the_middle(client: RegistryClient, workflow: str, step: str) -> bool:
    """Waits until a step has done a part of its work; whether it was seen before the workflow ended."""

    async def part_done() -> Workflow | None:
        found = await client.workflow(workflow)
        seen = found.step == step and found.progress.files_done
        return found if seen or found.status.finished else None

    return not (await eventually(part_done, what=f"a part of {step!r}")).status.finished


async def interrupted(
    client: RegistryClient,
    place: tuple[Project, str, str],
    step: str,
    interrupt: Callable[[str], Awaitable[object]],
    ended: WorkflowStatus,
) -> tuple[str, Workflow]:
    """Registers models until a step of one is interrupted in the middle: its name, and how its workflow ended.

    On a busy machine, a workflow may have ended before this process had its turn.
    """
    project, _, run = place
    for _ in range(10):
        name = unique("interrupted")
        accepted = await client.register_model(project.id, RegisterModel(name=name, run_id=run, artifact_path="model"))
        workflow = accepted.workflow.id
        if await in_the_middle(client, workflow, step):
            with suppress(Conflict):  # it has just ended
                await interrupt(workflow)

            async def finished(workflow: str = workflow) -> Workflow | None:
                found = await client.workflow(workflow)
                return found if found.status.finished else None

            done = await eventually(finished, what="the workflow to end", timeout=2 * PATIENCE)
            if done.status is ended:
                return name, done
            assert done.status is WorkflowStatus.SUCCEEDED, done
    raise AssertionError(f"all were quicker than what was to interrupt them in {step!r}")


@pytest.fixture(scope="module")
def place(own_platform: Platform) -> tuple[Project, str, str]:
    """A project, its bucket, and a run with a model of many files."""
    project = own_platform.new_project()
    bucket = own_platform.ask(lambda client: client.environment(project.environment_id)).bucket
    return project, bucket, log_large_model(own_platform, project, bucket)


async def test_without_access_to_its_storage_until_it_is_granted_and_after_it_is_revoked(
    own_platform: Platform,
) -> None:
    async with own_platform.patient_client() as client:
        name = unique("e")
        await client.create_environment(EnvironmentCreate(name=name))
        workspace = await client.create_workspace(WorkspaceCreate(name=name, environment=name))
        project = await client.create_project(ProjectCreate(name=name, workspace=workspace.id))
        created = await client.create_registry(RegistryCreate(environment=name))
        assert (await client.wait_for_workflow(created.workflow.id)).status is WorkflowStatus.SUCCEEDED
        registry = created.resource.id
        await client.wait_for_workflow((await client.synchronize_registry(registry)).workflow.id)
        bucket = (await client.environment(name)).bucket
        run = await asyncio.to_thread(log_large_model, own_platform, project, bucket, 3)

        accepted = await client.register_model(project.id, RegisterModel(name="m", run_id=run, artifact_path="model"))
        failed = await client.wait_for_workflow(accepted.workflow.id)
        assert failed.status is WorkflowStatus.FAILED
        assert "AccessDenied" in (failed.error or "")
        assert f"grant-storage {created.resource.name}`" in (failed.action or "")
        version = await client.version(registry, "m", 1)
        assert version.status is VersionStatus.FAILED_REGISTRATION and "AccessDenied" in version.status_message
        assert f"grant-storage {created.resource.name}`" in version.status_message
        assert not stored_keys(own_platform, bucket, version)

        await client.grant_storage_access(registry)
        again = await client.retry_workflow(accepted.workflow.id)
        assert (await client.wait_for_workflow(again.id)).status is WorkflowStatus.SUCCEEDED
        assert (await client.version(registry, "m", 1)).status is VersionStatus.READY
        assert (await client.verify_archive(registry, "m", 1)).sound

        archived = stored_keys(own_platform, bucket, await client.version(registry, "m", 1))
        await client.revoke_storage_access(registry)
        other = RegisterModel(name="other", run_id=run, artifact_path="model")
        refused = await client.wait_for_workflow((await client.register_model(project.id, other)).workflow.id)
        assert refused.status is WorkflowStatus.FAILED and "AccessDenied" in (refused.error or "")
        kept = await client.version(registry, "m", 1)
        assert kept.status is VersionStatus.READY and stored_keys(own_platform, bucket, kept) == archived != []


@pytest.mark.parametrize("step", ["copy", "verify"])
async def test_cancelled_in_the_middle(own_platform: Platform, place: tuple[Project, str, str], step: str) -> None:
    project, bucket, _ = place
    async with own_platform.patient_client() as client:
        name, ended = await interrupted(client, place, step, client.cancel_workflow, WorkflowStatus.CANCELLED)
        version = await client.version(project.registry_id or "", name, 1)
        assert version.status is VersionStatus.FAILED_REGISTRATION and "cancelled" in version.status_message
        assert not stored_keys(own_platform, bucket, version)
        again = await client.retry_workflow(ended.id)
        assert (await client.wait_for_workflow(again.id)).status is WorkflowStatus.SUCCEEDED
        assert (await client.version(project.registry_id or "", name, 1)).archive_files == FILES + 1


@pytest.mark.parametrize("part", ["service", "object-store", "mlflow"])
async def test_a_part_killed_in_the_middle(own_platform: Platform, place: tuple[Project, str, str], part: str) -> None:
    project, _, _ = place
    async with own_platform.patient_client() as client:

        async def kill(workflow: str) -> None:
            await asyncio.to_thread(own_platform.kill, part)

        name, _ = await interrupted(client, place, "copy", kill, WorkflowStatus.SUCCEEDED)
        version = await eventually(lambda: client.version(project.registry_id or "", name, 1), what="MLflow")
        assert (version.status, version.archive_files) == (VersionStatus.READY, FILES + 1)
        assert (await client.verify_archive(project.registry_id or "", name, 1)).sound
        assert [each.version for each in (await client.versions(project.registry_id or "", name)).items] == [1]
