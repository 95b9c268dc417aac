"""`python -m registry_tui.gateway NAME`: one of the gateway's processes, which share the home's gateway port."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import stat
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import uvloop
from aiohttp import web

from registry_tui.contracts.garbage import none_at_the_end
from registry_tui.contracts.gateway_routes import RoutesFile
from registry_tui.gateway.app import Gateway
from registry_tui.gateway.connections import Door, Runner, allowed
from registry_tui.gateway.counts import Counts
from registry_tui.gateway.health import LOOK_EVERY as LOOK_AT_REPLICAS_EVERY
from registry_tui.gateway.limits import KeyLimits
from registry_tui.gateway.listeners import BACKLOG, Listeners
from registry_tui.gateway.load import SharedLoad
from registry_tui.gateway.request_log import RequestLog
from registry_tui.platform.endings import Ending
from registry_tui.platform.endings import leave as leave_reason
from registry_tui.platform.errors import PlatformError
from registry_tui.platform.paths import GATEWAYS, Home
from registry_tui.platform.ports import LOOPBACK, load_ports

logger = logging.getLogger("registry_tui.gateway")

#: Seconds between checks of which deployments have ports of their own, in case the service's notification is missing.
LOOK_EVERY = 5.0
#: Seconds that requests in progress get after SIGTERM.
GRACE = 20.0
#: Seconds for closing kept-alive connections.
LET_GO = 2.0


class OwnPorts:
    """The listening ports of the deployments that have one."""

    def __init__(self, gateway: Gateway, listeners: Listeners, door: Door) -> None:
        self._gateway, self._listeners, self._door = gateway, listeners, door
        self._open: dict[int, tuple[str, web.AppRunner]] = {}

    async def follow(self) -> None:
        """Opens the ports that the routes name now, closes the others."""
        wanted = {route.port: route.id for route in self._gateway.routes.current().deployments if route.port}
        for port, (deployment, runner) in list(self._open.items()):
            if wanted.get(port) != deployment:
                del self._open[port]
                self._listeners.release(port)
                await runner.cleanup()
        for deployment in self._gateway.port_errors.keys() - set(wanted.values()):
            del self._gateway.port_errors[deployment]
        for port, deployment in wanted.items():
            if port not in self._open:
                await self._listen(port, deployment)

    async def _listen(self, port: int, deployment: str) -> None:
        runner = Runner(self._gateway.application(deployment), self._door, shutdown_timeout=GRACE)
        await runner.setup()
        try:
            await web.SockSite(runner, await self._listeners.open(port), backlog=BACKLOG).start()
        except OSError as error:
            await runner.cleanup()
            why = "another program listens on it" if error.errno == errno.EADDRINUSE else str(error)
            if self._gateway.port_errors.get(deployment) != why:
                logger.error("port %s of deployment %s cannot be opened: %s", port, deployment, why)
            self._gateway.port_errors[deployment] = why
        else:
            self._gateway.port_errors.pop(deployment, None)
            self._open[port] = (deployment, runner)

    @property
    def runners(self) -> list[web.AppRunner]:
        return [runner for _, runner in self._open.values()]


async def leave(gateway: Gateway, runners: Sequence[web.AppRunner]) -> None:
    """Accepts no more connections, closes kept-alive ones after their next response, then ends the rest.

    A request sent just as its connection is closed would get no response; so a response announces the close first.
    """
    gateway.leaving.set()
    for runner in runners:
        for site in list(runner.sites):
            await site.stop()
    until = time.monotonic() + LET_GO
    while any(runner.server is not None and runner.server.connections for runner in runners):
        if time.monotonic() > until:
            break
        await asyncio.sleep(0.05)
    for runner in runners:
        await runner.cleanup()


async def serve(home: Home, port: int, number: int) -> None:
    """Serves until SIGTERM or SIGINT. Raises OSError."""
    counts = Counts(home.gateway_counts_files[number])
    routes = RoutesFile(home.gateway_routes_file)
    limits = KeyLimits(home.gateway_limits_file)
    request_log = RequestLog(home.request_logs, GATEWAYS[number], counts.logged)
    gateway = Gateway(routes, counts, SharedLoad(home, number), limits, request_log, str(home.service_socket))
    door = Door(allowed())
    runner = Runner(gateway.application(), door, shutdown_timeout=GRACE)
    control = web.AppRunner(gateway.control(), access_log=None)
    for each in (runner, control):
        await each.setup()
    listeners = Listeners(home, number)
    await web.SockSite(runner, listeners.start(port), backlog=BACKLOG).start()
    await web.UnixSite(control, str(_free(home.gateway_sockets[number]))).start()
    stopping = asyncio.Event()

    def stop() -> None:
        stopping.set()
        gateway.changed.set()

    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop)
    ports = OwnPorts(gateway, listeners, door)
    logger.info("listening on %s:%s", LOOPBACK, port)
    looking = asyncio.create_task(_look_at_replicas(gateway))
    while not stopping.is_set():
        gateway.changed.clear()
        await ports.follow()
        await gateway.forget_gone()
        counts.store()
        with suppress(TimeoutError):
            await asyncio.wait_for(gateway.changed.wait(), LOOK_EVERY)
    looking.cancel()
    # The other process keeps accepting from the same sockets.
    listeners.release_all()
    await leave(gateway, [runner, *ports.runners])
    await asyncio.to_thread(request_log.close)
    counts.store()
    await control.cleanup()
    gateway.canaries.close()
    await gateway.upstream.close()
    limits.close()


async def _look_at_replicas(gateway: Gateway) -> None:
    while True:
        try:
            await gateway.upstream.health.look(gateway.routes.current().deployments)
        except Exception:
            logger.exception("looking at the replicas failed")
        await asyncio.sleep(LOOK_AT_REPLICAS_EVERY)


def _free(path: Path) -> Path:
    """The path, once a dead process's socket is gone from it."""
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()
    return path


def main() -> None:
    """Serves for the home that `REGISTRY_TUI_HOME` names, or the user's."""
    none_at_the_end()
    os.umask(0o077)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    home = Home.resolve()
    number = GATEWAYS.index(sys.argv[1])
    try:
        ports = load_ports(home)
        if ports is None:
            sys.exit(
                f"The gateway cannot start: {home.ports_file} is missing; start the platform with `registry-tui up`"
            )
        uvloop.run(serve(home, ports.gateway, number))
    except (OSError, PlatformError) as error:
        detail = f"The gateway cannot start: {error}"
        action = getattr(error, "action", None) or "See `registry-tui logs gateway`, then run `registry-tui up` again"
        leave_reason(home, "gateway", Ending(detail, action))
        sys.exit(detail)


if __name__ == "__main__":
    main()
