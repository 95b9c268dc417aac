"""Checks the `/ping` of replicas: an unhealthy one gets no calls while another one of its deployment is healthy."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress

from registry_tui.contracts.gateway_routes import Replica, Route
from registry_tui.gateway.exchange import Broken, Connections, Refused, answered_by, head_for

logger = logging.getLogger(__name__)

#: Seconds between checks, and the timeout of a response. Replicas respond from their event loop.
LOOK_EVERY, ANSWER_SECONDS = 2.0, 2.0


class Health:
    """The sockets of unhealthy replicas."""

    def __init__(self) -> None:
        self.unwell: frozenset[str] = frozenset()
        self._connections: dict[str, Connections] = {}

    async def look(self, routes: Iterable[Route]) -> None:
        """Checks the replicas of deployments with several: where there is only one, no other could take over."""
        replicas = {each.socket: each for route in routes if len(route.replicas) > 1 for each in route.replicas}
        for socket in self._connections.keys() - replicas.keys():
            self._connections.pop(socket).close()
        sockets = list(replicas)
        well = await asyncio.gather(*(self._is_well(replicas[socket]) for socket in sockets))
        found = frozenset(socket for socket, fine in zip(sockets, well, strict=True) if not fine)
        for socket in sorted(found ^ self.unwell):
            if socket in replicas:
                logger.info("%s %s", _name(replicas[socket]), "is not well" if socket in found else "is well again")
        self.unwell = found

    async def _is_well(self, replica: Replica) -> bool:
        connections = self._connections.setdefault(replica.socket, Connections(replica.socket))
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                exchange = await connections.take()
                whole = False
                try:
                    await exchange.send(head_for(replica, "GET", "/ping", {}), None)
                    answered_by(replica, exchange)
                    await exchange.whole()
                    whole = True
                    return exchange.status == 200
                finally:
                    connections.give_back(exchange, keep=whole)
        except (Refused, Broken, TimeoutError):
            return False

    def close(self) -> None:
        """Closes the connections."""
        for connections in self._connections.values():
            with suppress(OSError):
                connections.close()


def _name(replica: Replica) -> str:
    return f"replica {replica.name}"
