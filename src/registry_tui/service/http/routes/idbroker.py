"""IDBroker mappings at CDP's own addresses, for its command line and Terraform provider."""

from __future__ import annotations

from registry_tui.schemas.idbroker import (
    CdpEmpty,
    DeleteIdBrokerMappings,
    IdBrokerEnvironment,
    IdBrokerMappings,
    IdBrokerSyncStatus,
    SetIdBrokerMappings,
)
from registry_tui.service.http.routes.dependencies import Acting, ServiceIn, VersionIn
from registry_tui.service.http.routes.keyed import READS_ONLY, new_router
from registry_tui.service.idbroker import mappings, synchronizing

_API = "/api/v1/environments2"

router = new_router("idbroker")


@router.post(f"{_API}/getIdBrokerMappings", openapi_extra=READS_ONLY, response_model_exclude_none=True)
def get_idbroker_mappings(service: ServiceIn, principal: Acting, request: IdBrokerEnvironment) -> IdBrokerMappings:
    """The mappings of an environment without RAZ, as they were set last."""
    return mappings.get_mappings(service, principal, request.environment_name)


@router.post(f"{_API}/setIdBrokerMappings", response_model_exclude_none=True)
def set_idbroker_mappings(
    service: ServiceIn, principal: Acting, request: SetIdBrokerMappings, version: VersionIn
) -> IdBrokerMappings:
    """Overwrites all mappings of an environment; they have no effect until they are synchronized."""
    return mappings.set_mappings(service, principal, request, version=version)


@router.post(f"{_API}/deleteIdBrokerMappings")
def delete_idbroker_mappings(service: ServiceIn, principal: Acting, request: DeleteIdBrokerMappings) -> CdpEmpty:
    """Removes all mappings of an environment; they keep their effect until that is synchronized."""
    mappings.delete_mappings(service, principal, request.environment_crn)
    return CdpEmpty()


@router.post(f"{_API}/syncIdBrokerMappings")
def sync_idbroker_mappings(service: ServiceIn, principal: Acting, request: IdBrokerEnvironment) -> CdpEmpty:
    """Makes the object store enforce the mappings; the status of the synchronization shows the outcome."""
    synchronizing.synchronize(service, principal, request.environment_name)
    return CdpEmpty()


@router.post(f"{_API}/getIdBrokerMappingsSyncStatus", openapi_extra=READS_ONLY, response_model_exclude_none=True)
def get_idbroker_mappings_sync_status(
    service: ServiceIn, principal: Acting, request: IdBrokerEnvironment
) -> IdBrokerSyncStatus:
    """How the last synchronization went, and whether mappings were changed since."""
    return synchronizing.status(service, principal, request.environment_name)
