"""Calls about IDBroker mappings of environments without RAZ, in CDP's words."""

from __future__ import annotations

from registry_tui.client.transport import Transport
from registry_tui.schemas.idbroker import (
    DeleteIdBrokerMappings,
    IdBrokerEnvironment,
    IdBrokerMappings,
    IdBrokerSyncStatus,
    SetIdBrokerMappings,
)

_API = "/environments2"


class IdBroker(Transport):
    """Calls about IDBroker mappings."""

    async def idbroker_mappings(self, environment: str) -> IdBrokerMappings:
        """The mappings of an environment as last set."""
        body = IdBrokerEnvironment(environment_name=environment)
        return await self._ask(IdBrokerMappings, "POST", f"{_API}/getIdBrokerMappings", body=body, reads=True)

    async def set_idbroker_mappings(
        self, request: SetIdBrokerMappings, *, version: int | None = None
    ) -> IdBrokerMappings:
        """Overwrites all mappings of an environment; they take effect only when synchronized.

        With `version` only that version of them; raises Conflict for another.
        """
        headers = None if version is None else {"If-Match": f'"{version}"'}
        return await self._ask(IdBrokerMappings, "POST", f"{_API}/setIdBrokerMappings", body=request, headers=headers)

    async def delete_idbroker_mappings(self, environment: str) -> None:
        """Removes all mappings of an environment; they stay in effect until that is synchronized."""
        body = DeleteIdBrokerMappings(environment_crn=environment)
        await self._send("POST", f"{_API}/deleteIdBrokerMappings", body=body)

    async def sync_idbroker_mappings(self, environment: str) -> None:
        """Makes the object store enforce the mappings; `idbroker_sync_status` returns the outcome."""
        body = IdBrokerEnvironment(environment_name=environment)
        await self._send("POST", f"{_API}/syncIdBrokerMappings", body=body)

    async def idbroker_sync_status(self, environment: str) -> IdBrokerSyncStatus:
        """The outcome of the last synchronization, and whether mappings were changed since."""
        body = IdBrokerEnvironment(environment_name=environment)
        path = f"{_API}/getIdBrokerMappingsSyncStatus"
        return await self._ask(IdBrokerSyncStatus, "POST", path, body=body, reads=True)
