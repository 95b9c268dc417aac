"""IDBroker mappings of environments without RAZ: read, set, delete. They apply once they are synchronized."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from registry_tui.contracts.permissions import Action
from registry_tui.schemas.base import FieldProblem
from registry_tui.schemas.idbroker import IdBrokerMappings, SetIdBrokerMappings
from registry_tui.schemas.places import Cloud
from registry_tui.schemas.registries import StorageAccess
from registry_tui.service.core import events, idempotency, identity, permissions
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.core.resolve import resolve_environment
from registry_tui.service.database.tables import EnvironmentRow, IdBrokerRow, RegistryRow, UserRow
from registry_tui.service.errors import WrongState
from registry_tui.service.idbroker import rules
from registry_tui.service.idbroker.rules import Accessors


@dataclass(frozen=True)
class Place:
    """An environment whose access IDBroker decides."""

    environment_id: str
    name: str
    cloud: Cloud
    #: The CRN of its data lake, to which mappings are synchronized.
    data_lake_crn: str
    #: The name of its Ranger service; None without RAZ.
    ranger_service: str | None

    @property
    def resource(self) -> Resource:
        """The environment as events name it."""
        return Resource("environment", self.environment_id, self.name)


def get_mappings(service: Service, principal: Principal, environment: str) -> IdBrokerMappings:
    """The mappings of an environment as they were set last. Raises Missing, NotPermitted, WrongState with RAZ."""
    permissions.require(principal, Action.POLICIES_SEE)
    place = find(service, environment)
    require_idbroker(place)
    with service.database.reading() as session:
        return kept(session, session.get_one(EnvironmentRow, place.environment_id))


def set_mappings(
    service: Service, principal: Principal, request: SetIdBrokerMappings, *, version: int | None = None
) -> IdBrokerMappings:
    """Overwrites all mappings of an environment, or only that version; without effect until they are synchronized.

    Raises Missing, NotPermitted, InvalidInput, WrongState with RAZ and for a newer version.
    """
    require_change(service, principal, "idbroker.set", request.environment_name)
    place = find(service, request.environment_name)
    with events.recording(service, principal, "idbroker.set", place.resource):
        require_idbroker(place)
        with service.database.session() as session:
            _require_version(kept(session, session.get_one(EnvironmentRow, place.environment_id)), version)
            wanted = rules.checked(place.cloud, place.name, _accessors(session), request)
            return _keep(session, place.environment_id, wanted)


def delete_mappings(service: Service, principal: Principal, environment: str) -> None:
    """Removes all mappings and restores the environment's first roles; applies once it is synchronized.

    Raises Missing, NotPermitted, WrongState with RAZ.
    """
    require_change(service, principal, "idbroker.delete", environment)
    place = find(service, environment)
    with events.recording(service, principal, "idbroker.delete", place.resource):
        require_idbroker(place)
        with service.database.session() as session:
            if idempotency.taken(session):
                # An earlier attempt removed them; these were made since then.
                return
            idempotency.takes(session)
            roles = rules.default_roles(place.cloud, place.name, identity.account_id(session))
            _keep(session, place.environment_id, roles)


def require_change(service: Service, principal: Principal, action: str, environment: str) -> None:
    """Raises NotPermitted for people who may not change mappings, before anything is looked up."""
    resource = Resource("environment", environment, environment)
    permissions.require_recorded(service, principal, Action.POLICIES_CHANGE, action, resource)


# -- for the rules above ------------------------------------------------------------------------------------


def map_to_data_access(service: Service, environment_id: str, accessor_crn: str) -> None:
    """Maps an accessor to the Data Access Role of an environment. Idempotent."""
    with service.database.session() as session:
        row = session.get_one(EnvironmentRow, environment_id)
        before = kept(session, row)
        if not rules.has_data_access(Cloud(row.cloud), before, accessor_crn):
            _keep(session, environment_id, rules.with_data_access(before, accessor_crn))


def unmap(service: Service, environment_id: str, accessor_crn: str) -> None:
    """Removes an accessor's mapping in an environment. Idempotent."""
    with service.database.session() as session:
        before = kept(session, session.get_one(EnvironmentRow, environment_id))
        after = rules.without(before, accessor_crn)
        if after != before:
            _keep(session, environment_id, after)


def find(service: Service, environment: str) -> Place:
    """An environment by name, ID or CRN. Raises Missing."""
    with service.database.session() as session:
        row = resolve_environment(session, environment)
        return Place(
            environment_id=row.id,
            name=row.name,
            cloud=Cloud(row.cloud),
            data_lake_crn=identity.crn(session, "datalake", row.id),
            ranger_service=(row.ranger_service or row.name) if row.raz_enabled else None,
        )


def require_idbroker(place: Place) -> None:
    """Raises WrongState for a RAZ-enabled environment."""
    if place.ranger_service is not None:
        raise WrongState(
            f"Environment {place.name} is RAZ-enabled: Ranger's policies decide there, not IDBroker's mappings",
            action=f"See `registry-tui ranger policies list --service {place.ranger_service}`",
        )


def kept(session: Session, row: EnvironmentRow) -> IdBrokerMappings:
    """The mappings of an environment, as set, else with its first roles.

    A machine user that had access before there were mappings is mapped to the Data Access Role.
    """
    found = session.get(IdBrokerRow, row.id)
    if found is not None:
        return IdBrokerMappings.model_validate({**found.document, "mappingsVersion": found.version})
    first = rules.default_roles(Cloud(row.cloud), row.name, identity.account_id(session))
    registry = row.model_registry
    if registry is None or registry.machine_user_crn is None or registry.storage_access != StorageAccess.GRANTED.value:
        return first
    return rules.with_data_access(first, registry.machine_user_crn).model_copy(update={"mappings_version": 1})


def kept_row(session: Session, row: EnvironmentRow) -> IdBrokerRow:
    """The row of an environment's mappings, made if missing."""
    found = session.get(IdBrokerRow, row.id)
    if found is None:
        first = kept(session, row)
        found = IdBrokerRow(environment_id=row.id, version=first.mappings_version, document=document_of(first))
        session.add(found)
        session.flush()
    return found


def document_of(mappings: IdBrokerMappings) -> dict[str, object]:
    """Mappings as they are kept."""
    return mappings.model_dump(mode="json", exclude={"mappings_version"}, exclude_none=True)


# -- underneath ------------------------------------------------------------------------------------------


def _require_version(now: IdBrokerMappings, version: int | None) -> None:
    if version is not None and version != now.mappings_version:
        raise WrongState(
            f"The mappings were changed meanwhile: they have version {now.mappings_version}, "
            f"and the change was made to version {version}",
            action="Read them again, and change the present ones",
            errors=[FieldProblem(field="mappingsVersion", message=f"it is {now.mappings_version} now")],
        )


def _keep(session: Session, environment_id: str, mappings: IdBrokerMappings) -> IdBrokerMappings:
    row = kept_row(session, session.get_one(EnvironmentRow, environment_id))
    row.document = document_of(mappings)
    row.version += 1
    return mappings.model_copy(update={"mappings_version": row.version})


def _accessors(session: Session) -> Accessors:
    query = select(RegistryRow.machine_user_crn, EnvironmentRow.name).join(EnvironmentRow)
    return Accessors(
        account=identity.account_id(session),
        people=frozenset(session.scalars(select(UserRow.crn))),
        machine_users={crn: name for crn, name in session.execute(query) if crn},
    )
