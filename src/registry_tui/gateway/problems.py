"""Refusals as problem details documents (RFC 9457)."""

from __future__ import annotations

import json
import logging
import uuid
from typing import Any

from aiohttp import web

from registry_tui.gateway import chat, heads
from registry_tui.gateway.access import Refusal

logger = logging.getLogger(__name__)

#: Seconds after which a caller of a deployment without a live replica may try again.
RETRY_AFTER = 2
#: Refusals after which the connection ends: the rest of the request is not read.
UNREAD = (408, 413)


def document(refusal: Refusal, request_id: str) -> dict[str, Any]:
    """The document of a refusal."""
    return {
        "type": f"/problems/{refusal.code}",
        "title": refusal.code.replace("-", " ").capitalize(),
        "status": refusal.status,
        "detail": refusal.detail,
        "code": refusal.code,
        "request_id": request_id,
        "action": refusal.action,
        "success": False,
    }


def response(refusal: Refusal, request_id: str = "", path: str = "") -> web.Response:
    """The response to a refused request; `request_id` is a new one unless given.

    `path` is the request's: below `v2` and `v1`, the reason is also in `error`, where clients of the protocols read it.
    """
    request_id = request_id or str(uuid.uuid4())
    headers = {"X-Request-ID": request_id, **refusal.headers}
    if refusal.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if refusal.code == "encoding-unsupported":
        headers["Accept-Encoding"] = "gzip, deflate, zstd"
    if refusal.allow:
        headers["Allow"] = refusal.allow
    if refusal.status == 503:
        headers["Retry-After"] = str(RETRY_AFTER)
    answer = web.json_response(
        document(refusal, request_id) | reason_for(path, refusal),
        status=refusal.status,
        content_type="application/problem+json",
        headers=headers,
    )
    if refusal.status in UNREAD:
        answer.force_close()
    return answer


def reason_for(path: str, refusal: Refusal) -> dict[str, Any]:
    """The reason as the protocol of a path has it, besides the problem document."""
    if "/v1/" in path:
        return {"error": chat.error(refusal)}
    return {"error": refusal.detail} if "/v2/" in path else {}


def raw(refusal: Refusal) -> bytes:
    """The same as bytes, for a connection that ends before it had a whole request."""
    body = json.dumps(document(refusal, str(uuid.uuid4()))).encode()
    head = (
        f"HTTP/1.1 {refusal.status} {refusal.code}\r\n"
        "Content-Type: application/problem+json\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body


@web.middleware
async def refusals(request: web.Request, handler: Any) -> web.StreamResponse:
    """Every response carries a request ID; refusals are problem details documents (RFC 9457)."""
    request_id = request["request_id"] = heads.request_id(request)
    try:
        answer: web.StreamResponse = await handler(request)
    except Refusal as refusal:
        answer = response(refusal, request_id, request.path)
    except web.HTTPMethodNotAllowed as error:
        answer = response(not_allowed(request, ", ".join(sorted(error.allowed_methods))), request_id)
    except web.HTTPException as error:
        action = "Use POST /model or /endpoints/<access key>/invocations"
        code = error.reason.lower().replace(" ", "-")
        answer = response(Refusal(error.status, code, f"{request.path}: {error.reason}", action), request_id)
    except ConnectionError:
        # The caller hung up.
        raise
    except Exception:
        logger.exception("request %s", request_id)
        answer = response(mistake(), request_id)
    answer.headers["X-Request-ID"] = request_id
    return answer


def mistake(part: str = "gateway") -> Refusal:
    """An error of a part itself."""
    return Refusal(
        500,
        "internal-error",
        f"The {part} made a mistake with this request",
        f"See `registry-tui logs {part}` for this request's ID",
    )


def not_allowed(request: web.Request, allowed: str) -> Refusal:
    """The path takes other methods."""
    return Refusal(405, "method-not-allowed", f"{request.path} takes {allowed}", f"Use {allowed}", allowed)
