"""The subject and the expected end of each kind of workflow: the cases of the tests that kill the service."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import NotFound
from registry_tui.schemas.attached import AttachedImport, AttachedServerCreate
from registry_tui.schemas.deployments import Deployment, DeploymentState, DeploymentUpdate
from registry_tui.schemas.models import ModelVersion, RegisterModel, VersionStatus
from registry_tui.schemas.operations import WorkflowKind, WorkflowStatus
from registry_tui.schemas.places import EnvironmentCreate, Project, WorkspaceCreate
from registry_tui.schemas.promotion import VersionPromotion
from registry_tui.schemas.registries import (
    ModelRegistry,
    RegistryCreate,
    RegistryDelete,
    RegistryStatus,
    StorageAccess,
    SynchronizeState,
)
from registry_tui.schemas.storage import StorageCleanUp
from registry_tui.schemas.tracking import RunPurge, RunSearch
from registry_tui.service.adapters.mlflow import Mlflow
from support import served
from support.little_mlflow import serving, with_model
from support.platforms import PATIENCE, Platform, unique, wait_for
from support.registered import LoggedRun, log_model, object_names, object_store


class Provision:
    """A registry is made: it is there with everything, or, when cancelled, usable after a retry."""

    def prepare(self, platform: Platform) -> None:
        self.environment = unique("env")
        platform.ask(lambda client: client.create_environment(EnvironmentCreate(name=self.environment)))

    def begin(self, platform: Platform) -> None:
        request = RegistryCreate(environment=self.environment, grant_storage_access=True)
        platform.ask(lambda client: client.create_registry(request))

    def registry(self, platform: Platform) -> ModelRegistry:
        return registry_of(platform, self.environment)

    def succeeded(self, platform: Platform) -> None:
        registry = self.registry(platform)
        assert registry.status is RegistryStatus.INSTALLATION_FINISHED
        assert registry.storage_access is StorageAccess.GRANTED
        assert registry.workflow_id is None

    def cancelled(self, platform: Platform) -> None:
        registry = self.registry(platform)
        assert registry.status in (RegistryStatus.PROVISION_FAILED, RegistryStatus.INSTALLATION_FAILED)
        assert registry.storage_access is StorageAccess.NOT_GRANTED


class Synchronize:
    """A registry's workspace learns of it."""

    def prepare(self, platform: Platform) -> None:
        self.environment, self.workspace, self.project = registered_environment(platform, synchronized=False)

    def begin(self, platform: Platform) -> None:
        registry = registry_of(platform, self.environment)
        platform.ask(lambda client: client.synchronize_registry(registry.id))

    def succeeded(self, platform: Platform) -> None:
        registry = registry_of(platform, self.environment)
        assert registry.status is RegistryStatus.MODIFY_FINISHED
        assert [sync.state for sync in registry.workspaces] == [SynchronizeState.COMPLETED]
        assert platform.ask(lambda client: client.project(self.project.id)).registry_id == registry.id


class Deprovision:
    """A registry is deleted; when cancelled in time, it is as before."""

    def prepare(self, platform: Platform) -> None:
        self.environment, self.workspace, self.project = registered_environment(platform, synchronized=True)
        self.before = registry_of(platform, self.environment)

    def begin(self, platform: Platform) -> None:
        request = RegistryDelete(delete_archives=True)
        platform.ask(lambda client: client.delete_registry(self.before.id, request))

    def succeeded(self, platform: Platform) -> None:
        with pytest.raises(NotFound):
            platform.ask(lambda client: client.registry(self.before.id))
        assert platform.ask(lambda client: client.project(self.project.id)).registry_id is None
        assert platform.ask(lambda client: client.environment(self.environment)).registry_id is None

    def cancelled(self, platform: Platform) -> None:
        assert registry_of(platform, self.environment).status is self.before.status
        assert platform.ask(lambda client: client.project(self.project.id)).registry_id == self.before.id


class Archive:
    """A version's archive is stored: READY and sound, or FAILED_REGISTRATION with nothing left in the store."""

    def prepare(self, platform: Platform) -> None:
        self.project = platform.new_project()
        self.run: LoggedRun = log_model(platform, self.project)
        self.model = unique("Model")

    def begin(self, platform: Platform) -> None:
        request = RegisterModel(name=self.model, run_id=self.run.run_id, artifact_path=self.run.artifact_path)
        platform.ask(lambda client: client.register_model(self.project.id, request))

    def place(self, platform: Platform) -> tuple[str, list[str]]:
        registry = self.project.registry_id
        assert registry is not None
        version = platform.ask(lambda client: client.version(registry, self.model, 1))
        found = platform.ask(lambda client: client.registry(registry))
        return registry, object_names(platform, found.bucket, f"{found.prefix}/{version.model_id}/{version.id}/")

    def succeeded(self, platform: Platform) -> None:
        registry, objects = self.place(platform)
        versions = platform.ask(lambda client: client.versions(registry, self.model)).items
        assert [(version.version, version.status) for version in versions] == [(1, VersionStatus.READY)]
        check = platform.ask(lambda client: client.verify_archive(registry, self.model, 1))
        assert check.sound and check.files == 4
        assert len(objects) == 6  # its files, their manifest and its signature

    def cancelled(self, platform: Platform) -> None:
        registry, objects = self.place(platform)
        version = platform.ask(lambda client: client.version(registry, self.model, 1))
        assert version.status is VersionStatus.FAILED_REGISTRATION
        assert version.status_message
        assert objects == []


class ImportedFolder:
    """`models import` of a folder is one READY version and one finished run, also when the command is given again."""

    def prepare(self, platform: Platform) -> None:
        self.project, self.model = platform.new_project(), unique("Imported")
        self.folder = Path(tempfile.mkdtemp(prefix="imported"))
        head = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
        (self.folder / "model.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + bytes(4))
        (self.folder / "README.md").write_text("---\nlicense: mit\n---\n# Tiny\n")
        self.command = ("models", "import", str(self.folder), "--name", self.model, "--project", self.project.id)

    def begin(self, platform: Platform) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "registry_tui", *self.command],
            env=platform.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def succeeded(self, platform: Platform) -> None:
        _, said = self.process.communicate(timeout=PATIENCE)
        # It waits for a service that comes back, or reports that it is away: never a third thing.
        assert self.process.returncode == 0 or "service" in said, said
        again = platform.command(*self.command, "--json")
        registry = self.project.registry_id
        assert registry is not None
        versions = platform.ask(lambda client: client.versions(registry, self.model)).items
        assert [(each.version, each.status) for each in versions] == [(1, VersionStatus.READY)]
        assert ModelVersion.model_validate(json.loads(again.stdout)).id == versions[0].id
        assert platform.ask(lambda client: client.verify_archive(registry, self.model, 1)).sound
        experiments = platform.ask(lambda client: client.experiments(self.project.id)).items
        (imported,) = [each.id for each in experiments if each.name == "imported models"]
        runs = platform.ask(
            lambda client: client.search_runs(self.project.id, RunSearch(experiment_ids=[imported]))
        ).items
        assert [(each.id, each.status) for each in runs] == [(versions[0].origin.run_id, "FINISHED")]
        assert "import.unfinished" not in runs[0].tags
        shutil.rmtree(self.folder)


class Promote:
    """A version becomes one of another environment's registry, with the same files, and both registries know."""

    def prepare(self, platform: Platform) -> None:
        self.original = served.register(platform, platform.new_project()).version
        self.environment, _, _ = registered_environment(platform, synchronized=False)
        self.target = registry_of(platform, self.environment)

    def begin(self, platform: Platform) -> None:
        version, request = self.original, VersionPromotion(to=self.target.id)
        platform.ask(lambda client: client.promote_version(version.registry_id, version.model_id, 1, request))

    def copies(self, platform: Platform) -> list[ModelVersion]:
        return platform.ask(lambda client: client.versions(self.target.id, self.original.model_name)).items

    def succeeded(self, platform: Platform) -> None:
        [copy] = self.copies(platform)
        assert (copy.version, copy.status) == (1, VersionStatus.READY)
        sums = [
            {
                (entry.path, entry.sha256)
                for entry in platform.call(RegistryClient.manifest, each.registry_id, each.model_id, 1).files
            }
            for each in (copy, self.original)
        ]
        assert sums[0] == sums[1]
        assert platform.ask(lambda client: client.verify_archive(self.target.id, copy.model_id, 1)).sound
        for each in (copy, self.original):
            assert len(platform.events(resource=each.id, action="version.promote")) == 1

    def cancelled(self, platform: Platform) -> None:
        [copy] = self.copies(platform)
        assert copy.status is VersionStatus.FAILED_REGISTRATION
        assert object_names(platform, self.target.bucket, f"{self.target.prefix}/{copy.model_id}/") == []
        assert platform.events(resource=self.original.id, action="version.promote") == []


class Verify(Archive):
    """A stored archive is read again: it stays as it is, and the version gets the time."""

    def prepare(self, platform: Platform) -> None:
        super().prepare(platform)
        super().begin(platform)
        self.version = wait_for(lambda: self.ready(platform), what="the version to be ready")

    def ready(self, platform: Platform) -> ModelVersion | None:
        """The version, once the workflow that stored it has ended."""
        version = platform.ask(lambda client: client.version(self.project.registry_id or "", self.model, 1))
        newest = platform.ask(lambda client: client.workflows(page_size=1)).items[0]
        return version if version.status is VersionStatus.READY and newest.status.finished else None

    def begin(self, platform: Platform) -> None:
        version = self.version
        platform.ask(lambda client: client.begin_verification(version.registry_id, version.model_id, 1))

    def succeeded(self, platform: Platform) -> None:
        version = self.ready(platform)
        assert version is not None and version.archive_damage is None
        assert version.verified_at is not None and self.version.verified_at is not None
        assert version.verified_at > self.version.verified_at
        super().succeeded(platform)


class ArchiveOfNothing(Archive):
    """The model's files vanish between the request and its workflow's first step."""

    def prepare(self, platform: Platform) -> None:
        super().prepare(platform)
        self.bucket = platform.ask(lambda client: client.environment(self.project.environment_id)).bucket

    def meanwhile(self, platform: Platform) -> None:
        store = object_store(platform)
        for name in object_names(platform, self.bucket, self.run.key):
            store.delete_object(Bucket=self.bucket, Key=name)

    failed = Archive.cancelled


class DeleteArchive(Archive):
    """A version is deleted with its files."""

    def prepare(self, platform: Platform) -> None:
        super().prepare(platform)
        super().begin(platform)
        wait_for(lambda: self._ready(platform), what="the version to be ready")
        self.store = self.place(platform)

    def _ready(self, platform: Platform) -> bool:
        registry = str(self.project.registry_id)
        found = platform.ask(lambda client: client.version(registry, self.model, 1))
        return found.status is VersionStatus.READY

    def begin(self, platform: Platform) -> None:
        registry = str(self.project.registry_id)
        platform.ask(lambda client: client.delete_version(registry, self.model, 1))

    def succeeded(self, platform: Platform) -> None:
        registry, objects = self.store
        with pytest.raises(NotFound):
            platform.ask(lambda client: client.version(registry, self.model, 1))
        bucket = platform.ask(lambda client: client.registry(registry)).bucket
        assert not set(objects) & set(object_names(platform, bucket, objects[0].rsplit("/", 1)[0]))


class Deploy:
    """A second version takes over from the first; cancelled, the first one serves on."""

    def arrange(self, platform: Platform) -> None:
        project = platform.new_project()
        self.first = served.register(platform, project, add=10)
        self.second = served.register(platform, project, self.first.version.model_name, add=20)
        self.deployment = served.deploy(platform, self.first)

    def prepare(self, platform: Platform) -> None:
        """It is arranged."""

    def begin(self, platform: Platform) -> None:
        request = DeploymentUpdate(version=2)
        platform.ask(lambda client: client.update_deployment(self.deployment.id, request))

    def now(self, platform: Platform) -> Deployment:
        return platform.ask(lambda client: client.deployment(self.deployment.id))

    def serves(self, platform: Platform, version: int) -> Deployment:
        found = self.now(platform)
        assert (found.state, found.version) == (DeploymentState.DEPLOYED, version)
        # On a busy machine a replica may answer late, and counts as not ready for a moment.
        wait_for(lambda: self.now(platform).replicas_ready == 1, what="the replica to answer")
        return found

    def succeeded(self, platform: Platform) -> None:
        found = self.serves(platform, 2)
        assert served.answer(found) == [23.0]
        assert len(platform.ask(lambda client: client.replicas(found.id))) == 1

    def cancelled(self, platform: Platform) -> None:
        found = self.serves(platform, 1)
        assert "cancelled" in found.reason
        assert served.answer(found) == [13.0]
        assert len(platform.ask(lambda client: client.replicas(found.id))) == 1


class Stop:
    """A deployment stops, and its callers get a notice."""

    def prepare(self, platform: Platform) -> None:
        self.deployment = served.deploy(platform, served.register(platform, platform.new_project()))

    def begin(self, platform: Platform) -> None:
        platform.ask(lambda client: client.stop_deployment(self.deployment.id))

    def succeeded(self, platform: Platform) -> None:
        found = platform.ask(lambda client: client.deployment(self.deployment.id))
        assert found.state is DeploymentState.STOPPED
        assert platform.ask(lambda client: client.replicas(found.id)) == []
        response = served.call(found)
        assert response.status_code == 503 and "stopped" in response.json()["detail"]


class Undeploy(Stop):
    """A deployment is deleted, while it serves."""

    def begin(self, platform: Platform) -> None:
        platform.ask(lambda client: client.delete_deployment(self.deployment.id, force=True))

    def succeeded(self, platform: Platform) -> None:
        with pytest.raises(NotFound):
            platform.ask(lambda client: client.deployment(self.deployment.id))
        assert served.call(self.deployment).status_code == 404


class CleanUp(DeleteArchive):
    """The archive of a version that MLflow has forgotten goes."""

    def prepare(self, platform: Platform) -> None:
        super().prepare(platform)
        registry, objects = self.store
        platform.ask(lambda client: client.delete_version(registry, self.model, 1, keep_archive=True))
        self.archive = "/".join(objects[0].split("/")[1:3])

    def begin(self, platform: Platform) -> None:
        request = StorageCleanUp(archives=[self.archive])
        platform.ask(lambda client: client.clean_up_storage(self.store[0], request))


class PurgeRuns:
    """A deleted run goes for good, with its artifacts."""

    def prepare(self, platform: Platform) -> None:
        self.project = platform.new_project()
        self.run = log_model(platform, self.project)
        self.bucket = platform.ask(lambda client: client.environment(self.project.environment_id)).bucket
        mlflow = Mlflow(platform.ports, platform.secrets)
        mlflow.call("POST", "runs/delete", workspace=self.project.mlflow_workspace, json={"run_id": self.run.run_id})
        mlflow.close()
        assert object_names(platform, self.bucket, self.run.key)

    def begin(self, platform: Platform) -> None:
        request = RunPurge(run_ids=[self.run.run_id])
        platform.ask(lambda client: client.purge_runs(self.project.id, request))

    def succeeded(self, platform: Platform) -> None:
        assert object_names(platform, self.bucket, self.run.key) == []
        with pytest.raises(NotFound):
            platform.ask(lambda client: client.run(self.project.id, self.run.run_id))


class Import:
    """A registered model of a server elsewhere is here, once, with its number, its alias and an archive."""

    def prepare(self, platform: Platform) -> None:
        self.environment, _, _ = registered_environment(platform, synchronized=False)
        self.name, self.model, self.server = unique("elsewhere"), unique("Model"), ExitStack()
        stock = self.server.enter_context(serving(with_model(self.model, 3)))
        request = AttachedServerCreate(name=self.name, environment=self.environment, url=stock.url)
        platform.ask(lambda client: client.attach_server(request))
        registry = registry_of(platform, self.environment)
        told = platform.ask(lambda client: client.synchronize_registry(registry.id))
        assert platform.ask(lambda client: client.wait_for_workflow(told.workflow.id)).status.finished

    def begin(self, platform: Platform) -> None:
        platform.ask(lambda client: client.import_attached(self.name, AttachedImport()))

    def succeeded(self, platform: Platform) -> None:
        self.server.close()
        registry = registry_of(platform, self.environment).id
        assert platform.ask(lambda client: client.model(registry, self.model)).aliases == {"champion": 3}
        versions = platform.ask(lambda client: client.versions(registry, self.model)).items
        assert [(version.version, version.status) for version in versions] == [(3, VersionStatus.READY)]
        assert platform.ask(lambda client: client.verify_archive(registry, self.model, 3)).sound


Work = Promote | Import | ImportedFolder | Provision | Synchronize | Deprovision | Archive | Deploy | Stop | PurgeRuns


@dataclass(frozen=True)
class Case:
    kind: WorkflowKind
    work: type[Work]
    outcome: WorkflowStatus = WorkflowStatus.SUCCEEDED
    #: The step that is not done any more: where it is cancelled, or fails.
    ends_at: str | None = None

    def __str__(self) -> str:
        return f"{self.kind.value}-{self.outcome.value}"


CASES = (
    Case(WorkflowKind.PROVISION, Provision),
    Case(WorkflowKind.PROVISION, Provision, WorkflowStatus.CANCELLED, "verify storage"),
    Case(WorkflowKind.SYNCHRONIZE, Synchronize),
    Case(WorkflowKind.DEPROVISION, Deprovision),
    Case(WorkflowKind.DEPROVISION, Deprovision, WorkflowStatus.CANCELLED, "remove registered models"),
    Case(WorkflowKind.ARCHIVE, Archive),
    Case(WorkflowKind.ARCHIVE, Archive, WorkflowStatus.CANCELLED, "scan"),
    Case(WorkflowKind.ARCHIVE, ArchiveOfNothing, WorkflowStatus.FAILED, "list files"),
    Case(WorkflowKind.PROMOTE, Promote),
    Case(WorkflowKind.PROMOTE, Promote, WorkflowStatus.CANCELLED, "scan"),
    Case(WorkflowKind.VERIFY, Verify),
    Case(WorkflowKind.DELETE_ARCHIVE, DeleteArchive),
    Case(WorkflowKind.DEPLOY, Deploy),
    Case(WorkflowKind.DEPLOY, Deploy, WorkflowStatus.CANCELLED, "switch callers over"),
    Case(WorkflowKind.STOP, Stop),
    Case(WorkflowKind.UNDEPLOY, Undeploy),
    Case(WorkflowKind.CLEAN_UP, CleanUp),
    Case(WorkflowKind.PURGE_RUNS, PurgeRuns),
    Case(WorkflowKind.IMPORT, Import),
)

#: Kinds that a module of its own tries, beside the others.
ROLLOUTS = frozenset(
    {WorkflowKind.DEPLOY, WorkflowKind.STOP, WorkflowKind.UNDEPLOY, WorkflowKind.CLEAN_UP, WorkflowKind.PURGE_RUNS}
)


def registry_of(platform: Platform, environment: str) -> ModelRegistry:
    found = platform.ask(lambda client: client.environment(environment)).registry_id
    assert found is not None
    return platform.ask(lambda client: client.registry(found))


def registered_environment(platform: Platform, *, synchronized: bool, prefix: str = "env") -> tuple[str, str, Project]:
    """An environment with a workspace, a project in it, and a registry.

    Lists are sorted by name: `prefix` chooses the place.
    """
    environment, workspace = unique(prefix), unique("ws")
    platform.ask(lambda client: client.create_environment(EnvironmentCreate(name=environment)))
    platform.ask(lambda client: client.create_workspace(WorkspaceCreate(name=workspace, environment=environment)))
    project = platform.new_project(workspace)
    request = RegistryCreate(environment=environment, grant_storage_access=True)
    made = platform.ask(lambda client: client.create_registry(request))
    assert platform.ask(lambda client: client.wait_for_workflow(made.workflow.id)).status is WorkflowStatus.SUCCEEDED
    if synchronized:
        told = platform.ask(lambda client: client.synchronize_registry(made.resource.id))
        ended = platform.ask(lambda client: client.wait_for_workflow(told.workflow.id))
        assert ended.status is WorkflowStatus.SUCCEEDED, ended.error
    return environment, workspace, project
