"""Signatures of versions, for people: listing, validity, and adding new ones."""

from __future__ import annotations

from registry_tui.schemas.models import ModelVersion, VersionStatus
from registry_tui.schemas.signatures import SignVersion, VersionSignatures
from registry_tui.service.core import events
from registry_tui.service.core.context import Principal, Resource, Service
from registry_tui.service.errors import WrongState
from registry_tui.service.models import registered as models
from registry_tui.service.models import versions
from registry_tui.service.registries.place import enter_registry
from registry_tui.service.signing import archives as signing
from registry_tui.service.stores import archives


def get_signatures(
    service: Service, principal: Principal, registry: str, model: str, version: int
) -> VersionSignatures:
    """All signatures of a version, checked now. Raises Missing, NotPermitted, WrongState until it is stored."""
    found = _stored(service, principal, registry, model, version)
    return VersionSignatures(version_id=found.version_id, signatures=signing.checked(service, found))


def read_signature(
    service: Service, principal: Principal, registry: str, model: str, version: int, fingerprint: str
) -> bytes:
    """A signature as it was stored, named by its key. Raises Missing, NotPermitted, WrongState until it is stored."""
    return signing.read(service, _stored(service, principal, registry, model, version), fingerprint)


def sign_version(
    service: Service, principal: Principal, registry: str, model: str, version: int, request: SignVersion
) -> VersionSignatures:
    """Signs a version with the environment's key after verifying all its files, or adds somebody's signature.

    Raises Missing, NotPermitted, WrongState until it is stored, and when its archive is damaged.
    """
    place = enter_registry(service, registry, reader=principal)
    with events.recording(
        service, principal, "version.sign", Resource("version", f"{model}/{version}", f"{model} v{version}", place.id)
    ) as event:
        found = models.find_model(service, principal, place, model)
        known = versions.find_version(service, place, found, version)
        event.resource = versions.resource_of(place, known)
        models.require_owner(principal, found, "sign its versions", also=known.creator)
        _require_stored(known)
        stored = signing.version_at(service, place, known.model_id, known.id)
        if request.signature is None:
            check = archives.check_archive(stored.archive)
            if not check.sound:
                raise WrongState(
                    f"{found.name} v{version} is not signed: its archive is damaged: {check.damage}",
                    action="Register the model again, as a new version",
                )
            made = signing.sign(service, stored, principal.name)
        else:
            made = signing.add(service, stored, request.signature.encode(), principal.name)
        event.detail = f"with the key {made.key_name} ({made.fingerprint[:16]})"
        return VersionSignatures(version_id=known.id, signatures=signing.checked(service, stored))


def _stored(service: Service, principal: Principal, registry: str, model: str, version: int) -> signing.Version:
    place = enter_registry(service, registry, reader=principal)
    found = models.find_model(service, principal, place, model)
    known = versions.find_version(service, place, found, version)
    _require_stored(known)
    return signing.version_at(service, place, known.model_id, known.id)


def _require_stored(version: ModelVersion) -> None:
    if version.status is not VersionStatus.READY:
        raise WrongState(
            f"{version.model_name} v{version.version} has no archive: {version.status_message or version.status}",
            action="Wait until it is READY" if version.status is VersionStatus.PENDING_REGISTRATION else None,
        )
