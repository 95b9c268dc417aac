"""Watching deployments: the sampled request log, drift, and the profiles that drift is measured by."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Query

from registry_tui.contracts.request_columns import ROWS
from registry_tui.schemas.base import Page
from registry_tui.schemas.drift import Drift, DriftRules, ProfileChange, VersionProfile
from registry_tui.schemas.request_log import LoggedRequest, RequestLog, RequestLogRules
from registry_tui.service.deployments import drift, request_logs
from registry_tui.service.http.routes.dependencies import Acting, PageIn, ServiceIn
from registry_tui.service.http.routes.keyed import new_router
from registry_tui.service.http.routes.models import VERSION, VersionIn
from registry_tui.service.models import profiles

router = new_router("deployments")

_ONE = "/deployments/{deployment}"


@router.get(f"{_ONE}/request-log")
def get_request_log(service: ServiceIn, principal: Acting, deployment: str) -> RequestLog:
    """The rules of a deployment's request log, and the number of logged requests."""
    return request_logs.get_request_log(service, principal, deployment)


@router.put(f"{_ONE}/request-log")
def set_request_log(service: ServiceIn, principal: Acting, deployment: str, request: RequestLogRules) -> RequestLog:
    """Sets the rules of the request log from now on; headers and secrets of API keys are never kept."""
    return request_logs.set_request_log(service, principal, deployment, request)


@router.get(f"{_ONE}/requests")
def list_requests(
    service: ServiceIn,
    principal: Acting,
    deployment: str,
    page: PageIn,
    values: Annotated[int | None, Query(ge=0, le=ROWS, description="Of each column at most; default: all")] = None,
) -> Page[LoggedRequest]:
    """The requests that were kept, newest first."""
    return request_logs.list_requests(
        service, principal, deployment, values=values, page_size=page.page_size, page_token=page.page_token
    )


@router.get(f"{_ONE}/requests/{{request_id}}")
def get_request(
    service: ServiceIn,
    principal: Acting,
    deployment: str,
    request_id: str,
    at: Annotated[
        datetime | None,
        Query(description="Its time, where several have this ID: RFC 3339, without a zone UTC. Default: the newest"),
    ] = None,
) -> LoggedRequest:
    """A request that was kept, by its `X-Request-ID`, with all of its values."""
    return request_logs.get_request(service, principal, deployment, request_id, at=at)


@router.delete(f"{_ONE}/requests")
def delete_requests(service: ServiceIn, principal: Acting, deployment: str) -> RequestLog:
    """Deletes all requests that were kept until now."""
    return request_logs.delete_requests(service, principal, deployment)


@router.get(f"{_ONE}/drift")
def get_drift(
    service: ServiceIn,
    principal: Acting,
    deployment: str,
    max_psi: Annotated[float | None, Query(gt=0, le=100, description="Default, as of all: the rules' own")] = None,
    max_ks: Annotated[float | None, Query(gt=0, le=1)] = None,
    hours: Annotated[float | None, Query(gt=0, le=24 * 366)] = None,
    requests: Annotated[int | None, Query(ge=1, le=50_000)] = None,
    min_rows: Annotated[int | None, Query(ge=1, le=10**9)] = None,
) -> Drift:
    """How far the requests that were kept are from the training data of the version that serves."""
    overrides = {"max_psi": max_psi, "max_ks": max_ks, "hours": hours, "requests": requests, "min_rows": min_rows}
    return drift.get_drift(service, principal, deployment, overrides)


@router.put(f"{_ONE}/drift")
def set_drift_rules(service: ServiceIn, principal: Acting, deployment: str, request: DriftRules) -> Drift:
    """Sets the distance from which a column drifts, the requests that are judged, and whether alerts are sent."""
    return drift.set_rules(service, principal, deployment, request)


@router.get(f"{VERSION}/profile")
def get_profile(service: ServiceIn, principal: Acting, registry: str, model: str, version: VersionIn) -> VersionProfile:
    """The profile of the data that the version was trained with."""
    return profiles.get_profile(service, principal, registry, model, version)


@router.put(f"{VERSION}/profile")
def set_profile(
    service: ServiceIn, principal: Acting, registry: str, model: str, version: VersionIn, request: ProfileChange
) -> VersionProfile:
    """Keeps a profile that you made; for the person who registered the version and the model's owner."""
    return profiles.set_profile(service, principal, registry, model, version, request)
