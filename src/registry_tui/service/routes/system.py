"""Health, the platform's status, and the plugin's nudge."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import Field

import registry_tui
from registry_tui.schemas.base import Schema
from registry_tui.schemas.operations import PlatformStatus
from registry_tui.service import metrics, status
from registry_tui.service.background import Background
from registry_tui.service.routes.dependencies import Acting, ServiceIn

router = APIRouter(tags=["system"])


class Health(Schema):
    """The service answers; `waiting_for` says what its start still needs, and is empty once it is done."""

    status: str = "ok"
    version: str = Field(default=registry_tui.__version__)
    ready: bool
    waiting_for: str


@router.get("/health")
async def health(request: Request) -> Health:
    """Whether the service is up; asks no other part."""
    background: Background = request.app.state.background
    return Health(ready=background.ready.is_set(), waiting_for=background.waiting_for)


@router.get("/status")
def platform_status(service: ServiceIn, principal: Acting) -> PlatformStatus:
    """Each part's health, by a real probe: a put and a get in the object store, a search in MLflow."""
    return status.platform_status(service)


@router.get("/metrics", response_class=Response)
def read_metrics(service: ServiceIn, principal: Acting) -> Response:
    """Prometheus metrics of the platform and of every deployment; for the administrator.

    The gateway passes them on at `/metrics` to who shows an API key of the administrator's.
    """
    return Response(metrics.render(service, principal), media_type=CONTENT_TYPE_LATEST)


@router.post("/internal/pending-versions", status_code=202, include_in_schema=False)
async def pending_versions(request: Request) -> None:
    """MLflow's plugin has stored a version that waits for its archive."""
    background: Background = request.app.state.background
    background.nudge()
