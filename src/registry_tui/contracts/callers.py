"""Addresses of callers: which of them count as one, wherever callers are counted."""

from __future__ import annotations

import ipaddress

#: Bits of an IPv6 address that a caller does not choose: a household, a host or a cloud's customer gets the rest.
IPV6_PREFIX = 64


def source_of(address: str) -> str:
    """The caller that an address belongs to: the address, for IPv6 its network. Other text is returned unchanged."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, IPV6_PREFIX), strict=False))
