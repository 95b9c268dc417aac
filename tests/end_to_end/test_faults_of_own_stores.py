"""An environment's own store that fails at every request of every workflow on it: the work completes nevertheless.

`support/failing_store_service.py` has the kinds of failures. `service/test_store_faults.py` makes real servers fail in
these ways, and checks the results of each store's adapter.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import ServiceUnavailable
from registry_tui.contracts.signatures import BUNDLE
from registry_tui.schemas.models import ModelVersion, RegisterModel, VersionStatus
from registry_tui.schemas.operations import Workflow, WorkflowKind, WorkflowStatus
from registry_tui.schemas.places import EnvironmentCreate, Project, WorkspaceCreate
from registry_tui.schemas.promotion import VersionPromotion
from registry_tui.schemas.registries import RegistryCreate, RegistryDelete
from registry_tui.schemas.storage import StorageCleanUp
from registry_tui.schemas.tracking import RunPurge
from registry_tui.service.core.own_stores import MARK
from registry_tui.service.stores.archives import MANIFEST
from registry_tui.service.stores.base import Bucket
from registry_tui.service.stores.directory import Directory
from registry_tui.service.stores.opening import open_store
from registry_tui.service.stores.s3_bucket import S3Bucket
from support import served
from support.other_stores import described
from support.platforms import Platform, unique, wait_for
from support.registered import ML_MODEL, LoggedRun, log_model, mlflow_client
from support.replaced_service import replaced_service

#: Ways in which requests fail, each once, in this order.
READING, WRITING, KILLED = ("down", "lost"), ("down", "half", "lost"), ("kill",)
#: More than a part of an upload, so that a store that dies in the middle has a part of it.
LARGE = 9 << 20

#: The steps that ask the environment's own store.
ON_STORE = {
    WorkflowKind.PROVISION: {"check environment"},
    WorkflowKind.ARCHIVE: {"list files", "copy", "verify", "scan", "describe", "publish"},
    # The source is another store.
    WorkflowKind.PROMOTE: {"copy", "verify", "scan", "describe", "publish"},
    WorkflowKind.VERIFY: {"read archive"},
    WorkflowKind.DELETE_ARCHIVE: {"remove from the registry", "delete files"},
    WorkflowKind.CLEAN_UP: {"remove archives"},
    WorkflowKind.PURGE_RUNS: {"remove runs"},
    WorkflowKind.DEPLOY: {"fetch archive"},
    WorkflowKind.DEPROVISION: {"list workspaces", "remove archives"},
}


@dataclass
class Stage:
    """A platform whose service meets failing stores."""

    platform: Platform
    folder: Path

    def plan(self, **ways: Sequence[str]) -> None:
        """How requests of each kind of workflow fail from now on."""
        (self.folder / "passed").write_text("", encoding="utf-8")
        whole = self.folder / "plan.new"
        whole.write_text(json.dumps(ways), encoding="utf-8")
        whole.rename(self.folder / "plan.json")

    def passed(self) -> list[str]:
        return (self.folder / "passed").read_text(encoding="utf-8").splitlines()

    def ask(self, question: Callable[..., Any]) -> Any:
        return self.platform.ask(question)

    def ended(self, kind: WorkflowKind, begin: Callable[..., Any], ways: Sequence[str]) -> Workflow:
        """A workflow of this kind, which was begun and has ended; every way was met."""
        before = self.newest(kind)
        self.plan(**{kind.value: ways})
        with suppress(ServiceUnavailable):  # the kill was quicker than the answer
            self.ask(begin)
        done = wait_for(lambda: self._after(kind, before), what=f"{kind} to end", timeout=600)
        met = [line.split(": ") for line in self.passed()]
        self.plan()
        assert {way for *_, way in met} == set(ways)
        if ways and not {"refused", "full"} & set(ways):
            assert {step for _, step, *_ in met} >= ON_STORE[kind]
        return done

    def newest(self, kind: WorkflowKind) -> Workflow | None:
        found = self.ask(lambda client: client.workflows(kind=kind.value, page_size=1)).items
        return found[0] if found else None

    def _after(self, kind: WorkflowKind, before: Workflow | None) -> Workflow | None:
        found = self.newest(kind)
        new = found is not None and (before is None or found.id != before.id)
        return found if new and found is not None and found.status.finished else None


@dataclass
class Place:
    """An environment with a store of its own, its registry, and a project."""

    stage: Stage
    environment: str
    bucket: Bucket
    registry: str
    project: Project

    def version(self, model: str) -> ModelVersion:
        found: ModelVersion = self.stage.ask(lambda client: client.version(self.registry, model, 1))
        return found

    def folder(self, version: ModelVersion) -> str:
        return f"{self.prefix}/{version.model_id}/{version.id}/"

    @property
    def prefix(self) -> str:
        found: str = self.stage.ask(lambda client: client.registry(self.registry)).prefix
        return found

    def register(self, model: str, run: LoggedRun) -> Callable[..., Any]:
        request = RegisterModel(name=model, run_id=run.run_id, artifact_path=run.artifact_path)
        return lambda client: client.register_model(self.project.id, request)

    def registered(self) -> ModelVersion:
        """A new version of a new model, stored without a failure."""
        model, run = unique("Model"), log_model(self.stage.platform, self.project, contents=contents())
        done = self.stage.ended(WorkflowKind.ARCHIVE, self.register(model, run), [])
        assert done.status is WorkflowStatus.SUCCEEDED, done.error
        return self.version(model)

    async def copy(self, client: RegistryClient, model: str, name: str) -> None:
        """As MLflow's client copies a version."""
        credentials = await client.credentials(self.project.id)
        with mlflow_client(credentials) as http:
            http.post("/api/2.0/mlflow/registered-models/create", json={"name": name}).raise_for_status()
            version = {"name": name, "source": f"models:/{model}/1"}
            http.post("/api/2.0/mlflow/model-versions/create", json=version).raise_for_status()

    @property
    def kills(self) -> Sequence[str]:
        """The service is killed too, where that may leave something: parts of an upload, unfinished files."""
        return KILLED if isinstance(self.bucket, S3Bucket | Directory) else ()

    def require_whole(self, version: ModelVersion) -> None:
        """The archive of a version holds its manifest's files, and nothing else."""
        folder = self.folder(version)
        manifest = self.stage.ask(lambda client: client.manifest(self.registry, version.model_name, version.version))
        stored = {each.key.removeprefix(folder): each.size for each in self.bucket.list(folder)}
        assert stored.pop(MANIFEST) > 0 and stored.pop(BUNDLE) > 0
        assert stored == {f"files/{each.path}": each.size for each in manifest.files}


@pytest.fixture(scope="module")
def stage(own_platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = Stage(own_platform, tmp_path_factory.mktemp("failing"))
    made.plan()
    with replaced_service(own_platform, "support.failing_store_service", str(made.folder)):
        yield made


@pytest.fixture(scope="module", params=["seaweedfs", "azurite", "google", "directory"])
def place(request: pytest.FixtureRequest, stage: Stage) -> Iterator[Place]:
    with described(request.param) as started:
        wanted = EnvironmentCreate(name=unique("failing"), store=started.store)
        environment = stage.ask(lambda client: client.create_environment(wanted))
        registry = RegistryCreate(environment=environment.id, grant_storage_access=True)
        done = stage.ended(WorkflowKind.PROVISION, lambda client: client.create_registry(registry), READING[:1])
        assert done.status is WorkflowStatus.SUCCEEDED, done.error
        found = stage.ask(lambda client: client.environment(environment.id)).registry_id
        team = WorkspaceCreate(name=unique("team"), environment=environment.name)
        workspace = stage.ask(lambda client: client.create_workspace(team))
        synchronized = stage.ask(lambda client: client.synchronize_registry(found))
        stage.ask(lambda client: client.wait_for_workflow(synchronized.workflow.id))
        project = stage.platform.new_project(workspace.name)
        yield Place(stage, environment.id, open_store(started.store), found, project)


def contents(*, large: bool = False) -> Mapping[str, bytes]:
    return {"MLmodel": ML_MODEL, "part-0.bin": b"0" * (LARGE if large else 10), "data/part-1.bin": b"11"}


def test_what_is_registered_is_whole_however_often_the_store_goes_away(place: Place) -> None:
    stage, model = place.stage, unique("Model")
    run = log_model(stage.platform, place.project, contents=contents(large=True))
    done = stage.ended(WorkflowKind.ARCHIVE, place.register(model, run), [*WRITING, *place.kills])
    assert done.status is WorkflowStatus.SUCCEEDED, done.error
    place.require_whole(place.version(model))
    if isinstance(place.bucket, S3Bucket):
        left = place.bucket.client.list_multipart_uploads(Bucket=place.bucket.bucket)
        assert not left.get("Uploads"), "parts of killed uploads"

    copied = unique("Copy")
    done = stage.ended(WorkflowKind.ARCHIVE, lambda client: place.copy(client, model, copied), READING)
    assert done.status is WorkflowStatus.SUCCEEDED, done.error
    place.require_whole(place.version(copied))

    version = place.version(copied)
    verified = stage.ended(
        WorkflowKind.VERIFY, lambda client: client.begin_verification(place.registry, version.model_id, 1), READING
    )
    assert verified.status is WorkflowStatus.SUCCEEDED, verified.error
    again = place.version(copied)
    assert again.archive_damage is None
    assert again.verified_at is not None and version.verified_at is not None
    assert again.verified_at > version.verified_at

    gone = place.folder(version)
    ways = [*READING, *place.kills]
    done = stage.ended(
        WorkflowKind.DELETE_ARCHIVE, lambda client: client.delete_version(place.registry, copied, 1), ways
    )
    assert done.status is WorkflowStatus.SUCCEEDED, done.error
    assert list(place.bucket.list(gone)) == []
    place.require_whole(place.version(model))


def test_an_archive_that_nobody_needs_goes_however_often_the_store_goes_away(place: Place) -> None:
    stage = place.stage
    kept, version = place.registered(), place.registered()
    stage.ask(lambda client: client.delete_version(place.registry, version.model_name, 1, keep_archive=True))
    request = StorageCleanUp(archives=[f"{version.model_id}/{version.id}"])
    ways = [*READING, *place.kills]
    done = stage.ended(WorkflowKind.CLEAN_UP, lambda client: client.clean_up_storage(place.registry, request), ways)
    assert done.status is WorkflowStatus.SUCCEEDED, done.error
    assert list(place.bucket.list(place.folder(version))) == []
    place.require_whole(kept)


@pytest.mark.parametrize("place", ["seaweedfs"], indirect=True)
def test_a_model_is_fetched_whole_however_often_the_store_goes_away(place: Place) -> None:
    stage, made = place.stage, served.register(place.stage.platform, place.project, add=5)
    stage.plan(deploy=READING)
    deployment = served.deploy(stage.platform, made)
    met = [line.split(": ") for line in stage.passed()]
    stage.plan()
    assert {step for _, step, *_ in met} >= ON_STORE[WorkflowKind.DEPLOY] and {way for *_, way in met} == set(READING)
    assert served.answer(deployment, served.split(a=[1.0], b=[2.0])) == [8.0]
    begun = stage.ask(lambda client: client.delete_deployment(deployment.id, force=True))
    stage.ask(lambda client: client.wait_for_workflow(begun.workflow.id))


def test_a_run_is_purged_however_often_the_store_goes_away(place: Place) -> None:
    stage, run = place.stage, log_model(place.stage.platform, place.project, contents=contents())
    folder = next(each.key for each in place.bucket.list() if f"/{run.run_id}/" in each.key).partition(run.run_id)[0]
    with mlflow_client(stage.ask(lambda client: client.credentials(place.project.id))) as http:
        http.post("/api/2.0/mlflow/runs/delete", json={"run_id": run.run_id}).raise_for_status()
    request = RunPurge(run_ids=[run.run_id])
    ways = ["down", *place.kills, "lost"]  # once its artifacts are deleted, no more is
    done = stage.ended(WorkflowKind.PURGE_RUNS, lambda client: client.purge_runs(place.project.id, request), ways)
    assert done.status is WorkflowStatus.SUCCEEDED, done.error
    assert list(place.bucket.list(f"{folder}{run.run_id}/")) == []


def test_credentials_that_end_in_the_middle_leave_nothing_half_there_and_a_retry_finishes(place: Place) -> None:
    stage, model = place.stage, unique("Model")
    run = log_model(stage.platform, place.project, contents=contents())
    done = stage.ended(WorkflowKind.ARCHIVE, place.register(model, run), ["refused"])
    assert done.status is WorkflowStatus.FAILED
    assert done.error is not None and "credentials have expired" in done.error
    version = place.version(model)
    assert version.status is VersionStatus.FAILED_REGISTRATION
    assert "credentials have expired" in (version.status_message or "")
    assert f"{place.folder(version)}{MANIFEST}" not in {each.key for each in place.bucket.list()}
    again = stage.ask(lambda client: client.retry_workflow(done.id))
    ended = stage.ask(lambda client: client.wait_for_workflow(again.id))
    assert ended.status is WorkflowStatus.SUCCEEDED, ended.error
    place.require_whole(place.version(model))


@pytest.mark.parametrize("place", ["directory"], indirect=True)
def test_a_promotion_into_a_failing_or_full_store_is_whole_or_not_there(place: Place) -> None:
    stage = place.stage
    original = served.register(stage.platform, stage.platform.new_project(), add=5).version
    request = VersionPromotion(to=place.registry)
    begin: Callable[..., Any] = lambda client: client.promote_version(  # noqa: E731
        original.registry_id, original.model_name, 1, request
    )
    done = stage.ended(WorkflowKind.PROMOTE, begin, ["full"])
    assert done.status is WorkflowStatus.FAILED and "no room in the store" in (done.error or "")
    version = place.version(original.model_name)
    assert version.status is VersionStatus.FAILED_REGISTRATION
    assert "Free some" in (version.status_message or "")
    assert list(place.bucket.list(place.folder(version))) == []
    # With room, the same request goes on with the same version, also where the store fails in every other way.
    done = stage.ended(WorkflowKind.PROMOTE, begin, [*READING, *place.kills])
    assert done.status is WorkflowStatus.SUCCEEDED, done.error
    assert place.version(original.model_name).id == version.id
    here, there = (
        stage.ask(lambda client, at=at: client.manifest(at, original.model_name, 1))
        for at in (original.registry_id, place.registry)
    )
    assert here.content == there.content
    stored = {
        each.key.removeprefix(place.folder(version)): each.size for each in place.bucket.list(place.folder(version))
    }
    assert {f"files/{each.path}": each.size for each in there.files}.items() <= stored.items()


def test_a_store_that_hangs_holds_nobody_up_and_what_hangs_can_be_cancelled(place: Place) -> None:
    stage, model = place.stage, unique("Model")
    run = log_model(stage.platform, place.project, contents=contents())
    before = stage.newest(WorkflowKind.ARCHIVE)
    stage.plan(archive=["hangs"])
    stage.ask(place.register(model, run))
    wait_for(lambda: stage.passed(), what="storing to hang")
    try:
        working = stage.newest(WorkflowKind.ARCHIVE)
        assert working is not None and working != before and not working.status.finished
        assert place.version(model).status is VersionStatus.PENDING_REGISTRATION
        assert stage.ask(lambda client: client.registry(place.registry)).status.live
        stage.ask(lambda client: client.cancel_workflow(working.id))
    finally:
        stage.plan()
    ended = stage.ask(lambda client: client.wait_for_workflow(working.id))
    assert ended.status is WorkflowStatus.CANCELLED
    version = place.version(model)
    assert version.status is VersionStatus.FAILED_REGISTRATION
    assert list(place.bucket.list(place.folder(version))) == []


def test_a_registry_goes_with_its_archives_however_often_the_store_goes_away(place: Place) -> None:
    """The last of a store's tests."""
    place.registered()
    place.bucket.put("somebody-s/own.txt", b"1")
    request = RegistryDelete(delete_archives=True)
    ways = [*READING, *place.kills]
    begin: Callable[..., Any] = lambda client: client.delete_registry(place.registry, request)  # noqa: E731
    done = place.stage.ended(WorkflowKind.DEPROVISION, begin, ways)
    assert done.status is WorkflowStatus.SUCCEEDED, done.error
    artifacts = place.project.artifacts_uri.removeprefix(place.bucket.uri)
    left = {each.key for each in place.bucket.list() if not each.key.startswith(artifacts)}
    assert left == {MARK, "somebody-s/own.txt"}
