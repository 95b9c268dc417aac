"""Machine users in groups: policies, roles and IDBroker's mappings that name the group count on the object store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import NotFound
from registry_tui.schemas.idbroker import IdBrokerMapping, SetIdBrokerMappings
from registry_tui.schemas.people import Group, GroupChange
from registry_tui.schemas.ranger import (
    PolicyItem,
    PolicyItemAccess,
    PolicyResource,
    RangerPolicy,
    RangerRole,
    RoleMember,
)
from registry_tui.schemas.registries import ModelRegistry, RegistryDelete, StorageAccess
from registry_tui.wording.storage_access import still_granted
from support.machine_users import can_put, new_registry
from support.platforms import Platform, unique


@dataclass(frozen=True)
class Place:
    """A registry whose machine user was given nothing, and a group."""

    platform: Platform
    registry: ModelRegistry
    group: str

    @property
    def machine_user(self) -> str:
        return self.registry.machine_user_workload_name or ""

    def call(self, function: Any, *arguments: Any, **options: Any) -> Any:
        return self.platform.call(partial(function, **options), *arguments)

    def can_put(self) -> bool:
        return can_put(self.platform, self.registry)

    def noted(self) -> StorageAccess:
        found: ModelRegistry = self.call(RegistryClient.registry, self.registry.id)
        return found.storage_access

    def policy(self, **people: list[str]) -> RangerPolicy:
        """A policy that lets these do everything with the registry's archives."""
        accesses = [PolicyItemAccess(type=each) for each in ("read", "write", "list", "delete")]
        service = self.call(RegistryClient.ranger_service, self.registry.environment_name).name
        wanted = RangerPolicy(
            service=service,
            name=unique("for-groups"),
            resources={
                "bucket": PolicyResource(values=[self.registry.bucket]),
                "path": PolicyResource(values=[self.registry.prefix], is_recursive=True),
            },
            policy_items=[PolicyItem.model_validate({"accesses": accesses, **people})],
        )
        made: RangerPolicy = self.call(RegistryClient.create_policy, wanted)
        return made

    def allowed(self) -> bool:
        """Whether the decision point lets the machine user write there."""
        resource = f"path:{self.registry.bucket}/{self.registry.prefix}/x"
        service = self.call(RegistryClient.ranger_service, self.registry.environment_name).name
        answer = self.call(RegistryClient.check_access, service, self.machine_user, resource, ["write"])
        return bool(answer.decision == "ALLOW")


def without_access(platform: Platform, *, raz: bool) -> Iterator[Place]:
    registry, group = new_registry(platform, raz=raz), unique("g")
    platform.call(RegistryClient.revoke_storage_access, registry.id)
    platform.call(RegistryClient.put_group, group, GroupChange())
    yield Place(platform, registry, group)
    gone = platform.call(RegistryClient.delete_registry, registry.id, RegistryDelete(delete_archives=True, force=True))
    platform.call(RegistryClient.wait_for_workflow, gone.workflow.id)
    # A machine user that is gone is in no group.
    found: Group = platform.call(RegistryClient.group, group)
    assert found.machine_users == []
    platform.call(RegistryClient.delete_group, group)


@pytest.fixture(scope="module")
def raz(platform: Platform) -> Iterator[Place]:
    yield from without_access(platform, raz=True)


@pytest.fixture(scope="module")
def mapped(platform: Platform) -> Iterator[Place]:
    yield from without_access(platform, raz=False)


def test_a_policy_for_a_group_counts_for_the_machine_users_in_it(raz: Place) -> None:
    policy = raz.policy(groups=[raz.group])
    assert not raz.can_put() and not raz.allowed()
    short = raz.machine_user.rpartition("_")[2]
    found: Group = raz.call(RegistryClient.add_member, raz.group, short)
    assert found.machine_users == [raz.machine_user] and found.members == []
    assert raz.can_put() and raz.allowed() and raz.noted() is StorageAccess.GRANTED
    # Revoking by name reports that the group still gives it.
    revoked: ModelRegistry = raz.call(RegistryClient.revoke_storage_access, raz.registry.id)
    assert "a group or a role still gives it access" in (still_granted(revoked) or "")
    assert raz.can_put() and raz.noted() is StorageAccess.GRANTED

    raz.call(RegistryClient.remove_member, raz.group, raz.registry.machine_user_crn)
    assert not raz.can_put() and not raz.allowed() and raz.noted() is StorageAccess.NOT_GRANTED
    with pytest.raises(NotFound, match="is not in a group"):
        raz.call(RegistryClient.remove_member, raz.group, raz.machine_user)
    raz.call(RegistryClient.delete_policy, policy.id or 0)


def test_a_role_of_a_group_counts_for_the_machine_users_in_it(raz: Place) -> None:
    wanted = RangerRole(name=unique("role"), groups=[RoleMember(name=raz.group)])
    role: RangerRole = raz.call(RegistryClient.create_ranger_role, wanted)
    policy = raz.policy(roles=[role.name])
    raz.call(RegistryClient.add_member, raz.group, raz.machine_user)
    assert raz.can_put() and raz.allowed()
    empty = role.model_copy(update={"groups": []})
    raz.call(RegistryClient.update_ranger_role, role.id or 0, empty)
    assert not raz.can_put() and not raz.allowed()
    raz.call(RegistryClient.update_ranger_role, role.id or 0, role)
    assert raz.can_put() and raz.allowed()
    raz.call(RegistryClient.remove_member, raz.group, raz.machine_user)
    assert not raz.can_put() and not raz.allowed()
    raz.call(RegistryClient.delete_policy, policy.id or 0)
    raz.call(RegistryClient.delete_ranger_role, role.id or 0)


def test_what_a_group_gave_ends_with_the_group(raz: Place) -> None:
    group = unique("g")
    raz.call(RegistryClient.put_group, group, GroupChange())
    policy = raz.policy(groups=[group])
    raz.platform.command("groups", "add", group, raz.machine_user)
    shown = json.loads(raz.platform.command("groups", "show", group, "--json").stdout)
    assert shown["machine_users"] == [raz.machine_user] and raz.can_put()
    raz.platform.command("groups", "delete", group, "--yes")
    assert not raz.can_put() and not raz.allowed()
    raz.call(RegistryClient.put_group, group, GroupChange())
    assert not raz.can_put()
    raz.call(RegistryClient.delete_group, group)
    raz.call(RegistryClient.delete_policy, policy.id or 0)


def test_a_mapping_of_a_group_counts_for_the_machine_users_in_it(mapped: Place) -> None:
    environment = mapped.registry.environment_name
    before = mapped.call(RegistryClient.idbroker_mappings, environment)
    crn = mapped.call(RegistryClient.group, mapped.group).crn

    def set_mappings(*mappings: IdBrokerMapping) -> None:
        wanted = SetIdBrokerMappings(
            environment_name=environment,
            data_access_role=before.data_access_role,
            ranger_audit_role=before.ranger_audit_role,
            mappings=list(mappings),
            set_empty_mappings=None if mappings else True,
        )
        mapped.call(RegistryClient.set_idbroker_mappings, wanted)

    mapping = IdBrokerMapping(accessor_crn=crn, role=before.data_access_role)
    set_mappings(mapping)
    mapped.call(RegistryClient.add_member, mapped.group, mapped.machine_user)
    assert not mapped.can_put(), "nothing counts before it is synchronized"
    mapped.call(RegistryClient.sync_idbroker_mappings, environment)
    assert mapped.can_put() and mapped.noted() is StorageAccess.GRANTED

    mapped.call(RegistryClient.remove_member, mapped.group, mapped.machine_user)
    assert not mapped.can_put() and mapped.noted() is StorageAccess.NOT_GRANTED
    # A change of the group's members does not apply mappings that were saved since, either.
    set_mappings()
    mapped.call(RegistryClient.add_member, mapped.group, mapped.machine_user)
    assert mapped.can_put()
    # A user with a mapping of their own has that role, also if the groups have others.
    other = before.data_access_role.replace("-data-access", "-other")
    set_mappings(mapping, IdBrokerMapping(accessor_crn=mapped.registry.machine_user_crn or "", role=other))
    mapped.call(RegistryClient.sync_idbroker_mappings, environment)
    assert not mapped.can_put()
    set_mappings()
    mapped.call(RegistryClient.sync_idbroker_mappings, environment)
    mapped.call(RegistryClient.remove_member, mapped.group, mapped.machine_user)
    assert not mapped.can_put()


def test_nobody_is_put_into_a_group_by_a_name_that_nobody_has(raz: Place) -> None:
    with pytest.raises(NotFound, match="There is no user or machine user"):
        raz.call(RegistryClient.add_member, raz.group, unique("nobody"))
