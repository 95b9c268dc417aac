"""Registries with keys of their own: users that granting makes in the store of their environment, and keys given."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from registry_tui.client.errors import RegistryError
from registry_tui.platform.s3 import s3_client
from registry_tui.platform.secrets import AccessKey
from registry_tui.schemas.places import Environment, EnvironmentCreate, Project, ProjectCreate, WorkspaceCreate
from registry_tui.schemas.registries import ModelRegistry, RegistryCreate, StoreKeyWay
from registry_tui.schemas.store_access import access_needed
from registry_tui.schemas.stores import S3Address, S3Credentials, S3Store
from registry_tui.service.core.own_stores import MARK
from registry_tui.service.errors import NotPermitted
from registry_tui.service.stores.s3 import open_s3
from registry_tui.service.stores.s3_users import archives_statements
from support import secret_search, served
from support.other_stores import BUCKET, S3Server, moto, seaweedfs
from support.platforms import Platform, run_python, unique
from support.team import Machine


@pytest.fixture(scope="module", params=["seaweedfs", "moto"])
def server(request: pytest.FixtureRequest) -> Iterator[S3Server]:
    with seaweedfs() if request.param == "seaweedfs" else moto() as found:
        yield found


@dataclass(frozen=True)
class Place:
    """An environment with a store of its own, and its registry, whose access was granted."""

    server: S3Server
    environment: Environment
    registry: str

    @property
    def folder(self) -> str:
        return f"{self.prefix}/modelregistry-{self.environment.id}/"

    @property
    def prefix(self) -> str:
        assert self.environment.store is not None
        return self.environment.store.uri.removeprefix(f"s3://{BUCKET}/").rstrip("/")

    def user(self, platform: Platform) -> str:
        """The only user below the name of the registry."""
        iam = self.server.iam()
        return next(name for name in names(iam) if name.startswith(f"registry-tui-{self.registry[:8]}-"))


def names(iam: Any) -> list[str]:
    return [each["UserName"] for each in iam.list_users()["Users"]]


def made(platform: Platform, server: S3Server, *, granted: bool = True) -> Place:
    address = S3Address(bucket=BUCKET, prefix=unique("store"), endpoint=server.endpoint, region=server.region)
    store = S3Store(address=address, credentials=server.credentials)
    environment = platform.ask(
        lambda client: client.create_environment(EnvironmentCreate(name=unique("own"), store=store))
    )
    begun = platform.ask(
        lambda client: client.create_registry(RegistryCreate(environment=environment.id, grant_storage_access=granted))
    )
    served.finish(platform, begun.workflow)
    return Place(server, environment, begun.resource.id)


@pytest.fixture(scope="module")
def place(platform: Platform, server: S3Server) -> Iterator[Place]:
    found = made(platform, server)
    yield found
    served.remove_registry(platform, found.registry)


@pytest.fixture(scope="module")
def project(platform: Platform, place: Place) -> Project:
    """A project whose models are registered there."""
    workspace = platform.ask(
        lambda client: client.create_workspace(WorkspaceCreate(name="team", environment=place.environment.name))
    )
    synchronized = platform.ask(lambda client: client.synchronize_registry(place.registry))
    served.finish(platform, synchronized.workflow)
    return platform.ask(lambda client: client.create_project(ProjectCreate(name=unique("p"), workspace=workspace.id)))


@contextmanager
def enforced(server: S3Server) -> Iterator[None]:
    """moto checks policies only on request, and then has no administrator."""
    if server.checks_keys:
        yield
        return
    httpx.post(f"{server.endpoint}/moto-api/reset-auth", content=b"0").raise_for_status()
    try:
        yield
    finally:
        httpx.post(f"{server.endpoint}/moto-api/reset-auth", content=b"inf").raise_for_status()


def shown(platform: Platform, place: Place) -> ModelRegistry:
    return platform.ask(lambda client: client.registry(place.registry))


def new_key(place: Place, user: str) -> AccessKey:
    """Another key of the registry's user: the first one is known only encrypted."""
    key = place.server.iam().create_access_key(UserName=user)["AccessKey"]
    return AccessKey(key["AccessKeyId"], key["SecretAccessKey"])


def test_granting_makes_a_user_that_details_name(platform: Platform, place: Place) -> None:
    found = shown(platform, place)
    assert found.store_key is not None and found.store_key.way is StoreKeyWay.USER and found.store_key.granted
    assert found.store_key.user == place.user(platform)
    assert found.store_key.user in found.archives_access and found.store_key.held in found.archives_access
    printed = json.loads(platform.command("registries", "show", place.registry, "--json").stdout)
    assert printed["store_key"] == found.store_key.model_dump(mode="json")
    assert printed["storage_access"] == "granted"
    policies = place.server.iam().list_user_policies(UserName=found.store_key.user)["PolicyNames"]
    assert policies, "the user has a policy"


def test_the_key_opens_the_registrys_folder_alone(platform: Platform, place: Place) -> None:
    """Two registries in one bucket: asked of the store itself, with a key of the first one's user."""
    other = made(platform, place.server)
    try:
        administrator = place.server.open()
        administrator.put(f"{place.folder}m/v/manifest.json", b"own")
        administrator.put(f"{other.folder}m/v/manifest.json", b"another registry's")
        administrator.put(f"{place.prefix}/artifacts-of-a-project/model.pkl", b"a run's")
        user = place.user(platform)
        key = new_key(place, user)
        store = S3Address(bucket=BUCKET, endpoint=place.server.endpoint, region=place.server.region)
        credentials = place.server.credentials.model_copy(
            update={"access_key_id": key.access_key_id, "secret_access_key": key.secret_access_key}
        )
        own = open_s3(store, credentials)
        with enforced(place.server):
            assert own.read(f"{place.folder}m/v/manifest.json") == b"own"
            assert own.read(f"{place.prefix}/{MARK}")
            own.put(f"{place.folder}m/v/more", b"more")
            for path in (
                f"{other.folder}m/v/manifest.json",
                f"{place.prefix}/artifacts-of-a-project/model.pkl",
                f"{other.prefix}/{MARK}",
            ):
                with pytest.raises(NotPermitted):
                    own.read(path)
                with pytest.raises(NotPermitted):
                    own.put(path, b"changed")
            with pytest.raises(ClientError):
                s3_client("iam", place.server.endpoint, key).create_user(UserName="somebody")
    finally:
        served.remove_registry(platform, other.registry)
        platform.ask(lambda client: client.delete_environment(other.environment.id))


def test_archives_are_stored_and_read_with_the_key(platform: Platform, place: Place, project: Project) -> None:
    """Once the key is gone in the store, nothing is stored or read, although the environment's credentials work."""
    version = served.register(platform, project, add=1).version
    assert version.archive_uri is not None and f"/{place.folder}" in version.archive_uri
    user = place.user(platform)
    iam = place.server.iam()
    for key in iam.list_access_keys(UserName=user)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=user, AccessKeyId=key["AccessKeyId"])
    if place.server.checks_keys:
        with pytest.raises(RegistryError, match="does not know the access key"):
            platform.ask(lambda client: client.verify_archive(place.registry, version.model_name, version.version))
        assert platform.command("registries", "show", place.registry, "--json").stdout.count('"not granted"') == 1
    platform.ask(lambda client: client.grant_storage_access(place.registry))
    assert shown(platform, place).storage_access == "granted"
    check = platform.ask(lambda client: client.verify_archive(place.registry, version.model_name, version.version))
    assert check.sound


def test_revoking_deletes_the_user_and_no_door_opens(platform: Platform, place: Place, project: Project) -> None:
    served_version = served.register(platform, project, add=2)
    version = served_version.version
    user = place.user(platform)
    revoked = platform.ask(lambda client: client.revoke_storage_access(place.registry))
    assert revoked.storage_access == "not granted"
    assert revoked.store_key is not None and not revoked.store_key.granted
    assert "none" in revoked.archives_access
    assert user not in names(place.server.iam())
    command = f"registry-tui registries grant-storage {revoked.name}"
    with pytest.raises(RegistryError) as refused:
        platform.ask(lambda client: client.verify_archive(place.registry, version.model_name, version.version))
    assert command in str(refused.value.action)
    done = platform.command(
        "models", "verify", version.model_name, str(version.version), "-r", revoked.name, check=False
    )
    assert done.returncode != 0 and command in done.stderr
    script = f"""
import mlflow
try:
    mlflow.artifacts.download_artifacts("models:/{version.model_name}/{version.version}")
except Exception as error:
    print("RESULT", "no access" in str(error) or str(error))
"""
    assert "RESULT True" in run_python(script, platform.exports(project.id))
    platform.ask(lambda client: client.grant_storage_access(place.registry))
    again = place.user(platform)
    assert again != user
    check = platform.ask(lambda client: client.verify_archive(place.registry, version.model_name, version.version))
    assert check.sound


def test_a_registry_that_goes_takes_its_user_along(platform: Platform, server: S3Server) -> None:
    foreign = unique("somebody")
    server.iam().create_user(UserName=foreign)
    found = made(platform, server)
    user = found.user(platform)
    assert user in names(server.iam())
    served.remove_registry(platform, found.registry)
    platform.ask(lambda client: client.delete_environment(found.environment.id))
    left = names(server.iam())
    assert user not in left and foreign in left


def test_a_store_that_lets_nobody_make_users_says_so(platform: Platform, server: S3Server) -> None:
    """The environment's credentials are a user's, who may do everything with objects and nothing with users."""
    if not server.checks_keys:
        return  # permissions are not checked
    iam, name = server.iam(), unique("limited")
    iam.create_user(UserName=name)
    whole = S3Store(address=S3Address(bucket=BUCKET), credentials=S3Credentials())
    iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=access_needed(whole))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    limited = S3Credentials(access_key_id=key["AccessKeyId"], secret_access_key=key["SecretAccessKey"])
    found = made(platform, S3Server(server.endpoint, limited, server.region, server.checks_keys))
    registry = shown(platform, found)
    assert registry.storage_access == "granted"
    assert registry.store_key is not None and registry.store_key.way is StoreKeyWay.ENVIRONMENT
    assert (
        "iam:CreateUser" in registry.archives_access
        and "granting and revoking do not count" in registry.archives_access
    )
    served.remove_registry(platform, found.registry)
    platform.ask(lambda client: client.delete_environment(found.environment.id))


@dataclass(frozen=True)
class Somebody:
    """A user of the store, made by an administrator."""

    name: str
    arn: str
    credentials: S3Credentials

    @property
    def arguments(self) -> list[str]:
        return ["--access-key-id", self.credentials.access_key_id, "--secret-file", "-"]


@pytest.fixture
def somebody(server: S3Server) -> Iterator[Somebody]:
    iam, name = server.iam(), unique("somebody")
    user = iam.create_user(UserName=name)["User"]
    key = iam.create_access_key(UserName=name)["AccessKey"]
    credentials = S3Credentials(access_key_id=key["AccessKeyId"], secret_access_key=key["SecretAccessKey"])
    yield Somebody(name, user["Arn"], credentials)
    for one in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=name, AccessKeyId=one["AccessKeyId"])
    for policy in iam.list_user_policies(UserName=name)["PolicyNames"]:
        iam.delete_user_policy(UserName=name, PolicyName=policy)
    iam.delete_user(UserName=name)


def given(platform: Platform, place: Place, somebody: Somebody, *options: str) -> Any:
    address = [f"s3://{BUCKET}/{place.prefix}", "--endpoint", place.server.endpoint, "--region", place.server.region]
    command = ["registries", "give-key", place.registry, *address, *somebody.arguments, *options]
    home = ["--data-dir", str(platform.home.root)]
    secret = somebody.credentials.secret_access_key
    done = Machine(platform.home.root).command(*home, *command, check=False, typed=secret)
    assert secret not in done.stdout + done.stderr
    return done


def test_a_key_that_is_given_is_used_until_it_is_revoked_or_forgotten(
    platform: Platform, place: Place, project: Project, somebody: Somebody
) -> None:
    made_user = place.user(platform)
    if place.server.checks_keys:
        refused = given(platform, place, somebody)
        assert refused.returncode != 0 and "The key cannot be used for the registry" in refused.stderr
        assert place.folder in refused.stderr, "it says what the key has to open"
        assert made_user in names(place.server.iam()), "a key that cannot be used changes nothing"
    policy = {"Version": "2012-10-17", "Statement": archives_statements(BUCKET, place.folder, f"{place.prefix}/{MARK}")}
    place.server.iam().put_user_policy(UserName=somebody.name, PolicyName="archives", PolicyDocument=json.dumps(policy))
    done = given(platform, place, somebody)
    assert done.returncode == 0, done.stderr
    found = shown(platform, place)
    assert found.store_key is not None and found.store_key.way is StoreKeyWay.GIVEN and found.store_key.granted
    assert somebody.credentials.access_key_id in found.archives_access
    assert ("reaches more" in found.archives_access) is not place.server.checks_keys
    assert made_user not in names(place.server.iam()), "the user that granting made goes"
    version = served.register(platform, project, add=3).version
    revoked = platform.ask(lambda client: client.revoke_storage_access(place.registry))
    assert (
        revoked.store_key is not None and not revoked.store_key.granted and somebody.name in names(place.server.iam())
    )
    with pytest.raises(RegistryError, match="has no access"):
        platform.ask(lambda client: client.verify_archive(place.registry, version.model_name, version.version))
    platform.ask(lambda client: client.grant_storage_access(place.registry))
    check = platform.ask(lambda client: client.verify_archive(place.registry, version.model_name, version.version))
    assert check.sound
    printed = platform.command("registries", "forget-key", place.registry, "--json").stdout
    assert json.loads(printed)["store_key"]["way"] == "user"
    assert place.user(platform)


def test_the_buckets_policy_lets_a_principal_in_and_keeps_what_others_wrote(
    platform: Platform, place: Place, project: Project, somebody: Somebody
) -> None:
    """The user has no policy: all that lets it in is the bucket's, which has a statement of somebody else's."""
    client = place.server.open().client
    foreign = {
        "Sid": "Somebody",
        "Effect": "Allow",
        "Principal": {"AWS": [somebody.arn]},
        "Action": ["s3:GetObject"],
        "Resource": [f"arn:aws:s3:::{BUCKET}/open/*"],
    }
    document = {"Version": "2012-10-17", "Statement": [foreign]}
    client.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(document))
    # As the store writes it.
    (foreign,) = json.loads(client.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"]

    def written() -> list[dict[str, Any]]:
        found = json.loads(client.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"]
        assert [each for each in found if each["Sid"] == "Somebody"] == [foreign]
        return [each for each in found if each["Sid"] != "Somebody"]

    try:
        done = given(platform, place, somebody, "--principal", somebody.arn)
        assert done.returncode == 0, done.stderr
        assert somebody.arn in shown(platform, place).archives_access
        assert {place.folder in json.dumps(each) for each in written()} == {True, False}, "the folder, and the mark"
        version = served.register(platform, project, add=4).version
        platform.ask(lambda client: client.revoke_storage_access(place.registry))
        assert written() == []
        platform.ask(lambda client: client.grant_storage_access(place.registry))
        assert written()
        check = platform.ask(lambda client: client.verify_archive(place.registry, version.model_name, version.version))
        assert check.sound
        platform.ask(lambda client: client.forget_store_key(place.registry))
        assert written() == []
    finally:
        client.delete_bucket_policy(Bucket=BUCKET)


def test_a_rotation_gives_the_user_another_key(platform: Platform, place: Place, project: Project) -> None:
    version = served.register(platform, project, add=5).version
    iam, user = place.server.iam(), place.user(platform)
    before = {each["AccessKeyId"] for each in iam.list_access_keys(UserName=user)["AccessKeyMetadata"]}
    platform.command("secrets", "rotate", "--kind", "machine-users", "--yes")
    after = {each["AccessKeyId"] for each in iam.list_access_keys(UserName=user)["AccessKeyMetadata"]}
    assert len(after) == 1 and not before & after
    assert after.pop() in shown(platform, place).archives_access
    check = platform.ask(lambda client: client.verify_archive(place.registry, version.model_name, version.version))
    assert check.sound


def test_no_secret_of_a_key_is_in_a_file_as_it_is(platform: Platform, place: Place, somebody: Somebody) -> None:
    policy = {"Version": "2012-10-17", "Statement": archives_statements(BUCKET, place.folder, f"{place.prefix}/{MARK}")}
    place.server.iam().put_user_policy(UserName=somebody.name, PolicyName="archives", PolicyDocument=json.dumps(policy))
    assert given(platform, place, somebody).returncode == 0
    home = platform.home
    secret = {"the given key": somebody.credentials.secret_access_key}
    found = secret_search.places(secret, secret_search.files([home.root, home.run], without=home.object_store))
    assert not found, found
    platform.ask(lambda client: client.forget_store_key(place.registry))
