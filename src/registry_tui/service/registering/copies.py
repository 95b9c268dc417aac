"""Records that a version is a copy of another: once for each pair, with an event in both registries."""

from __future__ import annotations

from registry_tui.schemas.models import ModelVersion, PromotedFrom
from registry_tui.schemas.operations import EventOutcome
from registry_tui.service.core import events
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.database.tables import RegistryRow, VersionCopyRow
from registry_tui.service.models import versions
from registry_tui.service.registries.place import RegistryPlace

#: The event in the registry that a version came from, and in the one that it came to.
PROMOTED = "version.promote"


def note(
    service: Service, principal: Principal, place: RegistryPlace, copy: ModelVersion, original: PromotedFrom
) -> None:
    """Records that a version of a registry is a copy, with an event in both registries, unless recorded before."""
    with service.database.session() as session:
        if session.get(VersionCopyRow, (copy.id, original.version_id)) is not None:
            return
        session.add(
            VersionCopyRow(
                version_id=copy.id,
                source_version_id=original.version_id,
                registry_id=place.id,
                model_id=copy.model_id,
                model_name=copy.model_name,
                version=copy.version,
                source_registry_id=original.registry_id,
                source_registry_name=original.registry_name,
                source_model_id=original.model_id,
                source_model_name=original.model_name,
                source_version=original.version,
                actor=principal.name,
            )
        )
        there = versions.named_resource(
            original.registry_id, original.version_id, original.model_name, original.version
        )
        here = versions.resource_of(place, copy)
        entries = [(here, f"from {original.registry_name}: {there.name}")]
        # The registry of the original may have been deleted meanwhile.
        if session.get(RegistryRow, original.registry_id) is not None:
            entries.append((there, f"to {place.name}: {here.name}"))
        for resource, detail in entries:
            session.add(
                events.event_row(
                    principal, action=PROMOTED, resource=resource, outcome=EventOutcome.SUCCEEDED, detail=detail
                )
            )
