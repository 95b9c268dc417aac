"""The space of archives, and cleaning up orphaned ones, on the real service and stores."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import Refused, WrongInput
from registry_tui.contracts.mlflow_routes import archive_uri
from registry_tui.schemas import mlflow_tags
from registry_tui.schemas.models import ModelVersion, RegisterModel, VersionStatus
from registry_tui.schemas.operations import WorkflowKind, WorkflowStatus
from registry_tui.schemas.places import Project
from registry_tui.schemas.registries import ModelRegistry
from registry_tui.schemas.storage import ArchiveState, ArchiveUsage, StorageCleanUp, StorageUsage
from registry_tui.service.adapters.mlflow import Mlflow
from registry_tui.service.database.database import Database
from registry_tui.service.database.tables import WorkflowRow
from support.platforms import Platform, unique, wait_for
from support.registered import log_model, mlflow_client, object_names, object_store

#: As MLflow and S3 take it: signs of terminals, markup, and from right to left.
HOSTILE = "[bold] \u05d0\u05d1 'quoted\" %_ 𝒩"


@dataclass(frozen=True)
class Place:
    """A project, its registry, and calls about them."""

    platform: Platform
    project: Project
    registry: ModelRegistry

    def register(self, name: str) -> ModelVersion:
        run = log_model(self.platform, self.project)
        request = RegisterModel(name=name, run_id=run.run_id, artifact_path=run.artifact_path)
        made = self.platform.ask(lambda client: client.register_model(self.project.id, request))
        done = self.platform.ask(lambda client: client.wait_for_workflow(made.workflow.id))
        assert done.status is WorkflowStatus.SUCCEEDED, done.error
        return made.resource

    def delete_with_sdk(self, name: str, number: int) -> None:
        credentials = self.platform.ask(lambda client: client.credentials(self.project.id))
        with mlflow_client(credentials) as http:
            body = {"name": name, "version": str(number)}
            answer = http.request("DELETE", "/api/2.0/mlflow/model-versions/delete", json=body)
            answer.raise_for_status()

    def objects(self, version: ModelVersion) -> list[str]:
        prefix = f"{self.registry.prefix}/{version.model_id}/{version.id}/"
        return object_names(self.platform, self.registry.bucket, prefix)

    def measured(self) -> StorageUsage:
        """A measurement that begins from now on.

        One that began before, for example for another test, misses the last changes.
        """
        called = datetime.now(UTC)

        def done() -> StorageUsage | None:
            found = self.platform.ask(lambda client: client.storage(self.registry.id))
            if found.measured_at and found.measured_at - timedelta(seconds=found.took or 0) >= called:
                return found
            if not found.measuring:
                self.platform.ask(lambda client: client.storage(self.registry.id, max_age=0))
            return None

        return wait_for(done, what="the measurement")

    def usage_of(self, model: str) -> list[ArchiveUsage]:
        question = self.platform.ask(lambda client: client.storage_archives(self.registry.id, model=model))
        return sorted(question.items, key=lambda each: each.version or 0)

    def clean_up(self, **chosen: list[str]) -> list[str]:
        request = StorageCleanUp.model_validate(chosen)

        async def run(client: RegistryClient) -> list[str]:
            accepted = await client.clean_up_storage(self.registry.id, request)
            done = await client.wait_for_workflow(accepted.workflow.id)
            assert done.status is WorkflowStatus.SUCCEEDED, done.error
            return [line.text async for line in client.every(client.workflow_logs, done.id)]

        return self.platform.ask(run)


@contextmanager
def working_on(place: Place, version: ModelVersion) -> Iterator[None]:
    """While the block runs, a workflow that nobody advances is storing the version's archive."""
    database = Database.at(place.platform.home.service_database)
    row = WorkflowRow(
        kind=WorkflowKind.ARCHIVE.value,
        status=WorkflowStatus.RUNNING.value,
        resource_type="version",
        resource_id=version.id,
        resource_name=version.model_name,
        registry_id=place.registry.id,
        lock=f"version:{version.id}",
        actor="tester",
        actor_crn="crn:tester",
        actor_administrator=True,
        request_id=unique("request"),
        arguments={"model_id": version.model_id, "version_id": version.id},
        state={},
        steps=["copy"],
        progress={},
    )
    with database.session() as session:
        session.add(row)
        session.flush()
        id_ = row.id
    try:
        yield
    finally:
        with database.session() as session:
            session.delete(session.get_one(WorkflowRow, id_))
        database.close()


@pytest.fixture
def place(platform: Platform, project: Project) -> Place:
    registry = str(project.registry_id)
    return Place(platform, project, platform.ask(lambda client: client.registry(registry)))


def test_archives_are_summed_up_and_orphans_go(place: Place) -> None:
    name = f"{unique('Model')} {HOSTILE}"
    first, second = place.register(name), place.register(name)
    total = place.measured()
    stored = place.usage_of(name)
    assert [(each.version, each.state, each.objects) for each in stored] == [
        (1, ArchiveState.STORED, 6),
        (2, ArchiveState.STORED, 6),
    ]
    assert all(each.bytes > 6000 for each in stored)
    assert total.archives >= 2 and total.bytes >= sum(each.bytes for each in stored) and total.measured_at
    by_model = place.platform.ask(lambda client: client.storage_models(place.registry.id, model=first.model_id)).items
    assert [(each.model_name, each.versions, each.objects) for each in by_model] == [(name, 2, 12)]

    place.delete_with_sdk(name, 1)
    assert place.measured().orphaned >= 1
    orphan = place.usage_of(name)[0]
    assert (orphan.state, orphan.version, orphan.version_id) == (ArchiveState.ORPHANED, 1, first.id)

    # Archives of versions stay, also on request.
    log = place.clean_up(archives=[orphan.id, f"{second.model_id}/{second.id}"])
    assert any("kept" in line and f"it belongs to {name} v2" in line for line in log)
    assert place.objects(first) == [] and len(place.objects(second)) == 6
    check = place.platform.ask(lambda client: client.verify_archive(place.registry.id, name, 2))
    assert check.sound
    again = place.clean_up(archives=[orphan.id])
    assert any("0 objects" in line for line in again)
    place.measured()
    assert [each.version for each in place.usage_of(name)] == [2]


def test_a_version_whose_archive_is_lost_is_found_and_goes_when_asked(place: Place) -> None:
    name = unique("Lost")
    lost, sound = place.register(name), place.register(name)
    store = object_store(place.platform)
    for key in place.objects(lost):
        store.delete_object(Bucket=place.registry.bucket, Key=key)

    def found_missing() -> ArchiveUsage | None:
        counted = place.measured().without_archive
        first = place.usage_of(name)[0]
        # For a second after it was stored, an archive that the listing missed counts as being stored.
        return first if first.state is ArchiveState.MISSING and counted >= 1 else None

    missing = wait_for(found_missing, what="the lost archive to be seen")
    assert (missing.version, missing.model_id) == (1, lost.model_id)
    log = place.clean_up(versions=[missing.id, f"{sound.model_id}/{sound.id}"])
    assert any(f"kept {name} v2: it has an archive" in line for line in log)
    left = place.platform.ask(lambda client: client.versions(place.registry.id, name)).items
    assert [version.version for version in left] == [2]


def test_an_archive_that_is_being_stored_is_no_orphan_and_stays(place: Place) -> None:
    name = unique("Racing")
    version = place.register(name)
    archive = f"{version.model_id}/{version.id}"
    mlflow = Mlflow(place.platform.ports, place.platform.secrets)
    with working_on(place, version):
        mlflow.set_version_status(place.registry.mlflow_workspace, name, 1, VersionStatus.PENDING_REGISTRATION)
        place.measured()
        assert [each.state for each in place.usage_of(name)] == [ArchiveState.STORING]
        assert any("uses it" in line for line in place.clean_up(archives=[archive]))
        assert any("is being stored" in line for line in place.clean_up(versions=[archive]))
        # Its version is deleted while it is being stored: the workflow itself removes its files.
        place.delete_with_sdk(name, 1)
        place.measured()
        assert [each.state for each in place.usage_of(version.model_id)] == [ArchiveState.IN_USE]
        assert any("uses it" in line for line in place.clean_up(archives=[archive]))
        assert len(place.objects(version)) == 6
    place.measured()
    assert [each.state for each in place.usage_of(name)] == [ArchiveState.ORPHANED]
    place.clean_up(archives=[archive])
    assert place.objects(version) == []


def test_an_archive_that_is_being_copied_stays(place: Place) -> None:
    """The copy's origin names the archive; the version that it was made for is gone meanwhile."""
    name = unique("Copied")
    first, copy = place.register(name), place.register(name)
    mlflow = Mlflow(place.platform.ports, place.platform.secrets)
    source = archive_uri(place.project.mlflow_workspace, first.model_id, first.id)
    with working_on(place, copy):
        tags = {mlflow_tags.ORIGIN: json.dumps({"source": source})}
        mlflow.set_version_tags(place.registry.mlflow_workspace, name, 2, tags)
        mlflow.set_version_status(place.registry.mlflow_workspace, name, 2, VersionStatus.PENDING_REGISTRATION)
        place.delete_with_sdk(name, 1)
        place.measured()
        states = {each.version_id: each.state for each in place.usage_of(first.model_id)}
        assert states == {first.id: ArchiveState.IN_USE, copy.id: ArchiveState.STORING}
        assert any("being copied" in line for line in place.clean_up(archives=[f"{first.model_id}/{first.id}"]))
        mlflow.set_version_status(place.registry.mlflow_workspace, name, 2, VersionStatus.READY)
    assert len(place.objects(first)) == 6


def test_only_administrators_and_only_real_archives(place: Place) -> None:
    platform, registry = place.platform, place.registry.id
    with pytest.raises(Refused):
        platform.ask(lambda client: client.storage(registry), user=unique("guest"))
    for wrong in ("", "x", "../../../etc", "aaaa-bbbb-cccc-dddd", "aaaa-bbbb-cccc-dddd/", "a/b/c", "\x1b]0;x\x07/y"):
        with pytest.raises(WrongInput, match="model ID"):
            platform.call(RegistryClient.clean_up_storage, registry, StorageCleanUp(archives=[wrong]))
    with pytest.raises(WrongInput, match="Nothing was chosen"):
        platform.ask(lambda client: client.clean_up_storage(registry, StorageCleanUp()))
    with pytest.raises(WrongInput):
        platform.ask(lambda client: client.storage_archives(registry, order_by="; DROP TABLE usage"))


def test_the_command_line_lists_and_cleans_up(place: Place) -> None:
    name = unique("Gone")
    version = place.register(name)
    place.delete_with_sdk(name, 1)
    listed = place.platform.command("registries", "clean-up", place.registry.name, "--dry-run")
    assert name in listed.stdout and "orphaned" in listed.stdout
    assert len(place.objects(version)) == 6
    shown = place.platform.command("registries", "storage", place.registry.name, "--state", "orphaned", "--refresh")
    assert f"{version.model_id}/{version.id}" in shown.stdout and "without a version" in shown.stderr
