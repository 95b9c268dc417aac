"""Web pages that may call deployments from a browser: cross-origin resource sharing (Fetch standard), by setting."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from registry_tui.contracts.gateway_routes import Routes

#: Headers that a page's script may send and read.
SENT = "Authorization, Content-Type, Content-Encoding, Accept, Inference-Header-Content-Length, X-Request-ID"
READ = "X-Replica, X-Request-ID, Retry-After, RateLimit, RateLimit-Policy, Inference-Header-Content-Length"
#: Seconds for which a browser may cache the preflight response.
REMEMBERED = 600
#: Paths that no page gets.
OWN = ("/metrics", "/health")


def allowed(routes: Routes, request: web.BaseRequest) -> str:
    """The origin of the page that sent a request, when it may call deployments; else nothing."""
    origin = request.headers.get("Origin", "")
    return origin if origin in routes.origins and request.path not in OWN else ""


def asks_first(request: web.BaseRequest) -> bool:
    """Whether this is a browser's preflight request."""
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers


def told(request: web.BaseRequest) -> web.Response:
    """The response to a preflight request."""
    headers = {
        "Access-Control-Allow-Methods": "GET, POST",
        "Access-Control-Allow-Headers": SENT,
        "Access-Control-Max-Age": str(REMEMBERED),
    }
    if "Access-Control-Request-Private-Network" in request.headers:
        headers["Access-Control-Allow-Private-Network"] = "true"
    return web.Response(status=204, headers=headers)


def shared(answer: Any, origin: str) -> None:
    """Lets the page of an origin read a response."""
    answer.headers.update(shown_to(origin))


def shown_to(origin: str) -> dict[str, str]:
    """The headers that allow it."""
    return {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": READ, "Vary": "Origin"}
