"""Deployments of an Azure registry read their model files from its existing NFS, and are fetched while it is away.

The kernel of a test cannot mount an NFS: a folder and a list of mounts stand for it; all else is real.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from registry_tui.client import RegistryClient
from registry_tui.contracts import archive_check
from registry_tui.schemas.deployments import Deployment
from registry_tui.schemas.places import Cloud, EnvironmentCreate, ProjectCreate, WorkspaceCreate
from registry_tui.schemas.registries import NfsState, NfsStatus, RegistryCreate, RegistryDelete
from support import served
from support.mount_tables import mount_table, nfs_line, replace_table
from support.mounting_service import mounting_service
from support.platforms import Platform, temporary_folder, unique, wait_for
from support.served import Served

SOURCE = "10.0.0.4:/exports/models"


@dataclass(frozen=True)
class Nfs:
    """A folder that stands for an NFS, and a registry that has it."""

    folder: Path
    table: Path
    registry_id: str
    made: Served

    def mount(self, version: str = "4.1") -> None:
        replace_table(self.table, mount_table(nfs_line(SOURCE, self.folder, version)))

    def unmount(self) -> None:
        replace_table(self.table, mount_table())

    def files(self) -> list[Path]:
        """The folders of unpacked versions."""
        return sorted(path.parent for path in self.folder.glob("registry-tui-*/*/*/manifest.json"))


@pytest.fixture(scope="module")
def nfs(own_platform: Platform) -> Iterator[Nfs]:
    with temporary_folder() as folder:
        share, table = (folder / "share").resolve(), folder / "mountinfo"
        share.mkdir()
        replace_table(table, mount_table())
        with mounting_service(own_platform, table):
            yield prepared(own_platform, share, table)


def prepared(platform: Platform, share: Path, table: Path) -> Nfs:
    environment = platform.ask(
        lambda client: client.create_environment(EnvironmentCreate(name=unique("az"), cloud=Cloud.AZURE))
    )
    request = RegistryCreate(
        environment=environment.id, existing_nfs=SOURCE, nfs_protocol_version="4.1", grant_storage_access=True
    )
    accepted = platform.ask(lambda client: client.create_registry(request))
    assert accepted.resource.nfs is not None and accepted.resource.nfs.state is NfsState.NOT_MOUNTED
    served.finish(platform, accepted.workflow)
    workspace = platform.ask(
        lambda client: client.create_workspace(WorkspaceCreate(name="team", environment=environment.name))
    )
    synchronized = platform.ask(lambda client: client.synchronize_registry(accepted.resource.id))
    served.finish(platform, synchronized.workflow)
    project = platform.ask(
        lambda client: client.create_project(ProjectCreate(name=unique("p"), workspace=workspace.id))
    )
    made = served.register(platform, project, add=10)
    return Nfs(share, table, accepted.resource.id, made)


def shown(platform: Platform, nfs: Nfs) -> NfsStatus:
    found = platform.ask(lambda client: client.registry(nfs.registry_id)).nfs
    assert found is not None
    return found


def restarted(platform: Platform, deployment: Deployment) -> Deployment:
    accepted = platform.ask(lambda client: client.restart_deployment(deployment.id))
    served.finish(platform, accepted.workflow)
    return served.now(platform, deployment)


def models_of(platform: Platform, deployment: Deployment) -> set[str]:
    """The folders that the replicas of a deployment were given."""
    specs = (platform.home.serving / "deployments" / deployment.id).glob("*.json")
    return {json.loads(path.read_text())["model"] for path in specs}


def test_a_registry_whose_nfs_is_not_mounted_says_so_everywhere_and_how_to_mount_it(
    own_platform: Platform, nfs: Nfs
) -> None:
    nfs.unmount()
    found = own_platform.ask(lambda client: client.registry(nfs.registry_id))
    command = f"mkdir -p /mnt/{found.name} && mount -t nfs -o vers=4.1 {SOURCE} /mnt/{found.name}"
    assert found.nfs is not None and (found.nfs.state, found.nfs.mount_command) == (NfsState.NOT_MOUNTED, command)
    listed = own_platform.command("registries", "list").stdout
    assert "Available, NFS not mounted" in next(line for line in listed.splitlines() if found.name in line)
    told = own_platform.command("registries", "show", found.name).stdout
    assert "NFS not mounted" in told and command in " ".join(told.split())
    nfs.mount("4.2")
    assert shown(own_platform, nfs).state is NfsState.OTHER_VERSION
    # Mounting it is enough.
    nfs.mount()
    assert shown(own_platform, nfs).mounted
    tried = own_platform.ask(lambda client: client.storage_access(nfs.registry_id)).nfs
    assert tried is not None and tried.mounted and tried.tried_at is not None
    assert "Available, NFS" not in own_platform.command("registries", "list").stdout


def test_a_deployment_is_fetched_while_it_is_not_mounted_and_served_from_there_once_it_is(
    own_platform: Platform, nfs: Nfs
) -> None:
    nfs.unmount()
    deployment = served.deploy(own_platform, nfs.made)
    assert deployment.model_files.startswith(f"fetched to this machine: {SOURCE} is not mounted on this machine; mount")
    assert served.answer(deployment) == [13.0]
    assert nfs.files() == []
    (said,) = own_platform.events(resource=deployment.id, action="deployment.fetch-files")
    assert said.detail is not None and "is not mounted" in said.detail
    told = own_platform.command("deployments", "show", deployment.id).stdout
    assert "fetched to this machine" in told

    nfs.mount()
    deployment = restarted(own_platform, deployment)
    assert deployment.model_files == f"read from {SOURCE}, mounted at {nfs.folder}"
    assert served.answer(deployment) == [13.0]
    (unpacked,) = nfs.files()
    assert models_of(own_platform, deployment) == {str(unpacked)}
    archive_check.check(unpacked)
    # Another deployment, as if of another host, reads the same files.
    stamp = unpacked.stat().st_ino
    other = served.deploy(own_platform, nfs.made)
    assert models_of(own_platform, other) == {str(unpacked)} and unpacked.stat().st_ino == stamp
    assert served.answer(other) == [13.0]

    # It goes away under replicas that have to start again: they are served from a copy of this machine.
    away = nfs.folder.with_name("away")
    nfs.folder.rename(away)
    nfs.unmount()
    try:
        for replica in served.replicas(own_platform, deployment):
            own_platform.kill(replica.name)
        wait_for(
            lambda: served.now(own_platform, deployment).model_files.startswith("fetched to this machine"),
            what="the files to be fetched",
        )
        assert served.answer(served.now(own_platform, deployment)) == [13.0]
        (left, *_) = own_platform.events(resource=deployment.id, action="deployment.leave-nfs")
        assert left.detail is not None and "is not mounted" in left.detail
    finally:
        away.rename(nfs.folder)
        nfs.mount()
    for each in (deployment, other):
        wait_for(lambda each=each: served.now(own_platform, each).workflow_id is None, what="its work")  # type: ignore[misc]
        begun = own_platform.call(RegistryClient.delete_deployment, each.id, force=True)
        served.finish(own_platform, begun.workflow)


def test_deleting_a_version_and_a_registry_removes_their_files_also_when_it_is_mounted_only_later(
    own_platform: Platform, nfs: Nfs
) -> None:
    nfs.mount()
    name = nfs.made.version.model_name
    second = served.register(own_platform, nfs.made.project, name, add=20)
    for made in (nfs.made, second):
        deployment = served.deploy(own_platform, made)
        begun = own_platform.call(RegistryClient.delete_deployment, deployment.id, force=True)
        served.finish(own_platform, begun.workflow)
    unpacked = {path.name.split("-")[0]: path for path in nfs.files()}
    assert len(nfs.files()) == 2, unpacked
    of_first = [path for path in nfs.files() if path.name.startswith(nfs.made.version.id)]
    own_platform.ask(lambda client: client.delete_version(nfs.registry_id, name, 1))
    wait_for(lambda: not any(path.exists() for path in of_first), what="the version's files to go")
    # A folder that is being deleted has another name until all of it is gone.
    wait_for(
        lambda: [path.name.startswith(second.version.id) for path in nfs.files()] == [True], what="the other's alone"
    )

    nfs.unmount()
    gone = own_platform.ask(
        lambda client: client.delete_registry(nfs.registry_id, RegistryDelete(delete_archives=True))
    )
    served.finish(own_platform, gone.workflow)
    assert len(nfs.files()) == 1, "nobody reaches them"
    nfs.mount()
    wait_for(lambda: list(nfs.folder.iterdir()) == [], what="the registry's files to go")
    shutil.rmtree(nfs.folder)
