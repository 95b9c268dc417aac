"""Requests that a web page in a browser on this machine could send: one rule for every HTTP port.

The ports are for programs. A page reaches them too: through a name of its own that resolves to 127.0.0.1 (DNS
rebinding), or by a form or script that posts to them from another site, with the password that the browser keeps.
Browsers then name their page in `Host`, `Origin` or `Sec-Fetch-Site` (Fetch standard; Fetch Metadata).
"""

from __future__ import annotations

import socket
from collections.abc import Collection
from typing import Protocol
from urllib.parse import urlsplit

from registry_tui.contracts.hosts import means_its_reader

#: Types of bodies that a page may post anywhere without a preflight request (CORS-safelisted; Fetch standard).
_SIMPLE = frozenset({"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"})
#: The values of `Sec-Fetch-Site` for requests without another site.
_OWN = frozenset({"same-origin", "none"})

#: The remedy for a user whose own program is refused.
ACTION = (
    "Call 127.0.0.1, localhost or this machine's host name, without the header Origin of another page; "
    "add another name with `registry-tui up --listen HOST:PORT --name NAME`"
)


class Headers(Protocol):
    """A request's headers, whose names are found in any case."""

    def get(self, key: str, /) -> str | None:
        """The header's value; None without it."""


def problem(method: str, headers: Headers, hosts: Collection[str] = (), *, on_socket: bool = False) -> str | None:
    """Why a request is refused as one of a foreign page, as a sentence; None for all others.

    `hosts` are names under which the port is known besides this machine's own. `on_socket`: it is a unix socket, before
    which programs put any word as a host.
    """
    host, origin, site = headers.get("Host"), headers.get("Origin"), headers.get("Sec-Fetch-Site")
    if host and not (_is_here(host, hosts) or (on_socket and _is_word(host))):
        return f"The host {host[:100]!r} does not belong to this machine"
    if origin is not None and not _same(origin, host):
        return f"Pages of {origin[:100]!r} may not use this address"
    # Following a link from another page opens this one in its own right: that page sees nothing of it.
    follows_link = headers.get("Sec-Fetch-Mode") == "navigate" and method in ("GET", "HEAD")
    if site is not None and site.lower() not in _OWN and not follows_link:
        return "Pages of other sites may not use this address"
    return None


def is_simple(content_type: str) -> bool:
    """Whether a page of another site may post a body of this type without the browser asking first."""
    return content_type.partition(";")[0].strip().lower() in _SIMPLE


def _is_here(host: str, hosts: Collection[str]) -> bool:
    """Whether a `Host` header names this machine. Browsers resolve names below localhost without a name server.

    Of other names only this machine's own and `hosts` do, also of those without a dot: in a network that assigns names,
    a page can have one.
    """
    name = _name(host)
    if name is None:
        return False
    if name in {each.lower().rstrip(".") for each in (*hosts, *_own_names())}:
        return True
    return means_its_reader(name)


def _own_names() -> tuple[str, str]:
    """This machine's host name, whole and without its domain. Without a name server."""
    whole = socket.gethostname()
    return whole, whole.partition(".")[0]


def _is_word(host: str) -> bool:
    """Whether a `Host` header is one word: browsers add the port at which a forwarded socket is reached."""
    return "." not in host and ":" not in host and _name(host) is not None


def _name(host: str) -> str | None:
    """The name in a `Host` header, without its port; None for an invalid one."""
    try:
        parts = urlsplit(f"//{host}")
        parts.port  # noqa: B018 - raises ValueError for one that is not a number
    except ValueError:
        return None
    if parts.netloc != host or parts.username is not None or parts.password is not None:
        return None
    return (parts.hostname or "").rstrip(".") or None


def _same(origin: str, host: str | None) -> bool:
    """Whether a page's origin is the very address of the request; the origin `null` never is."""
    scheme, separator, address = origin.partition("://")
    return bool(separator) and scheme in ("http", "https") and host is not None and address.lower() == host.lower()
