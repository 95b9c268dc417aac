"""Ranger's services as stored: one for each RAZ-enabled environment, with the policies that apply there."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, selectinload

from registry_tui.schemas.ranger import RangerPolicy, RangerRole, RangerService, RangerSource, ServiceDefinition
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import (
    EnvironmentRow,
    GroupMemberRow,
    RangerPolicyRow,
    RangerRoleRow,
    RangerSourceRow,
    RegistryRow,
)
from registry_tui.service.errors import Missing, WrongState
from registry_tui.service.ranger.definitions import SERVICES
from registry_tui.service.ranger.enforcing import Place, place_of


@dataclass(frozen=True)
class Known:
    """One service, as stored. With a source, definition and policies are those of an outside Ranger.

    Own roles apply in own policies only: an outside Ranger's policies mean its own roles.
    """

    place: Place
    service: RangerService
    definition: ServiceDefinition
    policies: tuple[RangerPolicy, ...]
    roles: tuple[RangerRole, ...]

    @property
    def source(self) -> RangerSource | None:
        """The outside Ranger whose policies apply, instead of own ones."""
        return self.service.source

    def require_own(self) -> None:
        """Raises WrongState where the policies come from an outside Ranger, which alone can change them."""
        if self.source is not None:
            raise WrongState(
                f"The policies of environment {self.place.name} come from service {self.source.service} of Ranger at "
                f"{self.source.url}, and cannot be changed here",
                action="Change them there; "
                f"`registry-tui ranger source delete {self.place.name}` brings back the environment's own policies",
            )


def all_known(service: Service) -> list[Known]:
    """Every service with its policies, by name."""
    with service.database.reading() as session:
        rows = session.scalars(_environments().order_by(EnvironmentRow.ranger_service))
        return [known_in(session, row) for row in rows]


def known_service(service: Service, name: str) -> Known:
    """A service by name, ID, or its environment's name or ID. Raises Missing."""
    for known in all_known(service):
        if name in (known.service.name, str(known.service.id), known.place.name, known.place.environment_id):
            return known
    raise Missing(
        f"There is no service {name!r} of Ranger",
        action="Only RAZ-enabled environments have one: `registry-tui ranger services list`",
    )


def groups_in(session: Session, user: str) -> frozenset[str]:
    """The groups of a person or a machine user here, in addition to the one with everybody."""
    machine = select(RegistryRow).where(RegistryRow.machine_user_workload_name == user)
    registry = session.scalars(machine).one_or_none()
    named = session.scalars(select(GroupMemberRow.group).where(GroupMemberRow.user == user))
    return frozenset(named) | frozenset(() if registry is None else (group.name for group in registry.groups))


def service_id(environment_id: str) -> int:
    """The ID of an environment's service, in 31 bits."""
    return zlib.crc32(environment_id.encode()) >> 1


def known_in(session: Session, row: EnvironmentRow, *, own: bool = False) -> Known:
    """An environment's service, as stored; its registry must be loaded. `own`: without its outside Ranger."""
    place = place_of(row)
    source = None if own else session.get(RangerSourceRow, row.id)
    kind = SERVICES[place.cloud][1]
    definition = kind if source is None else ServiceDefinition.model_validate(source.definition)
    described = RangerService(
        id=service_id(row.id),
        guid=row.id,
        name=row.ranger_service or place.service,
        type=kind.name,
        display_name=place.service,
        description=f"Environment {row.name}, bucket {row.bucket}",
        policy_version=row.policy_version,
        configs={"environment": row.name, "bucket": row.bucket},
        create_time=int(row.created_at.timestamp() * 1000),
        created_by=row.creator,
        source=None if source is None else described_source(source),
    )
    roles = roles_in(session) if source is None else ()
    return Known(place, described, definition, _policies(session, row.id, described.name, source), roles)


def roles_in(session: Session) -> tuple[RangerRole, ...]:
    """All roles, by ID."""
    rows = session.scalars(select(RangerRoleRow).order_by(RangerRoleRow.id))
    return tuple(RangerRole.model_validate({**each.document, "id": each.id}) for each in rows)


def described_source(row: RangerSourceRow) -> RangerSource:
    """An outside Ranger for people: without its password."""
    return RangerSource(
        url=row.url,
        service=row.service,
        user=row.user,
        every=row.every,
        policy_version=row.policy_version,
        fetched_at=row.fetched_at,
        failing_since=row.failing_since,
        problem=row.problem,
        notes=row.notes,
    )


def _policies(
    session: Session, environment_id: str, name: str, source: RangerSourceRow | None
) -> tuple[RangerPolicy, ...]:
    if source is not None:
        return tuple(RangerPolicy.model_validate({**each, "service": name}) for each in source.policies)
    query = select(RangerPolicyRow).where(RangerPolicyRow.environment_id == environment_id).order_by(RangerPolicyRow.id)
    return tuple(
        RangerPolicy.model_validate({**found.document, "id": found.id, "service": name})
        for found in session.scalars(query)
    )


def _environments() -> Select[EnvironmentRow]:
    return (
        select(EnvironmentRow)
        .where(EnvironmentRow.state != "deleting", EnvironmentRow.ranger_service.is_not(None))
        .options(selectinload(EnvironmentRow.model_registry).selectinload(RegistryRow.groups))
    )
