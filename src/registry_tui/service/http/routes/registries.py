"""Model Registries."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

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
from registry_tui.service.http.routes.dependencies import Acting, PageIn, ServiceIn
from registry_tui.service.http.routes.keyed import new_router
from registry_tui.service.registries import given_keys
from registry_tui.service.registries import lifecycle as registries
from registry_tui.service.storage import usage as storage_usage

router = new_router("registries")


@router.get("/registries")
def list_registries(
    service: ServiceIn,
    principal: Acting,
    page: PageIn,
    name: Annotated[str | None, Query(max_length=200, description="A part of the name")] = None,
    status: Annotated[str | None, Query(max_length=50, description="A status, or its label")] = None,
    environment: Annotated[str | None, Query(max_length=200, description="A part of the environment's name")] = None,
    order_by: Annotated[
        str | None, Query(description="name, environment, cloud, status, owner, location, created_at or updated_at")
    ] = None,
) -> Page[ModelRegistry]:
    """Model Registries, by name by default."""
    return registries.list_registries(
        service,
        principal,
        name=name,
        status=status,
        environment=environment,
        order_by=order_by,
        page_size=page.page_size,
        page_token=page.page_token,
    )


@router.post("/registries", status_code=202)
def create_registry(service: ServiceIn, principal: Acting, request: RegistryCreate) -> Accepted[ModelRegistry]:
    """Makes an environment's Model Registry; follow the workflow."""
    return registries.create_registry(service, principal, request)


@router.get("/registries/{registry}")
def get_registry(service: ServiceIn, principal: Acting, registry: str) -> ModelRegistry:
    """One Model Registry with every field."""
    return registries.get_registry(service, principal, registry)


@router.post("/registries/{registry}/synchronize", status_code=202)
def synchronize_registry(service: ServiceIn, principal: Acting, registry: str) -> Accepted[ModelRegistry]:
    """Configures the registry in every workspace of the environment; follow the workflow."""
    return registries.synchronize_registry(service, principal, registry)


@router.post("/registries/{registry}/delete", status_code=202)
def delete_registry(
    service: ServiceIn, principal: Acting, registry: str, request: RegistryDelete
) -> Accepted[ModelRegistry]:
    """Deletes the registry with its registered models; follow the workflow."""
    return registries.delete_registry(service, principal, registry, request)


@router.get("/registries/{registry}/storage-access")
def get_storage_access(
    service: ServiceIn,
    principal: Acting,
    registry: str,
    max_age: Annotated[
        float,
        Query(
            ge=0,
            le=86_400,
            allow_inf_nan=False,
            description="Tries the machine user's access again when it was tried longer ago, in seconds",
        ),
    ] = 5.0,
) -> StorageAccessTried:
    """Whether the machine user may use the registry's prefix on the object store, tried with its own key."""
    return registries.tried_storage_access(service, principal, registry, max_age)


@router.put("/registries/{registry}/storage-access")
def grant_storage_access(service: ServiceIn, principal: Acting, registry: str) -> ModelRegistry:
    """Lets the machine user use the registry's prefix on the object store."""
    return registries.grant_storage_access(service, principal, registry)


@router.delete("/registries/{registry}/storage-access")
def revoke_storage_access(service: ServiceIn, principal: Acting, registry: str) -> ModelRegistry:
    """Revokes that access: nothing can be registered until it is granted again."""
    return registries.revoke_storage_access(service, principal, registry)


@router.put("/registries/{registry}/store-key")
def give_store_key(service: ServiceIn, principal: Acting, registry: str, request: StoreKeyGive) -> ModelRegistry:
    """Has the registry reach its environment's own store with a key of its own, tried first."""
    return given_keys.give_key(service, principal, registry, request)


@router.delete("/registries/{registry}/store-key")
def forget_store_key(service: ServiceIn, principal: Acting, registry: str) -> ModelRegistry:
    """Has the registry stop using that key."""
    return given_keys.forget_key(service, principal, registry)


@router.get("/registries/{registry}/storage")
def get_storage(
    service: ServiceIn,
    principal: Acting,
    registry: str,
    max_age: Annotated[
        float | None,
        Query(ge=0, allow_inf_nan=False, description="Measures again in the background when older, in seconds"),
    ] = None,
) -> StorageUsage:
    """Sizes of the registry's archives, as last measured; for administrators."""
    return storage_usage.get_usage(service, principal, registry, max_age=max_age)


@router.get("/registries/{registry}/storage/archives")
def list_storage_archives(
    service: ServiceIn,
    principal: Acting,
    registry: str,
    page: PageIn,
    state: Annotated[str | None, Query(description="stored, storing, orphaned, missing, failed, …")] = None,
    model: Annotated[str | None, Query(max_length=1000, description="A part of the model's name, or its ID")] = None,
    order_by: Annotated[str | None, Query(description="bytes, objects, model, modified_at or state")] = None,
) -> Page[ArchiveUsage]:
    """Each version's archive as last measured, the largest first; for administrators."""
    return storage_usage.list_archives(
        service,
        principal,
        registry,
        state=state,
        model=model,
        order_by=order_by,
        page_size=page.page_size,
        page_token=page.page_token,
    )


@router.get("/registries/{registry}/storage/models")
def list_storage_models(
    service: ServiceIn,
    principal: Acting,
    registry: str,
    page: PageIn,
    model: Annotated[str | None, Query(max_length=1000, description="A part of the model's name, or its ID")] = None,
    order_by: Annotated[str | None, Query(description="bytes, objects, model, versions or orphaned")] = None,
) -> Page[ModelUsage]:
    """Each model's archives together, as last measured, the largest first; for administrators."""
    return storage_usage.list_models(
        service,
        principal,
        registry,
        model=model,
        order_by=order_by,
        page_size=page.page_size,
        page_token=page.page_token,
    )


@router.post("/registries/{registry}/storage/clean-up", status_code=202)
def clean_up_storage(
    service: ServiceIn, principal: Acting, registry: str, request: StorageCleanUp
) -> Accepted[ModelRegistry]:
    """Removes chosen archives without a version and versions without an archive; follow the workflow."""
    return storage_usage.clean_up(service, principal, registry, request)
