"""Policies of an outside Ranger translated for an environment's service: unenforceable ones permit nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from registry_tui.schemas.ranger import (
    AccessType,
    PolicyCondition,
    PolicyItem,
    PolicyItemAccess,
    PolicyResource,
    RangerPolicy,
    ResourceDefinition,
    ServiceDefinition,
    ServicePolicies,
)
from registry_tui.service.errors import InvalidInput
from registry_tui.service.ranger.compiling import compile_for
from registry_tui.service.ranger.definitions import ADLS, PERMISSIONS, S3
from registry_tui.service.ranger.evaluator import Asker, Question, decide
from registry_tui.service.ranger.outside import Address, Fitted, SourceProblem, check_address, fitted


def definition(levels: list[str], accesses: list[AccessType]) -> ServiceDefinition:
    resources = [ResourceDefinition(name=name, level=10 * number) for number, name in enumerate(levels, 1)]
    # Ranger lists them in any order; the level counts.
    return ServiceDefinition(name="theirs", resources=resources[::-1], access_types=accesses)


THEIRS = definition(["bucket", "path"], [AccessType(name="read"), AccessType(name="write")])


def policy(path: str, *accesses: str, deny: bool = False, **fields: object) -> RangerPolicy:
    item = PolicyItem(users=["ana"], accesses=[PolicyItemAccess(type=each) for each in accesses])
    return RangerPolicy.model_validate(
        {
            "id": 7,
            "service": "their_s3",
            "name": "p",
            "resources": {
                "bucket": PolicyResource(values=["*"]),
                "path": PolicyResource(values=[path], is_recursive=True),
            },
            "deny_policy_items" if deny else "policy_items": [item],
            **fields,
        }
    )


def fit(theirs: ServiceDefinition, *policies: RangerPolicy) -> Fitted:
    answer = ServicePolicies(service_name="their_s3", policy_version=3, policies=list(policies), service_def=theirs)
    return fitted(S3, "cm_s3", 1000, answer)


def allowed(found: Fitted, path: str) -> list[str]:
    """ana's permissions on a key, as the evaluator decides; compiling them for the store works too."""
    compile_for(found.definition, found.policies, Asker("ana"), "b", {"bucket": "b"}, datetime.now(UTC))
    asked = ServicePolicies(service_name="cm_s3", policies=list(found.policies), service_def=found.definition)
    resource = {"bucket": "b", "path": path}
    return [each for each in PERMISSIONS if decide(asked, Asker("ana"), Question(resource, each)).allowed]


def test_a_service_without_list_and_delete_means_them_with_read_and_write() -> None:
    assert allowed(fit(THEIRS, policy("/a", "read")), "a/x") == ["read", "list"]
    assert allowed(fit(THEIRS, policy("a", "write")), "a/x") == ["write", "delete"]
    with_all = definition(["bucket", "path"], [AccessType(name=each) for each in PERMISSIONS])
    assert allowed(fit(with_all, policy("a", "read")), "a/x") == ["read"]


def test_a_permission_that_the_store_does_not_know_gives_what_it_brings_along() -> None:
    everything = AccessType(name="all", implied_grants=["read", "write"])
    theirs = definition(["bucket", "path"], [*THEIRS.access_types, everything, AccessType(name="admin")])
    assert allowed(fit(theirs, policy("a", "all")), "a/x") == list(PERMISSIONS)
    assert allowed(fit(theirs, policy("a", "admin")), "a/x") == []


def test_ids_names_and_the_service_are_those_of_this_platform() -> None:
    found = fit(THEIRS, policy("/a", "read"))
    assert [(each.id, each.service) for each in found.policies] == [(1007, "cm_s3")]
    assert found.policies[0].resources["path"].values == ["a"] and found.version == 3
    theirs = definition(["account", "container", "path"], list(THEIRS.access_types))
    given = policy(
        "x", "read", resources={name: PolicyResource(values=["*"]) for name in ("account", "container", "path")}
    )
    answer = ServicePolicies(service_name="s", policies=[given], service_def=theirs)
    levels = [level.name for level in ADLS.resources]
    assert list(fitted(ADLS, "cm_adls", 0, answer).policies[0].resources) == levels


@pytest.mark.parametrize("value", ["a/${aws:username}", "a\\b", "a\x00"])
def test_a_value_that_the_store_cannot_match_allows_nothing_and_denies_everywhere(value: str) -> None:
    found = fit(THEIRS, policy("*", "read"), policy(value, "read"))
    assert allowed(found, "a/x") == ["read", "list"] and "cannot match" in found.notes[0]
    assert allowed(fit(THEIRS, policy(value, "read")), "a/x") == []
    assert allowed(fit(THEIRS, policy("*", "read"), policy(value, "read", deny=True)), "elsewhere") == []


def test_conditions_and_unknown_members_are_noted() -> None:
    conditions = [PolicyCondition(type="ip", values=["10.0.0.0/8"])]
    found = fit(THEIRS, policy("a", "read", conditions=conditions))
    assert allowed(found, "a/x") == [] and "conditions" in found.notes[0]
    denial = PolicyItem(groups=["interns", "public"], accesses=[PolicyItemAccess(type="read")])
    found = fit(THEIRS, policy("a", "read", deny_policy_items=[denial]))
    assert "denies to interns" in found.notes[0]


@pytest.mark.parametrize("schedule", [{"timeZone": "IST"}, {"startTime": "tomorrow"}, {"timeZone": "../x"}])
def test_a_validity_period_that_cannot_be_read_is_refused(schedule: dict[str, str]) -> None:
    times = {"startTime": "2026/01/01 00:00:00", "endTime": "2027/01/01 00:00:00", "timeZone": "Asia/Kolkata"}
    assert allowed(fit(THEIRS, policy("/a", "read", validitySchedules=[times])), "a/x")
    with pytest.raises(SourceProblem, match="validity period that cannot be read"):
        fit(THEIRS, policy("/a", "read", validitySchedules=[times | schedule]))


def test_a_service_of_another_kind_is_refused() -> None:
    with pytest.raises(SourceProblem, match="has the resources database, table, column; this environment needs bucket"):
        fit(definition(["database", "table", "column"], list(THEIRS.access_types)))
    with pytest.raises(SourceProblem, match="read and write are needed"):
        fit(definition(["bucket", "path"], [AccessType(name="select")]))


@pytest.mark.parametrize(
    ("url", "user", "password", "field"),
    [
        ("ranger.example.com", None, None, "url"),
        ("file:///etc/passwd", None, None, "url"),
        ("https://u:p@ranger.example.com", None, None, "url"),
        ("https://[::1", None, None, "url"),
        ("https://ranger.example.com/?x=1", None, None, "url"),
        ("http://ranger.example.com", "u", "p", "url"),
        ("https://ranger.example.com", "u", None, "password"),
        ("https://ranger.example.com", None, "p", "password"),
    ],
)
def test_an_address_that_cannot_be_asked_safely_is_refused(
    url: str, user: str | None, password: str | None, field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_address(Address(url, "cm_s3", user, password))
    assert [each.field for each in refused.value.errors] == [field]
    assert "secret" not in repr(Address("https://ranger.example.com", "cm_s3", "u", "secret"))


def test_an_address_that_can_be_asked_passes() -> None:
    check_address(Address("https://ranger.example.com:6182", "cm_s3", "u", "p"))
    check_address(Address("http://127.0.0.1:6080", "cm_s3", "u", "p"))
