"""A machine user's access to its registry's storage: by Ranger's policies with RAZ, else by IDBroker's mappings."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from sqlalchemy import select

from registry_tui.schemas.operations import EventOutcome
from registry_tui.schemas.ranger import PolicyItem, PolicyItemAccess, PolicyResource, RangerPolicy
from registry_tui.schemas.registries import StorageAccess
from registry_tui.service.core import events, identity
from registry_tui.service.core.context import Resource, Service
from registry_tui.service.core.probing import note_access, settle_access
from registry_tui.service.database.tables import EnvironmentRow, RegistryRow
from registry_tui.service.errors import PartUnavailable, ServiceError
from registry_tui.service.idbroker import mappings, synchronizing
from registry_tui.service.ranger import policies as ranger
from registry_tui.service.ranger.definitions import DELETE, LIST, READ, WRITE
from registry_tui.service.ranger.known import Known, known_service
from registry_tui.service.ranger.shaping import replaced

logger = logging.getLogger(__name__)

#: The folder of the run artifacts of an environment's projects.
_RUN_ARTIFACTS = "workspaces"


def grant(service: Service, row: RegistryRow, actor: str) -> None:
    """Lets the machine user store archives, and read run artifacts; in an own store by a user there, where it has some.

    Raises PartUnavailable, NotPermitted.
    """
    user = _user(row)
    if row.environment.raz_enabled:
        ranger.ensure(service, row.environment_id)
        known_service(service, row.environment_id).require_own()
        ranger.edit(service, row.environment_id, actor, lambda known: _with_access(known, row, user))
    else:
        mappings.map_to_data_access(service, row.environment_id, _crn(row))
        synchronizing.run(service, row.environment_id)
    settle_access(service, row.environment_id)


def decided_outside(service: Service, row: RegistryRow) -> bool:
    """Whether an outside Ranger decides about the machine user, so that nothing here grants or revokes."""
    environment = row.environment
    if not environment.raz_enabled or environment.ranger_service is None:
        return False
    return known_service(service, environment.id).source is not None


def revoke(service: Service, row: RegistryRow, actor: str) -> None:
    """Removes the machine user from the policies or mappings that name it. Access by a role or a group stays.

    Raises PartUnavailable, WrongState where an outside Ranger decides.
    """
    user = _user(row)
    if not row.environment.raz_enabled:
        mappings.unmap(service, row.environment_id, _crn(row))
        synchronizing.run(service, row.environment_id)
    elif row.environment.ranger_service is not None:
        known_service(service, row.environment_id).require_own()
        ranger.edit(service, row.environment_id, actor, lambda known: _without(known.policies, user))
        service.stores.users.delete_policy(user)
    note_access(service, row.environment_id)
    settle_access(service, row.environment_id)


def adopt(service: Service) -> None:
    """Gives older environments their policies or mappings; machine users that had access keep it.

    Policies that the store cannot accept are reported, and block no other environment. Raises PartUnavailable.
    """
    with service.database.reading() as session:
        query = select(EnvironmentRow).where(EnvironmentRow.raz_enabled, EnvironmentRow.state == "ready")
        found = [(row.id, row.ranger_service is None, row.model_registry) for row in session.scalars(query)]
        for _, _, registry in found:
            _ = registry and registry.environment.name
    for environment_id, new, registry in found:
        had_access = registry is not None and registry.storage_access == StorageAccess.GRANTED.value
        try:
            ranger.ensure(service, environment_id)
        except PartUnavailable:
            raise
        except ServiceError as error:
            _report(service, environment_id, error)
            continue
        if new and had_access and registry is not None and registry.machine_user_workload_name:
            grant(service, registry, identity.owner_name(service))
            service.stores.users.delete_policy(registry.machine_user_workload_name)
    synchronizing.adopt(service)


def _report(service: Service, environment_id: str, error: ServiceError) -> None:
    detail = f"{error.detail}; what was enforced before still is" + (f". {error.action}" if error.action else "")
    logger.error("the policies of environment %s are not enforced: %s", environment_id, detail)
    owner, place = identity.owner_principal(service), known_service(service, environment_id).place
    resource = Resource("environment", environment_id, place.name)
    events.record(
        service, owner, action="policy.enforce", resource=resource, outcome=EventOutcome.FAILED, detail=detail
    )


def _with_access(known: Known, row: RegistryRow, user: str) -> list[RangerPolicy]:
    """The policies with the needed access and no more: its own prefix, and reading the sources of registrations."""
    wanted = [
        _policy(known, f"Model Registry {row.name} - archives", row.prefix, user, (READ, WRITE, LIST, DELETE)),
        _policy(known, f"Model Registry {row.name} - run artifacts", _RUN_ARTIFACTS, user, (READ, LIST)),
    ]
    there = {policy.name: policy for policy in known.policies}
    names = {policy.name for policy in wanted}
    kept = [policy for policy in known.policies if policy.name not in names]
    made = [replaced(there[each.name], each) if each.name in there else each for each in wanted]
    return [*kept, *made]


def _policy(known: Known, name: str, path: str, user: str, permissions: Sequence[str]) -> RangerPolicy:
    *above, last = known.definition.resources
    resources = {level.name: PolicyResource(values=[known.place.containers[level.name]]) for level in above}
    resources[last.name] = PolicyResource(values=[path], is_recursive=True)
    accesses = [PolicyItemAccess(type=permission) for permission in permissions]
    return RangerPolicy(
        version=1,
        service=known.service.name,
        service_type=known.definition.name,
        name=name,
        description="Made by Grant access",
        resources=resources,
        policy_items=[PolicyItem(accesses=accesses, users=[user])],
        policy_labels=["model registry"],
    )


def _without(policies: Sequence[RangerPolicy], user: str) -> list[RangerPolicy]:
    """The policies without a user in their allow items; those that were for nobody else are left out."""
    found = []
    for policy in policies:
        if not any(user in item.users for item in policy.policy_items):
            found.append(policy)
            continue
        items = [
            item.model_copy(update={"users": [name for name in item.users if name != user]})
            for item in policy.policy_items
        ]
        items = [item for item in items if item.users or item.groups or item.roles]
        if items or policy.deny_policy_items:
            found.append(policy.model_copy(update={"policy_items": items}))
    return found


def _user(row: RegistryRow) -> str:
    assert row.machine_user_workload_name is not None
    return row.machine_user_workload_name


def _crn(row: RegistryRow) -> str:
    assert row.machine_user_crn is not None
    return row.machine_user_crn
