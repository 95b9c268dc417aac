"""MLflow's own web page behind the listener: how a browser signs in, and the page's content security policy."""

from __future__ import annotations

import re

from aiohttp import web

#: The page and its program files, of all projects and of one. Artifacts, which may be anybody's pages, are not among
#: them: they keep the listener's policy, and run nothing.
_PAGE = re.compile(r"/mlflow(/projects/[^/]+)?/(static-files/.*)?")
#: Allows the page its own files, styles and small scripts that it makes itself, and pictures that it draws.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'none'"
)
#: A browser then prompts for both, keeps them, and sends them with every request to this address. Pages of other sites
#: cannot use them: each of their requests is refused (`contracts/web_pages.py`). Nor can MLflow's page elsewhere.
CHALLENGE = 'Basic realm="MLflow: your user name, and a token as the password", charset="UTF-8"'
HELP = (
    "Sign in with your user name, and a token as the password. An administrator makes tokens, and you do in the "
    "terminal program (:tokens) or with `registry-tui tokens create`"
)


def is_page(path: str) -> bool:
    """Whether a path is MLflow's page, or a program file of it."""
    return _PAGE.fullmatch(path) is not None


def wanted_by_browser(request: web.Request) -> bool:
    """Whether a person opens a page of MLflow's in a browser: its own requests, and programs, do not accept HTML."""
    path = request.raw_path.partition("?")[0]
    below = path == "/mlflow" or path.startswith("/mlflow/")
    return below and request.method in ("GET", "HEAD") and "text/html" in request.headers.get("Accept", "")


def kept_by_browser(request: web.Request) -> bool:
    """Whether a request of a page has the password kept by its browser; programs send no `Sec-Fetch-Site`."""
    scheme = request.headers.get("Authorization", "").partition(" ")[0]
    return scheme.lower() == "basic" and "Sec-Fetch-Site" in request.headers


def require_slash(request: web.Request) -> None:
    """Redirects a browser from `/mlflow`: the page's files have relative addresses. Raises HTTPException."""
    path, mark, query = request.raw_path.partition("?")
    if path == "/mlflow" and request.method in ("GET", "HEAD"):
        raise web.HTTPPermanentRedirect(f"/mlflow/{mark}{query}")
