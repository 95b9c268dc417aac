"""Roles at Ranger's own addresses, for its stock client."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query, Request

from registry_tui.schemas.ranger import RangerRole
from registry_tui.service.core.context import Principal
from registry_tui.service.http.routes.dependencies import Acting, ServiceIn
from registry_tui.service.http.routes.keyed import new_router
from registry_tui.service.ranger import roles
from registry_tui.service.ranger.policies import require_change

_API = "/service/public/v2/api/roles"

router = new_router("ranger")


def changing_dependency(request: Request, service: ServiceIn, principal: Acting) -> Principal:
    """The acting principal, who may change roles; asked before the request's own mistakes are looked for."""
    verb = {"POST": "create", "PUT": "update", "DELETE": "delete"}[request.method]
    require_change(service, principal, f"ranger-role.{verb}", str(request.path_params.get("role", "new"))[:200])
    return principal


Changing = Annotated[Principal, Depends(changing_dependency)]
RoleNameQuery = Annotated[str | None, Query(alias="roleName", max_length=255, description="A role's whole name")]


@router.get(_API)
def list_ranger_roles(service: ServiceIn, principal: Acting, role_name: RoleNameQuery = None) -> list[RangerRole]:
    """The roles that policies can name."""
    return [each for each in roles.list_roles(service, principal) if role_name in (None, each.name)]


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
    """Adds a role; the object store obeys from the next request on where a policy names it."""
    return roles.create_role(service, principal, request)


@router.put(f"{_API}/{{role}}")
def update_ranger_role(service: ServiceIn, principal: Changing, role: int, request: RangerRole) -> RangerRole:
    """Replaces a role; the object store obeys from the next request on."""
    return roles.update_role(service, principal, role, request)


@router.delete(f"{_API}/name/{{role}}", status_code=204)
def delete_ranger_role_by_name(service: ServiceIn, principal: Changing, role: str) -> None:
    """Deletes a role, by its name, that no policy and no other role names."""
    roles.delete_role(service, principal, role)


@router.delete(f"{_API}/{{role}}", status_code=204)
def delete_ranger_role(service: ServiceIn, principal: Changing, role: int) -> None:
    """Deletes a role that no policy and no other role names."""
    roles.delete_role(service, principal, role)
