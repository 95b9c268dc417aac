"""One search over everything."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from registry_tui.schemas.search import DEFAULT_LIMIT, MAX_LIMIT, MAX_TEXT, FoundKind, SearchAnswer
from registry_tui.service.http.routes.dependencies import Acting, NameIn, ServiceIn
from registry_tui.service.http.routes.keyed import new_router
from registry_tui.service.search import search as searching

router = new_router("search")


@router.get("/search")
def search(
    service: ServiceIn,
    principal: Acting,
    q: Annotated[
        str, Query(max_length=MAX_TEXT, description="Letters of a name, in order, or the first of an ID")
    ] = "",
    kind: Annotated[list[FoundKind] | None, Query(description="Only these kinds; repeatable")] = None,
    project: Annotated[NameIn | None, Query(description="Only deployments, experiments and runs of this one")] = None,
    registry: Annotated[NameIn | None, Query(description="Only models of this Model Registry")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Things of each kind")] = DEFAULT_LIMIT,
) -> SearchAnswer:
    """Everything that you may see, by name: the best matches first, without `q` the newest of each kind."""
    return searching.search(service, principal, q, kinds=kind or (), project=project, registry=registry, limit=limit)
