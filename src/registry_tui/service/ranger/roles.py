"""Ranger's roles, which policies name: list, create, update, delete; the effects of each change are enforced."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry_tui.contracts.permissions import Action
from registry_tui.schemas.base import FieldProblem
from registry_tui.schemas.ranger import RangerPolicy, RangerRole, RangerRoles, RoleMember
from registry_tui.service.core import events, idempotency, permissions
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.core.probing import note_access
from registry_tui.service.database.tables import InstallationRow, RangerPolicyRow, RangerRoleRow, UserRow
from registry_tui.service.errors import AlreadyThere, InUse, InvalidInput, Missing
from registry_tui.service.ranger import enforcing
from registry_tui.service.ranger.evaluator import roles_of
from registry_tui.service.ranger.keeping import keep
from registry_tui.service.ranger.known import Known, all_known, groups_in, known_service, roles_in
from registry_tui.service.ranger.policies import restore

_LOCK = "ranger-roles"
_MAX_NAME, _MAX_MEMBERS = 255, 1000
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")
_MEMBERS = ("users", "groups", "roles")
#: Facts of the installation: how often roles were changed, and when last.
_VERSION, _CHANGED_AT = "ranger_roles_version", "ranger_roles_changed_at"


def list_roles(service: Service, principal: Principal) -> list[RangerRole]:
    """All roles, by ID. Raises NotPermitted."""
    permissions.require(principal, Action.POLICIES_SEE)
    return list(_kept(service))


def get_role(service: Service, principal: Principal, role: int | str) -> RangerRole:
    """A role by its ID or its name. Raises Missing, NotPermitted."""
    permissions.require(principal, Action.POLICIES_SEE)
    return found(_kept(service), role)


def roles_of_user(service: Service, principal: Principal, user: str) -> list[str]:
    """The names of the roles that somebody has by name, by a group or by a role. Raises Missing, NotPermitted."""
    permissions.require(principal, Action.POLICIES_SEE)
    with service.database.reading() as session:
        groups = groups_in(session, user)
    names = sorted(roles_of(user, groups, _kept(service)))
    if not names and not any(user in each.place.users for each in all_known(service)):
        with service.database.reading() as session:
            if session.get(UserRow, user) is None:
                raise Missing(f"Nobody is called {user[:100]!r}", action="`registry-tui users list` shows everybody")
    return names


def download(service: Service, principal: Principal, name: str) -> RangerRoles:
    """All roles that apply in a service, as plugins fetch them. Raises Missing, NotPermitted."""
    permissions.require(principal, Action.POLICIES_SEE)
    known = known_service(service, name)
    with service.database.reading() as session:
        version, changed_at = session.get(InstallationRow, _VERSION), session.get(InstallationRow, _CHANGED_AT)
    return RangerRoles(
        service_name=known.service.name,
        role_version=1 if version is None else int(version.value),
        role_update_time=None if changed_at is None else int(changed_at.value),
        ranger_roles=list(known.roles),
    )


def create_role(service: Service, principal: Principal, role: RangerRole) -> RangerRole:
    """Adds a role. Raises NotPermitted, InvalidInput, AlreadyThere, PartUnavailable."""
    name = role.name.strip()
    with events.recording(service, principal, "ranger-role.create", Resource("ranger-role", name[:200], name[:200])):
        permissions.require(principal, Action.POLICIES_CHANGE)

        def add(before: Sequence[RangerRole], whole: Callable[[RangerRole], RangerRole]) -> list[RangerRole]:
            made = whole(role).model_copy(update={"id": None, "guid": str(uuid.uuid4()), "version": 1})
            _require_free(before, name, None)
            return [*before, made.model_copy(update={"created_by_user": principal.name})]

        return found(change(service, principal.name, add), name)


def update_role(service: Service, principal: Principal, id_: int, role: RangerRole) -> RangerRole:
    """Replaces a role. Raises as `create_role`, Missing, InUse where its old name is used."""
    there = found(_kept(service), id_)
    with events.recording(service, principal, "ranger-role.update", Resource("ranger-role", str(id_), there.name)):
        permissions.require(principal, Action.POLICIES_CHANGE)

        def replace(before: Sequence[RangerRole], whole: Callable[[RangerRole], RangerRole]) -> list[RangerRole]:
            now, wanted = found(before, id_), whole(role)
            _require_free(before, wanted.name, id_)
            if wanted.name != now.name:
                _require_unused(service, before, now.name, "renamed")
            kept = (
                "id",
                "guid",
                "version",
                "created_by_user",
                "create_time",
                "created_by",
                "update_time",
                "updated_by",
            )
            changed = wanted.model_copy(update={field: getattr(now, field) for field in kept})
            return [changed if each.id == id_ else each for each in before]

        return found(change(service, principal.name, replace), id_)


def delete_role(service: Service, principal: Principal, role: int | str) -> None:
    """Deletes a role that no policy and no other role names. Raises Missing, NotPermitted, InUse."""
    there = found(_kept(service), role)
    resource = Resource("ranger-role", str(there.id), there.name)
    with events.recording(service, principal, "ranger-role.delete", resource):
        permissions.require(principal, Action.POLICIES_CHANGE)
        idempotency.takes_elsewhere(service, str(there.id))

        def remove(before: Sequence[RangerRole], _: Callable[[RangerRole], RangerRole]) -> list[RangerRole]:
            _require_unused(service, before, there.name, "deleted")
            return [each for each in before if each.id != there.id]

        change(service, principal.name, remove)


# -- for changes of several roles -------------------------------------------------------------------------

#: Returns the new roles for the existing ones; also gets a function that checks a role and completes machine users'
#: names.
Change = Callable[[Sequence[RangerRole], Callable[[RangerRole], RangerRole]], list[RangerRole]]


def found(roles: Iterable[RangerRole], role: int | str) -> RangerRole:
    """A role by its ID or its name. Raises Missing."""
    for each in roles:
        if role in (each.id, each.name):
            return each
    raise Missing(
        f"There is no role {role!r} of Ranger", action="`registry-tui ranger roles list` shows those there are"
    )


def change(service: Service, actor: str, make: Change) -> tuple[RangerRole, ...]:
    """Enforces the effects of a change of roles in every environment, then stores it; one change at a time."""
    with every_environment_locked(service) as ids:
        before, known = _kept(service), [each for each in all_known(service) if each.place.environment_id in ids]
        after = make(before, lambda role: _prepared(role, before, known))
        concerned = [each for each in known if each.source is None and _gives_otherwise(each, before, after)]
        enforced: list[Known] = []
        try:
            for each in concerned:
                enforced.append(each)
                enforcing.enforce(service, each.place, each.definition, each.policies, after)
            _keep(service, before, after, actor)
        except Exception:
            for each in enforced:
                restore(service, each)
            raise
        for each in concerned:
            note_access(service, each.place.environment_id)
    return _kept(service)


@contextmanager
def every_environment_locked(service: Service) -> Iterator[list[str]]:
    """Locks roles, and policies of all environments, against other changes; yields the environments' IDs."""
    with service.locks.of(_LOCK):
        ids = sorted(each.place.environment_id for each in all_known(service))
        with service.locks.all_of([enforcing.lock_of(id_) for id_ in ids]):
            yield ids


def note_change(session: Session, moment: int) -> None:
    """Increments the version of all roles in the transaction that changes one, at a time in ms, for polling plugins."""
    there_is = session.get(InstallationRow, _VERSION)
    version = 1 if there_is is None else int(there_is.value)
    session.merge(InstallationRow(key=_VERSION, value=str(version + 1)))
    session.merge(InstallationRow(key=_CHANGED_AT, value=str(moment)))


# -- underneath -------------------------------------------------------------------------------------------


def _kept(service: Service) -> tuple[RangerRole, ...]:
    with service.database.reading() as session:
        return roles_in(session)


def _gives_otherwise(known: Known, before: Sequence[RangerRole], after: Sequence[RangerRole]) -> bool:
    """Whether a machine user of the environment has other roles then."""
    groups = known.place.groups
    return any(roles_of(user, groups, before) != roles_of(user, groups, after) for user in known.place.users)


def _keep(service: Service, before: Sequence[RangerRole], after: Sequence[RangerRole], actor: str) -> None:
    moment = int(time.time() * 1000)
    with service.database.session() as session:
        keep(session, RangerRoleRow, before, after, actor, moment)
        if list(after) != list(before):
            note_change(session, moment)


def _prepared(role: RangerRole, there: Sequence[RangerRole], known: Sequence[Known]) -> RangerRole:
    """A role in its stored form, its machine users by their whole names. Raises InvalidInput."""
    role = role.model_copy(update={"name": role.name.strip()})
    problems = list(_problems(role, there))
    if problems:
        detail = "; ".join(f"{each.field}: {each.message}" for each in problems)
        raise InvalidInput(f"The role is not valid: {detail}", errors=problems)
    whole = {user.rpartition("_")[2]: user for each in known for user in each.place.users}
    users: dict[str, RoleMember] = {}
    for member in role.users:
        name = whole.get(member.name, member.name)
        users.setdefault(name, member.model_copy(update={"name": name}))
    return role.model_copy(update={"users": list(users.values())})


def _problems(role: RangerRole, there: Sequence[RangerRole]) -> Iterator[FieldProblem]:
    names = f"1 to {_MAX_NAME} printable characters"
    if not _is_name(role.name):
        yield FieldProblem(field="name", message=f"must have {names}")
    for field in _MEMBERS:
        members = [each.name for each in getattr(role, field)]
        if len(members) > _MAX_MEMBERS:
            yield FieldProblem(field=field, message=f"has more than {_MAX_MEMBERS} members")
        elif not all(_is_name(each) for each in members):
            yield FieldProblem(field=field, message=f"names have {names}")
    for each in role.roles:
        if each.name == role.name:
            yield FieldProblem(field="roles", message="a role cannot be a member of itself")
        elif each.name not in {other.name for other in there}:
            yield FieldProblem(field="roles", message=f"there is no role {each.name[:100]!r}")
        elif role.name in _below(each.name, there):
            message = f"role {role.name!r} is a member of {each.name[:100]!r} already, so not the other way round"
            yield FieldProblem(field="roles", message=message)


def _below(name: str, roles: Sequence[RangerRole]) -> set[str]:
    """The roles that are members of a role, also of its members."""
    members = {role.name: [each.name for each in role.roles] for role in roles}
    below, next_ones = set[str](), [name]
    while next_ones:
        more = [each for each in members.get(next_ones.pop(), ()) if each not in below]
        below.update(more)
        next_ones += more
    return below


def _is_name(name: str) -> bool:
    return bool(name.strip()) and len(name) <= _MAX_NAME and not _UNPRINTABLE.search(name)


def _require_free(roles: Iterable[RangerRole], name: str, id_: int | None) -> None:
    if any(each.name == name and each.id != id_ for each in roles):
        raise AlreadyThere(
            f"Ranger has a role {name!r} already",
            action="Choose another name, or update it",
            errors=[FieldProblem(field="name", message="another role has this name")],
        )


def _require_unused(service: Service, roles: Iterable[RangerRole], name: str, verb: str) -> None:
    """Raises InUse where a role or an own policy names the role."""
    by = [f"role {each.name!r}" for each in roles if any(member.name == name for member in each.roles)]
    with service.database.reading() as session:
        policies = [RangerPolicy.model_validate(row.document) for row in session.scalars(select(RangerPolicyRow))]
    by += [f"policy {each.name!r}" for each in policies if name in _named_in(each)]
    if by:
        named = f"{', '.join(by[:5])}{f' and {len(by) - 5} more' if len(by) > 5 else ''}"
        raise InUse(f"Role {name!r} cannot be {verb}: {named} names it", action="Take it out there first")


def _named_in(policy: RangerPolicy) -> set[str]:
    items = (*policy.policy_items, *policy.deny_policy_items, *policy.allow_exceptions, *policy.deny_exceptions)
    return {name for item in items for name in item.roles}
