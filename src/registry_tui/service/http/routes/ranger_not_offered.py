"""Ranger's calls about things that do not exist here: security zones, tags, and services or definitions of one's own.

Reads find none. A change is refused with the reason: the stock client takes 404 for an empty response.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from registry_tui.contracts.permissions import Action
from registry_tui.schemas.ranger import RangerPage, ServiceTags
from registry_tui.service.core import permissions
from registry_tui.service.core.context import Principal
from registry_tui.service.errors import Missing, NotOffered
from registry_tui.service.http.routes.dependencies import Acting, ServiceIn
from registry_tui.service.http.routes.keyed import READS_ONLY, new_router
from registry_tui.service.ranger.policies import get_service, require_change

_API = "/service/public/v2/api"
_VERBS = {"POST": "create", "PUT": "update", "DELETE": "delete"}
_NO_ZONES = "there are no security zones here, and every policy counts in its whole service"
_KINDS = {"servicedef": "ranger-definition", "service": "ranger-service", "server": "ranger-records"}

router = new_router("ranger")


def seeing_dependency(principal: Acting) -> Principal:
    """The acting principal, after the check that they may see policies."""
    permissions.require(principal, Action.POLICIES_SEE)
    return principal


def changing_dependency(request: Request, service: ServiceIn, principal: Acting) -> Principal:
    """The acting principal, who may change policies; nobody else learns the reason of a refusal."""
    kind = request.url.path.removeprefix(f"{_API}/").partition("/")[0]
    named = next(iter(request.path_params.values()), "new")
    action = f"{_KINDS.get(kind, 'ranger-zone')}.{_VERBS[request.method]}"
    require_change(service, principal, action, str(named)[:200])
    return principal


Seeing = Annotated[Principal, Depends(seeing_dependency)]
Changing = Annotated[Principal, Depends(changing_dependency)]


# -- definitions and services -------------------------------------------------------------------------------


@router.post(f"{_API}/servicedef", name="create_service_definition", openapi_extra=READS_ONLY)
def refuse_new_definition(principal: Changing) -> None:
    """Refuses to add a kind of service, with the reason."""
    raise _fixed_definitions()


@router.put(f"{_API}/servicedef/{{definition}}", name="update_service_definition", openapi_extra=READS_ONLY)
@router.put(
    f"{_API}/servicedef/name/{{definition}}", name="update_service_definition_by_name", openapi_extra=READS_ONLY
)
@router.delete(f"{_API}/servicedef/{{definition}}", name="delete_service_definition", openapi_extra=READS_ONLY)
@router.delete(
    f"{_API}/servicedef/name/{{definition}}", name="delete_service_definition_by_name", openapi_extra=READS_ONLY
)
def refuse_definition_change(principal: Changing, definition: str) -> None:
    """Refuses to change or delete a kind of service, with the reason."""
    raise _fixed_definitions()


@router.post(f"{_API}/service", name="create_ranger_service", openapi_extra=READS_ONLY)
def refuse_new_service(principal: Changing) -> None:
    """Refuses to add a service, with the reason."""
    raise NotOffered(
        "A service of Ranger belongs to a RAZ-enabled environment, and is made with it",
        action="Create an environment instead: `registry-tui environments create NAME --raz`",
    )


@router.put(f"{_API}/service/{{ranger_service}}", name="update_ranger_service", openapi_extra=READS_ONLY)
@router.put(f"{_API}/service/name/{{ranger_service}}", name="update_ranger_service_by_name", openapi_extra=READS_ONLY)
@router.delete(f"{_API}/service/{{ranger_service}}", name="delete_ranger_service", openapi_extra=READS_ONLY)
@router.delete(
    f"{_API}/service/name/{{ranger_service}}", name="delete_ranger_service_by_name", openapi_extra=READS_ONLY
)
def refuse_service_change(principal: Changing, ranger_service: str) -> None:
    """Refuses to change or delete a service, with the reason."""
    raise NotOffered(
        "A service of Ranger belongs to a RAZ-enabled environment: it stays as it is, and goes with it",
        action="Change its policies instead, or delete the environment",
    )


# -- security zones -----------------------------------------------------------------------------------------


@router.get(f"{_API}/zones")
def list_security_zones(principal: Seeing) -> list[dict[str, object]]:
    """The security zones: none."""
    return []


@router.get(f"{_API}/zones-v2")
def find_security_zones(principal: Seeing) -> RangerPage:
    """The security zones, as a page: none."""
    return RangerPage()


@router.get(f"{_API}/zone-headers")
def list_security_zone_headers(principal: Seeing) -> list[dict[str, object]]:
    """The names of the security zones: none."""
    return []


@router.get(f"{_API}/zone-names/{{ranger_service}}/resource")
def list_security_zones_of_resource(service: ServiceIn, principal: Seeing, ranger_service: str) -> list[str]:
    """The names of the security zones that a resource of a service is in: none."""
    get_service(service, principal, ranger_service)
    return []


@router.get(f"{_API}/zones/{{zone}}", name="get_security_zone")
@router.get(f"{_API}/zones/name/{{zone}}", name="get_security_zone_by_name")
@router.get(f"{_API}/zones/{{zone}}/service-headers", name="list_service_headers_of_security_zone")
@router.get(f"{_API}/zones-v2/{{zone}}", name="get_security_zone_v2")
@router.get(f"{_API}/zones-v2/name/{{zone}}", name="get_security_zone_v2_by_name")
def find_no_security_zone(principal: Seeing, zone: str) -> dict[str, object]:
    """One security zone: none is found."""
    raise _missing(zone)


@router.get(f"{_API}/zones-v2/{{zone}}/resources/{{ranger_service}}", name="list_resources_of_security_zone")
@router.get(
    f"{_API}/zones-v2/name/{{zone}}/resources/{{ranger_service}}", name="list_resources_of_security_zone_by_name"
)
def find_no_resources(principal: Seeing, zone: str, ranger_service: str) -> RangerPage:
    """The resources of a security zone: none is found."""
    raise _missing(zone)


@router.post(f"{_API}/zones", name="create_security_zone", openapi_extra=READS_ONLY)
@router.post(f"{_API}/zones-v2", name="create_security_zone_v2", openapi_extra=READS_ONLY)
def refuse_new_zone(principal: Changing) -> None:
    """Refuses to make a security zone, with the reason."""
    raise NotOffered(
        f"No security zone can be made: {_NO_ZONES}", action="Name the places in the resources of policies instead"
    )


@router.put(f"{_API}/zones/{{zone}}", name="update_security_zone", openapi_extra=READS_ONLY)
@router.put(f"{_API}/zones-v2/{{zone}}", name="update_security_zone_v2", openapi_extra=READS_ONLY)
@router.put(f"{_API}/zones-v2/{{zone}}/partial", name="change_security_zone_v2", openapi_extra=READS_ONLY)
@router.delete(f"{_API}/zones/{{zone}}", name="delete_security_zone", openapi_extra=READS_ONLY)
@router.delete(f"{_API}/zones/name/{{zone}}", name="delete_security_zone_by_name", openapi_extra=READS_ONLY)
def refuse_zone_change(principal: Changing, zone: str) -> None:
    """Refuses to change or delete a security zone, with the reason."""
    raise NotOffered(f"There is no security zone {zone[:100]!r}: {_NO_ZONES}")


# -- tags and records ---------------------------------------------------------------------------------------


@router.get(f"{_API}/service/{{ranger_service}}/tags")
def get_service_tags(service: ServiceIn, principal: Seeing, ranger_service: str) -> ServiceTags:
    """The tags of a service's resources: none."""
    return ServiceTags(service_name=get_service(service, principal, ranger_service).name)


@router.put(f"{_API}/service/{{ranger_service}}/tags", name="import_service_tags", openapi_extra=READS_ONLY)
def refuse_tags(principal: Changing, ranger_service: str) -> None:
    """Refuses to keep tags of resources, with the reason."""
    raise NotOffered(
        "Tags of resources are not kept here: no policy is about tags", action="Name paths in policies instead"
    )


@router.delete(f"{_API}/server/policydeltas", name="delete_policy_deltas", openapi_extra=READS_ONLY)
@router.delete(f"{_API}/server/purge/records", name="purge_ranger_records", openapi_extra=READS_ONLY)
def refuse_purge(principal: Changing) -> None:
    """Refuses to delete records of Ranger's own, with the reason."""
    raise NotOffered("Deltas of policies and records of Ranger's own are not kept here: there is nothing to delete")


# -- underneath ---------------------------------------------------------------------------------------------


def _fixed_definitions() -> NotOffered:
    return NotOffered(
        "The definitions s3 and adls are fixed: the object store enforces only the rights that they name",
        action="GET /service/public/v2/api/servicedef lists them",
    )


def _missing(zone: str) -> Missing:
    return Missing(f"There is no security zone {zone[:100]!r}: {_NO_ZONES}")
