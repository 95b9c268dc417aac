"""Ranger's filters of lists of policies, services, definitions and roles.

Unknown parameters are ignored, as Ranger does. A filter of Ranger's that cannot be applied here is refused: a list that
is too long could be taken for the filtered one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from pydantic import Field

from registry_tui.schemas.ranger import RangerPolicy, RangerRole, RangerSchema, RangerService, ServiceDefinition
from registry_tui.service.errors import NotOffered

Item = TypeVar("Item")

#: Filters of Ranger's that cannot be applied here; those by values of resources begin with `resource:`.
_REFUSED = frozenset(
    {
        *("resourceSignature", "isRecursive", "tagServiceName", "tagServiceId", "polResource", "policyLabelsPartial"),
        *("resourceMatchScope", "serviceTypeId", "serviceNamePartial", "createdBy", "groupNamePartial"),
        *("userNamePartial", "roleId", "sortBy", "sortType"),
    }
)


class Paged(RangerSchema):
    """Which part of a list is wanted; without a size, all from the first one on."""

    start_index: int = Field(default=0, ge=0)
    page_size: int | None = Field(default=None, ge=0)


class PolicyFilter(Paged):
    """Ranger's filters of policies: a user, a group or a role finds the policies that name it."""

    policy_id: int | None = None
    guid: str | None = None
    policy_name: str | None = None
    policy_name_partial: str | None = None
    policy_type: int | None = None
    policy_priority: int | None = None
    policy_label: str | None = None
    service_type: str | None = None
    is_enabled: bool | None = None
    zone_name: str | None = None
    user: str | None = None
    group: str | None = None
    role: str | None = None


class ServiceFilter(Paged):
    """Ranger's filters of services, and of definitions, whose names are the services' types."""

    service_type: str | None = None
    is_enabled: bool | None = None


class RoleFilter(Paged):
    """Ranger's filters of roles: a user or a group finds the roles that it is a member of itself."""

    role_name: str | None = None
    role_name_partial: str | None = None
    user_name: str | None = None
    group_name: str | None = None


def policies(there: Iterable[RangerPolicy], wanted: PolicyFilter, asked: Iterable[str]) -> list[RangerPolicy]:
    """The policies that a filter finds. `asked` names the parameters of the question. Raises NotOffered."""
    _require_known(asked)
    return _page([each for each in there if _finds_policy(wanted, each)], wanted)


def services(there: Iterable[RangerService], wanted: ServiceFilter, asked: Iterable[str]) -> list[RangerService]:
    """The services that a filter finds. Raises NotOffered."""
    _require_known(asked)
    found = [each for each in there if _is(wanted.service_type, each.type) and _is(wanted.is_enabled, each.is_enabled)]
    return _page(found, wanted)


def definitions(
    there: Iterable[ServiceDefinition], wanted: ServiceFilter, asked: Iterable[str]
) -> list[ServiceDefinition]:
    """The definitions that a filter finds. Raises NotOffered."""
    _require_known(asked)
    found = [each for each in there if _is(wanted.service_type, each.name) and _is(wanted.is_enabled, each.is_enabled)]
    return _page(found, wanted)


def roles(there: Iterable[RangerRole], wanted: RoleFilter, asked: Iterable[str]) -> list[RangerRole]:
    """The roles that a filter finds. Raises NotOffered."""
    _require_known(asked)
    found = [
        each
        for each in there
        if _is(wanted.role_name, each.name)
        and _holds(wanted.role_name_partial, each.name)
        and _among(wanted.user_name, [member.name for member in each.users])
        and _among(wanted.group_name, [member.name for member in each.groups])
    ]
    return _page(found, wanted)


# -- underneath -------------------------------------------------------------------------------------------


def _finds_policy(wanted: PolicyFilter, policy: RangerPolicy) -> bool:
    items = (*policy.policy_items, *policy.deny_policy_items, *policy.allow_exceptions, *policy.deny_exceptions)
    return (
        _is(wanted.policy_id, policy.id)
        and _is(wanted.guid, policy.guid)
        and _is(wanted.policy_name, policy.name)
        and _holds(wanted.policy_name_partial, policy.name)
        and _is(wanted.policy_type, policy.policy_type)
        and _is(wanted.policy_priority, policy.policy_priority)
        and _among(wanted.policy_label, policy.policy_labels)
        and _is(wanted.service_type, policy.service_type)
        and _is(wanted.is_enabled, policy.is_enabled)
        and _is(wanted.zone_name or None, policy.zone_name)
        and _among(wanted.user, [name for item in items for name in item.users])
        and _among(wanted.group, [name for item in items for name in item.groups])
        and _among(wanted.role, [name for item in items for name in item.roles])
    )


def _is(wanted: object, there: object) -> bool:
    return wanted is None or wanted == there


def _holds(wanted: str | None, there: str) -> bool:
    return wanted is None or wanted.casefold() in there.casefold()


def _among(wanted: str | None, there: Sequence[str]) -> bool:
    return wanted is None or wanted in there


def _page(found: list[Item], wanted: Paged) -> list[Item]:
    end = None if wanted.page_size is None else wanted.start_index + wanted.page_size
    return found[wanted.start_index : end]


def _require_known(asked: Iterable[str]) -> None:
    refused = sorted(name for name in asked if name in _REFUSED or name.startswith("resource:"))
    if refused:
        raise NotOffered(
            f"Lists cannot be filtered by {', '.join(refused)[:200]} here",
            action="Ask without it, and look through the answer",
        )
