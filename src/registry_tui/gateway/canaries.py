"""Requests of deployments that try a new version: the version that answers each, and comparing both answers.

Callers get no error of the new version that the old one would not give, and never wait for a comparison.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from registry_tui.contracts.gateway_routes import Canary, Replica, Route, RoutesFile
from registry_tui.gateway.agreeing import agree
from registry_tui.gateway.canary_stats import CanaryStats
from registry_tui.gateway.counts import Counts
from registry_tui.gateway.upstream import (
    LARGEST_TRIED_AGAIN,
    Answered,
    NoReplica,
    ReplicasDied,
    TookTooLong,
    Upstream,
)

logger = logging.getLogger(__name__)

#: The header whose value a canary chooses by: a value that reached the new version once stays with it.
AFFINITY = "X-Affinity"
#: The most waiting copies, their bytes, and the most copies under way at once, in one process.
WAITING, WAITING_BYTES, AT_ONCE = 64, 32 << 20, 4
#: Bytes of answers that are compared on a thread of its own.
_LARGE = 64 << 10


#: Asks some replicas.
Asking = Callable[[Sequence[Replica]], Awaitable[Answered]]


@dataclass(frozen=True)
class _Copy:
    """A request that one version answered, for the other."""

    route: Route
    canary: Canary
    path: str
    body: bytes
    headers: Mapping[str, str]
    answer: bytes

    @property
    def size(self) -> int:
        return len(self.body) + len(self.answer)


class Canaries:
    """Answers requests of deployments that try a version, and compares answers in the background."""

    def __init__(self, upstream: Upstream, counts: Counts, routes: RoutesFile) -> None:
        self._upstream, self._counts, self._routes = upstream, counts, routes
        self._waiting: deque[_Copy] = deque()
        self._waiting_bytes = 0
        self._workers: set[asyncio.Task[None]] = set()

    async def answer(
        self, route: Route, canary: Canary, path: str, body: bytes, headers: Mapping[str, str], affinity: str
    ) -> Answered:
        """The answer to a call. Raises as `Upstream.send`."""
        stats = self._counts.canary(canary.id)

        async def ask(replicas: Sequence[Replica]) -> Answered:
            return await self._upstream.send(replicas, "POST", path, body=body, headers=headers, seconds=route.seconds)

        chosen = chance(canary, affinity) < canary.share
        if chosen and not canary.shadow:
            return await self._by_new(route, canary, stats, ask, path, body, headers)
        answered = await self._by_old(route, canary, stats, ask, len(body))
        if chosen and answered.status == 200:
            self._copy(stats, answered, _Copy(route, canary, path, body, headers, answered.body))
        return answered

    async def _by_old(self, route: Route, canary: Canary, stats: CanaryStats, ask: Asking, size: int) -> Answered:
        began = time.perf_counter()
        try:
            answered = await ask(route.replicas)
        except (NoReplica, ReplicasDied) as error:
            stats.old.count(time.perf_counter() - began, error=True)
            # A large request may have killed them.
            if canary.shadow or (isinstance(error, ReplicasDied) and size > LARGEST_TRIED_AGAIN):
                raise
            # One healthy replica answers, whichever version it serves.
            return await ask(canary.replicas)
        except TookTooLong:
            stats.old.count(time.perf_counter() - began, error=True)
            raise
        stats.old.count(time.perf_counter() - began, error=answered.status >= 500)
        return answered

    async def _by_new(
        self,
        route: Route,
        canary: Canary,
        stats: CanaryStats,
        ask: Asking,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
    ) -> Answered:
        """The new version's answer; the old one's if that fails or is a refusal."""
        began = time.perf_counter()
        given: Answered | None = None
        try:
            given = await ask(canary.replicas)
        except ReplicasDied:
            if len(body) > LARGEST_TRIED_AGAIN:
                stats.new.count(time.perf_counter() - began, error=True)
                raise
        except (NoReplica, TookTooLong):
            pass
        took = time.perf_counter() - began
        if given is not None and given.status < 400:
            stats.new.count(took, error=False)
            if canary.compares and given.status == 200:
                self._copy(stats, given, _Copy(route, canary, path, body, headers, given.body))
            return given
        try:
            instead = await ask(route.replicas)
        except (NoReplica, ReplicasDied, TookTooLong):
            stats.new.count(took, error=given is None or given.status >= 500)
            if given is not None:
                return given
            raise
        # If the old version refuses too, the request is at fault.
        stats.new.count(took, error=instead.status < 400)
        return instead

    # -- copies ------------------------------------------------------------------------------------

    def _copy(self, stats: CanaryStats, answered: Answered, copy: _Copy) -> None:
        if answered.pieces is not None:
            return  # its answer is not complete yet; streamed ones are not compared
        if len(self._waiting) >= WAITING or self._waiting_bytes + copy.size > WAITING_BYTES:
            stats.dropped += 1
            return
        self._waiting.append(copy)
        self._waiting_bytes += copy.size
        if len(self._workers) < AT_ONCE:
            worker = asyncio.create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    async def _work(self) -> None:
        while self._waiting:
            copy = self._waiting.popleft()
            self._waiting_bytes -= copy.size
            try:
                await self._compare(copy)
            except Exception as error:
                # One mistake must not end the comparisons of all later requests; its text may hold the request.
                logger.error("a copy of a request was not compared: %s", type(error).__name__)

    async def _compare(self, copy: _Copy) -> None:
        canary, route = copy.canary, copy.route
        if not self._goes_on(copy):
            return
        began = time.perf_counter()
        replicas = canary.replicas if canary.shadow else route.replicas
        found: Answered | None = None
        try:
            found = await self._upstream.send(
                replicas, "POST", copy.path, body=copy.body, headers=copy.headers, seconds=route.seconds
            )
        except (NoReplica, ReplicasDied, TookTooLong):
            if not self._goes_on(copy):
                return
        stats = self._counts.canary(canary.id)
        answered = found is not None and found.status == 200
        if canary.shadow:
            stats.new.count(time.perf_counter() - began, error=not answered)
        if found is not None and found.pieces is not None:
            found.pieces.close()
            return
        if found is None or not answered:
            return
        if len(copy.answer) + len(found.body) > _LARGE:
            same = await asyncio.to_thread(agree, copy.answer, found.body, canary.tolerance)
        else:
            same = agree(copy.answer, found.body, canary.tolerance)
        stats.compared += 1
        stats.disagreeing += not same

    def _goes_on(self, copy: _Copy) -> bool:
        """Whether the canary still runs; replicas of an ended one are being removed."""
        present = {each.id: each for each in self._routes.current().deployments}.get(copy.route.id)
        return present is not None and present.canary is not None and present.canary.id == copy.canary.id

    def close(self) -> None:
        """Drops the waiting copies."""
        self._waiting.clear()
        for worker in self._workers:
            worker.cancel()


def chance(canary: Canary, affinity: str) -> float:
    """From 0 to 1: below the canary's share the new version answers. The same for the same affinity."""
    if not affinity:
        return random.random()
    digest = hashlib.sha256(f"{canary.id}\n{affinity}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8]) / 2**64
