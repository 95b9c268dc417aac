"""Ranger's services and policies of RAZ-enabled environments: list, create, update, delete; each change is enforced."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry_tui.contracts.permissions import Action
from registry_tui.schemas.base import FieldProblem
from registry_tui.schemas.places import Cloud
from registry_tui.schemas.ranger import (
    AuthorizeAnswer,
    AuthorizeRequest,
    RangerPolicy,
    RangerService,
    ServiceDefinition,
    ServicePolicies,
)
from registry_tui.service.core import events, idempotency, identity, permissions
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.core.probing import note_access
from registry_tui.service.database.tables import EnvironmentRow, RangerPolicyRow
from registry_tui.service.errors import AlreadyThere, Missing, WrongState
from registry_tui.service.ranger import authorize as decision_point
from registry_tui.service.ranger import enforcing
from registry_tui.service.ranger.definitions import DEFINITIONS, SERVICES
from registry_tui.service.ranger.keeping import keep
from registry_tui.service.ranger.known import Known, all_known, groups_in, known_service
from registry_tui.service.ranger.shaping import about_the_same, first_policy, merged, prepared, replaced
from registry_tui.service.ranger.timing import Timers

logger = logging.getLogger(__name__)

# -- services ---------------------------------------------------------------------------------------------


def definitions(service: Service, principal: Principal) -> Sequence[ServiceDefinition]:
    """The definitions of all kinds of service. Raises NotPermitted."""
    permissions.require(principal, Action.POLICIES_SEE)
    return DEFINITIONS


def list_services(service: Service, principal: Principal) -> list[RangerService]:
    """The service of every RAZ-enabled environment, by name. Raises NotPermitted."""
    permissions.require(principal, Action.POLICIES_SEE)
    return [known.service for known in all_known(service)]


def get_service(service: Service, principal: Principal, name: str) -> RangerService:
    """A service by name, by ID, or by the name of its environment. Raises Missing, NotPermitted."""
    permissions.require(principal, Action.POLICIES_SEE)
    return known_service(service, name).service


def download(service: Service, principal: Principal, name: str) -> ServicePolicies:
    """All policies of a service, as plugins fetch them. Raises Missing, NotPermitted."""
    permissions.require(principal, Action.POLICIES_SEE)
    return _whole(known_service(service, name))


def _whole(known: Known) -> ServicePolicies:
    return ServicePolicies(
        service_id=known.service.id,
        service_name=known.service.name,
        policy_version=known.service.policy_version,
        policies=list(known.policies),
        service_def=known.definition,
    )


def ensure(service: Service, environment_id: str) -> None:
    """Gives a RAZ-enabled environment its service and first policy, and enforces; repeated, it only enforces.

    Raises PartUnavailable.
    """
    with service.database.session() as session:
        row = session.get(EnvironmentRow, environment_id)
        if row is None or not row.raz_enabled:
            return
        new = row.ranger_service is None
        if new:
            row.ranger_service = _free_name(session, row)
    if new:
        owner = identity.owner_name(service)

        def begin(known: Known) -> list[RangerPolicy]:
            return [*known.policies, first_policy(known.definition, known.service.name, owner)]

        _change(service, environment_id, owner, begin)
    else:
        _change(service, environment_id, "", lambda known: list(known.policies))


def restore(service: Service, known: Known) -> None:
    """Enforces the stored policies again after a change that failed; retries until it succeeds."""
    id_ = known.place.environment_id
    try:
        enforcing.enforce(service, known.place, known.definition, known.policies, known.roles)
    except Exception:
        logger.warning(
            "the policies of environment %s are not enforced as they are kept", known.place.name, exc_info=True
        )
        service.kept.of(Timers).again(id_, lambda: ensure(service, id_))


# -- policies ---------------------------------------------------------------------------------------------


def require_change(service: Service, principal: Principal, action: str, named: str) -> None:
    """Raises NotPermitted, with an event, for people who may not make a change, before anything is looked up.

    `action` is the event's, `named` the policy or the service that the change names.
    """
    permissions.require_recorded(service, principal, Action.POLICIES_CHANGE, action, Resource("policy", named, named))


def list_policies(service: Service, principal: Principal, name: str | None = None) -> list[RangerPolicy]:
    """Policies by ID, of one service or of all. Raises Missing, NotPermitted."""
    permissions.require(principal, Action.POLICIES_SEE)
    found = all_known(service) if name is None else [known_service(service, name)]
    return sorted((policy for known in found for policy in known.policies), key=lambda each: each.id or 0)


def get_policy(
    service: Service, principal: Principal, policy: int | str, name: str | None = None, *, zone: str | None = None
) -> RangerPolicy:
    """A policy by ID, or by its name in a service; a security zone has none. Raises Missing, NotPermitted."""
    if zone:
        permissions.require(principal, Action.POLICIES_SEE)
        raise Missing(f"There is no policy {policy!r} in zone {zone[:100]!r}: there are no security zones here")
    for each in list_policies(service, principal, name):
        if policy in (each.id, each.name, str(each.id)):
            return each
    raise Missing(f"There is no policy {policy!r}", action="`registry-tui ranger policies list` shows those there are")


def create_policy(service: Service, principal: Principal, policy: RangerPolicy) -> RangerPolicy:
    """Adds a policy to the service that it names; the store enforces it from the next request on.

    Raises NotPermitted, Missing for the service, InvalidInput, AlreadyThere, PartUnavailable.
    """
    known = known_service(service, policy.service)
    resource = _resource(known, policy)
    with events.recording(service, principal, "policy.create", resource):
        permissions.require(principal, Action.POLICIES_CHANGE)
        known.require_own()
        wanted = prepared(known.definition, known.service.name, known.place, policy)

        def add(now: Known) -> list[RangerPolicy]:
            _require_free(now, wanted.name, None)
            return [*now.policies, _new(wanted)]

        changed = _change(service, known.place.environment_id, principal.name, add)
    return next(each for each in changed.policies if each.name == wanted.name)


def update_policy(
    service: Service, principal: Principal, id_: int, policy: RangerPolicy, *, version: int | None = None
) -> RangerPolicy:
    """Replaces a policy, or only that version of it. Raises as `create_policy`, Missing, WrongState for a newer one.

    The version in `policy` is ignored, as with Ranger: an older policy can be restored.
    """
    known, before = _policy(service, id_)
    with events.recording(service, principal, "policy.update", Resource("policy", str(id_), before.name)):
        permissions.require(principal, Action.POLICIES_CHANGE)
        known.require_own()
        wanted = prepared(known.definition, known.service.name, known.place, policy)

        def replace(now: Known) -> list[RangerPolicy]:
            _require_free(now, wanted.name, id_)
            there = next((each for each in now.policies if each.id == id_), None)
            if there is None:
                raise _gone(id_)
            _require_version(there, version)
            return [replaced(each, wanted) if each.id == id_ else each for each in now.policies]

        changed = _change(service, known.place.environment_id, principal.name, replace)
    return next(each for each in changed.policies if each.id == id_)


def delete_policy(service: Service, principal: Principal, id_: int) -> None:
    """Deletes a policy; access that only it gave is refused from the next request on. Raises Missing, NotPermitted."""
    known, before = _policy(service, id_)
    with events.recording(service, principal, "policy.delete", Resource("policy", str(id_), before.name)):
        permissions.require(principal, Action.POLICIES_CHANGE)
        known.require_own()
        idempotency.takes_elsewhere(service, str(id_))

        def remove(now: Known) -> list[RangerPolicy]:
            return [each for each in now.policies if each.id != id_]

        _change(service, known.place.environment_id, principal.name, remove)


def apply_policy(service: Service, principal: Principal, policy: RangerPolicy) -> RangerPolicy:
    """Adds a policy, or adds its items to the policy with the same resources. Raises as `create_policy`."""
    known = known_service(service, policy.service)
    with events.recording(service, principal, "policy.apply", _resource(known, policy)) as event:
        permissions.require(principal, Action.POLICIES_CHANGE)
        known.require_own()
        wanted = prepared(known.definition, known.service.name, known.place, policy)

        def add(now: Known) -> list[RangerPolicy]:
            there = next((each for each in now.policies if about_the_same(each, wanted)), None)
            if there is not None:
                return [merged(each, wanted) if each is there else each for each in now.policies]
            _require_free(now, wanted.name, None)
            return [*now.policies, _new(wanted)]

        changed = _change(service, known.place.environment_id, principal.name, add)
        applied = next(each for each in changed.policies if about_the_same(each, wanted))
        event.resource = Resource("policy", str(applied.id), applied.name)
    return applied


def authorize(service: Service, principal: Principal, request: AuthorizeRequest) -> AuthorizeAnswer:
    """Whether the policies of a service let somebody do something, with the groups of the request and those known here.

    Raises Missing, InvalidInput, NotPermitted.
    """
    permissions.require(principal, Action.POLICIES_SEE)
    known = known_service(service, request.context.service_name)
    with service.database.reading() as session:
        groups = {*request.user.groups, *groups_in(session, request.user.name)}
    user = request.user.model_copy(update={"groups": sorted(groups)})
    return decision_point.authorize(_whole(known), request.model_copy(update={"user": user}), list(known.roles))


def edit(service: Service, environment_id: str, actor: str, change: Callable[[Known], list[RangerPolicy]]) -> Known:
    """Changes an environment's policies together, enforced before they are kept. Raises PartUnavailable."""
    return _change(service, environment_id, actor, change)


# -- underneath -------------------------------------------------------------------------------------------


def _change(service: Service, environment_id: str, actor: str, change: Callable[[Known], list[RangerPolicy]]) -> Known:
    """Enforces the changed policies, then stores them; one change of an environment at a time.

    Raises WrongState for a change of policies that come from outside.
    """
    with service.locks.of(enforcing.lock_of(environment_id)):
        known = known_service(service, environment_id)
        after = change(known)
        if after != list(known.policies):
            known.require_own()
        changes = after != list(known.policies)
        try:
            enforcing.enforce(service, known.place, known.definition, after, known.roles)
            if changes:
                _keep(service, known, after, actor)
        except Exception:
            if changes:
                restore(service, known)
            raise
        note_access(service, environment_id)
        service.kept.of(Timers).set(environment_id, after, lambda: ensure(service, environment_id))
        return known_service(service, environment_id)


def _keep(service: Service, known: Known, after: Sequence[RangerPolicy], actor: str) -> None:
    environment, moment = known.place.environment_id, _milliseconds(time.time())
    with service.database.session() as session:
        place = {"environment_id": environment}
        keep(session, RangerPolicyRow, known.policies, after, actor, moment, place)
        session.get_one(EnvironmentRow, environment).policy_version += 1


def _require_free(known: Known, name: str, id_: int | None) -> None:
    if any(each.name == name and each.id != id_ for each in known.policies):
        raise AlreadyThere(
            f"Service {known.service.name} has a policy {name!r} already",
            action="Choose another name, or update it",
            errors=[FieldProblem(field="name", message="another policy of the service has this name")],
        )


def _require_version(there: RangerPolicy, version: int | None) -> None:
    if version is not None and version != there.version:
        raise WrongState(
            f"Policy {there.name!r} was changed meanwhile by {there.updated_by or 'somebody'}: "
            f"it has version {there.version}, and the change was made to version {version}",
            action="Read it again, and change its present state",
            errors=[FieldProblem(field="version", message=f"it is {there.version} now")],
        )


def _policy(service: Service, id_: int) -> tuple[Known, RangerPolicy]:
    """A policy that applies, with its service. Raises Missing."""
    for known in all_known(service):
        for policy in known.policies:
            if policy.id == id_:
                return known, policy
    raise _gone(id_)


def _gone(id_: int) -> Missing:
    return Missing(f"There is no policy {id_}", action="`registry-tui ranger policies list` shows those there are")


def _new(policy: RangerPolicy) -> RangerPolicy:
    return policy.model_copy(update={"id": None, "guid": str(uuid.uuid4()), "version": 1})


def _resource(known: Known, policy: RangerPolicy) -> Resource:
    return Resource("policy", policy.name[:200], f"{known.service.name}: {policy.name[:200]}")


def _free_name(session: Session, row: EnvironmentRow) -> str:
    """The documented name for the first environment of a cloud, with the environment's name for the others."""
    documented = SERVICES[Cloud(row.cloud)][0]
    taken = session.scalars(select(EnvironmentRow.id).where(EnvironmentRow.ranger_service == documented)).first()
    return documented if taken is None else f"{documented}_{row.name}"


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
