"""The platform's health as the service sees it: what each part does when it is really asked."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import registry_tui
from registry_tui.schemas.operations import PartState, PartStatus, PlatformStatus
from registry_tui.service.context import Service
from registry_tui.service.errors import PartUnavailable, ServiceError

_STARTED = datetime.now(UTC)


def platform_status(service: Service, waiting_for: str) -> PlatformStatus:
    """Probes the parts at the same time. `waiting_for` is what the service's start still needs, if anything."""
    with ThreadPoolExecutor(max_workers=2, thread_name_prefix="probe") as pool:
        store = pool.submit(_probe, "object-store", service.ports.s3_endpoint, lambda: _object_store(service))
        mlflow = pool.submit(_probe, "mlflow", service.ports.mlflow_url, lambda: _mlflow(service))
        parts = [store.result(), mlflow.result(), _own(service, waiting_for)]
    return PlatformStatus(
        home=str(service.home.root),
        healthy=all(part.state is PartState.HEALTHY for part in parts),
        parts=parts,
    )


def _probe(name: str, address: str, probe: Callable[[], str]) -> PartStatus:
    began = time.monotonic()
    try:
        detail, state = probe(), PartState.HEALTHY
    except PartUnavailable as error:
        detail, state = error.detail, PartState.STARTING
    except ServiceError as error:
        detail, state = error.detail, PartState.UNHEALTHY
    milliseconds = (time.monotonic() - began) * 1000
    return PartStatus(name=name, state=state, detail=detail, address=address, probe_ms=round(milliseconds, 1))


def _object_store(service: Service) -> str:
    service.object_store.probe()
    return "stored and read an object"


def _mlflow(service: Service) -> str:
    service.mlflow.call("POST", "experiments/search", workspace="default", json={"max_results": 1})
    return "searched experiments"


def _own(service: Service, waiting_for: str) -> PartStatus:
    with service.database.reading() as session:
        session.connection()
    return PartStatus(
        name="service",
        state=PartState.STARTING if waiting_for else PartState.HEALTHY,
        detail=f"waiting for {waiting_for}" if waiting_for else "read its database",
        version=registry_tui.__version__,
        pid=os.getpid(),
        memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        uptime_seconds=(datetime.now(UTC) - _STARTED).total_seconds(),
        address=str(service.home.service_socket),
    )
