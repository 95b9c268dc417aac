"""Lineage: the origins and the dependents of a thing."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from registry_tui.schemas.base import Page
from registry_tui.schemas.lineage import (
    DEPTH,
    EACH,
    MAX_DEPTH,
    MAX_EACH,
    Dependents,
    DependentsAsked,
    Direction,
    LineageNode,
    LineageTree,
)
from registry_tui.service.http.routes.dependencies import Acting, PageIn, ServiceIn
from registry_tui.service.http.routes.keyed import READS_ONLY, new_router
from registry_tui.service.lineage import dependents, graph

router = new_router("lineage")

NodeIn = Annotated[
    str,
    Query(
        max_length=4000,
        description="A kind and names or IDs, percent-encoded: `model:REGISTRY/MODEL`, `version:REGISTRY/MODEL/3`, "
        "`alias:REGISTRY/MODEL/ALIAS`, `run:PROJECT/RUN`, `dataset:PROJECT/NAME/DIGEST`, `commit:PROJECT/SHA`, "
        "`logged-model:PROJECT/ID`, `deployment:NAME`, `key:ID`, "
        "`experiment:PROJECT/EXPERIMENT`, `project:NAME`, `registry:NAME`, `environment:NAME`",
    ),
]


@router.get("/lineage", response_model=LineageTree)
def get_lineage(
    service: ServiceIn,
    principal: Acting,
    node: NodeIn,
    depth: Annotated[int, Query(ge=1, le=MAX_DEPTH, description="Levels each way")] = DEPTH,
    each: Annotated[int, Query(ge=1, le=MAX_EACH, description="Children that are listed of a node")] = EACH,
    direction: Annotated[Direction | None, Query(description="Default: both")] = None,
) -> Response:
    """The tree of a thing's origins and dependents; those that you may not see are only counted."""
    found = graph.get_tree(service, principal, node, depth=depth, each=each, direction=direction)
    # Ten thousand nodes at most: FastAPI would make a dict of each, and text of these.
    return Response(found.model_dump_json(), media_type="application/json")


@router.get("/lineage/neighbours")
def list_neighbours(
    service: ServiceIn, principal: Acting, page: PageIn, node: NodeIn, direction: Direction
) -> Page[LineageNode]:
    """The direct origins or the direct dependents of a thing; a page at a time."""
    return graph.list_neighbours(
        service, principal, node, direction, page_size=page.page_size, page_token=page.page_token
    )


@router.get("/lineage/dependents")
def get_dependents(service: ServiceIn, principal: Acting, node: NodeIn) -> Dependents:
    """The effects of deleting a thing, in sentences with counts and the first names.

    Besides things with a lineage: `user:NAME`, `group:NAME`, `member:GROUP/USER`, `roles:ENVIRONMENT/user/NAME` or
    `…/group/NAME`, `token:USER/ID`, `collaborator:PROJECT/USER`, `workspace:NAME`, `server:WORKSPACE`, `webhook:NAME`,
    `signing-key:ENVIRONMENT/NAME`, `policy:ID`, `ranger-role:NAME`, `mappings:ENVIRONMENT`. Things that end without
    being deleted: `storage-access:REGISTRY`, `ranger-source:ENVIRONMENT`, `workflow:ID`, `webhook-secret:NAME`,
    `exception:REGISTRY/MODEL/VERSION/RULE`, `secrets:KIND`, `deleted-runs:PROJECT/DAYS`.
    """
    return dependents.get_dependents(service, principal, [node])


@router.post("/lineage/dependents", openapi_extra=READS_ONLY)
def get_dependents_of_all(service: ServiceIn, principal: Acting, request: DependentsAsked) -> Dependents:
    """The effects of deleting several things together; things that depend on two of them are counted once."""
    return dependents.get_dependents(service, principal, request.nodes)
