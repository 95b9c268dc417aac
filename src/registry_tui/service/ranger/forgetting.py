"""Removes deleted people and groups from Ranger's policies and roles: others may get their names later."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Literal

from sqlalchemy import select

from registry_tui.schemas.ranger import PolicyItem, RangerPolicy, RangerRole
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import EnvironmentRow, RangerPolicyRow, RangerRoleRow
from registry_tui.service.ranger.keeping import changed_document
from registry_tui.service.ranger.known import all_known
from registry_tui.service.ranger.roles import every_environment_locked, note_change

_ITEMS = ("policy_items", "deny_policy_items", "allow_exceptions", "deny_exceptions")


def forget(service: Service, kind: Literal["users", "groups"], name: str, actor: str) -> list[str]:
    """Removes a person or a group from every own policy and role; returns those that named it.

    Nothing is enforced again: the object store knows machine users only, which have left the group. Own policies are
    changed also where an outside Ranger's apply now: they may apply again later.
    """
    changed, moment = [], int(time.time() * 1000)
    with every_environment_locked(service), service.database.session() as session:
        if any(name in known.place.users for known in all_known(service)):
            return []
        for policy_row in session.scalars(select(RangerPolicyRow)):
            policy = RangerPolicy.model_validate(policy_row.document)
            if (kept := _policy_without(policy, kind, name)) != policy:
                policy_row.document = changed_document(kept, actor, moment)
                session.get_one(EnvironmentRow, policy_row.environment_id).policy_version += 1
                changed.append(f"policy {policy.name!r}")
        policies = len(changed)
        for role_row in session.scalars(select(RangerRoleRow)):
            role = RangerRole.model_validate(role_row.document)
            members = [member for member in getattr(role, kind) if member.name != name]
            if members != getattr(role, kind):
                role_row.document = changed_document(role.model_copy(update={kind: members}), actor, moment)
                changed.append(f"role {role.name!r}")
        if len(changed) > policies:
            note_change(session, moment)
    return changed


def _policy_without(policy: RangerPolicy, kind: str, name: str) -> RangerPolicy:
    """The policy without a name. It stays also where it named nobody else: its denials to all others still apply."""
    return policy.model_copy(update={field: _without(getattr(policy, field), kind, name) for field in _ITEMS})


def _without(items: Iterable[PolicyItem], kind: str, name: str) -> list[PolicyItem]:
    kept = []
    for item in items:
        names = [each for each in getattr(item, kind) if each != name]
        if names != getattr(item, kind):
            item = item.model_copy(update={kind: names})
            if not (item.users or item.groups or item.roles):
                continue
        kept.append(item)
    return kept
