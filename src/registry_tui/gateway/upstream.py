"""Passes a request to a replica: the one with the fewest in progress; another one when it dies."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass

from registry_tui.contracts import event_stream
from registry_tui.contracts.gateway_routes import Replica
from registry_tui.gateway.exchange import Broken, Connections, Exchange, Refused, answered_by, head_for
from registry_tui.gateway.health import Health
from registry_tui.gateway.load import SharedLoad

#: Seconds for which a replica that refused a connection is tried last.
AVOIDED = 0.5
#: Replicas to which a request may be sent when they die with it: the first and one more. A large request may be the
#: cause, by their use of memory: larger ones than this are not sent to a second replica.
TRIES, LARGEST_TRIED_AGAIN = 2, 8 << 20


@dataclass(frozen=True)
class Answered:
    """A replica's response, complete or in pieces, with its headers by their names in lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    replica: str
    retries: int
    #: The pieces of a streamed response, instead of a body. The caller closes it.
    pieces: Pieces | None = None
    #: The model's version that responded; 0 if unknown.
    version: int = 0


class Pieces:
    """A response that a replica is still making; it counts as in progress there until it is closed."""

    def __init__(self, exchange: Exchange, seconds: float, end: Callable[[], None]) -> None:
        self._exchange, self._seconds, self._end = exchange, seconds, end

    async def each(self) -> AsyncIterator[bytes]:
        """The pieces as they come. Raises ReplicasDied, TookTooLong."""
        pieces = self._exchange.pieces()
        while True:
            try:
                async with asyncio.timeout(self._seconds):
                    piece = await anext(pieces, None)
            except Broken as error:
                raise ReplicasDied from error
            except TimeoutError as error:
                raise TookTooLong from error
            if piece is None:
                return
            yield piece

    def close(self) -> None:
        """Ends the connection if the response was not read to its end, so that the replica stops."""
        self._end()


class NoReplica(Exception):
    """No replica could be reached."""


class ReplicasDied(Exception):
    """The replicas that got the request died with it."""


class TookTooLong(Exception):
    """The replica did not respond in time."""


class _ProxyEnded(Broken):
    """The proxy of a cluster's node ended before it responded. Replicas that die do not end its connections."""


class Upstream:
    """Connections to all replicas, kept open."""

    def __init__(self, load: SharedLoad) -> None:
        #: By socket.
        self._connections: dict[str, Connections] = {}
        #: Of this process, by which it keeps its connections open.
        self._under_way: Counter[str] = Counter()
        self._load = load
        self.health = Health()
        self._avoided: dict[str, float] = {}
        self._turn = 0

    async def send(
        self,
        replicas: Sequence[Replica],
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float,
    ) -> Answered:
        """The response of one of the replicas. Raises NoReplica, ReplicasDied, TookTooLong.

        A prediction changes nothing, so that a request may go to a second replica when the first one died with it,
        unless the request is large.
        One that does not even accept the connection has not seen the request: that costs no try.
        A cluster's proxy behind which a replica died gets the request again, as it alone knows of that death at once:
        the proxy of another node may pass the request on to the same replica.
        """
        died = 0
        left = self._in_order(replicas)
        again: Replica | None = None
        #: A cluster's proxy behind which a replica died, to be asked after the others if it ended its connection.
        behind: Replica | None = None
        while left or again is not None:
            replica, again = (again, None) if again is not None else (left.pop(0), None)
            self._begin_or_end(replica.socket, 1)
            try:
                return await self._ask(replica, method, path, body, headers, seconds, died)
            except Refused:
                self._avoided[replica.socket] = time.monotonic() + AVOIDED
                if not left:
                    again, behind = behind, None
            except Broken as error:
                if isinstance(error, _ProxyEnded) and (left or behind) and not _is_large(body):
                    # The request is not why a node ended: as many replicas as otherwise may be tried.
                    self._avoided[replica.socket] = time.monotonic() + AVOIDED
                    if not left:
                        again, behind = behind, None
                    continue
                died += 1
                if died >= TRIES or _is_large(body):
                    raise ReplicasDied from error
                if not left or replica.in_cluster:
                    # A connection that was kept open ends also when a replica is replaced or restarted by hand.
                    again = replica
                if replica.in_cluster:
                    behind = replica
            except TimeoutError as error:
                raise TookTooLong from error
            finally:
                self._begin_or_end(replica.socket, -1)
        raise NoReplica

    def _begin_or_end(self, socket: str, change: int) -> None:
        self._under_way[socket] += change
        self._load.add(socket, change)

    async def _ask(
        self,
        replica: Replica,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str] | None,
        seconds: float,
        retries: int,
    ) -> Answered:
        head = head_for(replica, method, path, headers or {}, None if body is None else len(body))
        connections = self._connections.setdefault(replica.socket, Connections(replica.socket))
        # A kept-alive connection may end with a replica that is replaced: a large request would then look guilty.
        alone = _is_large(body)
        # The replica has its own timeout, in MLflow's words; this one is for a replica that hangs.
        async with asyncio.timeout(seconds + 5.0):
            exchange = await connections.take(new=alone)
            in_pieces = False
            try:
                try:
                    await exchange.send(head, body)
                except Broken as error:
                    raise (_ProxyEnded() if replica.in_cluster else error) from None
                name = answered_by(replica, exchange)
                in_pieces = exchange.headers.get("content-type", "").startswith(event_stream.MEDIA_TYPE)
                content = b"" if in_pieces else await exchange.whole()
            finally:
                if not in_pieces:
                    connections.give_back(exchange, keep=not alone)
        pieces = self._pieces(replica, connections, exchange, seconds) if in_pieces else None
        return Answered(exchange.status, content, exchange.headers, name, retries, pieces, replica.version)

    def _pieces(self, replica: Replica, connections: Connections, exchange: Exchange, seconds: float) -> Pieces:
        self._begin_or_end(replica.socket, 1)

        def end() -> None:
            self._begin_or_end(replica.socket, -1)
            connections.give_back(exchange, keep=True)

        return Pieces(exchange, seconds + 5.0, end)

    def _in_order(self, replicas: Sequence[Replica]) -> list[Replica]:
        now, unwell = time.monotonic(), self.health.unwell
        # Those with nothing to do take turns.
        self._turn += 1
        first = self._turn % max(1, len(replicas))
        return sorted(
            [*replicas[first:], *replicas[:first]],
            key=lambda replica: (
                replica.socket in unwell or self._avoided.get(replica.socket, 0.0) > now,
                self._load.of(replica.socket),
            ),
        )

    async def keep_only(self, sockets: set[str]) -> None:
        """Closes the connections to replicas that are gone, once they are idle."""
        for socket in [each for each in self._connections if each not in sockets and not self._under_way[each]]:
            self._connections.pop(socket).close()
            self._avoided.pop(socket, None)
            self._under_way.pop(socket, None)

    async def close(self) -> None:
        for connections in self._connections.values():
            connections.close()
        self.health.close()


def _is_large(body: bytes | None) -> bool:
    return len(body or b"") > LARGEST_TRIED_AGAIN
