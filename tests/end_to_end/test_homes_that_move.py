"""A platform's home elsewhere: copied beside the original, or restored from a backup."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from registry_tui.client.errors import RegistryError
from registry_tui.platform import relocation
from registry_tui.platform.paths import Home
from registry_tui.schemas.deployments import Deployment
from registry_tui.schemas.places import EnvironmentCreate, Project, ProjectCreate, WorkspaceCreate
from registry_tui.schemas.registries import RegistryCreate, StoreKeyWay
from registry_tui.schemas.stores import S3Address, S3Store
from support import served
from support.other_stores import BUCKET, S3Server, Started, described, seaweedfs
from support.platforms import Platform, clean_environment, run_python, temporary_folder, unique, wait_for
from support.registered import log_model
from support.served import Served, answer, deploy, now, register, two_versions
from support.team import Machine

pytestmark = pytest.mark.long

LOAD = """
import sys, mlflow, pandas
model = mlflow.pyfunc.load_model(f"models:/{sys.argv[1]}/1")
print(model.predict(pandas.DataFrame({"a": [1.0], "b": [2.0]})))
"""

#: Backs up or restores, and ends as by `kill -9` at the first step of this name after which something was done.
KILLED = """
import os, signal, sys
from pathlib import Path
from registry_tui.platform.paths import Home
from registry_tui.service.backup import restoring, taking
from registry_tui.service.stores.directory import Directory
verb, home, place, passphrase, step = sys.argv[1:]
work = (taking.take if verb == "backup" else restoring.restore)(Home(Path(home)), Directory(Path(place)), passphrase)
for each in work:
    if each.what == step and (each.done or not each.total):
        os.kill(os.getpid(), signal.SIGKILL)
"""
PASSPHRASE = "correct horse battery"


@pytest.fixture(scope="module")
def model(own_platform: Platform) -> Served:
    """Version 1 adds 10 to a + b."""
    return two_versions(own_platform)


@pytest.fixture(scope="module")
def deployment(own_platform: Platform, model: Served) -> Iterator[Deployment]:
    yield deploy(own_platform, model)
    del served.DEPLOYED[:]


@contextmanager
def elsewhere(platform: Platform, name: str) -> Iterator[Platform]:
    """A platform with a home beside that of another one, down and gone at the end."""
    there = Platform(Home(platform.home.root.with_name(name)))
    try:
        yield there
    finally:
        there.down()
        shutil.rmtree(there.home.root, ignore_errors=True)


def loads(platform: Platform, model: Served) -> bool:
    """Whether stock code loads version 1 from there, and it adds 10."""
    return "13." in run_python(LOAD, platform.exports(model.project.name), model.version.model_name)


def test_a_copied_home_starts_beside_the_original(
    own_platform: Platform, model: Served, deployment: Deployment
) -> None:
    with elsewhere(own_platform, "copy") as copy:
        own_platform.down()
        subprocess.run(["cp", "-a", own_platform.home.root, copy.home.root], check=True)
        own_platform.up()
        started = copy.command("up")
        assert f"copied from {own_platform.home.root}" in started.stderr and copy.ports.mlflow_url in started.stderr
        assert copy.ports != own_platform.ports
        assert loads(copy, model)
        there = now(copy, deployment)
        wait_for(lambda: answer(there) == [23.0], what="the copied deployment to answer")
        copy.down()
        assert answer(now(own_platform, deployment)) == [23.0], "the copy's end took something from the original"
        assert loads(own_platform, model)
        assert relocation.since_last_start(copy.home) is None, "the next start would choose ports again"


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder for backups, and a file with a passphrase beside it."""
    with temporary_folder() as folder:
        (folder / "backups").mkdir()
        (folder / "passphrase").write_text(f"{PASSPHRASE}\n")
        yield folder / "backups"


def back_up(platform: Platform, place: Path) -> dict[str, int]:
    done = platform.command("backup", str(place), "--passphrase-file", str(place.parent / "passphrase"), "--json")
    return dict(json.loads(done.stdout))


def killed(verb: str, platform: Platform, place: Path, step: str) -> None:
    command = [sys.executable, "-c", KILLED, verb, str(platform.home.root), str(place), PASSPHRASE, step]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


@contextmanager
def traffic(platform: Platform, project: Project) -> Iterator[list[str]]:
    """Runs that are logged one after the other meanwhile; their IDs."""
    logged: list[str] = []
    stop = threading.Event()

    def log() -> None:
        while not stop.is_set():
            logged.append(log_model(platform, project).run_id)

    writer = threading.Thread(target=log)
    writer.start()
    try:
        wait_for(lambda: logged or not writer.is_alive(), what="the first run")
        yield logged
    finally:
        stop.set()
        writer.join()


def test_a_running_platform_is_backed_up_and_the_next_backup_copies_only_what_is_new(
    own_platform: Platform, model: Served, deployment: Deployment, place: Path
) -> None:
    for step in ("encrypting databases and secrets", "copying artifacts and archives", "writing the manifest"):
        killed("backup", own_platform, place, step)
        assert not list(place.glob("backups/*")), f"killed at {step}, it left a manifest"
    with traffic(own_platform, model.project) as logged:
        first = back_up(own_platform, place)
        assert logged
    assert first["objects"] > first["new"], "nothing of the backups that were cut off was used"
    between = back_up(own_platform, place)
    assert between["objects"] >= first["objects"]
    unchanged = back_up(own_platform, place)
    assert unchanged["objects"] == between["objects"] and unchanged["new"] == 0
    register(own_platform, model.project, model.version.model_name, add=30)
    third = back_up(own_platform, place)
    assert third["objects"] > unchanged["objects"] and 0 < third["new"] <= third["objects"] - unchanged["objects"]
    ids = [each["id"] for each in json.loads(own_platform.command("backups", "list", str(place), "--json").stdout)]
    assert len(ids) == 4 and ids[0] == third["id"]
    verified = own_platform.command(
        "backups", "verify", str(place), "--passphrase-file", str(place.parent / "passphrase")
    )
    assert "is whole" in verified.stderr
    secrets = asdict(own_platform.secrets)
    words = [
        word
        for value in secrets.values()
        for word in (value.values() if isinstance(value, dict) else [value])
        if word != own_platform.secrets.mlflow_admin_user
    ]
    for path in place.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert not [word for word in words if word.encode() in content], f"a secret is readable in {path}"


def test_a_backup_is_restored_elsewhere_whatever_kills_came_between(
    own_platform: Platform, model: Served, deployment: Deployment, place: Path
) -> None:
    taken = back_up(own_platform, place)
    restore = ("restore", str(place), "--passphrase-file", str(place.parent / "passphrase"), "--json")
    with elsewhere(own_platform, "restored") as there:
        for step in ("storing artifacts and archives", "giving machine users their access"):
            killed("restore", there, place, step)
            refused = there.command("up", check=False)
            assert refused.returncode == 1 and "restoration" in refused.stderr
        restored = json.loads(there.command(*restore).stdout)
        assert restored["id"] == taken["id"] and restored["stopped"] == [deployment.name]
        there.up()
        assert loads(there, model)
        assert there.ask(lambda client: client.version(model.registry, model.version.model_name, 2)) == model.version
        there.command("models", "verify", model.version.model_name, "2")
        named = (model.registry, model.version.model_name, 2)
        signed = own_platform.ask(lambda client: client.signatures(*named))
        assert there.ask(lambda client: client.signatures(*named)) == signed and signed.valid
        assert there.ask(lambda client: client.sign_version(*named)).valid, "its private key came along"
        fresh = register(there, model.project, model.version.model_name, add=40)
        assert fresh.version.version > 2, "the machine user stores no archives there"
        there.command("deployments", "restart", deployment.name)
        assert answer(now(there, deployment)) == [23.0]
        again = there.command(*restore, check=False)
        assert again.returncode == 1 and "not empty" in again.stderr
    assert loads(own_platform, model)


def in_own_store(platform: Platform, server: S3Server) -> tuple[str, Project]:
    """The ID of a registry whose archives lie in an environment's own store, reached by a user there; a project."""
    address = S3Address(bucket=BUCKET, prefix=unique("store"), endpoint=server.endpoint, region=server.region)
    wanted = EnvironmentCreate(name=unique("own"), store=S3Store(address=address, credentials=server.credentials))
    environment = platform.ask(lambda client: client.create_environment(wanted))
    request = RegistryCreate(environment=environment.id, grant_storage_access=True)
    begun = platform.ask(lambda client: client.create_registry(request))
    served.finish(platform, begun.workflow)
    team = WorkspaceCreate(name="team", environment=environment.name)
    workspace = platform.ask(lambda client: client.create_workspace(team))
    synchronized = platform.ask(lambda client: client.synchronize_registry(begun.resource.id))
    served.finish(platform, synchronized.workflow)
    project = ProjectCreate(name=unique("p"), workspace=workspace.id)
    return begun.resource.id, platform.ask(lambda client: client.create_project(project))


def asked(platform: Platform, cloud: Started, verb: str, passphrase: Path) -> dict[str, Any]:
    """The output of `backup` or `restore` with a cloud's address; the secret comes on standard input."""
    command = ["--data-dir", str(platform.home.root), verb, *cloud.arguments]
    options = ["--passphrase-file", str(passphrase), "--json"]
    done = Machine(platform.home.root).command(*command, *options, check=False, typed=cloud.secret)
    assert done.returncode == 0, done.stdout + done.stderr
    assert cloud.secret not in done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("kind", ["azurite", "google"])
def test_a_backup_in_a_cloud_is_restored_and_keys_of_own_stores_work_there(
    own_platform: Platform, place: Path, kind: str
) -> None:
    passphrase = place.parent / "passphrase"
    with seaweedfs() as server, described(kind) as cloud:
        registry, project = in_own_store(own_platform, server)
        version = register(own_platform, project, add=50).version
        key = own_platform.ask(lambda client: client.registry(registry)).store_key
        assert key is not None and key.way is StoreKeyWay.USER and key.granted
        taken = asked(own_platform, cloud, "backup", passphrase)
        assert asked(own_platform, cloud, "backup", passphrase)["new"] == 0, "all of it was there"
        iam = server.iam()
        (held,) = iam.list_access_keys(UserName=key.user)["AccessKeyMetadata"]
        with elsewhere(own_platform, f"from-{kind}") as there:
            assert asked(there, cloud, "restore", passphrase)["objects"] == taken["objects"]
            there.up()
            assert there.ask(lambda client: client.registry(registry)).store_key == key
            named = (registry, version.model_name, version.version)
            assert there.ask(lambda client: client.verify_archive(*named)).sound
            assert iam.list_access_keys(UserName=key.user)["AccessKeyMetadata"] == [held], "the same key"
            iam.delete_access_key(UserName=key.user, AccessKeyId=held["AccessKeyId"])
            with pytest.raises(RegistryError, match="does not know the access key"):
                there.ask(lambda client: client.verify_archive(*named))
        served.remove_registry(own_platform, registry)
