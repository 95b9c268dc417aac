"""The addresses at which a Ray cluster answers calls: the proxies of its nodes, checked before anything is sent.

Serve starts an HTTP proxy on the head, or on every node with replicas; all listen at the same host and port of
`http_options`, and each passes requests on to the replicas of all nodes.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from registry_tui.platform.listening import is_loopback

#: Hosts of `http_options` with which each proxy listens at its own node's address.
_ALL = ("0.0.0.0", "::")
_HEALTHY = "HEALTHY"


def hosts_of(details: Mapping[str, Any], address: str) -> tuple[str, ...]:
    """The addresses of nodes whose proxies are healthy, sorted; none where all listen at one address.

    `details` is Serve's state, `address` that of the cluster. Only loopback addresses, of a cluster with a loopback
    address, and private ones are returned: gateway and service send a secret there.
    """
    if (details.get("http_options") or {}).get("host") not in _ALL:
        return ()
    proxies = (details.get("proxies") or {}).values()
    healthy = {str(each.get("node_ip", "")) for each in proxies if each.get("status") == _HEALTHY}
    own_machine = is_loopback(_host(address))
    return tuple(sorted(each for each in healthy if _is_safe(each, own_machine)))


def options_for(address: str, port: int) -> tuple[str, dict[str, Any]]:
    """Where Serve's proxies run and listen when this registry is the first to use Serve.

    A cluster of this machine listens on loopback only. In others each node listens at all its addresses, since Serve
    takes one host for all of them; replicas refuse requests without the gateway's secret.
    """
    host = _host(address)
    if is_loopback(host):
        return "HeadOnly", {"host": host, "port": port}
    return "EveryNode", {"host": _ALL[1] if ":" in host else _ALL[0], "port": port}


def is_private(address: str) -> bool:
    """Whether the host of a cluster's address has loopback and private addresses only."""
    try:
        found = socket.getaddrinfo(_host(address), None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(_is_safe(str(each[4][0]), own_machine=True) for each in found)


def ip_of(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An IP address to be judged: the IPv4 address where IPv6 holds one. Raises ValueError."""
    found = ipaddress.ip_address(text)
    return found if isinstance(found, ipaddress.IPv4Address) else found.ipv4_mapped or found


def _host(address: str) -> str:
    return urlsplit(address).hostname or ""


def _is_safe(host: str, own_machine: bool) -> bool:
    try:
        found = ip_of(host)
    except ValueError:
        return False
    if found.is_loopback:
        return own_machine
    return found.is_private and not (found.is_link_local or found.is_unspecified or found.is_multicast)
