"""Decides whether somebody may do something with a resource: Ranger's order of policies, without a store.

Override policies come before normal ones; among those of one priority, a denial beats a permission; exceptions take
people out of either; nothing that matches is a denial. A denial by a tag beats policies of its priority or lower.
From `RangerPolicyEngineImpl.evaluatePoliciesForOneAccessTypeNoAudit` and `RangerDefaultPolicyEvaluator` (Ranger 2.9).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from registry_tui.schemas.ranger import (
    PolicyItem,
    PolicyResource,
    RangerPolicy,
    RangerRole,
    ServiceDefinition,
    ServicePolicies,
    ServiceTags,
    ValiditySchedule,
)
from registry_tui.service.ranger.matching import USER, Scope, matches

#: The group that everybody is in.
EVERYBODY = "public"
_TIME = "%Y/%m/%d %H:%M:%S"


@dataclass(frozen=True)
class Asker:
    """The requester."""

    user: str
    groups: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Decision:
    """The decision, and the deciding policy; None where none matched."""

    allowed: bool
    policy: RangerPolicy | None = None


@dataclass(frozen=True)
class Stance:
    """The verdict of one policy on one requester and permission, wherever its resources match."""

    policy: RangerPolicy
    denies: bool


@dataclass(frozen=True)
class Question:
    """A permission on a resource, e.g. `{"bucket": "b", "path": "a/key"}`. A scope is keyed by a level's name."""

    resource: Mapping[str, str]
    access: str
    scopes: Mapping[str, Scope] = field(default_factory=dict)
    moment: datetime | None = None


def decide(policies: ServicePolicies, asker: Asker, question: Question, tags: ServiceTags | None = None) -> Decision:
    """Decides whether the policies let somebody do that. Tags apply when given."""
    moment = question.moment or datetime.now(UTC)
    by_tags = _decide_by_tags(policies, asker, question, tags, moment)
    definition = policies.service_def
    matching = (
        stance
        for stance in stances(definition, policies.policies, asker, question.access, moment)
        if any(
            matches(definition, resources, question.resource, asker.user, question.scopes)
            for resources in resources_of(stance.policy)
        )
    )
    # The strongest comes first.
    return _strongest(by_tags, next(matching, None))


def stances(
    definition: ServiceDefinition, policies: Iterable[RangerPolicy], asker: Asker, access: str, moment: datetime
) -> Iterator[Stance]:
    """The verdicts of the current policies on a permission, override before normal, denials before permissions."""
    found = [stance for policy in policies if (stance := _stance(definition, policy, asker, access, moment))]
    yield from sorted(found, key=_rank)


def resources_of(policy: RangerPolicy) -> Iterator[Mapping[str, PolicyResource]]:
    """A policy's resources, then its additional ones; each may match."""
    yield policy.resources
    yield from policy.additional_resources


def roles_of(user: str, groups: Iterable[str], roles: Sequence[RangerRole]) -> frozenset[str]:
    """The roles that somebody has: by name, by a group, or by another role. A disabled role gives nothing."""
    mine, found = frozenset(groups) | {EVERYBODY}, set[str]()
    while True:
        more = {
            role.name
            for role in roles
            if role.is_enabled
            and role.name not in found
            and (
                any(member.name == user for member in role.users)
                or any(member.name in mine for member in role.groups)
                or any(member.name in found for member in role.roles)
            )
        }
        if not more:
            return frozenset(found)
        found |= more


def counts_at(policy: RangerPolicy, moment: datetime) -> bool:
    """Whether a policy is enabled and valid at that time."""
    if not policy.is_enabled or policy.policy_type != 0:
        return False
    return not policy.validity_schedules or any(_holds(each, moment) for each in policy.validity_schedules)


def moment_of(text: str, zone: str | None) -> datetime:
    """A schedule's time, `2026/11/29 23:59:59`, in a time zone. Raises ValueError when either cannot be read."""
    try:
        return datetime.strptime(text, _TIME).replace(tzinfo=ZoneInfo(zone) if zone else UTC)
    except ZoneInfoNotFoundError as error:
        raise ValueError(f"no time zone {zone!r}") from error


# -- underneath -------------------------------------------------------------------------------------------


def _rank(stance: Stance) -> tuple[int, bool]:
    return -stance.policy.policy_priority, not stance.denies


def _stance(
    definition: ServiceDefinition, policy: RangerPolicy, asker: Asker, access: str, moment: datetime
) -> Stance | None:
    if not counts_at(policy, moment):
        return None
    # A condition or a recurring period that cannot be evaluated here must not allow anything.
    unsure = bool(policy.conditions) or any(each.recurrences for each in policy.validity_schedules)

    def any_of(items: Sequence[PolicyItem], *, when_unsure: bool) -> bool:
        return any(_is_for(definition, item, asker, access) and (when_unsure or not item.conditions) for item in items)

    denied = any_of(policy.deny_policy_items, when_unsure=True)
    if denied and not (any_of(policy.deny_exceptions, when_unsure=False) and not unsure):
        return Stance(policy, denies=True)
    allowed = any_of(policy.policy_items, when_unsure=False) and not unsure
    if allowed and not any_of(policy.allow_exceptions, when_unsure=True):
        return Stance(policy, denies=False)
    return Stance(policy, denies=True) if policy.is_deny_all_else else None


def _is_for(definition: ServiceDefinition, item: PolicyItem, asker: Asker, access: str) -> bool:
    people = (
        asker.user in item.users
        or USER in item.users
        or EVERYBODY in item.groups
        or not asker.groups.isdisjoint(item.groups)
        or not asker.roles.isdisjoint(item.roles)
    )
    return people and any(
        given.is_allowed is not False and access in _granted(definition, given.type) for given in item.accesses
    )


def _granted(definition: ServiceDefinition, access: str) -> Sequence[str]:
    for known in definition.access_types:
        if known.name == access:
            return (access, *known.implied_grants)
    return (access,)


def _strongest(by_tags: Stance | None, by_resource: Stance | None) -> Decision:
    chosen = by_resource
    if by_tags is not None and by_resource is not None:
        tag, resource = by_tags.policy.policy_priority, by_resource.policy.policy_priority
        overruled = resource > tag if by_tags.denies else by_resource.denies and resource >= tag
        chosen = by_resource if overruled else by_tags
    elif by_tags is not None:
        chosen = by_tags
    return Decision(False) if chosen is None else Decision(not chosen.denies, chosen.policy)


def _decide_by_tags(
    policies: ServicePolicies, asker: Asker, question: Question, tags: ServiceTags | None, moment: datetime
) -> Stance | None:
    about = policies.tag_policies
    if about is None or about.service_def is None or tags is None:
        return None
    borne = set[str]()
    for resource in tags.service_resources:
        # A resource's tags also hold for everything below it.
        if matches(policies.service_def, resource.resource_elements, question.resource, asker.user, question.scopes):
            ids = tags.resource_to_tag_ids.get(str(resource.id), ())
            borne.update(tags.tags[str(id_)].type for id_ in ids if str(id_) in tags.tags)
    definition = about.service_def
    level = definition.resources[0].name
    # Ranger writes a tag service's permissions with or without the kind of service before them.
    spellings = (question.access, f"{policies.service_def.name}:{question.access}")
    found = [
        stance
        for spelling in spellings
        for stance in stances(definition, about.policies, asker, spelling, moment)
        if any(
            matches(definition, resources, {level: tag}, asker.user)
            for resources in resources_of(stance.policy)
            for tag in sorted(borne)
        )
    ]
    return min(found, key=_rank, default=None)


def _holds(schedule: ValiditySchedule, moment: datetime) -> bool:
    begins = _moment(schedule.start_time, schedule.time_zone)
    ends = _moment(schedule.end_time, schedule.time_zone)
    return (begins is None or begins <= moment) and (ends is None or moment <= ends)


@lru_cache(maxsize=1024)
def _moment(text: str | None, zone: str | None) -> datetime | None:
    return moment_of(text, zone) if text else None
