"""Every error as RFC 9457 problem details, with the request's ID and the action to take."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from registry_tui.contracts import web_pages
from registry_tui.contracts.api_keys import redacted
from registry_tui.contracts.counts import counted
from registry_tui.platform.databases import database_fault
from registry_tui.platform.errors import PlatformError
from registry_tui.schemas.base import FieldProblem, Problem
from registry_tui.service.core import events
from registry_tui.service.errors import ServiceError
from registry_tui.wording.mistakes import said

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

#: The field that clients of other programs' APIs show, by the beginning of their addresses.
_SHOWN_BY_CLIENTS = {"/service/": "msgDesc", "/api/v1/environments2/": "message"}

_TITLES = {
    400: ("bad-request", "The request cannot be read"),
    404: ("no-such-page", "No such page"),
    405: ("method-not-allowed", "Method not allowed"),
    408: ("body-timeout", "The rest of the request does not come"),
    413: ("too-large", "The request is too large"),
    422: ("invalid-input", "The request is not valid"),
}


class RequestTooLarge(HTTPException):
    """The body is larger than the service takes."""

    def __init__(self, limit: int) -> None:
        super().__init__(413, f"The request's body is larger than {counted(limit, 'byte')}")


class BodyStalled(HTTPException):
    """The client stopped sending the body."""

    def __init__(self, seconds: float) -> None:
        detail = f"No more of the request's body came for {counted(seconds, 'second')}"
        super().__init__(408, detail, {"Connection": "close"})


def problem_response(
    *,
    status: int,
    code: str,
    title: str,
    detail: str,
    instance: str,
    request_id: str,
    action: str | None = None,
    errors: Sequence[FieldProblem] = (),
    headers: dict[str, str] | None = None,
) -> Response:
    """A response with problem details."""
    detail, instance, action = redacted(detail), redacted(instance), action and redacted(action)
    problem = Problem(
        type=f"/problems/{code}",
        title=title,
        status=status,
        detail=detail,
        instance=instance,
        code=code,
        request_id=request_id,
        action=action,
        errors=[each.model_copy(update={"message": redacted(each.message)}) for each in errors],
    )
    content = problem.model_dump(mode="json", exclude_none=True)
    for addresses, shown in _SHOWN_BY_CLIENTS.items():
        if instance.startswith(addresses):
            content[shown] = " ".join(filter(None, (detail, action)))
    return Response(json.dumps(content), status, headers, MEDIA_TYPE)


def unexpected(error: Exception, instance: str, request_id: str) -> Response:
    """The response to an unexpected error: where its log lines are, never a stack trace."""
    if (fault := database_fault(error)) is not None:
        logger.error("%s: %s", fault.detail, error)
        return problem_response(
            status=503,
            code="database-unavailable",
            title="The service's database cannot be used",
            detail=fault.detail,
            instance=instance,
            request_id=request_id,
            action=fault.action,
        )
    logger.error("an error of the service itself", exc_info=error)
    return problem_response(
        status=500,
        code="internal",
        title="An error of the service itself",
        detail=f"The service made an error ({type(error).__name__}). Nothing more is known here.",
        instance=instance,
        request_id=request_id,
        action=f"Look for {request_id} in `registry-tui logs service`, and report it",
    )


def foreign_page(detail: str, instance: str, request_id: str) -> Response:
    """The response to a request of another site's web page."""
    return problem_response(
        status=403,
        code="foreign-page",
        title="Not for web pages of other sites",
        detail=detail,
        action=web_pages.ACTION,
        instance=instance,
        request_id=request_id,
    )


def not_yet(problem: PlatformError, instance: str, request_id: str) -> Response:
    """The response to people while the platform is not yet open to anybody."""
    return problem_response(
        status=503,
        code="part-unavailable",
        title="The platform lets nobody in yet",
        detail=problem.message,
        action=problem.action,
        instance=instance,
        request_id=request_id,
        headers={"Retry-After": "5"},
    )


def wrong_type(content_type: str, instance: str, request_id: str) -> Response:
    """The response to a body that is announced as something other than JSON."""
    return problem_response(
        status=415,
        code="wrong-type",
        title="The body has the wrong type",
        detail=f"The body is announced as {content_type[:100]!r}",
        action="Send JSON with `Content-Type: application/json`",
        instance=instance,
        request_id=request_id,
    )


def install(app: FastAPI) -> None:
    """Makes the app report every error as problem details."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)


def _service_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    headers = dict(error.headers)
    if error.status == 503:
        headers["Retry-After"] = "2"
    if error.recorded:
        headers[events.RECORDED] = "true"
    return problem_response(
        status=error.status,
        code=error.code,
        title=error.title,
        detail=error.detail,
        action=error.action,
        errors=error.errors,
        instance=request.url.path,
        request_id=request.state.request_id,
        headers=headers,
    )


def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [_field_problem(each) for each in error.errors()]
    code, title = _TITLES[422]
    return problem_response(
        status=422,
        code=code,
        title=title,
        detail="; ".join(f"{each.field}: {each.message}" for each in errors[:5]),
        errors=errors,
        instance=request.url.path,
        request_id=request.state.request_id,
    )


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code, title = _TITLES.get(error.status_code, ("failed", "It failed"))
    detail = str(error.detail)
    if error.status_code == 404:
        detail = f"There is nothing at {request.url.path}"
    elif error.status_code == 405:
        detail = f"{request.url.path} does not know {request.method}"
    return problem_response(
        status=error.status_code,
        code=code,
        title=title,
        detail=detail,
        action="See the API's pages at /api/v1/docs" if error.status_code in (404, 405) else None,
        instance=request.url.path,
        request_id=request.state.request_id,
        headers=dict(error.headers) if error.headers else None,
    )


def _field_problem(error: dict[str, Any]) -> FieldProblem:
    where = [str(part) for part in error["loc"] if part not in ("body", "query", "path", "header")]
    if error["type"] == "json_invalid":
        where = ["body"]
    return FieldProblem(field=".".join(where) or "body", message=said(error))
