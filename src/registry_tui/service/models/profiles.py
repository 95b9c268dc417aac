"""Profiles of versions' training data: made by people, where the data is, and kept with the version."""

from __future__ import annotations

from sqlalchemy import delete
from sqlalchemy.orm import Session

from registry_tui.contracts.counts import counted
from registry_tui.schemas.drift import ProfileChange, VersionProfile
from registry_tui.service.core import events
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.database.tables import VersionProfileRow, now
from registry_tui.service.errors import Missing
from registry_tui.service.models import registered as models
from registry_tui.service.models import versions
from registry_tui.service.registries.place import enter_registry


def get_profile(service: Service, principal: Principal, registry: str, model: str, version: int) -> VersionProfile:
    """The profile of a version. Raises Missing where it has none, NotPermitted, PartUnavailable."""
    place = enter_registry(service, registry, reader=principal)
    found = models.find_model(service, principal, place, model)
    known = versions.find_version(service, place, found, version)
    with service.database.reading() as session:
        profile = profile_of(session, known.id)
    if profile is None:
        raise Missing(
            f"{found.name} v{version} has no profile of its training data",
            action=f"Make one: `registry-tui models profile {found.name} {version} --file DATA.csv`",
        )
    return profile


def set_profile(
    service: Service, principal: Principal, registry: str, model: str, version: int, request: ProfileChange
) -> VersionProfile:
    """Replaces a version's profile; for the person who registered the version and the model's owner.

    Raises Missing, NotPermitted, PartUnavailable.
    """
    place = enter_registry(service, registry, reader=principal)
    with events.recording(
        service,
        principal,
        "version.profile",
        Resource("version", f"{model}/{version}", f"{model} v{version}", place.id),
    ) as event:
        found = models.find_model(service, principal, place, model)
        known = versions.find_version(service, place, found, version)
        event.resource = versions.resource_of(place, known)
        models.require_owner(principal, found, "set the profiles of its training data", also=known.creator)
        columns, rows = counted(len(request.columns), "column"), counted(request.rows, "row")
        event.detail = f"{columns} of {rows}, from {request.source}"
        with service.database.session() as session:
            row = session.get(VersionProfileRow, known.id)
            if row is None:
                row = VersionProfileRow(
                    version_id=known.id,
                    registry_id=place.id,
                    model_id=known.model_id,
                    document={},
                    author=principal.name,
                )
                session.add(row)
            row.document, row.author, row.made_at = request.model_dump(mode="json"), principal.name, now()
            session.flush()
            return _to_schema(row)


def profile_of(session: Session, version_id: str) -> VersionProfile | None:
    """The profile of a version; None where it has none."""
    row = session.get(VersionProfileRow, version_id)
    return None if row is None else _to_schema(row)


def forget(session: Session, model_id: str, version_id: str | None) -> None:
    """Deletes the profiles of a version, or of a whole model, that was deleted."""
    of_model = VersionProfileRow.model_id == model_id
    chosen = of_model if version_id is None else VersionProfileRow.version_id == version_id
    session.execute(delete(VersionProfileRow).where(chosen))


def _to_schema(row: VersionProfileRow) -> VersionProfile:
    return VersionProfile(version_id=row.version_id, author=row.author, made_at=row.made_at, **row.document)
