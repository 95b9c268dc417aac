"""Calls about Ranger's services and policies, by Ranger's own addresses."""

from __future__ import annotations

from registry_tui.client.transport import Transport, segment
from registry_tui.schemas.ranger import (
    AskedAccess,
    AskedResource,
    AskingContext,
    AskingUser,
    AuthorizeAnswer,
    AuthorizeRequest,
    RangerPolicy,
    RangerRole,
    RangerService,
    RangerSourceChange,
    ServiceDefinition,
)

_API = "/service/public/v2/api"


class Ranger(Transport):
    """Calls about Ranger's services and policies."""

    async def ranger_definitions(self) -> list[ServiceDefinition]:
        """The kinds of service, with their resources and permissions."""
        return await self._ask(list[ServiceDefinition], "GET", f"{_API}/servicedef")

    async def ranger_services(self) -> list[RangerService]:
        """The service of every RAZ-enabled environment."""
        return await self._ask(list[RangerService], "GET", f"{_API}/service")

    async def ranger_service(self, service: str) -> RangerService:
        """A service by its name or ID, or by its environment's."""
        return await self._ask(RangerService, "GET", f"{_API}/service/{segment(service)}")

    async def set_ranger_source(self, environment: str, change: RangerSourceChange) -> RangerService:
        """Makes an environment use a service of an external Ranger, whose policies are fetched first."""
        path = f"/environments/{segment(environment)}/ranger-source"
        return await self._ask(RangerService, "PUT", path, body=change)

    async def delete_ranger_source(self, environment: str) -> RangerService:
        """Restores an environment's own policies."""
        return await self._ask(RangerService, "DELETE", f"/environments/{segment(environment)}/ranger-source")

    async def policies(self, service: str | None = None) -> list[RangerPolicy]:
        """The policies of a service, or of all."""
        path = f"{_API}/policy" if service is None else f"{_API}/service/{segment(service)}/policy"
        return await self._ask(list[RangerPolicy], "GET", path)

    async def policy(self, policy: str, service: str) -> RangerPolicy:
        """A policy by its ID or its name in a service."""
        return await self._ask(RangerPolicy, "GET", f"{_API}/service/{segment(service)}/policy/{segment(policy)}")

    async def create_policy(self, request: RangerPolicy) -> RangerPolicy:
        """Adds a policy to the service that it names; the object store enforces it from the next request."""
        return await self._ask(RangerPolicy, "POST", f"{_API}/policy", body=request)

    async def update_policy(self, policy: int, change: RangerPolicy, *, version: int | None = None) -> RangerPolicy:
        """Replaces a policy, by its ID; with `version` only that version of it, and raises Conflict for another."""
        headers = None if version is None else {"If-Match": f'"{version}"'}
        return await self._ask(RangerPolicy, "PUT", f"{_API}/policy/{segment(policy)}", body=change, headers=headers)

    async def delete_policy(self, policy: int) -> None:
        """Deletes a policy, by its ID."""
        await self._send("DELETE", f"{_API}/policy/{segment(policy)}")

    async def ranger_roles(self) -> list[RangerRole]:
        """The roles that policies can name."""
        return await self._ask(list[RangerRole], "GET", f"{_API}/roles")

    async def ranger_role(self, role: str) -> RangerRole:
        """A role by its name."""
        return await self._ask(RangerRole, "GET", f"{_API}/roles/name/{segment(role)}")

    async def create_ranger_role(self, request: RangerRole) -> RangerRole:
        """Adds a role; the object store enforces it from the next request where a policy names it."""
        return await self._ask(RangerRole, "POST", f"{_API}/roles", body=request)

    async def update_ranger_role(self, role: int, change: RangerRole) -> RangerRole:
        """Replaces a role, by its ID."""
        return await self._ask(RangerRole, "PUT", f"{_API}/roles/{segment(role)}", body=change)

    async def delete_ranger_role(self, role: int) -> None:
        """Deletes a role that no policy and no other role names, by its ID."""
        await self._send("DELETE", f"{_API}/roles/{segment(role)}")

    async def check_access(self, service: str, user: str, resource: str, permissions: list[str]) -> AuthorizeAnswer:
        """Whether the policies grant a user permissions on a resource, `path:bucket/some/key`."""
        request = AuthorizeRequest(
            user=AskingUser(name=user),
            access=AskedAccess(resource=AskedResource(name=resource), permissions=permissions),
            context=AskingContext(service_name=service),
        )
        return await self._ask(AuthorizeAnswer, "POST", "/authz/v1/authorize", body=request, reads=True)
