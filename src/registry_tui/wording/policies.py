"""Ranger's policies in words, for the screens and the command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from registry_tui.schemas.ranger import (
    AuthorizeAnswer,
    PolicyItem,
    PolicyResource,
    RangerPolicy,
    RangerService,
    RangerSource,
    ServiceDefinition,
)
from registry_tui.wording.text import safe
from registry_tui.wording.words import absolute, ago, both

#: A policy's lists of conditions in the order of its form, with their words and Ranger's names for them.
CONDITIONS = (
    ("policy_items", "Allow", "policyItems"),
    ("allow_exceptions", "Exclude from allow", "allowExceptions"),
    ("deny_policy_items", "Deny", "denyPolicyItems"),
    ("deny_exceptions", "Exclude from deny", "denyExceptions"),
)


#: The names of a policy's parts other than conditions of its form; others by Ranger's names.
_PARTS = {
    "is_enabled": "enabled",
    "policy_type": "type",
    "policy_priority": "priority",
    "is_audit_enabled": "audit",
    "additional_resources": "resources",
    "conditions": "conditions of the whole policy",
    "is_deny_all_else": "deny everything else",
    "validity_schedules": "validity period",
    "policy_labels": "labels",
    "zone_name": "security zone",
} | {field: words for field, words, _ in CONDITIONS}
#: Fields that the service itself sets with each change.
_NOTED = frozenset(
    {"id", "guid", "version", "service", "service_type", "resource_signature"}
    | {"create_time", "created_by", "update_time", "updated_by"}
)
#: The policy ID in a response where no policy decided.
_NO_POLICY = -1


@dataclass(frozen=True)
class Verdict:
    """The verdict of the policies on one permission, and the reason."""

    permission: str
    allowed: bool
    reason: str

    @property
    def words(self) -> str:
        """The decision."""
        return "allowed" if self.allowed else "denied"


def asked_resource(definition: ServiceDefinition, service: RangerService, path: str) -> str:
    """A path below an environment's bucket, as the decision point names it: `path:my-bucket/some/key`."""
    *above, last = definition.resources
    own = containers(definition, service)
    return f"{last.name}:{'/'.join([*(own[level.name] for level in above), path])}"


def verdicts(answer: AuthorizeAnswer, policies: Iterable[RangerPolicy]) -> list[Verdict]:
    """The decision about each requested permission, with the deciding policy's name."""
    names = {each.id: each.name for each in policies}

    def reason(id_: int) -> str:
        if id_ == _NO_POLICY:
            return "no policy gives it"
        return f"by policy {names.get(id_) or id_}"

    return [
        Verdict(name, each.access.decision == "ALLOW", reason(each.access.policy.id))
        for name, each in answer.permissions.items()
    ]


def containers(definition: ServiceDefinition, service: RangerService) -> dict[str, str]:
    """The values of a service's environment at the levels above the path, e.g. its bucket."""
    *above, _ = definition.resources
    values = [service.configs.get("environment", "*"), service.configs.get("bucket", "*")]
    return {level.name: value for level, value in zip(reversed(above), reversed(values), strict=False)}


def places(policy: RangerPolicy) -> str:
    """Where a policy applies: `bucket my-bucket · path data (recursive)`."""
    return " or ".join(_place(each) for each in (policy.resources, *policy.additional_resources))


def paths(policy: RangerPolicy) -> str:
    """The same with the paths first, which distinguish policies: `data (recursive) in my-bucket`."""
    return " or ".join(_path(each) for each in (policy.resources, *policy.additional_resources))


def allowed_to(items: Iterable[PolicyItem]) -> list[str]:
    """The grantees with their permissions: `ana, group readers: read, list`."""
    return [f"{people(item)}: {', '.join(access.type for access in item.accesses)}" for item in items]


def people(item: PolicyItem) -> str:
    """The grantees of an item."""
    named = [*item.users, *(f"group {name}" for name in item.groups), *(f"role {name}" for name in item.roles)]
    return ", ".join(named) or "nobody"


def permissions(item: PolicyItem) -> str:
    """The permissions of an item: `read, list, delegate admin`."""
    named = [f"not {each.type}" if each.is_allowed is False else each.type for each in item.accesses]
    return ", ".join([*named, "delegate admin"] if item.delegate_admin else named) or "nothing"


def everybody(policy: RangerPolicy) -> str:
    """All grantees in a policy's conditions; those with denials after the others."""
    allowed = _once(people(item) for item in policy.policy_items)
    denied = _once(people(item) for item in policy.deny_policy_items)
    return _allowed_and_denied(allowed, denied)


def all_permissions(policy: RangerPolicy) -> str:
    """All permissions that a policy allows, and those that it denies."""
    allowed, denied = (
        _once(each.type for item in items for each in item.accesses if each.is_allowed is not False)
        for items in (policy.policy_items, policy.deny_policy_items)
    )
    return _allowed_and_denied(allowed, denied)


def period(policy: RangerPolicy) -> str:
    """When a policy applies."""
    if not policy.validity_schedules:
        return "always"
    return "; ".join(
        f"{each.start_time or 'ever'} to {each.end_time or 'ever'} {each.time_zone or 'UTC'}"
        for each in policy.validity_schedules
    )


def changed_parts(before: RangerPolicy, now: RangerPolicy) -> list[str]:
    """The changed parts of a policy, in words."""
    changed = [
        field
        for field in RangerPolicy.model_fields
        if field not in _NOTED and getattr(before, field) != getattr(now, field)
    ]
    return _once(_PARTS.get(field, field.replace("_", " ")) for field in changed)


def outside(source: RangerSource) -> tuple[str, bool]:
    """The source of policies, as a line, and whether it delivers none now."""
    place = f"service {safe(source.service, 60)} of Ranger at {safe(source.url, 100)}"
    if source.failing_since is None:
        return f"read-only: {place}, version {source.policy_version}, fetched {ago(source.fetched_at)}", False
    kept = f"version {source.policy_version} of {absolute(source.fetched_at)} still counts"
    since = f"gives nothing since {absolute(source.failing_since)}: {safe(source.problem, 200)}"
    return f"read-only: {place} {since}; {kept}", True


def source_lines(source: RangerSource) -> list[str]:
    """An external Ranger whose policies apply, and the outcome of the last poll."""
    user = f" as {source.user}" if source.user else ""
    lines = [
        f"Service {source.service} of Ranger at {source.url}{user}: its policies are read-only here.",
        f"Asked every {source.every:g} s; version {source.policy_version} was fetched {both(source.fetched_at)}.",
    ]
    if source.failing_since is not None:
        lines.append(f"It gives nothing since {both(source.failing_since)}: {source.problem}")
        lines.append(f"Version {source.policy_version} still counts.")
    return lines


def _allowed_and_denied(allowed: Sequence[str], denied: Sequence[str]) -> str:
    words = [", ".join(allowed)] if allowed else []
    return " · ".join([*words, f"denied: {', '.join(denied)}"] if denied else words)


def _once(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _place(resources: Mapping[str, PolicyResource]) -> str:
    return " · ".join(f"{name} {_values(values)}" for name, values in resources.items())


def _path(resources: Mapping[str, PolicyResource]) -> str:
    *above, last = list(resources.values()) or [PolicyResource()]
    within = " in ".join(_values(each) for each in reversed(above) if each.values != ["*"] or each.is_excludes)
    return f"{_values(last)} in {within}" if within else _values(last)


def _values(resource: PolicyResource) -> str:
    text = ", ".join(resource.values)
    if resource.is_excludes:
        text = f"all but {text}"
    return f"{text} (recursive)" if resource.is_recursive and resource.values != ["*"] else text
