"""Whether a host of an address is this machine, by its name alone; `platform/listening.py: is_loopback` resolves it."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether nothing that is sent to this host leaves the machine: a loopback address, or `localhost`.

    Not every resolver keeps names below localhost on the machine (RFC 6761, 6.3), so they need TLS.
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def means_its_reader(host: str) -> bool:
    """Whether each machine takes this host for itself, as browsers do with names below localhost, too."""
    return is_loopback(host) or host.endswith(".localhost")
