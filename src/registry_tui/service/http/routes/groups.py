"""Groups of users, and roles in environments."""

from __future__ import annotations

from registry_tui.schemas.base import Page
from registry_tui.schemas.people import Group, GroupChange, RoleAssignment, RolesChange
from registry_tui.service.access import environment_roles, groups
from registry_tui.service.http.routes.dependencies import Acting, PageIn, ServiceIn
from registry_tui.service.http.routes.keyed import new_router

router = new_router("users")

NO_CHANGE = GroupChange()


@router.get("/groups")
def list_groups(service: ServiceIn, principal: Acting, page: PageIn) -> Page[Group]:
    """All groups with their members, by name; for administrators."""
    return groups.list_groups(service, principal, page_size=page.page_size, page_token=page.page_token)


@router.get("/groups/{group}")
def get_group(service: ServiceIn, principal: Acting, group: str) -> Group:
    """One group; for administrators."""
    return groups.get_group(service, principal, group)


@router.put("/groups/{group}")
def put_group(service: ServiceIn, principal: Acting, group: str, change: GroupChange = NO_CHANGE) -> Group:
    """Makes a group, or changes one; for administrators."""
    return groups.put_group(service, principal, group, change)


@router.delete("/groups/{group}", status_code=204)
def delete_group(service: ServiceIn, principal: Acting, group: str) -> None:
    """Deletes a group, with the roles that its members had by it; for administrators."""
    groups.delete_group(service, principal, group)


@router.put("/groups/{group}/members/{user}")
def add_group_member(service: ServiceIn, principal: Acting, group: str, user: str) -> Group:
    """Adds a user to a group; for administrators."""
    return groups.add_member(service, principal, group, user)


@router.delete("/groups/{group}/members/{user}")
def remove_group_member(service: ServiceIn, principal: Acting, group: str, user: str) -> Group:
    """Removes a user from a group; for administrators."""
    return groups.remove_member(service, principal, group, user)


@router.get("/environments/{environment}/roles")
def list_environment_roles(service: ServiceIn, principal: Acting, environment: str) -> Page[RoleAssignment]:
    """The roles that were given in an environment, to users and to groups; for its EnvironmentAdmins."""
    return environment_roles.list_roles(service, principal, environment)


@router.put("/environments/{environment}/roles/users/{user}")
def set_user_roles(
    service: ServiceIn, principal: Acting, environment: str, user: str, change: RolesChange
) -> RoleAssignment:
    """Gives a user exactly these roles in an environment; for its EnvironmentAdmins."""
    return environment_roles.set_roles(service, principal, environment, change.roles, user=user)


@router.put("/environments/{environment}/roles/groups/{group}")
def set_group_roles(
    service: ServiceIn, principal: Acting, environment: str, group: str, change: RolesChange
) -> RoleAssignment:
    """Gives a group exactly these roles in an environment; for its EnvironmentAdmins."""
    return environment_roles.set_roles(service, principal, environment, change.roles, group=group)
