"""The stream of changes: publishes the service's writes to followers.

Changes are taken from the database's sessions once they are committed, so that no function has to publish them itself.
Each follower has a bounded queue. One that reads too slowly, or reconnects after more changes than are kept, gets
`resync`: it has to reload everything, and takes no more memory.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import uuid
from collections import deque
from collections.abc import AsyncIterator, Iterable

from registry_tui.contracts.permissions import Action
from registry_tui.platform import probes
from registry_tui.platform.errors import PlatformError
from registry_tui.schemas.operations import PlatformStatus
from registry_tui.schemas.stream import Change, ChangeKind
from registry_tui.service.core import permissions
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.database.tables import EventRow, WorkflowRow
from registry_tui.service.engine.rows import to_schema as workflow_schema
from registry_tui.service.operations.events import to_schema as event_schema

logger = logging.getLogger(__name__)

#: Changes kept for clients that reconnect, and changes queued for one follower.
KEPT, WAITING = 1000, 256
#: Seconds between two heartbeats of the connection.
HEARTBEAT = 15.0
#: Seconds between two checks of the parts while somebody follows: normally, and while one is not healthy.
HEALTH_EVERY, IN_TROUBLE = 5.0, 1.0


class _Follower:
    """One open stream. Its queue is touched under the hub's lock only."""

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self.queue: deque[Change] = deque()
        self.loop = asyncio.get_running_loop()
        self.there_is_more = asyncio.Event()

    def may_see(self, change: Change) -> bool:
        """As in the lists: an administrator sees all, others their own actions; health is for all."""
        subject, action = (change.workflow, Action.WORKFLOWS) if change.workflow else (change.event, Action.EVENTS)
        return subject is None or permissions.may_for(self.principal, action, subject.actor_crn)


class Hub:
    """The followers and the last changes. Threads may publish; followers live in the server's event loop."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._life = uuid.uuid4().hex[:8]
        self._count = 0
        self._kept: deque[Change] = deque(maxlen=KEPT)
        self._followers: set[_Follower] = set()
        self._health: tuple[tuple[str, str], ...] = ()
        self.closed = threading.Event()
        #: Set while somebody follows.
        self.followed = threading.Event()

    def publish(self, kind: ChangeKind, **fields: object) -> None:
        """Sends a change to all followers; never waits for any."""
        with self._guard:
            self._count += 1
            change = Change.model_validate({"id": f"{self._life}-{self._count}", "kind": kind, **fields})
            self._kept.append(change)
            for follower in self._followers:
                if follower.may_see(change):
                    self._give(follower, change)

    def _give(self, follower: _Follower, change: Change) -> None:
        if len(follower.queue) >= WAITING:
            follower.queue.clear()
            change = self._resync()
        follower.queue.append(change)
        self._wake(follower)

    def _wake(self, follower: _Follower) -> None:
        try:
            follower.loop.call_soon_threadsafe(follower.there_is_more.set)
        except RuntimeError:
            # The server's loop has ended: nobody listens any more.
            logger.debug("a follower's loop has ended")

    def _resync(self) -> Change:
        return Change(id=f"{self._life}-{self._count}", kind=ChangeKind.RESYNC)

    def begin_again(self) -> None:
        """Makes all followers, also those that reconnect, reload everything: changes were missed."""
        with self._guard:
            self._count += 1
            self._kept.clear()
            for follower in self._followers:
                follower.queue.clear()
                self._give(follower, self._resync())

    def close(self) -> None:
        """Ends every stream, so that the server can stop."""
        self.closed.set()
        with self._guard:
            for follower in self._followers:
                self._wake(follower)

    async def follow(self, principal: Principal, last: str | None) -> AsyncIterator[Change | None]:
        """Yields changes after `last` (an ID, or None), first the missed ones or a resync; None is a heartbeat."""
        follower = _Follower(principal)
        with self._guard:
            follower.queue.extend(self._missed(follower, last))
            self._followers.add(follower)
            self.followed.set()
        try:
            while not self.closed.is_set():
                follower.there_is_more.clear()
                with self._guard:
                    ready = list(follower.queue)
                    follower.queue.clear()
                for change in ready:
                    yield change
                if not ready:
                    try:
                        await asyncio.wait_for(follower.there_is_more.wait(), HEARTBEAT)
                    except TimeoutError:
                        yield None
        finally:
            with self._guard:
                self._followers.discard(follower)
                if not self._followers:
                    self.followed.clear()

    def _missed(self, follower: _Follower, last: str | None) -> list[Change]:
        life, _, number = (last or "").rpartition("-")
        if life != self._life or not number.isdigit() or int(number) < self._count - len(self._kept):
            return [self._resync()]
        missed = [change for change in self._kept if int(change.id.rpartition("-")[2]) > int(number)]
        return [change for change in missed if follower.may_see(change)]

    # -- changes -----------------------------------------------------------------------------

    def committed(self, rows: Iterable[object]) -> None:
        """Rows that a session has written."""
        for row in rows:
            if isinstance(row, WorkflowRow):
                self.publish(ChangeKind.WORKFLOW, workflow=workflow_schema(row))
            elif isinstance(row, EventRow):
                self.publish(ChangeKind.EVENT, event=event_schema(row))

    def watch_health(self, service: Service) -> None:
        """Publishes changes of a part's state; checks only while somebody follows. Ends when the hub is closed."""
        while not self.closed.is_set():
            if not self.followed.wait(HEALTH_EVERY):
                continue
            try:
                self._look(probes.platform_status(service.home))
            except PlatformError as error:
                logger.debug("the parts' health is not known: %s", error.message)
            self.closed.wait(HEALTH_EVERY)

    def _look(self, status: PlatformStatus) -> None:
        now = tuple((part.name, str(part.state)) for part in status.parts)
        if now != self._health:
            self._health = now
            self.publish(ChangeKind.HEALTH, status=status)


def lines(change: Change | None) -> str:
    """A change as a server-sent event (WHATWG HTML, 9.2); None as a comment."""
    if change is None:
        return ":\n\n"
    return f"id: {change.id}\nevent: {change.kind}\ndata: {change.model_dump_json(exclude_none=True)}\n\n"
