"""The address at which the caller of a request reached the platform, for the URLs in responses."""

from __future__ import annotations

from contextvars import ContextVar

from registry_tui.service.core.context import Service

#: The header in which the network's listener passes the address on; only the socket's callers can send it.
HEADER = "X-Registry-Reached"
#: The listener's path of MLflow's server.
MLFLOW = "/mlflow"

#: `https://HOST:PORT` during a request that came over the network, else empty.
address: ContextVar[str] = ContextVar("reached_address", default="")


def gateway_url(service: Service) -> str:
    """The address of deployments for the caller."""
    return address.get() or service.ports.gateway_url


def mlflow_url(service: Service) -> str:
    """The address of MLflow's server for the caller."""
    return f"{address.get()}{MLFLOW}" if address.get() else service.ports.mlflow_url
