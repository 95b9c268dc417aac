"""Ranger's own paths and formats, for its stock client and plugins, and those of its decision point."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query, Request, Response

from registry_tui.schemas.ranger import (
    AuthorizeAnswer,
    AuthorizeRequest,
    RangerPolicy,
    RangerService,
    ServiceDefinition,
    ServicePolicies,
)
from registry_tui.service.core.context import Principal
from registry_tui.service.errors import Missing
from registry_tui.service.http.routes.dependencies import Acting, NameIn, ServiceIn, VersionIn
from registry_tui.service.http.routes.keyed import READS_ONLY, new_router
from registry_tui.service.ranger import finding
from registry_tui.service.ranger import policies as ranger
from registry_tui.service.ranger.finding import PolicyFilter, ServiceFilter

_API = "/service/public/v2/api"

router = new_router("ranger")

ServiceNameQuery = Annotated[NameIn | None, Query(alias="serviceName", description="A service's name")]
WantedPolicies = Annotated[PolicyFilter, Query()]
WantedServices = Annotated[ServiceFilter, Query()]
ZoneQuery = Annotated[
    str | None, Query(alias="zoneName", max_length=255, description="A security zone; only the empty name has policies")
]


def changing_dependency(request: Request, service: ServiceIn, principal: Acting) -> Principal:
    """The acting principal, checked to be allowed to change policies before the request is validated."""
    words = {"POST": "create", "PUT": "update", "DELETE": "delete"}
    verb = "apply" if request.url.path.endswith("/policy/apply") else words[request.method]
    path, query = request.path_params, request.query_params
    named = path.get("policy") or query.get("policyname") or path.get("ranger_service") or query.get("servicename")
    ranger.require_change(service, principal, f"policy.{verb}", str(named or "new")[:200])
    return principal


Changing = Annotated[Principal, Depends(changing_dependency)]


@router.get(f"{_API}/servicedef")
def list_service_definitions(
    service: ServiceIn, principal: Acting, request: Request, wanted: WantedServices
) -> list[ServiceDefinition]:
    """The definitions of the kinds of service: their resources and permissions."""
    return finding.definitions(ranger.definitions(service, principal), wanted, request.query_params)


@router.get(f"{_API}/servicedef/name/{{name}}")
def get_service_definition_by_name(service: ServiceIn, principal: Acting, name: str) -> ServiceDefinition:
    """A definition by its name, `s3` or `adls`."""
    return _definition(service, principal, name)


@router.get(f"{_API}/servicedef/{{definition}}")
def get_service_definition(service: ServiceIn, principal: Acting, definition: str) -> ServiceDefinition:
    """A definition by its ID."""
    return _definition(service, principal, definition)


@router.get(f"{_API}/service")
def list_ranger_services(
    service: ServiceIn,
    principal: Acting,
    request: Request,
    wanted: WantedServices,
    service_name: ServiceNameQuery = None,
) -> list[RangerService]:
    """The services of all RAZ-enabled environments, `cm_s3` and `cm_adls` among them."""
    found = ranger.list_services(service, principal)
    named = [each for each in found if service_name in (None, each.name)]
    return finding.services(named, wanted, request.query_params)


@router.get(f"{_API}/service/name/{{name}}")
def get_ranger_service_by_name(service: ServiceIn, principal: Acting, name: str) -> RangerService:
    """A service by its name."""
    return ranger.get_service(service, principal, name)


@router.get(f"{_API}/service/{{ranger_service}}")
def get_ranger_service(service: ServiceIn, principal: Acting, ranger_service: str) -> RangerService:
    """A service by its ID."""
    return ranger.get_service(service, principal, ranger_service)


@router.get(f"{_API}/service/{{ranger_service}}/policy")
def list_policies_of_service(
    service: ServiceIn, principal: Acting, ranger_service: str, request: Request, wanted: WantedPolicies
) -> list[RangerPolicy]:
    """The policies of a service, all or those that match Ranger's filters."""
    found = ranger.list_policies(service, principal, ranger_service)
    return finding.policies(found, wanted, request.query_params)


@router.get(f"{_API}/service/{{ranger_service}}/policy/{{policy}}")
def get_policy_of_service(
    service: ServiceIn, principal: Acting, ranger_service: str, policy: str, zone: ZoneQuery = None
) -> RangerPolicy:
    """A policy by its name in a service."""
    return ranger.get_policy(service, principal, policy, ranger_service, zone=zone)


@router.put(f"{_API}/service/{{ranger_service}}/policy/{{policy}}")
def update_policy_of_service(
    service: ServiceIn,
    principal: Changing,
    ranger_service: str,
    policy: str,
    request: RangerPolicy,
    zone: ZoneQuery = None,
) -> RangerPolicy:
    """Replaces a policy, named by its name in a service."""
    found = ranger.get_policy(service, principal, policy, ranger_service, zone=zone)
    return ranger.update_policy(service, principal, found.id or 0, request)


@router.get(f"{_API}/policy")
def list_ranger_policies(
    service: ServiceIn,
    principal: Acting,
    request: Request,
    wanted: WantedPolicies,
    service_name: ServiceNameQuery = None,
) -> list[RangerPolicy]:
    """The policies of all services, or of one, all or those that match Ranger's filters."""
    found = ranger.list_policies(service, principal, service_name)
    return finding.policies(found, wanted, request.query_params)


@router.post(f"{_API}/policy")
def create_ranger_policy(service: ServiceIn, principal: Changing, request: RangerPolicy) -> RangerPolicy:
    """Adds a policy; the object store enforces it from the next request on."""
    return ranger.create_policy(service, principal, request)


@router.post(f"{_API}/policy/apply")
def apply_ranger_policy(service: ServiceIn, principal: Changing, request: RangerPolicy) -> RangerPolicy:
    """Adds a policy, or adds its items to the one that has the same resources."""
    return ranger.apply_policy(service, principal, request)


@router.delete(f"{_API}/policy", status_code=204)
def delete_ranger_policy_by_name(
    service: ServiceIn,
    principal: Changing,
    service_name: Annotated[NameIn, Query(alias="servicename")],
    policy_name: Annotated[str, Query(alias="policyname", max_length=255)],
    zone: ZoneQuery = None,
) -> None:
    """Deletes a policy by its name in a service."""
    found = ranger.get_policy(service, principal, policy_name, service_name, zone=zone)
    ranger.delete_policy(service, principal, found.id or 0)


@router.get(f"{_API}/policy/{{policy}}")
def get_ranger_policy(service: ServiceIn, principal: Acting, policy: int) -> RangerPolicy:
    """A policy by its ID."""
    return ranger.get_policy(service, principal, policy)


@router.put(f"{_API}/policy/{{policy}}")
def update_ranger_policy(
    service: ServiceIn, principal: Changing, policy: int, request: RangerPolicy, version: VersionIn
) -> RangerPolicy:
    """Replaces a policy; the object store enforces it from the next request on."""
    return ranger.update_policy(service, principal, policy, request, version=version)


@router.delete(f"{_API}/policy/{{policy}}", status_code=204)
def delete_ranger_policy(service: ServiceIn, principal: Changing, policy: int) -> None:
    """Deletes a policy; access that only it gave is refused from the next request on."""
    ranger.delete_policy(service, principal, policy)


@router.get("/service/plugins/policies/download/{ranger_service}", response_model=ServicePolicies)
def download_policies(
    service: ServiceIn,
    principal: Acting,
    ranger_service: str,
    last_known_version: Annotated[int, Query(alias="lastKnownVersion")] = -1,
) -> ServicePolicies | Response:
    """All policies of a service, as Ranger's plugins fetch them; 304 while nothing changed since that version."""
    found = ranger.download(service, principal, ranger_service)
    if found.policy_version == last_known_version:
        return Response(status_code=304)
    return found


@router.post("/authz/v1/authorize", openapi_extra=READS_ONLY)
def authorize(service: ServiceIn, principal: Acting, request: AuthorizeRequest) -> AuthorizeAnswer:
    """Decides whether the policies let somebody do something with a resource."""
    return ranger.authorize(service, principal, request)


def _definition(service: ServiceIn, principal: Acting, wanted: str) -> ServiceDefinition:
    for each in ranger.definitions(service, principal):
        if wanted in (each.name, str(each.id)):
            return each
    raise Missing(f"There is no definition {wanted!r} of a service")
