"""Health, the platform's status, and the endpoints of MLflow's plugin."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Header, Query, Request
from fastapi.responses import Response, StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import Field
from starlette.concurrency import run_in_threadpool

import registry_tui
from registry_tui.contracts.permissions import Action
from registry_tui.schemas.base import Page, Schema
from registry_tui.schemas.cleaning import PlatformClean, PlatformCleaned, UnusedThings
from registry_tui.schemas.operations import PlatformStatus
from registry_tui.schemas.secrets import SecretsRotate, SecretsRotated
from registry_tui.schemas.tracking import Artifact
from registry_tui.service.core import permissions
from registry_tui.service.core.context import Principal
from registry_tui.service.deployments import metrics, unused
from registry_tui.service.errors import ServiceError
from registry_tui.service.http.routes.content import content_response
from registry_tui.service.http.routes.dependencies import Acting, ServiceIn, principal_of_request
from registry_tui.service.http.routes.keyed import new_router
from registry_tui.service.http.routes.mlflow_files import Signed, not_signed
from registry_tui.service.loops.background import Background
from registry_tui.service.loops.stream import Hub, lines
from registry_tui.service.models import archives
from registry_tui.service.operations import rotating, status

router = new_router("system")


class Health(Schema):
    """The service responds; `waiting_for` describes the remaining step of its start, and is empty once it is done."""

    status: str = "ok"
    version: str = Field(default=registry_tui.__version__)
    ready: bool
    waiting_for: str
    #: Why the service cannot work, if so.
    failure: str | None = None


@router.get("/health")
async def health(request: Request) -> Health:
    """Whether the service is up; contacts no other part."""
    background: Background = request.app.state.background
    failure = background.failure
    return Health(
        ready=background.ready.is_set(),
        waiting_for=background.waiting_for,
        failure=None if failure is None else failure.detail,
    )


@router.get("/status")
def platform_status(service: ServiceIn, principal: Acting) -> PlatformStatus:
    """Each part's health, by a real probe: a put and a get in the object store, a search in MLflow."""
    return status.platform_status(service, principal)


@router.get("/stream", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}})
async def follow(
    request: Request,
    principal: Acting,
    last_event_id: Annotated[str | None, Header(description="Goes on after this change", max_length=100)] = None,
) -> StreamingResponse:
    """Server-sent events: workflows that move, events as they are recorded, parts whose state changes.

    The first are the changes missed since `Last-Event-ID`, or `resync`: reload everything. The stream ends once the
    person's access would be refused: at the next change, after 15 seconds at most.
    """
    permissions.require(principal, Action.STATUS_SEE)
    hub: Hub = request.app.state.hub

    async def told() -> AsyncIterator[str]:
        async for change in hub.follow(principal, last_event_id):
            if not await run_in_threadpool(_still_acting, request, principal):
                return
            yield lines(change)

    return StreamingResponse(told(), media_type="text/event-stream")


def _still_acting(request: Request, principal: Principal) -> bool:
    """Whether the request would still be accepted as the same person's."""
    try:
        return principal_of_request(request) == principal
    except ServiceError:
        return False


@router.get("/metrics", response_class=Response)
def read_metrics(service: ServiceIn, principal: Acting) -> Response:
    """Prometheus metrics of the platform and of every deployment; for the administrator.

    The gateway serves them at `/metrics` to clients with an API key of the administrator.
    """
    return Response(metrics.render(service, principal), media_type=CONTENT_TYPE_LATEST)


@router.post("/secrets/rotate")
def rotate_secrets(service: ServiceIn, principal: Acting, request: SecretsRotate) -> SecretsRotated:
    """Replaces the platform's own secrets while it works; for administrators. Old ones work until the response."""
    return rotating.rotate(service, principal, request)


@router.get("/unused")
def list_unused(
    service: ServiceIn,
    principal: Acting,
    older_than_days: Annotated[float, Query(ge=0, le=36_500, description="Unused for so many days")] = 0.0,
) -> UnusedThings:
    """Environments of models and logs of replicas that nobody uses; for administrators."""
    return unused.list_unused(service, principal, older_than_days)


@router.post("/unused/clean")
def clean_platform(service: ServiceIn, principal: Acting, request: PlatformClean) -> PlatformCleaned:
    """Removes environments of models and logs of replicas that nobody uses; for administrators."""
    return unused.clean(service, principal, request)


@router.post("/internal/pending-versions", status_code=202, include_in_schema=False)
async def pending_versions(request: Request) -> None:
    """MLflow's plugin has stored a version that waits for its archive."""
    background: Background = request.app.state.background
    background.nudge()


@router.get("/internal/archives/{registry}/files", include_in_schema=False)
def archive_entries(service: ServiceIn, principal: Acting, registry: str, path: str) -> Page[Artifact]:
    """The entries of a folder of an environment's own store, for MLflow's server; empty if there is no such folder."""
    return Page(items=archives.entries_for_mlflow(service, principal, registry, path))


@router.get("/internal/archives/{registry}/content", include_in_schema=False, response_class=StreamingResponse)
def archive_content(service: ServiceIn, principal: Acting, registry: str, path: str) -> StreamingResponse:
    """A file of an environment's own store, for MLflow's server, which has no key there."""
    return content_response(archives.file_for_mlflow(service, principal, registry, path), path)


@router.get("/internal/archives/{registry}/signed", include_in_schema=False, response_model=None)
def archive_address(
    service: ServiceIn, principal: Acting, registry: str, path: str, seconds: int, elsewhere: bool = False
) -> Signed | Response:
    """A signed address of a file of an archive, for MLflow's server."""
    found = archives.address_for_mlflow(service, principal, registry, path, seconds, elsewhere=elsewhere)
    return not_signed() if found is None else Signed(url=found[0], size=found[1])


@router.head("/internal/archives/{registry}/content", include_in_schema=False)
def archive_file(service: ServiceIn, principal: Acting, registry: str, path: str) -> Response:
    """Whether there is a file of an environment's own store, for MLflow's server."""
    archives.file_for_mlflow(service, principal, registry, path)
    return Response()
