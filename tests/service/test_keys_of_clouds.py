"""Registries in Azure and Google: a SAS of the container that granting makes, and keys that are given."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from azure.storage.blob import ContainerClient, ContainerSasPermissions, generate_container_sas

from registry_tui.client.errors import RegistryError
from registry_tui.schemas.places import Environment, EnvironmentCreate, Project, ProjectCreate, WorkspaceCreate
from registry_tui.schemas.registries import ModelRegistry, RegistryCreate, StoreKeyWay
from registry_tui.schemas.stores import AzureAddress, AzureCredentials, AzureStore, GoogleStore
from registry_tui.service.errors import NotPermitted
from registry_tui.service.stores.azure import container_sas, open_limited
from support import secret_search, served
from support.other_stores import BUCKET, Started, described
from support.platforms import Platform, unique
from support.team import Machine


@dataclass(frozen=True)
class Place:
    """An environment with a store of its own, its registry, whose access was granted, and a project."""

    store: Started
    environment: Environment
    registry: str
    project: Project

    def shown(self, platform: Platform) -> ModelRegistry:
        return platform.ask(lambda client: client.registry(self.registry))

    def give(self, platform: Platform, secret: str, *options: str) -> Any:
        home = ["--data-dir", str(platform.home.root)]
        command = ["registries", "give-key", self.registry, *self.store.arguments, *options]
        done = Machine(platform.home.root).command(*home, *command, check=False, typed=secret)
        assert secret not in done.stdout + done.stderr
        return done


def made(platform: Platform, started: Started) -> Place:
    found = started.below(unique("store"))
    environment = platform.ask(
        lambda client: client.create_environment(EnvironmentCreate(name=unique("own"), store=found.store))
    )
    begun = platform.ask(
        lambda client: client.create_registry(RegistryCreate(environment=environment.id, grant_storage_access=True))
    )
    served.finish(platform, begun.workflow)
    workspace = platform.ask(
        lambda client: client.create_workspace(WorkspaceCreate(name="team", environment=environment.name))
    )
    synchronized = platform.ask(lambda client: client.synchronize_registry(begun.resource.id))
    served.finish(platform, synchronized.workflow)
    project = platform.ask(
        lambda client: client.create_project(ProjectCreate(name=unique("p"), workspace=workspace.id))
    )
    return Place(found, environment, begun.resource.id, project)


@pytest.fixture(scope="module")
def azure(platform: Platform) -> Iterator[Place]:
    with described("azurite") as started:
        found = made(platform, started)
        yield found
        served.remove_registry(platform, found.registry)


@pytest.fixture(scope="module")
def google(platform: Platform) -> Iterator[Place]:
    with described("google") as started:
        found = made(platform, started)
        yield found
        served.remove_registry(platform, found.registry)


def address_of(place: Place) -> tuple[AzureAddress, str]:
    store = place.store.store
    assert isinstance(store, AzureStore)
    return store.address, store.credentials.account_key


def test_a_sas_reaches_its_container_alone_until_it_ends(azure: Place) -> None:
    address, key = address_of(azure)
    limited = open_limited(address, AzureCredentials(account_key=key), 600)
    limited.put("some/one", b"1")
    assert limited.read("some/one") == b"1" and [each.key for each in limited.list("some/")] == ["some/one"]
    url = limited.signed_url("GET", "some/one", 60)
    assert url is not None and httpx.get(url, trust_env=False).content == b"1"
    limited.delete(["some/one"])
    sas = container_sas(address, key, datetime.now(UTC) + timedelta(minutes=5))
    with ContainerClient(address.endpoint, "elsewhere", credential=key) as elsewhere:
        elsewhere.create_container()
        elsewhere.upload_blob("theirs", b"theirs")
    account = httpx.get(f"{address.endpoint}/?comp=list&{sas}", trust_env=False)
    theirs = httpx.get(f"{address.endpoint}/elsewhere/theirs?{sas}", trust_env=False)
    assert (account.status_code, theirs.status_code) == (403, 403)
    with pytest.raises(NotPermitted):
        open_limited(address, AzureCredentials(account_key=key), -60).read("one")


def test_granting_makes_a_sas_and_revoking_closes_every_door(platform: Platform, azure: Place) -> None:
    found = azure.shown(platform)
    assert found.store_key is not None and found.store_key.way is StoreKeyWay.SAS and found.store_key.granted
    assert found.storage_access == "granted" and f"a SAS of the container {BUCKET}" in found.archives_access
    version = served.register(platform, azure.project, add=1).version
    revoked = platform.ask(lambda client: client.revoke_storage_access(azure.registry))
    assert revoked.storage_access == "not granted" and "none" in revoked.archives_access
    with pytest.raises(RegistryError, match="has no access") as refused:
        platform.ask(lambda client: client.verify_archive(azure.registry, version.model_name, version.version))
    assert f"registry-tui registries grant-storage {found.name}" in str(refused.value.action)
    platform.ask(lambda client: client.grant_storage_access(azure.registry))
    assert platform.ask(lambda client: client.verify_archive(azure.registry, version.model_name, version.version)).sound


def test_a_sas_that_is_given_is_used_until_it_is_forgotten(platform: Platform, azure: Place) -> None:
    address, key = address_of(azure)

    def sas(**may: bool) -> str:
        ends = datetime.now(UTC) + timedelta(hours=1)
        permission = ContainerSasPermissions(**may)
        return str(generate_container_sas(address.account, BUCKET, account_key=key, permission=permission, expiry=ends))

    refused = azure.give(platform, sas(read=True, list=True), "--sas")
    assert refused.returncode != 0 and "The key cannot be used for the registry" in refused.stderr
    assert azure.shown(platform).store_key.way is StoreKeyWay.SAS  # type: ignore[union-attr]
    secret = sas(read=True, list=True, write=True, add=True, create=True, delete=True)
    done = azure.give(platform, secret, "--sas")
    assert done.returncode == 0, done.stderr
    found = azure.shown(platform)
    assert found.store_key is not None and found.store_key.way is StoreKeyWay.GIVEN and found.store_key.granted
    assert "the administrator gave: a SAS" in found.archives_access and "reaches more" in found.archives_access
    checked(platform, azure, add=2)
    home = platform.home
    searched = secret_search.files([home.root, home.run], without=home.object_store)
    assert not secret_search.places({"the SAS": secret.rpartition("sig=")[2]}, searched)
    printed = platform.command("registries", "forget-key", azure.registry, "--json").stdout
    assert json.loads(printed)["store_key"]["way"] == "sas"


def test_an_account_that_is_given_is_used_until_it_is_forgotten(platform: Platform, google: Place) -> None:
    before = google.shown(platform)
    assert before.store_key is not None and before.store_key.way is StoreKeyWay.ENVIRONMENT
    assert "granting and revoking do not count there" in before.archives_access
    store = google.store.store
    assert isinstance(store, GoogleStore)
    account = json.loads(store.credentials.service_account)
    nowhere = json.dumps(account | {"token_uri": "http://127.0.0.1:1/token"})
    refused = google.give(platform, nowhere)
    assert refused.returncode != 0 and "The key cannot be used for the registry" in refused.stderr
    done = google.give(platform, json.dumps(account | {"client_email": "own@acme.iam.gserviceaccount.com"}))
    assert done.returncode == 0, done.stderr
    found = google.shown(platform)
    assert found.store_key is not None and found.store_key.way is StoreKeyWay.GIVEN and found.store_key.granted
    checked(platform, google, add=3)
    printed = platform.command("registries", "forget-key", google.registry, "--json").stdout
    assert json.loads(printed)["store_key"]["way"] == "environment"
    version = served.register(platform, google.project, add=4).version
    assert platform.ask(
        lambda client: client.verify_archive(google.registry, version.model_name, version.version)
    ).sound


def checked(platform: Platform, place: Place, *, add: int) -> None:
    """Registers with the key that was given; revoking closes the doors, and granting opens them again."""
    version = served.register(platform, place.project, add=add).version
    revoked = platform.ask(lambda client: client.revoke_storage_access(place.registry))
    assert revoked.store_key is not None and not revoked.store_key.granted
    with pytest.raises(RegistryError, match="has no access"):
        platform.ask(lambda client: client.verify_archive(place.registry, version.model_name, version.version))
    platform.ask(lambda client: client.grant_storage_access(place.registry))
    assert platform.ask(lambda client: client.verify_archive(place.registry, version.model_name, version.version)).sound
