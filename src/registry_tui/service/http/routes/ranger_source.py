"""Routes of outside Rangers, whose policies environments use; their state is part of an environment's service."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from registry_tui.schemas.ranger import RangerService, RangerSourceChange
from registry_tui.service.core.context import Principal
from registry_tui.service.http.routes.dependencies import Acting, ServiceIn
from registry_tui.service.http.routes.keyed import new_router
from registry_tui.service.ranger import sources

router = new_router("ranger")


def changing_dependency(request: Request, service: ServiceIn, principal: Acting) -> Principal:
    """The acting principal, checked to be allowed to set the source of policies before anything else."""
    verb = "set" if request.method == "PUT" else "delete"
    sources.require_source_change(service, principal, verb, str(request.path_params["environment"])[:200])
    return principal


Changing = Annotated[Principal, Depends(changing_dependency)]


@router.put("/environments/{environment}/ranger-source")
def set_ranger_source(
    service: ServiceIn, principal: Changing, environment: str, request: RangerSourceChange
) -> RangerService:
    """Has an environment use a service of an outside Ranger, whose policies are fetched and enforced at once."""
    return sources.set_source(service, principal, environment, request)


@router.delete("/environments/{environment}/ranger-source")
def delete_ranger_source(service: ServiceIn, principal: Changing, environment: str) -> RangerService:
    """Restores the environment's own policies."""
    return sources.delete_source(service, principal, environment)
