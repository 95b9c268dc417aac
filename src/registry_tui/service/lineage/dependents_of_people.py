"""The effects of deleting people, groups, memberships, roles and tokens."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from registry_tui.contracts.counts import counted
from registry_tui.contracts.permissions import Action
from registry_tui.schemas.lineage import Dependents
from registry_tui.schemas.places import Role
from registry_tui.service.access import environment_roles, groups, people, tokens
from registry_tui.service.core import permissions
from registry_tui.service.database.tables import (
    ApiKeyRow,
    CollaboratorRow,
    DeploymentRow,
    EnvironmentRoleRow,
    EnvironmentRow,
    GroupMemberRow,
    ProjectRow,
    RegistryRow,
    UserTokenRow,
    WebhookRow,
    now,
)
from registry_tui.service.errors import Missing
from registry_tui.service.lineage.asker import Asker
from registry_tui.service.lineage.sentences import MOST, Rule, about, serving
from registry_tui.service.ranger.finding import PolicyFilter, RoleFilter
from registry_tui.service.ranger.finding import policies as policies_of
from registry_tui.service.ranger.finding import roles as roles_of
from registry_tui.service.ranger.known import all_known, roles_in


def _of_user(asker: Asker, named: Mapping[str, str]) -> Dependents:
    """The things of a person; only for the administrator and the person themselves. Raises Missing, NotPermitted."""
    user = people.get_user(asker.service, asker.principal, named["user"])
    if not (asker.principal.administrator or asker.principal.name == user.name):
        return Dependents(lines=[])
    works_in = (
        select(ProjectRow.name)
        .join(CollaboratorRow, CollaboratorRow.project_id == ProjectRow.id)
        .where(CollaboratorRow.user == user.name, ProjectRow.state == "ready")
        .order_by(ProjectRow.name)
    )
    good = (UserTokenRow.user == user.name) & UserTokenRow.revoked_at.is_(None) & (UserTokenRow.expires_at > now())
    with asker.service.database.reading() as session:
        keys = session.scalars(select(ApiKeyRow.name).where(_good_keys(user.name)).order_by(ApiKeyRow.name).limit(MOST))
        lines = about(keys.all(), "API key", "ends", "end")
        owns = session.scalar(select(func.count()).select_from(UserTokenRow).where(good)) or 0
        lines += [f"{counted(owns, 'token')} {'ends' if owns == 1 else 'end'}"] if owns else []
        lines += about(session.scalars(works_in.limit(MOST)).all(), "project", "loses this person", "lose this person")
        registries = select(RegistryRow.name).where(RegistryRow.owner == user.name).order_by(RegistryRow.name)
        lines += about(
            session.scalars(registries.limit(MOST)).all(),
            "Model Registry",
            "belongs to this person",
            "belong to this person",
        )
        webhooks = select(WebhookRow.name).where(WebhookRow.creator == user.name).order_by(WebhookRow.name)
        lines += about(
            session.scalars(webhooks.limit(MOST)).all(),
            "webhook",
            "sends what this person may see, and pauses",
            "send what this person may see, and pause",
        )
        lines += _named_by_ranger(session, asker, user=user.name)
    made = DeploymentRow.creator == user.name
    return Dependents(lines=lines + serving(asker, made, "was made by this person", "were made by this person"))


def _of_group(asker: Asker, named: Mapping[str, str]) -> Dependents:
    """Raises Missing, NotPermitted."""
    found = groups.get_group(asker.service, asker.principal, named["group"])
    with asker.service.database.reading() as session:
        lines = about(_roles(session, EnvironmentRoleRow.group == found.name), "role", "ends with it", "end with it")
        lines += _named_by_ranger(session, asker, group=found.name)
    if lines:
        lines = about(found.members, "person", "loses what it gives", "lose what it gives") + lines
        lines += about(found.machine_users, "machine user", "loses what it gives", "lose what it gives")
    return Dependents(lines=lines)


def _of_member(asker: Asker, named: Mapping[str, str]) -> Dependents:
    """The rights that somebody has only by a group. Raises Missing, NotPermitted."""
    found, user = groups.get_group(asker.service, asker.principal, named["group"]), named["user"]
    if user not in (*found.members, *found.machine_users):
        raise Missing(f"{user} is not in a group {found.name!r}", action="See `registry-tui groups list`")
    others = select(GroupMemberRow.group).where(GroupMemberRow.user == user, GroupMemberRow.group != found.name)
    otherwise = or_(EnvironmentRoleRow.user == user, EnvironmentRoleRow.group.in_(others))
    with asker.service.database.reading() as session:
        lines = _named_by_ranger(session, asker, group=found.name)
        if user in found.machine_users:
            return Dependents(lines=lines)
        by_it = _roles(session, EnvironmentRoleRow.group == found.name)
        kept = set(_roles(session, otherwise))
    stay = about([each for each in by_it if each in kept], "role", "stays otherwise", "stay otherwise")
    lost = about([each for each in by_it if each not in kept], "role", "is lost", "are lost")
    return Dependents(lines=[*lost, *stay, *lines])


def _of_roles(asker: Asker, named: Mapping[str, str]) -> Dependents:
    """A person's remaining rights in an environment, or the people losing a group's. Raises Missing, NotPermitted."""
    given = environment_roles.list_roles(asker.service, asker.principal, named["environment"]).items
    name, of_group = named["name"], named["holder"] == "group"
    found = next((each for each in given if name == (each.group if of_group else each.user)), None)
    if found is None:
        raise Missing(f"{name} has no role in {named['environment']}", action="See `registry-tui environments roles`")
    with asker.service.database.reading() as session:
        if of_group:
            members = session.scalars(select(GroupMemberRow.user).where(GroupMemberRow.group == name).limit(MOST))
            return Dependents(lines=about(sorted(members), "person", "loses them", "lose them"))
        mine = select(GroupMemberRow.group).where(GroupMemberRow.user == name)
        by_groups = session.execute(
            select(EnvironmentRoleRow.role, EnvironmentRoleRow.group)
            .where(EnvironmentRoleRow.environment_id == found.environment_id, EnvironmentRoleRow.group.in_(mine))
            .order_by(EnvironmentRoleRow.role)
        ).all()
    return Dependents(lines=about([f"{role} by group {group}" for role, group in by_groups], "role", "stays", "stay"))


def _of_token(asker: Asker, named: Mapping[str, str]) -> Dependents:
    """Raises Missing, NotPermitted."""
    found = tokens.get_token(asker.service, asker.principal, named["user"], named["token"])
    if found.last_used_at is None:
        return Dependents(lines=["Nobody has used it"])
    return Dependents(lines=[f"It was last used on {found.last_used_at:%Y-%m-%d} at {found.last_used_at:%H:%M} UTC"])


def _of_collaborator(asker: Asker, named: Mapping[str, str]) -> Dependents:
    """The rights that somebody loses in a project, and those that stay. Raises Missing, NotPermitted."""
    user = named["user"]
    with asker.service.database.reading() as session:
        project = permissions.find_project(session, asker.principal, named["project"])
        permissions.check_project(session, asker.principal, project, Action.PROJECT_READ)
        row = session.get(CollaboratorRow, (project.id, user))
        if row is None:
            raise Missing(f"{user} is not a collaborator of project {project.name}")
        keys = session.scalars(select(ApiKeyRow.id).where(_good_keys(user)).limit(MOST)).all()
        others = [each for each in project.collaborators if each.role == Role.ADMIN.value and each.user != user]
    lines = []
    if keys:
        called = (DeploymentRow.project_id == project.id) & DeploymentRow.authentication
        by = "with their API key" if len(keys) == 1 else "with their API keys"
        lines += serving(asker, called, f"is not called {by} any more", f"are not called {by} any more")
    made = (DeploymentRow.project_id == project.id) & (DeploymentRow.creator == user)
    lines += serving(asker, made, "was made by this person and stays", "were made by this person and stay")
    if row.role == Role.ADMIN.value and not others:
        lines.append("Nobody else is admin of the project")
    return Dependents(lines=lines)


# -- underneath ------------------------------------------------------------------------------------------


def _good_keys(user: str) -> ColumnElement[bool]:
    return (ApiKeyRow.user == user) & ApiKeyRow.revoked_at.is_(None) & (ApiKeyRow.expires_at > now())


def _roles(session: Session, where: ColumnElement[bool]) -> list[str]:
    """Environment roles that match `where`, as `MLUser in prod`."""
    query = (
        select(EnvironmentRoleRow.role, EnvironmentRow.name)
        .join(EnvironmentRow, EnvironmentRow.id == EnvironmentRoleRow.environment_id)
        .where(where)
        .order_by(EnvironmentRow.name, EnvironmentRoleRow.role)
        .distinct()
        .limit(MOST)
    )
    return [f"{role} in {environment}" for role, environment in session.execute(query)]


def _named_by_ranger(session: Session, asker: Asker, *, user: str | None = None, group: str | None = None) -> list[str]:
    """The policies and roles of Ranger that name somebody; empty for people who may not see them."""
    if permissions.own_only(asker.principal, Action.POLICIES_SEE):
        return []
    there = [policy for known in all_known(asker.service) for policy in known.policies]
    found = policies_of(there, PolicyFilter(user=user, group=group), ())
    lines = about([each.name for each in found], "policy", "of Ranger names it", "of Ranger name it")
    roles = roles_of(roles_in(session), RoleFilter(user_name=user, group_name=group), ())
    return lines + about([each.name for each in roles], "role", "of Ranger names it", "of Ranger name it")


RULES: Mapping[str, Rule] = {
    "user": _of_user,
    "group": _of_group,
    "member": _of_member,
    "roles": _of_roles,
    "token": _of_token,
    "collaborator": _of_collaborator,
}
