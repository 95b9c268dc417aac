"""A deployment's description as OpenAPI, and the page that shows it and tries requests."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import cache
from pathlib import Path

from aiohttp import web

from registry_tui.contracts.counts import counted
from registry_tui.contracts.gateway_routes import Route

#: The path of the description, and of its page.
DOCUMENT, PAGE = "openapi.json", "docs"
_FILE = Path(__file__).with_name("docs.html")


def finished(body: bytes, route: Route) -> bytes:
    """A replica's description of its endpoint, with the requirements of calls that only the gateway knows."""
    document = json.loads(body)
    document["info"]["description"] += f" A body may have {counted(route.body_bytes, 'byte')}, also unpacked."
    if route.authentication:
        key = {"type": "http", "scheme": "bearer", "description": "An API key of a collaborator of the project"}
        document.setdefault("components", {})["securitySchemes"] = {"apiKey": key}
        document["security"] = [{"apiKey": []}]
        for operations in document.get("paths", {}).values():
            for operation in operations.values():
                operation["responses"] |= {
                    "401": {"description": "The call has no API key that is valid"},
                    "403": {"description": "The key's owner is not a collaborator of the project"},
                }
    return json.dumps(document, indent=1).encode()


def page(*, needs_key: bool = False) -> web.Response:
    """The page: one file, which connects only to its own address and has no data before it has a key.

    `needs_key`: it asks for one at once, as every request needs one.
    """
    text, policy = _page()
    if needs_key:
        text = text.replace("<body>", '<body data-needs="key">', 1)
    headers = {"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
    return web.Response(text=text, content_type="text/html", headers=headers)


@cache
def _page() -> tuple[str, str]:
    text = _FILE.read_text(encoding="utf-8")
    script, style = (_digest(text, tag) for tag in ("script", "style"))
    policy = (
        f"default-src 'none'; script-src '{script}'; style-src '{style}'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return text, policy


def _digest(text: str, tag: str) -> str:
    found = re.search(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    assert found is not None, f"the page has no <{tag}>"
    return f"sha256-{base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode()}"
