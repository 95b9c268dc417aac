"""Passing a request to a replica: the one with the fewest under way; another one when it dies."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import aiohttp

from registry_tui.gateway.routes import Replica

#: Seconds for which a replica that refused a connection is asked last.
AVOIDED = 0.5
#: Replicas that a request may be given to when they die with it: the first and one more.
TRIES = 2


@dataclass(frozen=True)
class Answered:
    """A replica's whole answer."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    replica: str
    retries: int


class NoReplica(Exception):
    """No replica could be reached."""


class ReplicasDied(Exception):
    """Every replica that got the request died with it."""


class TookTooLong(Exception):
    """The replica did not answer in time."""


class Upstream:
    """Connections to all replicas, kept open."""

    def __init__(self) -> None:
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        self._under_way: Counter[str] = Counter()
        self._avoided: dict[str, float] = {}

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
        """The answer of one of the replicas. Raises NoReplica, ReplicasDied, TookTooLong.

        A prediction changes nothing, so that a request may go to a second replica when the first one died with it.
        One that does not even accept the connection has not seen the request: that costs no try.
        """
        died = 0
        left = self._in_order(replicas)
        again: Replica | None = None
        while left or again is not None:
            replica, again = (again, None) if again is not None else (left.pop(0), None)
            self._under_way[replica.socket] += 1
            try:
                return await self._ask(replica, method, path, body, headers, seconds, died)
            except aiohttp.ClientConnectorError:
                self._avoided[replica.socket] = time.monotonic() + AVOIDED
            except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
                died += 1
                if died >= TRIES:
                    raise ReplicasDied from error
                if not left:
                    # A connection that was kept open ends also when a replica is replaced or restarted by hand.
                    again = replica
            except TimeoutError as error:
                raise TookTooLong from error
            finally:
                self._under_way[replica.socket] -= 1
        raise NoReplica

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
        session = self._session(replica.socket)
        # The replica keeps the time itself and says so in MLflow's words; this is for one that hangs.
        timeout = aiohttp.ClientTimeout(total=seconds + 5.0)
        async with session.request(
            method, f"http://replica{path}", data=body, headers=headers, timeout=timeout, allow_redirects=False
        ) as response:
            content = await response.read()
            return Answered(response.status, content, response.headers, replica.name, retries)

    def _in_order(self, replicas: Sequence[Replica]) -> list[Replica]:
        now = time.monotonic()
        return sorted(
            replicas,
            key=lambda replica: (self._avoided.get(replica.socket, 0.0) > now, self._under_way[replica.socket]),
        )

    def _session(self, socket: str) -> aiohttp.ClientSession:
        session = self._sessions.get(socket)
        if session is None:
            session = self._sessions[socket] = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(path=socket, limit=0, keepalive_timeout=60),
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
            )
        return session

    async def keep_only(self, sockets: set[str]) -> None:
        """Closes the connections to replicas that are gone, once nothing is under way there."""
        for socket in [socket for socket in self._sessions if socket not in sockets and not self._under_way[socket]]:
            await self._sessions.pop(socket).close()
            self._avoided.pop(socket, None)
            del self._under_way[socket]

    async def close(self) -> None:
        await asyncio.gather(*(session.close() for session in self._sessions.values()))
