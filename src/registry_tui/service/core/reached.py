"""The address at which the caller of a request reached the platform, for the URLs in responses."""

from __future__ import annotations

from contextvars import ContextVar

from registry_tui.service.core.context import Service

#: With which the network's listener passes the address on; only the socket's callers can send it.
HEADER = "X-Registry-Reached"
#: The listener's path of MLflow's server.
MLFLOW = "/mlflow"

#: `https://HOST:PORT` during a request that came over the network, else empty.
address: ContextVar[str] = ContextVar("reached_address", default="")


def gateway_url(service: Service) -> str:
    """Where the caller reaches deployments."""
    return address.get() or service.ports.gateway_url


def mlflow_url(service: Service) -> str:
    """Where the caller reaches MLflow's server."""
    return f"{address.get()}{MLFLOW}" if address.get() else service.ports.mlflow_url
