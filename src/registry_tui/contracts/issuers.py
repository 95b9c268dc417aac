"""OpenID providers where people sign in: which addresses may be one, and constants shared by both ends of a sign-in."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from registry_tui.contracts.hosts import is_loopback

#: The addresses of the service for people who are not signed in yet.
WAYS, BY_ID_TOKEN = "/api/v1/sign-in", "/api/v1/sign-in/id-token"
#: The same where only the service has the client's secret: for a new code, and for polling one.
NEW_CODE, BY_CODE = "/api/v1/sign-in/device-code", "/api/v1/sign-in/device-token"
#: RFC 8628, 3.4.
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
#: Seconds to wait for a response of an issuer, and its most bytes.
PATIENCE, MOST_BYTES = 10.0, 1 << 20
_VISIBLE = re.compile(r"[\x21-\x7e]+")


def problem(url: str) -> str | None:
    """The problem with an address of an issuer, or None. Without TLS it has to be on this machine."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not host or port == 0 or not _VISIBLE.fullmatch(url):
        return "must look like https://login.example.com/realms/team"
    if "@" in parts.netloc or parts.query or parts.fragment:
        return "must hold neither a user nor anything behind ? or #"
    if parts.scheme == "http" and not is_loopback(host):
        return "must begin with https://: without TLS others could sign in as anybody"
    return None


def endpoint_problem(url: str, issuer: str) -> str | None:
    """The problem with an endpoint named by an issuer, or None. It must use TLS exactly if the issuer does.

    Otherwise somebody on the way could respond in the place of an issuer on this machine.
    """
    if (found := problem(url.partition("?")[0])) is not None:
        return found
    if urlsplit(url).scheme != urlsplit(issuer).scheme:
        return f"must begin with {urlsplit(issuer).scheme}://, as the issuer's own address"
    return None


def configuration_url(issuer: str) -> str:
    """The address of an issuer's metadata (OpenID Connect Discovery, 4)."""
    return f"{issuer.rstrip('/')}/.well-known/openid-configuration"


def same(one: str, other: str) -> bool:
    """Whether two spellings name one issuer: some end with a slash, which people leave out."""
    return one.rstrip("/") == other.rstrip("/")
