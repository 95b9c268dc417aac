"""The side panel of a policy: all of it, as text."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from textual.content import Content

from registry_tui.screens.base.tones import styled
from registry_tui.widgets.facts import beside, facts
from registry_tui.wording.policies import CONDITIONS, people, period, permissions
from registry_tui.wording.words import Cell, both

if TYPE_CHECKING:
    from registry_tui.schemas.ranger import PolicyItem, PolicyResource, RangerPolicy, ServiceDefinition

#: Cells before the values.
_INDENT = 13


def state_of(policy: RangerPolicy) -> Cell:
    """Whether a policy is in effect at all."""
    return Cell("● enabled", "good") if policy.is_enabled else Cell("○ disabled", "dim")


def panel(policy: RangerPolicy, definition: ServiceDefinition | None, room: int) -> Content:
    """All details of a policy in lines of `room` cells."""
    parts: list[tuple[str, str]] = [(f"{beside(policy.name, room, 0)}\n", "bold"), styled(state_of(policy))]
    parts.append(("\n\n", ""))
    labels = {} if definition is None else {level.name: level.label for level in definition.resources}
    known = [("Priority", "override: before all normal policies" if policy.policy_priority else "")]
    for resources in (policy.resources, *policy.additional_resources):
        known += _resources(resources, labels)
    parts += facts([*known, ("Valid", period(policy))], _INDENT, room)
    for field, words, _ in CONDITIONS:
        items = getattr(policy, field)
        if items:
            parts.append((f"\n{words}\n", "bold $accent"))
            for item in items:
                parts += _condition(item, room)
    if policy.is_deny_all_else:
        parts.append(("\nEverything else is denied here.\n", "$warning"))
    kept = [
        ("Labels", ", ".join(policy.policy_labels)),
        ("Description", policy.description or ""),
        ("ID", str(policy.id or "")),
        ("Version", str(policy.version or "")),
        ("Created", _when(policy.create_time, policy.created_by)),
        ("Updated", _when(policy.update_time, policy.updated_by)),
    ]
    parts += [("\n", ""), *facts(kept, _INDENT, room)]
    *listed, (last, style) = parts
    return Content.assemble(*listed, (last.rstrip("\n"), style))


def _resources(resources: Mapping[str, PolicyResource], labels: Mapping[str, str]) -> list[tuple[str, str]]:
    found = []
    for name, resource in resources.items():
        text = "\n".join(value for value in resource.values)
        if resource.is_excludes:
            text = f"all but\n{text}"
        if resource.is_recursive:
            text += "\n(recursive: with what is below)"
        found.append((labels.get(name) or name, text))
    return found


def _condition(item: PolicyItem, room: int) -> list[tuple[str, str]]:
    parts = [
        (f"  {beside(people(item), room - 2, 2)}\n", ""),
        (f"    {beside(permissions(item), room - 4, 4)}\n", "$foreground-muted"),
    ]
    for condition in item.conditions:
        text = f"{condition.type}: {', '.join(condition.values)}"
        parts.append((f"    {beside(text, room - 4, 4)}\n", "$foreground-muted"))
    return parts


def _when(milliseconds: int | None, who: str | None) -> str:
    if milliseconds is None:
        return ""
    try:
        moment = both(datetime.fromtimestamp(milliseconds / 1000, UTC))
    except (OverflowError, ValueError, OSError):
        moment = "at no time of the calendar"
    return f"{moment} by {who}" if who else moment
