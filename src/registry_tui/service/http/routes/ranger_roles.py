"""Roles at Ranger's own addresses, for its stock client."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query, Request, Response

from registry_tui.schemas.ranger import RangerDone, RangerRole, RangerRoles, RoleGrant
from registry_tui.service.core.context import Principal
from registry_tui.service.http.routes.dependencies import Acting, ServiceIn
from registry_tui.service.http.routes.keyed import new_router
from registry_tui.service.ranger import finding, granting, roles
from registry_tui.service.ranger.finding import RoleFilter
from registry_tui.service.ranger.policies import require_change

_API = "/service/public/v2/api/roles"

router = new_router("ranger")


def changing_dependency(request: Request, service: ServiceIn, principal: Acting) -> Principal:
    """The acting principal, checked to be allowed to change roles before the request is validated."""
    verb = {"POST": "create", "PUT": "update", "DELETE": "delete"}[request.method]
    for word in ("grant", "revoke"):
        if request.url.path.startswith(f"{_API}/{word}/"):
            verb = word
    require_change(service, principal, f"ranger-role.{verb}", str(request.path_params.get("role", "new"))[:200])
    return principal


Changing = Annotated[Principal, Depends(changing_dependency)]
Wanted = Annotated[RoleFilter, Query()]


@router.get(_API)
def list_ranger_roles(service: ServiceIn, principal: Acting, request: Request, wanted: Wanted) -> list[RangerRole]:
    """The roles that policies can name, all or those that match Ranger's filters."""
    found = roles.list_roles(service, principal)
    return finding.roles(found, wanted, request.query_params)


@router.get(f"{_API}/names")
def list_ranger_role_names(service: ServiceIn, principal: Acting) -> list[str]:
    """The names of all roles."""
    return [each.name for each in roles.list_roles(service, principal)]


@router.get(f"{_API}/user/{{user}}")
def list_ranger_roles_of_user(service: ServiceIn, principal: Acting, user: str) -> list[str]:
    """The names of the roles that somebody has, also by another role."""
    return roles.roles_of_user(service, principal, user)


@router.get(f"{_API}/name/{{role}}")
def get_ranger_role_by_name(service: ServiceIn, principal: Acting, role: str) -> RangerRole:
    """A role by its name."""
    return roles.get_role(service, principal, role)


@router.get(f"{_API}/{{role}}")
def get_ranger_role(service: ServiceIn, principal: Acting, role: int) -> RangerRole:
    """A role by its ID."""
    return roles.get_role(service, principal, role)


@router.post(_API)
def create_ranger_role(service: ServiceIn, principal: Changing, request: RangerRole) -> RangerRole:
    """Adds a role; where a policy names it, the object store enforces it from the next request on."""
    return roles.create_role(service, principal, request)


@router.put(f"{_API}/grant/{{ranger_service}}")
def grant_ranger_role(service: ServiceIn, principal: Changing, ranger_service: str, request: RoleGrant) -> RangerDone:
    """Gives roles to users, groups and other roles; the object store enforces that from the next request on."""
    granting.grant(service, principal, request)
    return RangerDone()


@router.put(f"{_API}/revoke/{{ranger_service}}")
def revoke_ranger_role(service: ServiceIn, principal: Changing, ranger_service: str, request: RoleGrant) -> RangerDone:
    """Revokes roles of users, groups and other roles; the object store enforces that from the next request on."""
    granting.revoke(service, principal, request)
    return RangerDone()


@router.put(f"{_API}/{{role}}")
def update_ranger_role(service: ServiceIn, principal: Changing, role: int, request: RangerRole) -> RangerRole:
    """Replaces a role; the object store enforces it from the next request on."""
    return roles.update_role(service, principal, role, request)


@router.delete(f"{_API}/name/{{role}}", status_code=204)
def delete_ranger_role_by_name(service: ServiceIn, principal: Changing, role: str) -> None:
    """Deletes a role, by its name, that no policy and no other role names."""
    roles.delete_role(service, principal, role)


@router.delete(f"{_API}/{{role}}", status_code=204)
def delete_ranger_role(service: ServiceIn, principal: Changing, role: int) -> None:
    """Deletes a role that no policy and no other role names."""
    roles.delete_role(service, principal, role)


@router.get("/service/roles/download/{ranger_service}", response_model=RangerRoles)
def download_roles(
    service: ServiceIn,
    principal: Acting,
    ranger_service: str,
    last_known_version: Annotated[int, Query(alias="lastKnownRoleVersion")] = -1,
) -> RangerRoles | Response:
    """All roles, as Ranger's plugins fetch them; 304 while nothing changed since that version."""
    found = roles.download(service, principal, ranger_service)
    if found.role_version == last_known_version:
        return Response(status_code=304)
    return found
