"""Watching what deployments serve: the sampled request log."""

from __future__ import annotations

from registry_tui.schemas.base import Page
from registry_tui.schemas.request_log import LoggedRequest, RequestLog, RequestLogRules
from registry_tui.service.deployments import request_logs
from registry_tui.service.http.routes.dependencies import Acting, PageIn, ServiceIn
from registry_tui.service.http.routes.keyed import new_router

router = new_router("deployments")

_ONE = "/deployments/{deployment}"


@router.get(f"{_ONE}/request-log")
def get_request_log(service: ServiceIn, principal: Acting, deployment: str) -> RequestLog:
    """What is kept of the requests of a deployment, and how many were."""
    return request_logs.get_request_log(service, principal, deployment)


@router.put(f"{_ONE}/request-log")
def set_request_log(service: ServiceIn, principal: Acting, deployment: str, request: RequestLogRules) -> RequestLog:
    """Chooses what is kept of the requests from now on; headers and API keys never are."""
    return request_logs.set_request_log(service, principal, deployment, request)


@router.get(f"{_ONE}/requests")
def list_requests(service: ServiceIn, principal: Acting, deployment: str, page: PageIn) -> Page[LoggedRequest]:
    """The requests that were kept, newest first."""
    return request_logs.list_requests(
        service, principal, deployment, page_size=page.page_size, page_token=page.page_token
    )


@router.delete(f"{_ONE}/requests")
def delete_requests(service: ServiceIn, principal: Acting, deployment: str) -> RequestLog:
    """Deletes all requests that were kept until now."""
    return request_logs.delete_requests(service, principal, deployment)
