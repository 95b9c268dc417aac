"""Matches resources with a policy's values, as Ranger's resource matchers do.

The rules are those of `RangerDefaultResourceMatcher` and `RangerPathResourceMatcher` (Ranger 2.9): a recursive value
means itself and everything below it, `*` any characters with slashes, `?` one character, `{USER}` the requester's name.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from functools import lru_cache

from registry_tui.schemas.ranger import PolicyResource, ResourceDefinition, ServiceDefinition

_SEPARATOR = "/"
_ANY = "*"
#: The macro for the requester's name.
USER = "{USER}"


class Scope(enum.Enum):
    """Whether the resource itself has to match, or whether something that begins with it may."""

    SELF = "SELF"
    SELF_OR_PREFIX = "SELF_OR_PREFIX"


def matches(
    definition: ServiceDefinition,
    resources: Mapping[str, PolicyResource],
    asked: Mapping[str, str],
    user: str,
    scopes: Mapping[str, Scope] | None = None,
) -> bool:
    """Whether a policy's resources cover the requested ones. A level that the policy leaves out is not covered."""
    for level in definition.resources:
        values, value = resources.get(level.name), asked.get(level.name)
        if values is None:
            if value is not None or level.name in resources:
                return False
            continue
        scope = (scopes or {}).get(level.name, Scope.SELF)
        if not matches_level(level, values, value, user, scope):
            return False
    return bool(resources)


def matches_level(
    level: ResourceDefinition, values: PolicyResource, asked: str | None, user: str, scope: Scope = Scope.SELF
) -> bool:
    """Whether one level's values cover the requested value."""
    ignore_case = is_set(level, "ignoreCase")
    found = [pattern for value in values.values if value for pattern in patterns_of(level, value, values, user)]
    any_value = not found or any(set(pattern) == {_ANY} for pattern in found)
    everything = not asked or asked == _ANY
    if any_value:
        matched = True
    elif everything and scope is Scope.SELF:
        # A request for everything is not covered by a policy for some; excluding some does not change that.
        return False
    else:
        matched = any(_covers(pattern, asked or "", ignore_case, scope) for pattern in found)
    return not matched if values.is_excludes else matched


def patterns_of(level: ResourceDefinition, value: str, values: PolicyResource, user: str) -> list[str]:
    """A policy's value as patterns of whole names, with `*` and `?`; a recursive one becomes two."""
    value = value.replace(USER, user)
    if not (is_path(level) and values.is_recursive) or value == _ANY:
        return [value]
    if value.endswith(_SEPARATOR):
        return [f"{value}{_ANY}"]
    return [value, f"{value}{_SEPARATOR}{_ANY}"]


def is_path(level: ResourceDefinition) -> bool:
    """Whether a level holds paths, whose values can be recursive."""
    return level.matcher.endswith("PathResourceMatcher")


def is_set(level: ResourceDefinition, option: str) -> bool:
    """A matcher's option; Ranger's default for all is yes."""
    return str(level.matcher_options.get(option, "true")).casefold() == "true"


def _covers(pattern: str, asked: str, ignore_case: bool, scope: Scope) -> bool:
    if ignore_case:
        pattern, asked = pattern.lower(), asked.lower()
    if _compiled(pattern).fullmatch(asked):
        return True
    return scope is Scope.SELF_OR_PREFIX and _may_begin(pattern, asked)


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    # Runs of stars are one: a pattern from outside must not cost exponential time.
    parts = re.split(r"(\*+|\?)", pattern)
    return re.compile("".join(_expression(part) for part in parts), re.DOTALL)


def _expression(part: str) -> str:
    if part.startswith(_ANY):
        return ".*"
    return "." if part == "?" else re.escape(part)


def _may_begin(pattern: str, beginning: str) -> bool:
    """Whether some name that begins so matches the pattern."""
    states = {0}
    for character in beginning:
        states = _after_stars(pattern, states)
        following = {state for state in states if state < len(pattern) and pattern[state] == _ANY}
        following |= {
            state + 1
            for state in states
            if state < len(pattern) and pattern[state] != _ANY and pattern[state] in ("?", character)
        }
        states = following
    return bool(states)


def _after_stars(pattern: str, states: set[int]) -> set[int]:
    reached = set(states)
    for state in states:
        while state < len(pattern) and pattern[state] == _ANY:
            state += 1
            reached.add(state)
    return reached
