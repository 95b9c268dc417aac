"""Heads of requests: values to pass on to other programs, and refusals before routing."""

from __future__ import annotations

from aiohttp import HttpVersion11, web

from registry_tui.contracts import request_ids
from registry_tui.gateway.access import Refusal


def request_id(request: web.BaseRequest) -> str:
    """The caller's `X-Request-ID`, or a new one where that is missing or cannot be one."""
    return request_ids.request_id(request.headers.get(request_ids.HEADER, ""))


def is_utf8(text: str) -> bool:
    """Whether a path or header came as UTF-8: aiohttp keeps other bytes as surrogates and cannot send those on."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def unmet(request: web.BaseRequest) -> Refusal | None:
    """The refusal of a request with an expectation other than `100-continue` (RFC 9110, 10.1.1)."""
    expected = request.headers.get("Expect", "")
    if request.version < HttpVersion11 or expected.lower() in ("", "100-continue"):
        return None
    return Refusal(417, "expectation-failed", "Only `Expect: 100-continue` can be met", "Leave out the header Expect")
