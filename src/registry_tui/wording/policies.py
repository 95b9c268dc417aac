"""Ranger's policies in words, for the screens and the command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from registry_tui.schemas.ranger import PolicyItem, PolicyResource, RangerPolicy


def places(policy: RangerPolicy) -> str:
    """Where a policy counts: `bucket my-bucket · path data (recursive)`."""
    return " or ".join(_place(each) for each in (policy.resources, *policy.additional_resources))


def allowed_to(items: Iterable[PolicyItem]) -> list[str]:
    """Who gets what: `ana, group readers: read, list`."""
    return [f"{people(item)}: {', '.join(access.type for access in item.accesses)}" for item in items]


def people(item: PolicyItem) -> str:
    """Whom an item is for."""
    named = [*item.users, *(f"group {name}" for name in item.groups), *(f"role {name}" for name in item.roles)]
    return ", ".join(named) or "nobody"


def period(policy: RangerPolicy) -> str:
    """When a policy counts."""
    if not policy.validity_schedules:
        return "always"
    return "; ".join(
        f"{each.start_time or 'ever'} to {each.end_time or 'ever'} {each.time_zone or 'UTC'}"
        for each in policy.validity_schedules
    )


def _place(resources: Mapping[str, PolicyResource]) -> str:
    return " · ".join(f"{name} {_values(values)}" for name, values in resources.items())


def _values(resource: PolicyResource) -> str:
    text = ", ".join(resource.values)
    if resource.is_excludes:
        text = f"all but {text}"
    return f"{text} (recursive)" if resource.is_recursive and resource.values != ["*"] else text
