"""Calls about Model Registries."""

from __future__ import annotations

from typing import Any

from registry_tui.client.transport import STORE_PATIENCE, Transport, segment
from registry_tui.schemas.base import Page
from registry_tui.schemas.operations import Accepted
from registry_tui.schemas.registries import (
    ModelRegistry,
    RegistryCreate,
    RegistryDelete,
    StorageAccessTried,
    StoreKeyGive,
)
from registry_tui.schemas.storage import ArchiveUsage, ModelUsage, StorageCleanUp, StorageUsage


class Registries(Transport):
    """Calls about Model Registries."""

    async def registries(
        self,
        *,
        name: str | None = None,
        status: str | None = None,
        environment: str | None = None,
        order_by: str | None = None,
        **page: Any,
    ) -> Page[ModelRegistry]:
        """`name` matches a part of the name; `status` is a status or its label; `order_by` is `field` or `-field`."""
        params = {"name": name, "status": status, "environment": environment, "order_by": order_by, **page}
        return await self._ask(Page[ModelRegistry], "GET", "/registries", params=params)

    async def registry(self, registry: str) -> ModelRegistry:
        return await self._ask(ModelRegistry, "GET", f"/registries/{segment(registry)}")

    async def create_registry(self, request: RegistryCreate) -> Accepted[ModelRegistry]:
        return await self._ask(Accepted[ModelRegistry], "POST", "/registries", body=request)

    async def synchronize_registry(self, registry: str) -> Accepted[ModelRegistry]:
        path = f"/registries/{segment(registry)}/synchronize"
        return await self._ask(Accepted[ModelRegistry], "POST", path)

    async def delete_registry(self, registry: str, request: RegistryDelete) -> Accepted[ModelRegistry]:
        path = f"/registries/{segment(registry)}/delete"
        return await self._ask(Accepted[ModelRegistry], "POST", path, body=request)

    async def storage_access(self, registry: str) -> StorageAccessTried:
        """Whether the machine user has access, tried with its own key unless that was done some seconds ago."""
        return await self._ask(StorageAccessTried, "GET", f"/registries/{segment(registry)}/storage-access")

    async def grant_storage_access(self, registry: str) -> ModelRegistry:
        """Grants the registry's machine user access to its prefix on the object store."""
        answer = await self._send("PUT", f"/registries/{segment(registry)}/storage-access", timeout=STORE_PATIENCE)
        return ModelRegistry.model_validate_json(answer.content)

    async def revoke_storage_access(self, registry: str) -> ModelRegistry:
        path = f"/registries/{segment(registry)}/storage-access"
        answer = await self._send("DELETE", path, timeout=STORE_PATIENCE)
        return ModelRegistry.model_validate_json(answer.content)

    async def give_store_key(self, registry: str, request: StoreKeyGive) -> ModelRegistry:
        """Makes the registry use a key of its own for its environment's own store; the service tries it first."""
        path = f"/registries/{segment(registry)}/store-key"
        answer = await self._send("PUT", path, body=request, timeout=STORE_PATIENCE)
        return ModelRegistry.model_validate_json(answer.content)

    async def forget_store_key(self, registry: str) -> ModelRegistry:
        answer = await self._send("DELETE", f"/registries/{segment(registry)}/store-key", timeout=STORE_PATIENCE)
        return ModelRegistry.model_validate_json(answer.content)

    async def storage(self, registry: str, *, max_age: float | None = None) -> StorageUsage:
        """The size of its archives, as last measured; if that is older than `max_age` s, a new measurement starts in
        the background."""
        path = f"/registries/{segment(registry)}/storage"
        return await self._ask(StorageUsage, "GET", path, params={"max_age": max_age})

    async def storage_archives(
        self,
        registry: str,
        *,
        state: str | None = None,
        model: str | None = None,
        order_by: str | None = None,
        **page: Any,
    ) -> Page[ArchiveUsage]:
        """Each version's archive, the largest first; `model` is a part of a name or an ID."""
        params = {"state": state, "model": model, "order_by": order_by, **page}
        return await self._ask(
            Page[ArchiveUsage], "GET", f"/registries/{segment(registry)}/storage/archives", params=params
        )

    async def storage_models(
        self, registry: str, *, model: str | None = None, order_by: str | None = None, **page: Any
    ) -> Page[ModelUsage]:
        params = {"model": model, "order_by": order_by, **page}
        return await self._ask(
            Page[ModelUsage], "GET", f"/registries/{segment(registry)}/storage/models", params=params
        )

    async def clean_up_storage(self, registry: str, request: StorageCleanUp) -> Accepted[ModelRegistry]:
        path = f"/registries/{segment(registry)}/storage/clean-up"
        return await self._ask(Accepted[ModelRegistry], "POST", path, body=request)
