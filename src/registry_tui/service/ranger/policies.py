"""Ranger's services and policies of RAZ-enabled environments: list, create, update, delete; each change is enforced."""

from __future__ import annotations

import time
import uuid
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, selectinload

from registry_tui.schemas.base import FieldProblem
from registry_tui.schemas.places import Cloud
from registry_tui.schemas.ranger import (
    AuthorizeAnswer,
    AuthorizeRequest,
    PolicyItem,
    PolicyItemAccess,
    PolicyResource,
    RangerPolicy,
    RangerService,
    ServiceDefinition,
    ServicePolicies,
)
from registry_tui.service.core import events, identity, permissions
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.core.probing import note_access
from registry_tui.service.database.tables import EnvironmentRow, RangerPolicyRow
from registry_tui.service.errors import AlreadyThere, Missing, ServiceError, WrongState
from registry_tui.service.ranger import authorize as decision_point
from registry_tui.service.ranger import checking, enforcing
from registry_tui.service.ranger.definitions import DEFINITIONS, PERMISSIONS, SERVICES
from registry_tui.service.ranger.enforcing import Place, place_of
from registry_tui.service.ranger.timing import Timers

_READ = "see the policies of Ranger"
_CHANGE = "change the policies of Ranger"


@dataclass(frozen=True)
class Known:
    """What is kept of one service."""

    place: Place
    service: RangerService
    definition: ServiceDefinition
    policies: tuple[RangerPolicy, ...]


# -- services ---------------------------------------------------------------------------------------------


def definitions(service: Service, principal: Principal) -> Sequence[ServiceDefinition]:
    """The definitions of all kinds of service. Raises NotPermitted."""
    permissions.require_administrator(principal, _READ)
    return DEFINITIONS


def list_services(service: Service, principal: Principal) -> list[RangerService]:
    """The service of every RAZ-enabled environment, by name. Raises NotPermitted."""
    permissions.require_administrator(principal, _READ)
    return [known.service for known in all_known(service)]


def get_service(service: Service, principal: Principal, name: str) -> RangerService:
    """A service by name, by ID, or by the name of its environment. Raises Missing, NotPermitted."""
    permissions.require_administrator(principal, _READ)
    return known_service(service, name).service


def download(service: Service, principal: Principal, name: str) -> ServicePolicies:
    """All policies of a service, as plugins fetch them. Raises Missing, NotPermitted."""
    permissions.require_administrator(principal, _READ)
    known = known_service(service, name)
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
        _change(service, environment_id, owner, lambda known: [*known.policies, _first_policy(known, owner)])
    else:
        _change(service, environment_id, "", lambda known: list(known.policies))


# -- policies ---------------------------------------------------------------------------------------------


def list_policies(service: Service, principal: Principal, name: str | None = None) -> list[RangerPolicy]:
    """Policies by ID, of one service or of all. Raises Missing, NotPermitted."""
    permissions.require_administrator(principal, _READ)
    found = all_known(service) if name is None else [known_service(service, name)]
    return sorted((policy for known in found for policy in known.policies), key=lambda each: each.id or 0)


def get_policy(service: Service, principal: Principal, policy: int | str, name: str | None = None) -> RangerPolicy:
    """A policy by ID, or by its name in a service. Raises Missing, NotPermitted."""
    for each in list_policies(service, principal, name):
        if policy in (each.id, each.name, str(each.id)):
            return each
    raise Missing(f"There is no policy {policy!r}", action="`registry-tui ranger policies list` shows those there are")


def create_policy(service: Service, principal: Principal, policy: RangerPolicy) -> RangerPolicy:
    """Adds a policy to the service that it names; the next request to the store obeys.

    Raises NotPermitted, Missing for the service, InvalidInput, AlreadyThere, PartUnavailable.
    """
    known = known_service(service, policy.service)
    resource = _resource(known, policy)
    with events.recording(service, principal, "policy.create", resource):
        permissions.require_administrator(principal, _CHANGE)
        wanted = _prepared(known, policy)

        def add(now: Known) -> list[RangerPolicy]:
            _require_free(now, wanted.name, None)
            return [*now.policies, wanted.model_copy(update={"id": None, "guid": str(uuid.uuid4()), "version": 1})]

        changed = _change(service, known.place.environment_id, principal.name, add)
    return next(each for each in changed.policies if each.name == wanted.name)


def update_policy(
    service: Service, principal: Principal, id_: int, policy: RangerPolicy, *, version: int | None = None
) -> RangerPolicy:
    """Replaces a policy, or only that version of it. Raises as `create_policy`, Missing, WrongState for a newer one.

    The version in `policy` decides nothing, as with Ranger: an older policy can be put back.
    """
    before = _policy_row(service, id_)
    known = known_service(service, before.environment_id)
    with events.recording(service, principal, "policy.update", Resource("policy", str(id_), before.name)):
        permissions.require_administrator(principal, _CHANGE)
        wanted = _prepared(known, policy)

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
    """Deletes a policy; what only it gave is refused from the next request on. Raises Missing, NotPermitted."""
    before = _policy_row(service, id_)
    with events.recording(service, principal, "policy.delete", Resource("policy", str(id_), before.name)):
        permissions.require_administrator(principal, _CHANGE)

        def remove(now: Known) -> list[RangerPolicy]:
            return [each for each in now.policies if each.id != id_]

        _change(service, before.environment_id, principal.name, remove)


def apply_policy(service: Service, principal: Principal, policy: RangerPolicy) -> RangerPolicy:
    """Adds a policy, or adds its items to the policy with the same resources. Raises as `create_policy`."""
    permissions.require_administrator(principal, _CHANGE)
    known = known_service(service, policy.service)
    wanted = _prepared(known, policy)
    for there in known.policies:
        if there.resources == wanted.resources and there.policy_priority == wanted.policy_priority:
            added = {}
            for field in ("policy_items", "deny_policy_items", "allow_exceptions", "deny_exceptions"):
                before = getattr(there, field)
                added[field] = [*before, *(item for item in getattr(wanted, field) if item not in before)]
            return update_policy(service, principal, there.id or 0, there.model_copy(update=added))
    return create_policy(service, principal, policy)


def authorize(service: Service, principal: Principal, request: AuthorizeRequest) -> AuthorizeAnswer:
    """Whether the policies of a service let somebody do something. Raises Missing, InvalidInput, NotPermitted."""
    permissions.require_administrator(principal, _READ)
    return decision_point.authorize(download(service, principal, request.context.service_name), request)


def edit(service: Service, environment_id: str, actor: str, change: Callable[[Known], list[RangerPolicy]]) -> Known:
    """Changes an environment's policies together, enforced before they are kept. Raises PartUnavailable."""
    return _change(service, environment_id, actor, change)


# -- underneath -------------------------------------------------------------------------------------------


def all_known(service: Service) -> list[Known]:
    """Every service with its policies, by name."""
    with service.database.reading() as session:
        rows = session.scalars(_environments().order_by(EnvironmentRow.ranger_service))
        return [_known(session, row) for row in rows]


def known_service(service: Service, name: str) -> Known:
    """A service by name, ID, or its environment's name or ID. Raises Missing."""
    for known in all_known(service):
        if name in (known.service.name, str(known.service.id), known.place.name, known.place.environment_id):
            return known
    raise Missing(
        f"There is no service {name!r} of Ranger",
        action="Only RAZ-enabled environments have one: `registry-tui ranger services list`",
    )


def _environments() -> Select[EnvironmentRow]:
    return (
        select(EnvironmentRow)
        .where(EnvironmentRow.state != "deleting", EnvironmentRow.ranger_service.is_not(None))
        .options(selectinload(EnvironmentRow.model_registry))
    )


def _known(session: Session, row: EnvironmentRow) -> Known:
    place = place_of(row)
    definition = SERVICES[place.cloud][1]
    query = select(RangerPolicyRow).where(RangerPolicyRow.environment_id == row.id).order_by(RangerPolicyRow.id)
    described = RangerService(
        id=zlib.crc32(row.id.encode()) >> 1,
        guid=row.id,
        name=row.ranger_service or place.service,
        type=definition.name,
        display_name=place.service,
        description=f"Environment {row.name}, bucket {row.bucket}",
        policy_version=row.policy_version,
        configs={"environment": row.name, "bucket": row.bucket},
        create_time=_milliseconds(row.created_at.timestamp()),
        created_by=row.creator,
    )
    policies = tuple(
        RangerPolicy.model_validate({**found.document, "id": found.id, "service": described.name})
        for found in session.scalars(query)
    )
    return Known(place, described, definition, policies)


def _change(service: Service, environment_id: str, actor: str, change: Callable[[Known], list[RangerPolicy]]) -> Known:
    """Enforces what the change makes of the policies, then keeps it; one change of an environment at a time."""
    with service.locks.of(f"ranger:{environment_id}"):
        known = known_service(service, environment_id)
        after = change(known)
        enforcing.enforce(service, known.place, after)
        try:
            if after != list(known.policies):
                _keep(service, known, after, actor)
        except ServiceError:
            enforcing.enforce(service, known.place, known.policies)
            raise
        note_access(service, environment_id)
        service.kept.of(Timers).set(environment_id, after, lambda: ensure(service, environment_id))
        return known_service(service, environment_id)


def _keep(service: Service, known: Known, after: Sequence[RangerPolicy], actor: str) -> None:
    before = {policy.id: policy for policy in known.policies}
    moment = _milliseconds(time.time())
    with service.database.session() as session:
        for id_ in set(before) - {policy.id for policy in after}:
            session.delete(session.get_one(RangerPolicyRow, id_))
        session.flush()
        for policy in after:
            if policy.id is None:
                made = {"create_time": moment, "created_by": actor, "update_time": moment, "updated_by": actor}
                document = _document(policy.model_copy(update=made))
                session.add(
                    RangerPolicyRow(environment_id=known.place.environment_id, name=policy.name, document=document)
                )
            elif policy != before[policy.id]:
                row = session.get_one(RangerPolicyRow, policy.id)
                changed = {"update_time": moment, "updated_by": actor, "version": (policy.version or 0) + 1}
                row.name, row.document = policy.name, _document(policy.model_copy(update=changed))
        session.get_one(EnvironmentRow, known.place.environment_id).policy_version += 1


def _document(policy: RangerPolicy) -> dict[str, object]:
    return policy.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"id", "service"})


def _prepared(known: Known, policy: RangerPolicy) -> RangerPolicy:
    """A policy as it is kept: checked, with machine users by their whole names, and keys without a leading slash."""
    checking.check(known.definition, policy)

    def named(items: Sequence[PolicyItem]) -> list[PolicyItem]:
        return [item.model_copy(update={"users": _whole_names(known.place, item.users)}) for item in items]

    path = known.definition.resources[-1].name

    def placed(resources: dict[str, PolicyResource]) -> dict[str, PolicyResource]:
        values = [value.removeprefix("/") or "*" for value in resources[path].values]
        return {**resources, path: resources[path].model_copy(update={"values": values})}

    return policy.model_copy(
        update={
            "name": policy.name.strip(),
            "service": known.service.name,
            "service_type": known.definition.name,
            "resources": placed(policy.resources),
            "additional_resources": [placed(each) for each in policy.additional_resources],
            "policy_items": named(policy.policy_items),
            "deny_policy_items": named(policy.deny_policy_items),
            "allow_exceptions": named(policy.allow_exceptions),
            "deny_exceptions": named(policy.deny_exceptions),
        }
    )


def _whole_names(place: Place, users: Sequence[str]) -> list[str]:
    """Machine users are known by the last part of their name too, as the documentation writes them."""
    whole = {user.rpartition("_")[2]: user for user in place.users}
    return list(dict.fromkeys(whole.get(user, user) for user in users))


def replaced(before: RangerPolicy, wanted: RangerPolicy) -> RangerPolicy:
    """A policy in place of another: what it says is new, what it is known by stays."""
    kept = ("id", "guid", "version", "create_time", "created_by", "update_time", "updated_by")
    return wanted.model_copy(update={field: getattr(before, field) for field in kept})


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
            action="Read it again, and change what is there now",
            errors=[FieldProblem(field="version", message=f"it is {there.version} now")],
        )


def _policy_row(service: Service, id_: int) -> RangerPolicyRow:
    with service.database.reading() as session:
        row = session.get(RangerPolicyRow, id_)
    if row is None:
        raise _gone(id_)
    return row


def _gone(id_: int) -> Missing:
    return Missing(f"There is no policy {id_}", action="`registry-tui ranger policies list` shows those there are")


def _resource(known: Known, policy: RangerPolicy) -> Resource:
    return Resource("policy", policy.name[:200], f"{known.service.name}: {policy.name[:200]}")


def _free_name(session: Session, row: EnvironmentRow) -> str:
    """The documented name for the first environment of a cloud, with the environment's name for the others."""
    documented = SERVICES[Cloud(row.cloud)][0]
    taken = session.scalars(select(EnvironmentRow.id).where(EnvironmentRow.ranger_service == documented)).first()
    return documented if taken is None else f"{documented}_{row.name}"


def _first_policy(known: Known, owner: str) -> RangerPolicy:
    """The policy that every new service of Ranger has: its administrator may do everything."""
    levels = known.definition.resources
    everything = {level.name: PolicyResource(values=["*"], is_recursive=level.recursive_supported) for level in levels}
    accesses = [PolicyItemAccess(type=permission) for permission in PERMISSIONS]
    return RangerPolicy(
        guid=str(uuid.uuid4()),
        version=1,
        service=known.service.name,
        service_type=known.definition.name,
        name=f"all - {', '.join(level.name for level in levels)}",
        description=f"Policy for all - {', '.join(level.name for level in levels)}",
        resources=everything,
        policy_items=[PolicyItem(accesses=accesses, users=[owner], delegate_admin=True)],
    )


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
