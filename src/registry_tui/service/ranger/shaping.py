"""The stored form of policies: naming, merging, replacing, and the first one of a service."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from registry_tui.schemas.ranger import (
    PolicyItem,
    PolicyItemAccess,
    PolicyResource,
    RangerPolicy,
    ServiceDefinition,
)
from registry_tui.service.ranger.checking import check
from registry_tui.service.ranger.definitions import PERMISSIONS
from registry_tui.service.ranger.enforcing import Place


def prepared(definition: ServiceDefinition, service: str, place: Place, policy: RangerPolicy) -> RangerPolicy:
    """A policy in its stored form: machine users' whole names, keys without a leading slash. Raises InvalidInput."""
    check(definition, policy)

    def named(items: Sequence[PolicyItem]) -> list[PolicyItem]:
        return [item.model_copy(update={"users": _whole_names(place, item.users)}) for item in items]

    path = definition.resources[-1].name

    def placed(resources: dict[str, PolicyResource]) -> dict[str, PolicyResource]:
        values = [value.removeprefix("/") or "*" for value in resources[path].values]
        return {**resources, path: resources[path].model_copy(update={"values": values})}

    return policy.model_copy(
        update={
            "name": policy.name.strip(),
            "service": service,
            "service_type": definition.name,
            "resources": placed(policy.resources),
            "additional_resources": [placed(each) for each in policy.additional_resources],
            "policy_items": named(policy.policy_items),
            "deny_policy_items": named(policy.deny_policy_items),
            "allow_exceptions": named(policy.allow_exceptions),
            "deny_exceptions": named(policy.deny_exceptions),
        }
    )


def replaced(before: RangerPolicy, wanted: RangerPolicy) -> RangerPolicy:
    """A policy in place of another: with new content, and the identity of the one before."""
    kept = ("id", "guid", "version", "create_time", "created_by", "update_time", "updated_by")
    return wanted.model_copy(update={field: getattr(before, field) for field in kept})


def merged(there: RangerPolicy, wanted: RangerPolicy) -> RangerPolicy:
    """A policy with another's items added to its own."""
    added = {}
    for field in ("policy_items", "deny_policy_items", "allow_exceptions", "deny_exceptions"):
        before = getattr(there, field)
        added[field] = [*before, *(item for item in getattr(wanted, field) if item not in before)]
    return there.model_copy(update=added)


def about_the_same(there: RangerPolicy, wanted: RangerPolicy) -> bool:
    """Whether two policies have the same resources and priority."""
    return there.resources == wanted.resources and there.policy_priority == wanted.policy_priority


def first_policy(definition: ServiceDefinition, service: str, owner: str) -> RangerPolicy:
    """The policy that every new service of Ranger has: its administrator may do everything."""
    levels = definition.resources
    everything = {level.name: PolicyResource(values=["*"], is_recursive=level.recursive_supported) for level in levels}
    accesses = [PolicyItemAccess(type=permission) for permission in PERMISSIONS]
    return RangerPolicy(
        guid=str(uuid.uuid4()),
        version=1,
        service=service,
        service_type=definition.name,
        name=f"all - {', '.join(level.name for level in levels)}",
        description=f"Policy for all - {', '.join(level.name for level in levels)}",
        resources=everything,
        policy_items=[PolicyItem(accesses=accesses, users=[owner], delegate_admin=True)],
    )


def _whole_names(place: Place, users: Sequence[str]) -> list[str]:
    """Machine users are known by the last part of their name too, as the documentation writes them."""
    whole = {user.rpartition("_")[2]: user for user in place.users}
    return list(dict.fromkeys(whole.get(user, user) for user in users))
