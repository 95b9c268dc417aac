"""Turns Ranger's policies into the bucket policy that the object store enforces.

For one user and permission, every policy allows, denies or does nothing wherever its resources match. With OA and OD
for the areas that override policies allow and deny, NA and ND for normal ones, the allowed area is `(OA or (NA and not
ND)) and not OD`. A bucket policy has lists of patterns (`Resource`), their complements (`NotResource`), and denials
that beat everything:

- without override permissions: allow NA; deny ND and OD;
- with them: allow OA and everything outside ND; deny everything outside both OA and NA; deny OD.

Two combinations with excluded paths cannot be expressed so (`Compiled.exact` is False then): the store denies more than
the policies, never less.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from registry_tui.schemas.ranger import PolicyResource, RangerPolicy, ServiceDefinition
from registry_tui.service.ranger.definitions import DELETE, LIST, READ, WRITE
from registry_tui.service.ranger.evaluator import Asker, resources_of, stances
from registry_tui.service.ranger.matching import matches_level, patterns_of

#: S3's actions for each permission. Parts of an unfinished upload belong to writing.
_ACTIONS: Mapping[str, Sequence[str]] = {
    READ: ("s3:GetObject",),
    WRITE: ("s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"),
    DELETE: ("s3:DeleteObject",),
}
_LISTING = ("s3:ListBucket", "s3:ListBucketMultipartUploads")
#: How SeaweedFS names its users in policies; others do not match (tried on 4.48).
_PRINCIPAL = "arn:aws:iam::000000000000:user/{name}"
_EVERYTHING = ("*",)


@dataclass(frozen=True)
class Area:
    """The keys that match one of the patterns, or with `outside` those that match none."""

    patterns: tuple[str, ...]
    outside: bool = False

    @property
    def empty(self) -> bool:
        """Whether no key is in it."""
        return self.outside and any(set(pattern) == {"*"} for pattern in self.patterns)


@dataclass(frozen=True)
class Rule:
    """One statement: allows or denies an area."""

    allow: bool
    area: Area


@dataclass(frozen=True)
class Compiled:
    """The statements of a bucket policy for one user. `exact` is False where they deny more than the policies."""

    statements: tuple[dict[str, Any], ...]
    exact: bool


def compile_for(
    definition: ServiceDefinition,
    policies: Sequence[RangerPolicy],
    asker: Asker,
    bucket: str,
    containers: Mapping[str, str],
    moment: datetime,
) -> Compiled:
    """The statements that give a user the rights of the policies in a bucket, at a time.

    `containers` names the levels above the path, `{"bucket": …}` or the storage account and container.
    """
    statements: list[dict[str, Any]] = []
    exact = True
    for access in definition.access_types:
        if access.name not in _ACTIONS and access.name != LIST:
            # The store has no such permission; the permissions that it implies are compiled by themselves.
            continue
        areas: dict[tuple[bool, bool], list[Area]] = {}
        for stance in stances(definition, policies, asker, access.name, moment):
            key = (stance.policy.policy_priority > 0, stance.denies)
            areas.setdefault(key, []).extend(_areas(definition, stance.policy, asker.user, containers))
        rules, as_said = rules_of(
            override_allow=areas.get((True, False), ()),
            override_deny=areas.get((True, True), ()),
            normal_allow=areas.get((False, False), ()),
            normal_deny=areas.get((False, True), ()),
        )
        exact &= as_said
        statements.extend(_statement(rule, access.name, asker.user, bucket) for rule in rules if not rule.area.empty)
    return Compiled(tuple(statements), exact)


def rules_of(
    override_allow: Sequence[Area],
    override_deny: Sequence[Area],
    normal_allow: Sequence[Area],
    normal_deny: Sequence[Area],
) -> tuple[list[Rule], bool]:
    """Rules for `(OA or (NA and not ND)) and not OD`, and whether they are exact."""
    if not override_allow and not normal_allow:
        return [], True
    denied = [Rule(False, area) for area in override_deny]
    exact = True
    if override_allow and normal_deny:
        lifted = _lifted(override_allow, normal_allow, normal_deny)
        if lifted is not None:
            return [*lifted, *denied], True
        exact = False
    allowed = [Rule(True, area) for area in _merged([*override_allow, *normal_allow])]
    return [*allowed, *denied, *(Rule(False, area) for area in normal_deny)], exact


def _lifted(oa: Sequence[Area], na: Sequence[Area], nd: Sequence[Area]) -> list[Rule] | None:
    """Rules for `OA or (NA and not ND)`; None where a bucket policy cannot express that."""
    lifting, normal, denying = _patterns(oa), _patterns(na), _patterns(nd)
    outside_oa, outside_na = _complements(oa), _complements(na)
    if outside_oa or (outside_na and denying):
        return None
    # The area outside a denial's exclusions stays denied, unless an override policy allows it.
    rules = [Rule(False, Area((*area.patterns, *lifting), outside=True)) for area in _complements(nd)]
    if not denying:
        return [Rule(True, area) for area in _merged([*oa, *na])] + rules
    rules += [Rule(True, Area(lifting)), Rule(True, Area(denying, outside=True))]
    rules.append(Rule(False, Area((*lifting, *normal), outside=True)))
    return rules


def _patterns(areas: Iterable[Area]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(pattern for area in areas if not area.outside for pattern in area.patterns))


def _complements(areas: Iterable[Area]) -> list[Area]:
    return [area for area in areas if area.outside]


def _merged(areas: Sequence[Area]) -> list[Area]:
    together = _patterns(areas)
    return ([Area(together)] if together else []) + _complements(areas)


def _areas(
    definition: ServiceDefinition, policy: RangerPolicy, user: str, containers: Mapping[str, str]
) -> Iterable[Area]:
    """The areas of a policy's resources in the one bucket."""
    *above, path = definition.resources
    for resources in resources_of(policy):
        if not resources or set(resources) != {level.name for level in definition.resources}:
            continue
        if all(matches_level(level, resources[level.name], containers.get(level.name), user) for level in above):
            yield _path_area(definition, resources[path.name], user)


def _path_area(definition: ServiceDefinition, values: PolicyResource, user: str) -> Area:
    level = definition.resources[-1]
    found = [pattern for value in values.values if value for pattern in patterns_of(level, value, values, user)]
    if not found or any(set(pattern) == {"*"} for pattern in found):
        found = list(_EVERYTHING)
    elif values.is_excludes:
        # A request for everything (the list of a whole bucket) must not match a rule that leaves something out.
        found.append("")
    return Area(tuple(found), outside=values.is_excludes)


def _statement(rule: Rule, permission: str, user: str, bucket: str) -> dict[str, Any]:
    here = f"arn:aws:s3:::{bucket}"
    area = rule.area
    statement: dict[str, Any] = {
        "Effect": "Allow" if rule.allow else "Deny",
        "Principal": {"AWS": [_PRINCIPAL.format(name=user)]},
    }
    if permission == LIST:
        condition = {"StringNotLike" if area.outside else "StringLike": {"s3:prefix": list(area.patterns)}}
        if area.outside and "" in area.patterns:
            # The store treats a list without a prefix as one that matches no pattern.
            condition["StringLike"] = {"s3:prefix": ["?*"]}
        return statement | {"Action": list(_LISTING), "Resource": [here], "Condition": condition}
    resources = [f"{here}/{pattern}" for pattern in area.patterns]
    return statement | {
        "Action": list(_ACTIONS[permission]),
        "NotResource" if area.outside else "Resource": resources,
    }
