"""An environment with a store of its own: a second SeaweedFS, moto, Azurite, Google's, a directory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pytest

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import RegistryError
from registry_tui.platform.s3 import s3_client
from registry_tui.schemas.models import VersionStatus
from registry_tui.schemas.places import Cloud, Environment, EnvironmentCreate, Project, ProjectCreate, WorkspaceCreate
from registry_tui.schemas.registries import RegistryCreate, RegistryDelete
from registry_tui.schemas.stores import StoreChange, uri_of
from registry_tui.service.core.own_stores import MARK
from registry_tui.service.stores.base import Bucket
from registry_tui.service.stores.opening import open_store
from support import secret_search, served
from support.other_stores import Started, described
from support.platforms import Platform, run_python, unique
from support.team import Machine

#: Files of a run by stock MLflow code: written, listed, read, deleted; one is larger than a single upload.
FILES = """
import mlflow, os, pathlib, sys, tempfile, time
from mlflow.tracking import MlflowClient
client, large = MlflowClient(), os.urandom(20_000_000)
mlflow.set_experiment("files")
with mlflow.start_run() as run, tempfile.TemporaryDirectory() as made:
    here = pathlib.Path(made)
    (here / "large.bin").write_bytes(large)
    (here / "empty.txt").write_bytes(b"")
    (here / "a folder").mkdir()
    (here / "a folder" / "50% ü+&.txt").write_text("kept")
    mlflow.log_artifacts(made, "out")
    mlflow.log_text("again", "out/empty.txt")
    mlflow.log_text("gone", "old/gone.txt")
    mlflow.log_text("stays", "older.txt")
run_id = run.info.run_id
def names(path=None):
    return [(each.path, each.is_dir, each.file_size) for each in client.list_artifacts(run_id, path)]
assert names() == [("old", True, None), ("older.txt", False, 5), ("out", True, None)], names()
inside = [("out/a folder", True, None), ("out/empty.txt", False, 5), ("out/large.bin", False, 20_000_000)]
assert names("out") == inside, names("out")
assert names("out/large.bin") == [] == names("nothing")
with tempfile.TemporaryDirectory() as made:
    fetched = pathlib.Path(client.download_artifacts(run_id, "out", made))
    assert (fetched / "large.bin").read_bytes() == large
    assert (fetched / "a folder" / "50% ü+&.txt").read_text() == "kept"
    assert (fetched / "empty.txt").read_text() == "again"
repository = mlflow.store.artifact.artifact_repository_registry.get_artifact_repository(run.info.artifact_uri)
repository.delete_artifacts("old")
until = time.monotonic() + 240
while "old" in [name for name, *_ in names()] and time.monotonic() < until:
    time.sleep(0.5)  # SeaweedFS takes a folder that is empty away a little later
assert [name for name, *_ in names()] == ["older.txt", "out"], names()
for taken in ("out", "older.txt/below.txt"):
    try:
        client.log_text(run_id, "x" * 3_000_000, taken)
    except Exception as error:
        assert "same name" in str(error), error
    else:
        raise AssertionError(taken)
try:
    client.download_artifacts(run_id, "old/gone.txt")
except Exception as error:
    assert "gone.txt" in str(error), error
else:
    raise AssertionError("a deleted file was read")
print("RESULT", run_id)
"""


@dataclass(frozen=True)
class Place:
    """An environment with a store of its own, its registry, and two projects that are synchronized with it."""

    started: Started
    environment: Environment
    registry_id: str
    project: Project
    other: Project

    @property
    def bucket(self) -> Bucket:
        return open_store(self.started.store)


@pytest.fixture(scope="module", params=["seaweedfs", "moto", "azurite", "google", "directory"])
def place(request: pytest.FixtureRequest, platform: Platform) -> Iterator[Place]:
    with described(request.param) as started:
        environment = created(platform, started)
        made = prepared(platform, started, environment)
        yield made
        served.remove_registry(platform, made.registry_id)


def created(platform: Platform, started: Started) -> Environment:
    """By the command, as an administrator does it; the secret comes on standard input."""
    name, cloud = unique("own"), "azure" if started.store.kind == "azure" else "aws"
    options = ["--cloud", cloud, "--bucket", *started.arguments]
    command = ["--data-dir", str(platform.home.root), "environments", "create", name, *options]
    done = Machine(platform.home.root).command(*command, check=False, typed=started.secret or None)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not started.secret or started.secret not in done.stdout + done.stderr
    return platform.ask(lambda client: client.environment(name))


def prepared(platform: Platform, started: Started, environment: Environment) -> Place:
    # Nobody mounts it here: a registry works without it.
    azure = environment.cloud is Cloud.AZURE
    request = RegistryCreate(
        environment=environment.id,
        grant_storage_access=True,
        existing_nfs="10.0.0.4:/exports/nowhere" if azure else None,
        nfs_protocol_version="4.1" if azure else None,
    )
    made = platform.ask(lambda client: client.create_registry(request))
    served.finish(platform, made.workflow)
    assert platform.ask(lambda client: client.registry(made.resource.id)).archives.startswith(uri_of(started.store))
    workspace = platform.ask(
        lambda client: client.create_workspace(WorkspaceCreate(name="team", environment=environment.name))
    )
    synchronized = platform.ask(lambda client: client.synchronize_registry(made.resource.id))
    served.finish(platform, synchronized.workflow)
    projects = [
        platform.ask(lambda client: client.create_project(ProjectCreate(name=unique("p"), workspace=workspace.id)))
        for _ in range(2)
    ]
    return Place(started, environment, made.resource.id, *projects)


async def delete_with_all(client: RegistryClient, project: str) -> None:
    await client.delete_project(project, force=True)


def result(output: str) -> list[str]:
    return next(line for line in output.splitlines() if line.startswith("RESULT")).split()[1:]


def test_an_environment_shows_where_its_archives_lie_and_nothing_secret(platform: Platform, place: Place) -> None:
    own = place.environment.store
    assert own is not None
    assert own.uri == uri_of(place.started.store) == place.bucket.uri
    shown = platform.command("environments", "show", place.environment.name).stdout
    assert own.uri in shown and own.credentials.split(",")[0] in shown
    assert not place.started.secret or place.started.secret not in shown + place.environment.model_dump_json()


def test_a_run_s_files_lie_there_and_are_written_listed_read_and_deleted(platform: Platform, place: Place) -> None:
    (run,) = result(run_python(FILES, platform.exports(place.project.id)))
    project = platform.ask(lambda client: client.project(place.project.id))
    folder = f"artifacts-{place.environment.id}/{project.mlflow_workspace}/"
    assert project.artifacts_uri == f"{place.bucket.uri}{folder}"
    assert platform.command("projects", "show", project.id).stdout.count(project.artifacts_uri) == 1
    stored = {each.key.partition("/artifacts/")[2]: each.size for each in place.bucket.list(folder) if run in each.key}
    assert stored == {
        "out/large.bin": 20_000_000,
        "out/empty.txt": 5,
        "out/a folder/50% ü+&.txt": 4,
        "older.txt": 5,
    }
    listed = platform.ask(lambda client: client.artifacts(project.id, run, "out"))
    assert [each.name for each in listed.entries] == ["a folder", "empty.txt", "large.bin"]
    measured = platform.ask(lambda client: client.artifact_totals(project.id, run))
    assert (measured.files, measured.bytes) == (4, 20_000_014)
    embedded = s3_client("s3", platform.ports.s3_endpoint, platform.secrets.object_store_admin).list_objects_v2(
        Bucket=place.environment.bucket, Prefix=f"workspaces/{project.mlflow_workspace}/"
    )
    assert embedded["KeyCount"] == 0


def test_a_change_of_a_stored_file_is_found(platform: Platform, place: Place) -> None:
    version = served.register(platform, place.project, add=1).version
    assert version.archive_uri is not None
    path = f"{version.archive_uri.removeprefix(place.bucket.uri)}files/MLmodel"
    place.bucket.put(path, place.bucket.read(path).replace(b"m", b"n"))
    check = platform.ask(lambda client: client.verify_archive(place.registry_id, version.model_name, version.version))
    assert check.changed == ["MLmodel"]


def test_versions_are_signed_there_and_what_was_changed_with_its_manifest_is_refused(
    platform: Platform, place: Place
) -> None:
    version = served.register(platform, place.project, add=1).version
    assert version.archive_uri is not None
    named = (place.registry_id, version.model_name, version.version)
    (found,) = platform.ask(lambda client: client.signatures(*named)).valid
    folder = version.archive_uri.removeprefix(place.bucket.uri)
    kept = platform.ask(lambda client: client.read_signature(*named, found.fingerprint))
    assert place.bucket.read(f"{folder}model.sig") == kept
    changed = b'{"add": 9}'
    manifest = json.loads(place.bucket.read(f"{folder}manifest.json"))
    (entry,) = [each for each in manifest["files"] if each["path"].endswith("settings.json")]
    entry.update(size=len(changed), sha256=hashlib.sha256(changed).hexdigest())
    place.bucket.put(f"{folder}files/{entry['path']}", changed)
    place.bucket.put(f"{folder}manifest.json", json.dumps(manifest).encode())
    (found,) = platform.ask(lambda client: client.signatures(*named)).signatures
    assert "settings.json differs from the signed file" in found.problem
    check = platform.ask(lambda client: client.verify_archive(*named))
    assert "settings.json differs from the signed file" in check.damage


def test_the_place_is_no_other_environment_s(platform: Platform, place: Place) -> None:
    with pytest.raises(RegistryError, match="archives of environment"):
        platform.ask(
            lambda client: client.create_environment(
                EnvironmentCreate(name=unique("second"), store=place.started.store)
            )
        )


def test_credentials_change_without_a_new_environment(platform: Platform, place: Place) -> None:
    """Projects keep their artifacts where they are, also when those of new projects lie elsewhere from now on."""
    change = StoreChange(store=place.started.store, artifacts=False)
    changed = platform.ask(lambda client: client.change_store(place.environment.name, change))
    assert changed.store is not None and changed.store.uri == place.bucket.uri and not changed.store.artifacts
    made = served.register(platform, place.project, add=2)
    assert made.version.status is VersionStatus.READY
    assert platform.ask(lambda client: client.project(place.project.id)).artifacts_uri == place.project.artifacts_uri
    request = ProjectCreate(name=unique("p"), workspace=place.project.workspace_id)
    new = platform.ask(lambda client: client.create_project(request))
    assert new.artifacts_uri == f"s3://{place.environment.bucket}/workspaces/{new.mlflow_workspace}/"
    assert served.register(platform, new, add=3).version.status is VersionStatus.READY
    platform.ask(lambda client: client.delete_project(new.id, force=True))


def test_its_secret_is_in_the_service_s_database_alone(platform: Platform, place: Place) -> None:
    if len(place.started.secret) < 40:
        return  # a word that is everywhere
    home = platform.home
    secret = {"the store's": place.started.secret.replace("\n", "\\n")[:200]}
    found = secret_search.places(secret, secret_search.files([home.root, home.run], without=home.object_store))
    assert {where for _, where in found} <= secret_search.own_places(platform, "store of an environment")


def test_the_registry_goes_with_its_archives_and_leaves_what_is_not_its_own(platform: Platform, place: Place) -> None:
    """The last of a store's tests."""
    kept = "somebody-s/own.txt"
    place.bucket.put(kept, b"1")
    for project in (place.project, place.other):
        platform.ask(partial(delete_with_all, project=project.id))
        assert not list(place.bucket.list(project.artifacts_uri.removeprefix(place.bucket.uri)))
    request = RegistryDelete(delete_archives=True)
    begun = platform.ask(lambda client: client.delete_registry(place.registry_id, request))
    served.finish(platform, begun.workflow)
    assert sorted(each.key for each in place.bucket.list()) == sorted([MARK, kept])
