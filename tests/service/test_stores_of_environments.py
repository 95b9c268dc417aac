"""Stores that environments bring along: refusals when one is made, expired credentials, and leftovers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry_tui.client.errors import RegistryError
from registry_tui.schemas.models import VersionStatus
from registry_tui.schemas.places import EnvironmentCreate, ProjectCreate, WorkspaceCreate
from registry_tui.schemas.registries import RegistryCreate
from registry_tui.schemas.stores import (
    DirectoryAddress,
    DirectoryStore,
    S3Address,
    S3Credentials,
    S3Store,
    Store,
    StoreChange,
)
from registry_tui.service.core.own_stores import MARK
from registry_tui.service.errors import NotPermitted
from registry_tui.service.stores.opening import open_store
from support import served
from support.other_stores import BUCKET, S3Server, seaweedfs
from support.platforms import Platform, unique


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with seaweedfs() as found:
        yield found


def directory(path: Path) -> DirectoryStore:
    return DirectoryStore(address=DirectoryAddress(path=str(path)))


def make(platform: Platform, store: Store) -> Any:
    return platform.ask(lambda client: client.create_environment(EnvironmentCreate(name=unique("own"), store=store)))


def refused(platform: Platform, store: Store) -> str:
    with pytest.raises(RegistryError) as raised:
        make(platform, store)
    return str(raised.value)


def test_a_store_that_cannot_be_used_makes_no_environment(platform: Platform, server: S3Server, tmp_path: Path) -> None:
    address = S3Address(bucket="acme-modles", endpoint=server.endpoint)
    assert "There is no bucket acme-modles" in refused(
        platform, S3Store(address=address, credentials=server.credentials)
    )
    assert "There is no directory" in refused(platform, directory(tmp_path / "none"))


def test_a_place_belongs_to_one_environment(platform: Platform, tmp_path: Path) -> None:
    environment = make(platform, directory(tmp_path))
    (tmp_path / "below").mkdir()
    for place in (tmp_path, tmp_path / "below"):
        assert f"archives of environment {environment.name}" in refused(platform, directory(place))
    platform.ask(lambda client: client.delete_environment(environment.id))


def test_a_place_of_another_installation_is_not_taken(platform: Platform, tmp_path: Path) -> None:
    mark = json.dumps({"environment_id": "somebody-else-s", "environment": "prod"})
    (tmp_path / MARK).write_text(mark, encoding="utf-8")
    assert "belongs to another environment" in refused(platform, directory(tmp_path))
    assert (tmp_path / MARK).read_text(encoding="utf-8") == mark
    (tmp_path / MARK).unlink()
    environment = make(platform, directory(tmp_path))
    platform.ask(lambda client: client.delete_environment(environment.id))


def test_an_environment_leaves_its_store_as_it_was(platform: Platform, tmp_path: Path) -> None:
    environment = make(platform, directory(tmp_path))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [MARK]
    platform.ask(lambda client: client.delete_environment(environment.id))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_environment_goes_although_its_store_is_gone(platform: Platform, tmp_path: Path) -> None:
    place = tmp_path / "store"
    place.mkdir()
    environment = make(platform, directory(place))
    shutil.rmtree(place)
    platform.ask(lambda client: client.delete_environment(environment.id))
    names = [each.name for each in platform.ask(lambda client: client.environments(page_size=1000)).items]
    assert environment.name not in names


def test_another_store_cannot_take_the_place_of_the_first(platform: Platform, server: S3Server, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    environment = make(platform, directory(one))
    with pytest.raises(RegistryError, match=r"lie in .*/one/, not in .*/other/"):
        platform.ask(lambda client: client.change_store(environment.id, StoreChange(store=directory(other))))
    platform.ask(lambda client: client.delete_environment(environment.id))
    with pytest.raises(RegistryError, match="no store of its own"):
        platform.ask(lambda client: client.change_store("local", StoreChange(store=directory(other))))


def test_the_store_of_an_environment_is_tried_as_it_is_used(platform: Platform, tmp_path: Path) -> None:
    environment = make(platform, directory(tmp_path))
    platform.ask(lambda client: client.create_registry(RegistryCreate(environment=environment.name)))
    assert environment.store.checked_at is not None and environment.store.usable
    found: Any = platform.ask(lambda client: client.check_environment_store(environment.name))
    assert found.store.usable and found.store.checked_at > environment.store.checked_at
    mark = (tmp_path / MARK).read_text(encoding="utf-8")
    (tmp_path / MARK).unlink()
    try:
        told = platform.command("environments", "check-store", environment.name, check=False)
        assert told.returncode == 1
        assert MARK in told.stdout
    finally:
        (tmp_path / MARK).write_text(mark, encoding="utf-8")
    # It is kept, with its age, where the environment and its registry are shown.
    registry: Any = platform.ask(lambda client: client.registry(f"registry-{environment.name}"))
    assert registry.store is not None and not registry.store.usable
    assert registry.store.checked_at is not None and registry.store.credentials.startswith("none: ")
    # A change tries it too.
    change = StoreChange(store=directory(tmp_path))
    changed: Any = platform.ask(lambda client: client.change_store(environment.name, change))
    assert changed.store.usable and changed.store.checked_at > registry.store.checked_at
    assert platform.command("environments", "check-store", environment.name).returncode == 0
    with pytest.raises(RegistryError, match="no store of its own"):
        platform.ask(lambda client: client.check_environment_store("local"))


def test_credentials_that_end_are_named_and_new_ones_finish_the_work(
    request: pytest.FixtureRequest, platform: Platform, server: S3Server
) -> None:
    def store(key: S3Credentials) -> S3Store:
        address = S3Address(bucket=BUCKET, prefix="ending", endpoint=server.endpoint)
        return S3Store(address=address, credentials=key)

    def new_key() -> S3Credentials:
        key = server.iam().create_access_key(UserName=user)["AccessKey"]
        return S3Credentials(access_key_id=key["AccessKeyId"], secret_access_key=key["SecretAccessKey"])

    user = unique("storer")
    server.iam().create_user(UserName=user)
    needed = platform.command("environments", "store-access", f"s3://{BUCKET}/ending").stdout
    server.iam().put_user_policy(UserName=user, PolicyName="needed", PolicyDocument=needed)
    first = new_key()
    elsewhere = open_store(S3Store(address=S3Address(bucket=BUCKET, endpoint=server.endpoint), credentials=first))
    for act in (lambda: elsewhere.put("x", b"1"), lambda: list(elsewhere.list()), lambda: elsewhere.read("ending2/x")):
        with pytest.raises(NotPermitted):
            act()
    environment = make(platform, store(first))
    registry = RegistryCreate(environment=environment.id, grant_storage_access=True)
    made = platform.ask(lambda client: client.create_registry(registry))
    request.addfinalizer(lambda: served.remove_registry(platform, made.resource.id))
    served.finish(platform, made.workflow)
    workspace = WorkspaceCreate(name="team", environment=environment.name)
    team = platform.ask(lambda client: client.create_workspace(workspace))
    synchronized = platform.ask(lambda client: client.synchronize_registry(made.resource.id))
    served.finish(platform, synchronized.workflow)
    wanted = ProjectCreate(name=unique("p"), workspace=team.id)
    project = platform.ask(lambda client: client.create_project(wanted))
    version = served.register(platform, project, add=1).version
    shown = platform.ask(lambda client: client.registry(made.resource.id)).archives_access
    assert first.access_key_id in shown and first.secret_access_key not in shown
    assert "one key for the environment" in platform.command("registries", "show", made.resource.name).stdout

    server.iam().delete_access_key(UserName=user, AccessKeyId=first.access_key_id)
    with pytest.raises(RegistryError, match="does not know the access key"):
        platform.ask(lambda client: client.verify_archive(version.registry_id, version.model_name, version.version))
    with pytest.raises(RegistryError, match="cannot be used"):
        platform.ask(lambda client: client.change_store(environment.id, StoreChange(store=store(first))))
    change = StoreChange(store=store(new_key()))
    platform.ask(lambda client: client.change_store(environment.id, change))
    check = platform.ask(lambda client: client.verify_archive(version.registry_id, version.model_name, version.version))
    assert check.sound
    assert served.register(platform, project, add=2).version.status is VersionStatus.READY
