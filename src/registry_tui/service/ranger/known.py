"""Ranger's services as they are kept: one for each RAZ-enabled environment, with the policies that count there."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, selectinload

from registry_tui.schemas.ranger import RangerPolicy, RangerService, ServiceDefinition
from registry_tui.service.core.context import Service
from registry_tui.service.database.tables import EnvironmentRow, RangerPolicyRow
from registry_tui.service.errors import Missing
from registry_tui.service.ranger.definitions import SERVICES
from registry_tui.service.ranger.enforcing import Place, place_of


@dataclass(frozen=True)
class Known:
    """What is kept of one service."""

    place: Place
    service: RangerService
    definition: ServiceDefinition
    policies: tuple[RangerPolicy, ...]


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


def service_id(environment_id: str) -> int:
    """The ID of an environment's service, in 31 bits."""
    return zlib.crc32(environment_id.encode()) >> 1


def known_in(session: Session, row: EnvironmentRow) -> Known:
    """What is kept of an environment's service; its registry is loaded."""
    place = place_of(row)
    definition = SERVICES[place.cloud][1]
    query = select(RangerPolicyRow).where(RangerPolicyRow.environment_id == row.id).order_by(RangerPolicyRow.id)
    described = RangerService(
        id=service_id(row.id),
        guid=row.id,
        name=row.ranger_service or place.service,
        type=definition.name,
        display_name=place.service,
        description=f"Environment {row.name}, bucket {row.bucket}",
        policy_version=row.policy_version,
        configs={"environment": row.name, "bucket": row.bucket},
        create_time=int(row.created_at.timestamp() * 1000),
        created_by=row.creator,
    )
    policies = tuple(
        RangerPolicy.model_validate({**found.document, "id": found.id, "service": described.name})
        for found in session.scalars(query)
    )
    return Known(place, described, definition, policies)


def _environments() -> Select[EnvironmentRow]:
    return (
        select(EnvironmentRow)
        .where(EnvironmentRow.state != "deleting", EnvironmentRow.ranger_service.is_not(None))
        .options(selectinload(EnvironmentRow.model_registry))
    )
