"""Words for attached MLflow servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_tui.wording.text import safe

if TYPE_CHECKING:
    from registry_tui.schemas.attached import AttachedServer


def signed_in(server: AttachedServer) -> str:
    """The user, profile or token of the requests; empty where nobody has to sign in."""
    if server.user is not None:
        return server.user
    if server.aws_profile is not None:
        return f"AWS profile {server.aws_profile}"
    return "a token" if server.has_token else ""


def facts(server: AttachedServer) -> list[str]:
    """The known facts of a server, a line each: its address, how it is reached, its limits."""
    lines = [f"{safe(server.url, 200)} · MLflow {safe(server.version, 40) or 'does not say its version'}"]
    reader = safe(signed_in(server), 100)
    way = [f"reads as {reader}" if reader else "reads without signing in"]
    if server.aws_region is not None:
        way.append(f"region {safe(server.aws_region, 64)}")
    if server.proxy is not None:
        way.append(f"by the proxy {safe(server.proxy, 100)}")
    if server.has_certificate:
        way.append("trusts certificates of its own")
    return [*lines, ", ".join(way), *(safe(each, 300) for each in server.limits)]
