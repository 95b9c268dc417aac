"""Ranger's policies in words."""

from __future__ import annotations

from typing import Any

import pytest

from registry_tui.schemas.ranger import PolicyCondition, PolicyItem, PolicyResource, RangerPolicy, ValiditySchedule
from registry_tui.wording.policies import changed_parts

ITEM = PolicyItem(users=["ana"], conditions=[PolicyCondition(type="ip-range", values=["10.0.0.0/8"])])
#: A change of each part that people and Ranger's clients can change.
CHANGES: dict[str, Any] = {
    "name": "other",
    "is_enabled": False,
    "policy_type": 1,
    "policy_priority": 1,
    "description": "other",
    "is_audit_enabled": False,
    "resources": {"bucket": PolicyResource(values=["other"])},
    "additional_resources": [{"bucket": PolicyResource(values=["other"])}],
    "conditions": ITEM.conditions,
    "policy_items": [ITEM],
    "deny_policy_items": [ITEM],
    "allow_exceptions": [ITEM],
    "deny_exceptions": [ITEM],
    "validity_schedules": [ValiditySchedule(start_time="2026/01/01 00:00:00")],
    "policy_labels": ["other"],
    "zone_name": "other",
    "is_deny_all_else": True,
}
#: Fields that the service sets by itself.
NOTED = {"id", "guid", "version", "service", "service_type", "resource_signature", "create_time", "created_by"} | {
    "update_time",
    "updated_by",
}
BEFORE = RangerPolicy(name="p")


def test_every_part_of_a_policy_is_tried_here() -> None:
    assert set(CHANGES) | NOTED == set(RangerPolicy.model_fields)


@pytest.mark.parametrize("field", CHANGES)
def test_each_change_of_a_policy_is_named(field: str) -> None:
    assert len(changed_parts(BEFORE, BEFORE.model_copy(update={field: CHANGES[field]}))) == 1


def test_changes_are_named_in_words() -> None:
    changes = ("is_audit_enabled", "conditions", "policy_items", "resources", "additional_resources")
    now = BEFORE.model_copy(update={field: CHANGES[field] for field in changes} | {"version": 2, "updated_by": "bob"})
    assert changed_parts(BEFORE, now) == ["audit", "resources", "conditions of the whole policy", "Allow"]
    with_condition = BEFORE.model_copy(update={"policy_items": [ITEM.model_copy(update={"conditions": []})]})
    assert changed_parts(with_condition, BEFORE.model_copy(update={"policy_items": [ITEM]})) == ["Allow"]


def test_a_policy_that_only_has_another_version_says_the_same() -> None:
    assert changed_parts(BEFORE, BEFORE.model_copy(update={"version": 2, "update_time": 1, "updated_by": "bob"})) == []
