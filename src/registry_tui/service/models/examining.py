"""Examining a stored version again for its owner: the common part of scans and bills of materials."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from registry_tui.schemas.models import ModelVersion, VersionStatus
from registry_tui.service.core import events
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.core.events import Recording
from registry_tui.service.errors import WrongState
from registry_tui.service.models import registered as models
from registry_tui.service.models import versions
from registry_tui.service.registries.place import RegistryPlace, enter_registry


@contextmanager
def examined(
    service: Service, principal: Principal, registry: str, model: str, version: int, *, action: str, doing: str
) -> Iterator[tuple[RegistryPlace, ModelVersion, Recording]]:
    """Records the block as an event about a version whose archive is stored. `doing` words it in a refusal.

    Raises Missing, NotPermitted for people who own neither the model nor the version, WrongState until it is stored.
    """
    place = enter_registry(service, registry, reader=principal)
    named = Resource("version", f"{model}/{version}", f"{model} v{version}", place.id)
    with events.recording(service, principal, action, named) as event:
        found = models.find_model(service, principal, place, model)
        known = versions.find_version(service, place, found, version)
        event.resource = versions.resource_of(place, known)
        models.require_owner(principal, found, doing, also=known.creator)
        if known.status is not VersionStatus.READY:
            raise WrongState(f"{found.name} v{version} has no archive", action="Wait until it is READY")
        yield place, known, event
