"""Ranger's calls that grant roles to people, groups and other roles, and revoke them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from registry_tui.contracts.permissions import Action
from registry_tui.schemas.base import FieldProblem
from registry_tui.schemas.ranger import RangerRole, RoleGrant, RoleMember
from registry_tui.service.core import events, identity, permissions
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.errors import InvalidInput, NotPermitted
from registry_tui.service.ranger import roles
from registry_tui.service.ranger.evaluator import EVERYBODY

_MEMBERS = ("users", "groups", "roles")
#: Macros for the requester in policies; they match nobody in a role.
_NOBODY = ("{USER}", "{OWNER}")


def grant(service: Service, principal: Principal, request: RoleGrant) -> None:
    """Adds members to roles, or makes them admins of the roles.

    Roles belong to all services. Raises NotPermitted, InvalidInput, PartUnavailable.
    """
    _change(service, principal, request, "ranger-role.grant", _with)


def revoke(service: Service, principal: Principal, request: RoleGrant) -> None:
    """Removes members from roles, or with `grant_option` only their admin rights. Raises as `grant`."""
    _change(service, principal, request, "ranger-role.revoke", _without)


# -- underneath -------------------------------------------------------------------------------------------


def _change(
    service: Service,
    principal: Principal,
    request: RoleGrant,
    action: str,
    changed: Callable[[Sequence[RoleMember], Sequence[str], bool], list[RoleMember]],
) -> None:
    named = ", ".join(request.target_roles)[:200]
    with events.recording(service, principal, action, Resource("ranger-role", named, named)):
        permissions.require(principal, Action.POLICIES_CHANGE)
        _check(request)

        def members(before: Sequence[RangerRole], whole: Callable[[RangerRole], RangerRole]) -> list[RangerRole]:
            wanted = {}
            # Machine users may be named by the last part of their names.
            asked = whole(RangerRole(name="asked", users=[RoleMember(name=each) for each in request.users]))
            given = {"users": [each.name for each in asked.users], "groups": request.groups, "roles": request.roles}
            there = {role.name: role for role in before}
            for name in dict.fromkeys(request.target_roles):
                role = there.get(name)
                if role is None:
                    raise _invalid([FieldProblem(field="targetRoles", message=f"there is no role {name[:100]!r}")])
                _require_admin(service, principal, request, role, before)
                update = {
                    field: changed(getattr(role, field), given[field], request.grant_option) for field in _MEMBERS
                }
                wanted[name] = whole(role.model_copy(update=update))
            return [wanted.get(each.name, each) for each in before]

        roles.change(service, principal.name, members)


def _check(request: RoleGrant) -> None:
    problems = []
    if not request.target_roles:
        problems.append(FieldProblem(field="targetRoles", message="names no role"))
    if not any(getattr(request, field) for field in _MEMBERS):
        problems.append(FieldProblem(field="users", message="names nobody; users, groups or roles have to"))
    if any(each in _NOBODY for each in request.users):
        problems.append(FieldProblem(field="users", message=f"{' and '.join(_NOBODY)} stand for nobody here"))
    if problems:
        raise _invalid(problems)


def _invalid(problems: Sequence[FieldProblem]) -> InvalidInput:
    detail = "; ".join(f"{each.field}: {each.message}" for each in problems)
    return InvalidInput(f"The grant is not valid: {detail}", errors=problems)


def _require_admin(
    service: Service, principal: Principal, request: RoleGrant, role: RangerRole, there: Sequence[RangerRole]
) -> None:
    """Raises NotPermitted if the request names a grantor who may not grant the role."""
    grantor = request.grantor
    if grantor is None or grantor in (principal.name, identity.owner_name(service)):
        return
    groups = {*request.grantor_groups, EVERYBODY}
    admins = {each.name: each for each in role.roles if each.is_admin}
    of_roles = [each for each in there if each.name in admins]
    if (
        any(each.is_admin and each.name == grantor for each in role.users)
        or any(each.is_admin and each.name in groups for each in role.groups)
        or any(grantor == user.name for each in of_roles for user in each.users)
        or any(group.name in groups for each in of_roles for group in each.groups)
    ):
        return
    raise NotPermitted(
        f"{grantor[:100]} is not an admin of role {role.name!r}, and can neither grant nor revoke it",
        action="Leave out `grantor`, or name an admin of the role",
    )


def _with(there: Sequence[RoleMember], names: Sequence[str], as_admins: bool) -> list[RoleMember]:
    kept = [each.model_copy(update={"is_admin": True}) if as_admins and each.name in names else each for each in there]
    known = {each.name for each in there}
    return [*kept, *(RoleMember(name=name, is_admin=as_admins) for name in dict.fromkeys(names) if name not in known)]


def _without(there: Sequence[RoleMember], names: Sequence[str], only_admin: bool) -> list[RoleMember]:
    if only_admin:
        return [each.model_copy(update={"is_admin": False}) if each.name in names else each for each in there]
    return [each for each in there if each.name not in names]
