"""The service's process: puts the service together, and serves the REST API until SIGTERM or SIGINT."""

from __future__ import annotations

import fcntl
import importlib
import logging
import os
import signal
import socket
import stat
import sys
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import FrameType
from typing import IO, Any

import uvicorn

from registry_tui.contracts.garbage import lasting
from registry_tui.platform import database_owner, endings
from registry_tui.platform.database_urls import databases_of
from registry_tui.platform.errors import PlatformError
from registry_tui.platform.paths import MAX_SOCKET_PATH, Home
from registry_tui.platform.ports import Ports, load_ports
from registry_tui.platform.secrets import Secrets, load_secrets
from registry_tui.service.adapters.access import Access
from registry_tui.service.adapters.mlflow import Mlflow
from registry_tui.service.backends.base import Backends
from registry_tui.service.backends.either import EitherReplicas
from registry_tui.service.backends.ray import RayReplicas
from registry_tui.service.core import identity
from registry_tui.service.core.clusters import cluster_of
from registry_tui.service.core.context import Service
from registry_tui.service.core.kept import Locks
from registry_tui.service.core.shared_locks import SharedLocks
from registry_tui.service.database.database import Database
from registry_tui.service.engine.engine import Engine
from registry_tui.service.http.app import create_app
from registry_tui.service.http.middleware import RequestIdFilter
from registry_tui.service.listening import listener as network
from registry_tui.service.loops.background import Background
from registry_tui.service.loops.others import Others
from registry_tui.service.loops.stream import Hub
from registry_tui.service.settings import load_settings
from registry_tui.service.workflows.catalog import DEFINITIONS

logger = logging.getLogger(__name__)

#: The choices of the settings `store` and `backend`: `module:function`, imported when chosen. The function gets the
#: home, its ports and its secrets, and opens no connection yet.
STORES: Mapping[str, str] = {
    "seaweedfs": "registry_tui.service.stores.seaweedfs:open_stores",
}
BACKENDS: Mapping[str, str] = {
    "supervisord": "registry_tui.service.backends.supervisord:open_backends",
}
#: The process that clients connect to.
SERVICE = "service"
#: Seconds that requests may take to finish after SIGTERM.
GRACE = 5


class CannotStart(PlatformError):
    """Why the service cannot start, for people."""


def build(home: Home, process: str = SERVICE) -> Service:
    """Constructs the service; opens no connection yet. Raises CannotStart, OSError, ValueError."""
    ports = load_ports(home)
    if ports is None:
        raise CannotStart(f"{home.ports_file} is missing: start the platform with `registry-tui up`")
    secrets = load_secrets(home)
    try:
        settings = load_settings(home)
    except ValueError as error:
        raise CannotStart(str(error), action="Mend the setting, then run `registry-tui up` again") from error
    databases = databases_of(home)
    database = Database(databases.service)
    mlflow = Mlflow(ports, secrets, home)
    workflows = Engine(
        databases.workflows,
        DEFINITIONS,
        threads=settings.workflow_threads,
        patience=settings.part_patience,
        process=process,
    )
    service = Service(
        home=home,
        ports=ports,
        secrets=secrets,
        settings=settings,
        database=database,
        mlflow=mlflow,
        stores=_chosen("store", settings.store, STORES)(home, ports, secrets),
        access=Access(mlflow, secrets, partial(identity.mlflow_account, database)),
        backends=_with_clusters(home, database, _chosen("backend", settings.backend, BACKENDS)(home, ports, secrets)),
        workflows=workflows,
        locks=SharedLocks(databases.service) if database.shared else Locks(),
    )
    workflows.attach(service)
    return service


def _with_clusters(home: Home, database: Database, here: Backends) -> Backends:
    """The backend of this machine, and the clusters that environments name."""
    ray = RayReplicas(home, partial(cluster_of, database))
    return Backends(replicas=EitherReplicas(here.replicas, ray), logs=here.logs, clusters=ray)


def _chosen(setting: str, name: str, known: Mapping[str, str]) -> Callable[[Home, Ports, Secrets], Any]:
    """The function that a setting names. Raises CannotStart."""
    if name not in known:
        raise CannotStart(
            f"The setting {setting} is {name!r}, which is not one of: {', '.join(known)}",
            action="Mend the setting, then run `registry-tui up` again",
        )
    module, _, function = known[name].partition(":")
    chosen: Callable[[Home, Ports, Secrets], Any] = getattr(importlib.import_module(module), function)
    return chosen


def run(home: Home, prepare: Callable[[Service], None] | None = None, process: str = SERVICE) -> None:
    """Serves until SIGTERM or SIGINT, then ends the process. `prepare` gets the service first (tests add observers).

    On PostgreSQL, processes of other names than `service` may run in addition, each on a socket of its own. Raises
    CannotStart while another service of this name has the home, OSError.
    """
    os.umask(0o077)
    home.create()
    lock, socket_path = _lock(home, process), home.socket_of(process)
    with lasting(), endings.explained(home, process, "service", "workflows"):
        service = build(home, process)
        if process != SERVICE and not service.database.shared:
            raise CannotStart(
                "Only one service can have its rows in SQLite",
                action="Bring them to PostgreSQL first: `registry-tui database move URL`",
            )
        database_owner.require_own(home, service.database.url)
        service.database.migrate()
        database_owner.claim(home, service.database.url)
        if prepare is not None:
            prepare(service)
        background = Background(service, process)
        hub = Hub()
        service.database.committed.append(hub.committed)
        if service.database.shared:
            others = Others(service.database, hub, wakes=background.wakes, wake=background.wake)
            service.database.announcing.append(others.announce)
            others.start()
        app = create_app(service, background, hub)
        where = network.chosen(service) if process == SERVICE else None
        outside = None if where is None else network.Listener(service, where)
        listener = _listen(socket_path)
    endings.works(home, process)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=GRACE,
        timeout_keep_alive=30,
    )
    server = _Server(config, hub)
    # uvicorn handles the signals while it serves, and raises the one that stopped it again at its end: the code below
    # must still run.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.handle_exit)
    background.start()
    threading.Thread(target=hub.watch_health, args=(service,), name="health", daemon=True).start()
    logger.info("listening on %s", socket_path)
    if outside is not None:
        outside.start()
    try:
        server.run(sockets=[listener])
    finally:
        socket_path.unlink(missing_ok=True)
        if outside is not None:
            outside.stop()
        background.stop()
        service.workflows.stop()
        service.locks.close()
        service.database.close()
        lock.close()
        logger.info("stopped")
        logging.shutdown()
    # A step deep in a library call would block the process's end; it runs again at the next start.
    os._exit(0)


class _Server(uvicorn.Server):
    """Ends the open streams when it is stopped: otherwise it would wait for every response under way."""

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self._hub = hub

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        # Not in the signal's own frame, which may hold the hub's lock.
        threading.Thread(target=self._hub.close, name="close-streams").start()


def _lock(home: Home, process: str) -> IO[str]:
    """Locks the home for this process. Raises CannotStart when another service has it."""
    file = (home.run / f"{process}.lock").open("w", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise CannotStart(f"another service is running on {home.root}; see `registry-tui status`") from error
    return file


def _listen(path: Path) -> socket.socket:
    """The socket to serve on, for its owner only. The lock is held, so an existing socket is stale."""
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise CannotStart(f"{path} is too long for a unix socket; use a home with a shorter path")
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise CannotStart(f"{path} is in the way and is not a socket; move it away")
        path.unlink()
    except FileNotFoundError:
        pass
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen(512)
    return listener


def main() -> None:
    """Starts the service of the home that `REGISTRY_TUI_HOME` names, or the user's; the process's name may follow."""
    handler = logging.StreamHandler()
    handler.addFilter(RequestIdFilter())
    logging.basicConfig(
        level=logging.INFO,
        handlers=[handler],
        format="%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s",
    )
    for chatty in ("httpx", "httpcore", "alembic", "botocore", "boto3", "urllib3", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        run(Home.resolve(), process=sys.argv[1] if len(sys.argv) > 1 else SERVICE)
    except (CannotStart, OSError) as error:
        # Another service is running: its files in the home are not touched.
        sys.exit(f"The service cannot start: {error}")
