"""Whether a policy is valid: its service has the things that it names, and the object store can enforce it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from registry_tui.schemas.base import FieldProblem
from registry_tui.schemas.ranger import PolicyItem, PolicyResource, RangerPolicy, ServiceDefinition
from registry_tui.service.errors import InvalidInput
from registry_tui.service.ranger.evaluator import moment_of

_MAX_NAME, _MAX_VALUE, _MAX_VALUES = 255, 1024, 200
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")
#: The object store reads these as an escape and as a variable of its own.
_UNENFORCEABLE = ("\\", "${")
_ITEMS = ("policyItems", "denyPolicyItems", "allowExceptions", "denyExceptions")


def check(definition: ServiceDefinition, policy: RangerPolicy) -> None:
    """Raises InvalidInput with every wrong field."""
    problems = list(_problems(definition, policy))
    if problems:
        detail = "; ".join(f"{each.field}: {each.message}" for each in problems)
        raise InvalidInput(f"The policy is not valid: {detail}", errors=problems)


def _problems(definition: ServiceDefinition, policy: RangerPolicy) -> Iterator[FieldProblem]:
    if not policy.name.strip() or len(policy.name) > _MAX_NAME or _UNPRINTABLE.search(policy.name):
        yield FieldProblem(field="name", message=f"must have 1 to {_MAX_NAME} printable characters")
    if policy.policy_type != 0:
        yield FieldProblem(field="policyType", message="only 0 (access) means anything to objects")
    if policy.policy_priority not in (0, 1):
        yield FieldProblem(field="policyPriority", message="must be 0 (normal) or 1 (override)")
    if policy.zone_name:
        yield FieldProblem(field="zoneName", message="there are no security zones here")
    if policy.conditions:
        yield FieldProblem(field="conditions", message="the object store knows no conditions of this kind")
    yield from _resource_problems(definition, policy)
    yield from _item_problems(definition, policy)
    yield from _schedule_problems(policy)


def _resource_problems(definition: ServiceDefinition, policy: RangerPolicy) -> Iterator[FieldProblem]:
    levels = [level.name for level in definition.resources]
    all_resources = [("resources", policy.resources)]
    all_resources += [
        (f"additionalResources.{number}", resources) for number, resources in enumerate(policy.additional_resources)
    ]
    for field, resources in all_resources:
        for name in [*levels, *(name for name in resources if name not in levels)]:
            if name not in levels:
                yield FieldProblem(field=f"{field}.{name}", message=f"must be one of {', '.join(levels)}")
            elif name not in resources:
                yield FieldProblem(field=f"{field}.{name}", message="is missing")
            else:
                yield from _value_problems(f"{field}.{name}", name == levels[-1], resources[name])


def _value_problems(field: str, is_path: bool, resource: PolicyResource) -> Iterator[FieldProblem]:
    if not any(resource.values):
        yield FieldProblem(field=field, message="needs at least one value; * stands for all")
    if len(resource.values) > _MAX_VALUES:
        yield FieldProblem(field=field, message=f"has more than {_MAX_VALUES} values")
    if resource.is_recursive and not is_path:
        yield FieldProblem(field=field, message="only paths can be recursive")
    for value in resource.values:
        if len(value) > _MAX_VALUE or _UNPRINTABLE.search(value):
            yield FieldProblem(field=field, message=f"values have at most {_MAX_VALUE} printable characters")
        elif any(sign in value for sign in _UNENFORCEABLE):
            yield FieldProblem(field=field, message=f"{value!r}: the object store cannot match \\ and ${{")


def _item_problems(definition: ServiceDefinition, policy: RangerPolicy) -> Iterator[FieldProblem]:
    lists = (policy.policy_items, policy.deny_policy_items, policy.allow_exceptions, policy.deny_exceptions)
    if not any(lists) and not policy.is_deny_all_else:
        yield FieldProblem(field="policyItems", message="needs somebody with a permission")
    for field, items in zip(_ITEMS, lists, strict=True):
        for number, item in enumerate(items):
            yield from _one_item(definition, f"{field}.{number}", item)


def _one_item(definition: ServiceDefinition, field: str, item: PolicyItem) -> Iterator[FieldProblem]:
    known = [access.name for access in definition.access_types]
    if not (item.users or item.groups or item.roles):
        yield FieldProblem(field=field, message="needs a user, a group or a role")
    for name in (*item.users, *item.groups, *item.roles):
        if not name.strip() or len(name) > _MAX_NAME or _UNPRINTABLE.search(name):
            yield FieldProblem(field=field, message=f"names have 1 to {_MAX_NAME} printable characters")
    if not item.accesses and not item.delegate_admin:
        yield FieldProblem(field=f"{field}.accesses", message=f"needs one of {', '.join(known)}")
    for access in item.accesses:
        if access.type not in known:
            message = f"{access.type!r} is not one of {', '.join(known)}"
            yield FieldProblem(field=f"{field}.accesses", message=message)
    if item.conditions:
        yield FieldProblem(field=f"{field}.conditions", message="the object store knows no conditions of this kind")


def _schedule_problems(policy: RangerPolicy) -> Iterator[FieldProblem]:
    for number, schedule in enumerate(policy.validity_schedules):
        field = f"validitySchedules.{number}"
        if schedule.recurrences:
            yield FieldProblem(field=f"{field}.recurrences", message="recurring periods cannot be enforced")
        moments = []
        for name, text in (("startTime", schedule.start_time), ("endTime", schedule.end_time)):
            try:
                moments += [moment_of(text, schedule.time_zone)] if text else []
            except ValueError:
                message = "must look like 2026/11/29 23:59:59, with a time zone such as Europe/Berlin or none for UTC"
                yield FieldProblem(field=f"{field}.{name}", message=message)
        if not schedule.start_time and not schedule.end_time:
            yield FieldProblem(field=field, message="needs a start or an end")
        if len(moments) == 2 and moments[0] >= moments[1]:
            yield FieldProblem(field=f"{field}.endTime", message="must be after the start")
