"""Outside Rangers: the environments that use one, and polling those for changes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Hashable
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from registry_tui.contracts.permissions import Action
from registry_tui.schemas.operations import EventOutcome
from registry_tui.schemas.ranger import RangerService, RangerSourceChange, ServicePolicies
from registry_tui.service.core import events, idempotency, identity, permissions
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.core.probing import note_access
from registry_tui.service.database.tables import EnvironmentRow, RangerSourceRow, now
from registry_tui.service.errors import Missing, ServiceError
from registry_tui.service.ranger import enforcing, outside
from registry_tui.service.ranger.known import Known, known_in, known_service, service_id
from registry_tui.service.ranger.outside import Address, Fitted, SourceProblem
from registry_tui.service.ranger.policies import ensure, require_change, restore
from registry_tui.service.ranger.timing import Timers

logger = logging.getLogger(__name__)

_SET, _DELETE = "ranger-source.set", "ranger-source.delete"


class Polls:
    """When each environment's outside Ranger is polled next."""

    def __init__(self) -> None:
        self.guard = threading.Lock()
        #: By the environment's ID, in seconds of `time.monotonic`.
        self.due: dict[str, float] = {}
        #: The environments' IDs with their seconds between polls, as of that many commits.
        self.every: dict[str, float] = {}
        self.read_after: Hashable = None


@dataclass(frozen=True)
class _Asked:
    address: Address
    known_version: int


def require_source_change(service: Service, principal: Principal, verb: str, environment: str) -> None:
    """Refuses a change of an outside Ranger before anything is looked up, with an event. Raises NotPermitted."""
    require_change(service, principal, f"ranger-source.{verb}", environment)


def set_source(service: Service, principal: Principal, environment: str, change: RangerSourceChange) -> RangerService:
    """Has an environment use a service of an outside Ranger; its policies are fetched and enforced first.

    Raises NotPermitted, Missing, InvalidInput, SourceProblem, PartUnavailable; nothing is changed then.
    """
    known = known_service(service, environment)
    place = known.place
    with events.recording(service, principal, _SET, Resource("environment", place.environment_id, place.name)) as event:
        permissions.require(principal, Action.POLICIES_CHANGE)
        address = Address(
            change.url.strip(), change.service.strip(), change.user or None, _password(service, known, change)
        )
        outside.check_address(address)
        answer = outside.download(address)
        if answer is None:
            raise SourceProblem(f"Ranger at {address.url} answers 304 to the first question")
        found = _fitted(known, answer)
        _take(service, place.environment_id, address, found, change.every, only_if=None)
        event.detail = _described(address, found)
        with service.kept.of(Polls).guard:
            service.kept.of(Polls).due.pop(place.environment_id, None)
    return known_service(service, place.environment_id).service


def delete_source(service: Service, principal: Principal, environment: str) -> RangerService:
    """Restores an environment's own policies. Raises NotPermitted, Missing, PartUnavailable."""
    known = known_service(service, environment)
    place = known.place
    with events.recording(service, principal, _DELETE, Resource("environment", place.environment_id, place.name)):
        permissions.require(principal, Action.POLICIES_CHANGE)
        with service.database.reading() as session:
            another = idempotency.taken(session)
        if known.source is None or another:
            raise Missing(f"Environment {place.name} obeys no outside Ranger", action="There is nothing to delete")
        with service.locks.of(enforcing.lock_of(place.environment_id)):
            own = _known(service, place.environment_id, own=True)
            try:
                enforcing.enforce(service, own.place, own.definition, own.policies, own.roles)
                with service.database.session() as session:
                    row = session.get(RangerSourceRow, place.environment_id)
                    if row is not None:
                        session.delete(row)
                    idempotency.takes(session)
                    session.get_one(EnvironmentRow, place.environment_id).policy_version += 1
            except Exception:
                restore(service, _known(service, place.environment_id))
                raise
            note_access(service, place.environment_id)
            service.kept.of(Timers).set(
                place.environment_id, own.policies, lambda: ensure(service, place.environment_id)
            )
    return known_service(service, place.environment_id).service


def ask_due(service: Service) -> None:
    """Polls every outside Ranger that is due."""
    polls = service.kept.of(Polls)
    if polls.read_after != (writes := service.database.stamp()):
        with service.database.reading() as session:
            found = session.scalars(select(RangerSourceRow)).all()
        polls.every, polls.read_after = {each.environment_id: each.every for each in found}, writes
    for id_, every in polls.every.items():
        with polls.guard:
            if polls.due.get(id_, 0.0) > time.monotonic():
                continue
        try:
            ask(service, id_)
        finally:
            with polls.guard:
                polls.due[id_] = time.monotonic() + every


def ask(service: Service, environment_id: str) -> None:
    """Polls an environment's outside Ranger for changes. Its last policies stay while it does not respond."""
    with service.database.reading() as session:
        row = session.get(RangerSourceRow, environment_id)
        if row is None:
            return
        address = Address(row.url, row.service, row.user, row.password)
        asked = _Asked(address, row.policy_version)
        every = row.every
    try:
        answer = outside.download(address, asked.known_version)
        if answer is None:
            if _note(service, environment_id, address, ""):
                known = known_service(service, environment_id)
                _record(service, known, EventOutcome.SUCCEEDED, f"Ranger at {address.url} answers again")
            return
        known = known_service(service, environment_id)
        found = _fitted(known, answer)
        if _take(service, environment_id, address, found, every, only_if=asked):
            _record(service, known, EventOutcome.SUCCEEDED, _described(address, found))
    except ServiceError as error:
        if _note(service, environment_id, address, error.detail):
            logger.warning("policies from outside: %s", error.detail)
            _record(service, known_service(service, environment_id), EventOutcome.FAILED, error.detail)


# -- underneath -------------------------------------------------------------------------------------------


def _password(service: Service, known: Known, change: RangerSourceChange) -> str | None:
    """The given password, or the earlier one of the same user at the same place."""
    if change.password or not change.user:
        return change.password or None
    with service.database.reading() as session:
        row = session.get(RangerSourceRow, known.place.environment_id)
    same = row is not None and (row.url, row.user) == (change.url.strip(), change.user)
    return row.password if row is not None and same else None


def _fitted(known: Known, answer: ServicePolicies) -> Fitted:
    own = enforcing.definition_of(known.place)
    first_id = (service_id(known.place.environment_id) | 1) << 22
    return outside.fitted(own, known.service.name, first_id, answer)


def _take(
    service: Service, environment_id: str, address: Address, found: Fitted, every: float, *, only_if: _Asked | None
) -> bool:
    """Enforces fetched policies, then stores them; only while the source is still `only_if`. Raises PartUnavailable."""
    with service.locks.of(enforcing.lock_of(environment_id)):
        before = _known(service, environment_id)
        with service.database.reading() as session:
            row = session.get(RangerSourceRow, environment_id)
        if only_if is not None:
            if row is None or (_address(row), row.policy_version) != (only_if.address, only_if.known_version):
                return False
            every = row.every
        try:
            enforcing.enforce(service, before.place, found.definition, found.policies, ())
            with service.database.session() as session:
                kept = session.get(RangerSourceRow, environment_id) or RangerSourceRow(environment_id=environment_id)
                kept.url, kept.service = address.url, address.service
                kept.user, kept.password = address.user, address.password
                kept.every, kept.policy_version = every, found.version
                kept.definition = found.definition.model_dump(mode="json", by_alias=True)
                kept.policies = [
                    each.model_dump(mode="json", by_alias=True, exclude_none=True) for each in found.policies
                ]
                kept.notes = list(found.notes)
                kept.fetched_at, kept.failing_since, kept.problem = now(), None, ""
                session.add(kept)
                session.get_one(EnvironmentRow, environment_id).policy_version += 1
        except Exception:
            restore(service, before)
            raise
        note_access(service, environment_id)
        service.kept.of(Timers).set(environment_id, found.policies, lambda: ensure(service, environment_id))
    return True


def _note(service: Service, environment_id: str, address: Address, problem: str) -> bool:
    """Notes that it responds, or why it does not; returns whether that changed."""
    with service.database.reading() as session:
        row = session.get(RangerSourceRow, environment_id)
    if row is None or _address(row) != address or row.problem == problem:
        return False
    news = bool(row.problem) is not bool(problem)
    with service.database.session() as session:
        kept = session.get_one(RangerSourceRow, environment_id)
        kept.failing_since = None if not problem else kept.failing_since or now()
        kept.problem = problem
    return news


def _address(row: RangerSourceRow) -> Address:
    return Address(row.url, row.service, row.user, row.password)


def _known(service: Service, environment_id: str, *, own: bool = False) -> Known:
    query = (
        select(EnvironmentRow)
        .where(EnvironmentRow.id == environment_id)
        .options(selectinload(EnvironmentRow.model_registry))
    )
    with service.database.reading() as session:
        return known_in(session, session.scalars(query).one(), own=own)


def _described(address: Address, found: Fitted) -> str:
    return f"service {address.service} of Ranger at {address.url}, version {found.version}"


def _record(service: Service, known: Known, outcome: EventOutcome, detail: str) -> None:
    events.record(
        service,
        identity.owner_principal(service),
        action="ranger-source.fetch",
        resource=Resource("environment", known.place.environment_id, known.place.name),
        outcome=outcome,
        detail=detail,
    )
