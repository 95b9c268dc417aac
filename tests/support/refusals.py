"""Refusals as the service answers them, for programs that ask a service that is not there."""

from __future__ import annotations

import httpx

from registry_tui.schemas.base import Problem


def refusal(request: httpx.Request, status: int, code: str, detail: str) -> httpx.Response:
    """A problem (RFC 9457) with the request's own ID."""
    problem = Problem(
        type=f"/problems/{code}",
        title=detail,
        status=status,
        detail=detail,
        instance=request.url.path,
        code=code,
        request_id=request.headers["X-Request-ID"],
    )
    return httpx.Response(status, content=problem.model_dump_json(), headers={"Content-Type": "application/json"})
