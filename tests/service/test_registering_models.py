"""Registering over the service and by stock MLflow code: the same outcome, nothing half-made, nothing lost."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import RegistryError
from registry_tui.platform.secrets import AccessKey
from registry_tui.schemas.models import ModelUpdate, RegisterModel, Tag, VersionStatus, VersionUpdate, Visibility
from registry_tui.schemas.operations import Accepted, WorkflowKind, WorkflowStatus
from registry_tui.schemas.places import CollaboratorChange, Project, ProjectCreate, Role
from support.platforms import Platform, eventually, run_python, unique

Sdk = Callable[..., str]

TRAIN = """
import json, sys, mlflow, numpy
from sklearn.linear_model import ElasticNet
mlflow.set_experiment("wines")
data = numpy.arange(8.0).reshape(4, 2)
model = ElasticNet().fit(data, [1.0, 2.0, 3.0, 4.0])
runs = []
for _ in range(int(sys.argv[1])):
    with mlflow.start_run(run_name="best") as run:
        mlflow.log_text("no model here", "notes/readme.txt")
        mlflow.sklearn.log_model(model, name="model", registered_model_name=sys.argv[2] if sys.argv[2:] else None)
    runs.append(run.info.run_id)
print(json.dumps(runs))
"""
LOAD = """
import sys, mlflow, numpy
print(mlflow.pyfunc.load_model(sys.argv[1]).predict(numpy.arange(2.0).reshape(1, 2)).tolist())
"""
DELETE_RUN = "import sys, mlflow; mlflow.MlflowClient().delete_run(sys.argv[1])"


@pytest.fixture(scope="module")
def project(platform: Platform) -> Project:
    """A project that this module's tests share."""
    return platform.new_project()


@pytest.fixture(scope="module")
def runs(platform: Platform, project: Project) -> list[str]:
    """Runs with a logged model. The first stays; the others may be deleted, by one test each."""
    trained: list[str] = json.loads(run_python(TRAIN, platform.exports(project.id), "3").splitlines()[-1])
    return trained


@pytest.fixture
def run(runs: list[str]) -> str:
    """A run that no test deletes."""
    return runs[0]


async def register(client: RegistryClient, project: Project, run: str, name: str, **more: Any) -> Accepted[Any]:
    request = RegisterModel(name=name, run_id=run, artifact_path="model", **more)
    return await client.register_model(project.id, request)


async def test_from_the_service_to_another_project(
    platform: Platform, client: RegistryClient, project: Project, runs: list[str], sdk: Sdk
) -> None:
    run = runs[1]
    registry, name = project.registry_id or "", unique("Élan 'x' ")
    accepted = await register(
        client,
        project,
        run,
        name,
        description="what it is",
        notes="[bold]first[/]",
        tags=[Tag(key="stage", value="dev")],
    )
    version = accepted.resource
    assert (version.version, version.status) == (1, VersionStatus.PENDING_REGISTRATION)
    assert (await client.wait_for_workflow(accepted.workflow.id)).status is WorkflowStatus.SUCCEEDED

    model, version = await client.model(registry, name), await client.version(registry, name, 1)
    assert (model.description, model.visibility, model.location) == ("what it is", "private", project.workspace_name)
    assert (version.status, version.notes, version.tags) == ("READY", "[bold]first[/]", {"stage": "dev"})
    assert version.creator == model.owner
    origin = version.origin
    assert (origin.project_name, origin.experiment_name, origin.run_id) == (project.name, "wines", run)
    assert version.archive_uri and f"/modelregistry/{model.id}/{version.id}/" in version.archive_uri

    manifest = await client.manifest(registry, name, 1)
    assert version.archive_files == len(manifest.files) and version.archive_bytes == manifest.total_bytes
    mlmodel = next(entry for entry in manifest.files if entry.path == "MLmodel")
    stored = await client.read_archive(registry, name, 1, "MLmodel")
    assert (len(stored), hashlib.sha256(stored).hexdigest()) == (mlmodel.size, mlmodel.sha256)
    assert await client.read_archive(registry, name, 1, "MLmodel", start=3, length=5) == stored[3:8]
    assert (await client.verify_archive(registry, name, 1)).sound
    assert [each.model_name for each in (await client.run(project.id, run)).registered_as] == [name]

    await asyncio.to_thread(sdk, DELETE_RUN, run)
    elsewhere = await asyncio.to_thread(platform.new_project)
    exports = (await client.credentials(elsewhere.id)).as_exports()
    assert (await asyncio.to_thread(run_python, LOAD, exports, f"models:/{name}/1")).startswith("[")
    with pytest.raises(RegistryError, match="was deleted"):
        await register(client, project, run, name)


async def test_stock_mlflow_code_comes_to_the_same(client: RegistryClient, project: Project, sdk: Sdk) -> None:
    registry, name = project.registry_id or "", unique("Sdk")
    trained = json.loads((await asyncio.to_thread(sdk, TRAIN, "2", name)).splitlines()[-1])
    versions = (await client.versions(registry, name)).items
    assert [(each.version, each.status) for each in versions] == [(2, "READY"), (1, "READY")]
    assert [each.origin.run_id for each in versions] == trained[::-1]
    assert all(each.archive_files and each.verified_at and each.workflow_id for each in versions)
    assert (await client.manifest(registry, name, 2)).files
    assert await asyncio.to_thread(sdk, LOAD, f"models:/{name}/2")


async def test_what_cannot_be_registered_leaves_nothing(
    client: RegistryClient, project: Project, runs: list[str], sdk: Sdk
) -> None:
    run, name = runs[2], unique("never")
    refused = [
        RegisterModel(name="", run_id=run, artifact_path="model"),
        RegisterModel(name="n" * 300, run_id=run, artifact_path="model"),
        RegisterModel(name="../etc", run_id=run, artifact_path="model"),
        RegisterModel(name=name, run_id=run, artifact_path="notes"),
        RegisterModel(name=name, run_id=run, artifact_path="../model"),
        RegisterModel(name=name, run_id=run, artifact_path="/etc"),
        RegisterModel(name=name, run_id=run),
        RegisterModel(name=name, run_id="no such run", artifact_path="model"),
        RegisterModel(name=name, logged_model_id="m-none"),
        RegisterModel(name=name, run_id=run, artifact_path="model", tags=[Tag(key="a"), Tag(key="a")]),
        RegisterModel(name=name, run_id=run, artifact_path="model", tags=[Tag(key="registry_tui.owner", value="me")]),
    ]
    for request in refused:
        with pytest.raises(RegistryError) as caught:
            await client.register_model(project.id, request)
        assert caught.value.request_id
    assert not (await client.models(project.registry_id or "", search=name)).items
    await asyncio.to_thread(sdk, DELETE_RUN, run)
    with pytest.raises(RegistryError, match="was deleted"):
        await register(client, project, run, name)
    assert not (await client.models(project.registry_id or "", search=name)).items


async def test_two_at_once_get_two_versions(client: RegistryClient, project: Project, run: str) -> None:
    name = unique("raced")
    accepted = await asyncio.gather(*(register(client, project, run, name) for _ in range(4)))
    assert sorted(each.resource.version for each in accepted) == [1, 2, 3, 4]
    for each in accepted:
        assert (await client.wait_for_workflow(each.workflow.id)).status is WorkflowStatus.SUCCEEDED


async def test_deleting_takes_the_archive_and_no_number_comes_back(
    platform: Platform, client: RegistryClient, project: Project, run: str
) -> None:
    registry, name = project.registry_id or "", unique("gone")
    for _ in range(2):
        await client.wait_for_workflow((await register(client, project, run, name)).workflow.id)
    second = await client.version(registry, name, 2)
    assert archived(platform, second.archive_uri or "")
    await client.delete_version(registry, name, 2)
    with pytest.raises(RegistryError, match="no version 2"):
        await client.version(registry, name, 2)
    await eventually(lambda: nothing_archived(platform, second.archive_uri or ""), what="the archive to be deleted")

    third = await register(client, project, run, name)
    assert third.resource.version == 3
    await client.wait_for_workflow(third.workflow.id)
    first = await client.version(registry, name, 1)
    await client.delete_model(registry, name, keep_archives=True)
    assert archived(platform, first.archive_uri or "")
    with pytest.raises(RegistryError, match="no model"):
        await client.model(registry, name)


async def test_private_models_are_seen_by_their_owner_and_the_team_they_came_from(
    platform: Platform, client: RegistryClient, project: Project, run: str
) -> None:
    registry, name, (ann, bob) = project.registry_id or "", unique("mine"), (unique("ann"), unique("bob"))
    await client.set_collaborator(project.id, ann, CollaboratorChange(role=Role.CONTRIBUTOR))
    other = await client.create_project(ProjectCreate(name=unique("other"), workspace=project.workspace_id))
    await client.set_collaborator(other.id, bob, CollaboratorChange(role=Role.CONTRIBUTOR))
    async with platform.patient_client(ann) as as_ann, platform.patient_client(bob) as as_bob:
        accepted = await register(as_ann, project, run, name)
        await as_ann.wait_for_workflow(accepted.workflow.id)
        assert [each.owner for each in (await as_ann.models(registry, search=name)).items] == [ann]
        assert not (await as_bob.models(registry, search=name)).items
        assert name not in {each.name async for each in as_bob.every(as_bob.models, registry, page_size=5)}
        for attempt in (as_bob.model(registry, name), as_bob.version(registry, name, 1)):
            with pytest.raises(RegistryError, match="no model"):
                await attempt
        await client.set_collaborator(project.id, bob, CollaboratorChange(role=Role.VIEWER))
        assert (await as_bob.version(registry, name, 1)).creator == ann
        await client.set_collaborator(project.id, bob, CollaboratorChange(role=Role.CONTRIBUTOR))
        added = await register(as_bob, project, run, name)
        assert (added.resource.version, added.resource.creator) == (2, bob)
        assert (await as_bob.model(registry, name)).contributors == sorted((ann, bob))
        assert name in {each.name async for each in as_bob.every(as_bob.models, registry, page_size=5)}
        await client.remove_collaborator(project.id, bob)
        with pytest.raises(RegistryError, match="no model"):
            await as_bob.model(registry, name)
        assert not (await as_bob.models(registry, search=name, order_by="-created_at")).items
        await client.set_collaborator(project.id, bob, CollaboratorChange(role=Role.CONTRIBUTOR))

        await as_ann.update_model(registry, name, ModelUpdate(visibility=Visibility.PUBLIC, description="for all"))
        for forbidden in (
            as_bob.update_model(registry, name, ModelUpdate(description="mine now")),
            as_bob.update_version(registry, name, 1, VersionUpdate(notes="mine now")),
            as_bob.set_alias(registry, name, "champion", 2),
            as_bob.delete_model(registry, name),
        ):
            with pytest.raises(RegistryError, match="belongs to"):
                await forbidden
        model = await as_ann.set_alias(registry, name, "champion", 1)
        assert model.aliases == {"champion": 1}
        assert (await as_ann.version(registry, name, 1)).aliases == ["champion"]
        await as_ann.update_model(registry, name, ModelUpdate(owner=bob))
        assert (await as_bob.update_model(registry, name, ModelUpdate(description="mine now"))).owner == bob


async def test_viewers_and_unsynchronized_projects_are_told_why(
    platform: Platform, client: RegistryClient, project: Project, run: str
) -> None:
    viewer = unique("vic")
    await client.set_collaborator(project.id, viewer, CollaboratorChange(role=Role.VIEWER))
    async with platform.patient_client(viewer) as as_viewer:
        with pytest.raises(RegistryError, match="needs contributor"):
            await register(as_viewer, project, run, "x")


async def test_a_damaged_archive_is_found(
    platform: Platform, client: RegistryClient, project: Project, run: str
) -> None:
    registry, name = project.registry_id or "", unique("damaged")
    await client.wait_for_workflow((await register(client, project, run, name)).workflow.id)
    version = await client.version(registry, name, 1)
    bucket, prefix = bucket_and_prefix(version.archive_uri or "")
    store = s3(platform, platform.secrets.object_store_admin)
    store.put_object(Bucket=bucket, Key=f"{prefix}files/MLmodel", Body=b"flavors: {}")
    store.put_object(Bucket=bucket, Key=f"{prefix}files/new.txt", Body=b"")
    store.delete_object(Bucket=bucket, Key=f"{prefix}files/conda.yaml")
    check = await client.verify_archive(registry, name, 1)
    assert (check.changed, check.unexpected, check.missing) == (["MLmodel"], ["new.txt"], ["conda.yaml"])
    assert not check.sound
    assert check.damage == "1 missing: conda.yaml; 1 changed: MLmodel; 1 unexpected: new.txt"
    assert (await client.version(registry, name, 1)).archive_damage == check.damage

    begun = await client.begin_verification(registry, name, 1)
    ended = await client.wait_for_workflow(begun.workflow.id)
    assert ended.status is WorkflowStatus.FAILED and check.damage in (ended.error or "")
    assert (ended.progress.bytes_done, ended.kind) == (ended.progress.bytes_total, WorkflowKind.VERIFY)
    noted = await client.version(registry, name, 1)
    assert noted.archive_damage == check.damage and noted.status is VersionStatus.READY


def s3(platform: Platform, key: AccessKey) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=platform.ports.s3_endpoint,
        aws_access_key_id=key.access_key_id,
        aws_secret_access_key=key.secret_access_key,
        region_name="us-east-1",
    )


def bucket_and_prefix(uri: str) -> tuple[str, str]:
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    return bucket, prefix


def archived(platform: Platform, uri: str) -> bool:
    bucket, prefix = bucket_and_prefix(uri)
    store = s3(platform, platform.secrets.object_store_admin)
    return bool(store.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents"))


async def nothing_archived(platform: Platform, uri: str) -> bool:
    return not await asyncio.to_thread(archived, platform, uri)
