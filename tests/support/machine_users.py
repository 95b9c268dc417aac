"""Machine users: their keys, which no answer of the service holds, and the object store as they reach it."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from registry_tui.client.client import RegistryClient
from registry_tui.platform.s3 import s3_client
from registry_tui.platform.secrets import AccessKey, load_secrets
from registry_tui.schemas.operations import WorkflowStatus
from registry_tui.schemas.places import Cloud, EnvironmentCreate
from registry_tui.schemas.registries import ModelRegistry, RegistryCreate
from registry_tui.service.database.database import Database
from registry_tui.service.database.tables import RegistryRow
from support.platforms import Platform, unique
from support.registered import object_store


def machine_key(platform: Platform, registry: ModelRegistry) -> AccessKey:
    """The key of a registry's machine user as the service keeps it."""
    database = Database.at(platform.home.service_database)
    try:
        with database.reading() as session:
            row = session.get_one(RegistryRow, registry.id)
            assert row.machine_user_access_key_id and row.machine_user_secret_access_key
            return AccessKey(row.machine_user_access_key_id, row.machine_user_secret_access_key)
    finally:
        database.close()


def machine_store(platform: Platform, registry: ModelRegistry) -> Any:
    """The object store, with the key of a registry's machine user."""
    return s3_client("s3", platform.ports.s3_endpoint, machine_key(platform, registry), attempts=1)


def can_put(platform: Platform, registry: ModelRegistry, key: str | None = None) -> bool:
    """Whether a registry's machine user stores something now, asked of the object store with its own key."""
    key = f"{registry.prefix}/x" if key is None else key
    try:
        machine_store(platform, registry).put_object(Bucket=registry.bucket, Key=key, Body=b"x")
    except ClientError as error:
        assert error.response["Error"]["Code"] == "AccessDenied", error
        return False
    return True


def new_registry(platform: Platform, *, raz: bool) -> ModelRegistry:
    """A registry in an environment of its own, whose machine user has access."""
    wanted = EnvironmentCreate(name=unique("access").lower(), cloud=Cloud.AWS, raz_enabled=raz)
    environment = platform.call(RegistryClient.create_environment, wanted)
    request = RegistryCreate(environment=environment.name, grant_storage_access=True)
    made = platform.call(RegistryClient.create_registry, request)
    done = platform.call(RegistryClient.wait_for_workflow, made.workflow.id)
    assert done.status is WorkflowStatus.SUCCEEDED, done.error
    return platform.call(RegistryClient.registry, made.resource.id)


def take_access_away(platform: Platform, registry: ModelRegistry) -> None:
    """Has the object store refuse a registry's machine user, by the store's own calls, past the service."""
    if registry.raz_enabled:
        object_store(platform).delete_bucket_policy(Bucket=registry.bucket)
        return
    iam = s3_client("iam", platform.ports.s3_endpoint, load_secrets(platform.home).object_store_admin)
    name = registry.machine_user_workload_name
    for policy in iam.list_user_policies(UserName=name)["PolicyNames"]:
        iam.delete_user_policy(UserName=name, PolicyName=policy)
