"""Where webhooks may be sent: to hosts that the administrator allows, and to private addresses of named hosts only."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from registry_tui.service.errors import InvalidInput, PartUnavailable
from registry_tui.service.settings import Settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: IPv4 addresses behind a translator (RFC 6052).
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True)
class Target:
    """A URL's parts, after the check that it may be sent to."""

    scheme: str
    host: str
    port: int
    #: With the query.
    path: str

    @property
    def named(self) -> str:
        """The header Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def at(self, address: Address) -> str:
        """The URL of an address, without another lookup of its name."""
        host = f"[{address}]" if address.version == 6 else str(address)
        return f"{self.scheme}://{host}:{self.port}{self.path}"


_PORTS = {"https": 443, "http": 80}


def target_of(url: str, settings: Settings) -> Target:
    """The parts of a webhook's URL. Raises InvalidInput for one that cannot be, or whose host is not allowed."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidInput(f"That is not a URL: {url[:200]!r}", action="Give https://HOST/PATH") from error
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme not in _PORTS or not host or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidInput("A webhook's URL begins with https:// or http://", action="Give https://HOST/PATH")
    if parts.username is not None or parts.password is not None:
        raise InvalidInput(
            "A webhook's URL has no user and no password",
            action="Leave them out: the receiver knows messages by their signature",
        )
    if not (_listed(host, settings.webhook_hosts) or _listed(host, settings.webhook_private_hosts)):
        raise InvalidInput(
            f"Webhooks may not be sent to {host}",
            action=f"The administrator adds it to the setting webhook_hosts: {host}",
        )
    path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    return Target(parts.scheme, host, port or _PORTS[parts.scheme], path)


def resolve(target: Target, settings: Settings) -> list[Address]:
    """The addresses to connect to, each of them checked. Raises InvalidInput, PartUnavailable without any."""
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise PartUnavailable(f"The name {target.host} has no address now", action="Check the URL") from error
    addresses = list(dict.fromkeys(ipaddress.ip_address(str(each[4][0]).partition("%")[0]) for each in found))
    if not _listed(target.host, settings.webhook_private_hosts):
        for each in addresses:
            if not is_public(each):
                raise InvalidInput(
                    f"{target.host} is at the private address {each}, where webhooks are not sent",
                    action=f"The administrator adds {target.host} to the setting webhook_private_hosts",
                )
    return addresses


def is_public(address: Address) -> bool:
    """Whether an address, and the IPv4 address that it holds, is reached over the internet."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.teredo is not None or address.is_site_local:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _listed(host: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(host.lower(), each.strip().lower()) for each in patterns)
