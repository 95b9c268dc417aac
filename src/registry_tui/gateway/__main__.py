"""`python -m registry_tui.gateway`: serves on the home's gateway port."""

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

from registry_tui.gateway.app import Gateway
from registry_tui.gateway.routes import RoutesFile
from registry_tui.platform.errors import PlatformError
from registry_tui.platform.paths import Home
from registry_tui.platform.ports import LOOPBACK, load_ports

logger = logging.getLogger("registry_tui.gateway")

#: Seconds between looks at which deployments have ports of their own.
LOOK_EVERY = 0.2
#: Seconds that requests under way get when it is told to stop.
GRACE = 20.0
#: Seconds in which connections that are kept open are let go.
LET_GO = 2.0
#: Connections that may wait to be accepted.
BACKLOG = 1024


class OwnPorts:
    """The listening ports of the deployments that have one."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._open: dict[int, tuple[str, web.AppRunner]] = {}

    async def follow(self) -> None:
        """Opens the ports that the routes name now, closes the others."""
        wanted = {route.port: route.id for route in self._gateway.routes.current().deployments if route.port}
        for port, (deployment, runner) in list(self._open.items()):
            if wanted.get(port) != deployment:
                del self._open[port]
                await runner.cleanup()
        for deployment in self._gateway.port_errors.keys() - set(wanted.values()):
            del self._gateway.port_errors[deployment]
        for port, deployment in wanted.items():
            if port not in self._open:
                await self._listen(port, deployment)

    async def _listen(self, port: int, deployment: str) -> None:
        runner = web.AppRunner(self._gateway.application(deployment), access_log=None, shutdown_timeout=GRACE)
        await runner.setup()
        try:
            await web.TCPSite(runner, LOOPBACK, port, reuse_port=True).start()
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
    """Takes no more connections, lets go those that are kept open as they are used, then ends what is left.

    Whoever keeps a connection and uses it just as it is closed gets no answer; so they are told with an answer first.
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


async def serve(home: Home, port: int) -> None:
    """Serves until SIGTERM or SIGINT. Raises OSError."""
    gateway = Gateway(RoutesFile(home.gateway_routes_file), str(home.service_socket))
    runner = web.AppRunner(gateway.application(), access_log=None, shutdown_timeout=GRACE)
    control = web.AppRunner(gateway.control(), access_log=None)
    for each in (runner, control):
        await each.setup()
    # A gateway that outlived its supervisor goes on beside this one until `up` ends it, so that no caller is refused.
    await web.TCPSite(runner, LOOPBACK, port, backlog=BACKLOG, reuse_port=True).start()
    await web.UnixSite(control, str(_free(home.gateway_socket))).start()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    ports = OwnPorts(gateway)
    logger.info("listening on %s:%s", LOOPBACK, port)
    while not stopping.is_set():
        await ports.follow()
        await gateway.forget_gone()
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), LOOK_EVERY)
    await leave(gateway, [runner, *ports.runners])
    await control.cleanup()
    await gateway.upstream.close()


def _free(path: Path) -> Path:
    """The path, once a dead process's socket is gone from it."""
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()
    return path


def main() -> None:
    """Serves for the home that `REGISTRY_TUI_HOME` names, or the user's."""
    os.umask(0o077)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    home = Home.resolve()
    try:
        ports = load_ports(home)
        if ports is None:
            sys.exit(
                f"The gateway cannot start: {home.ports_file} is missing; start the platform with `registry-tui up`"
            )
        uvloop.run(serve(home, ports.gateway))
    except (OSError, PlatformError) as error:
        sys.exit(f"The gateway cannot start: {error}")


if __name__ == "__main__":
    main()
