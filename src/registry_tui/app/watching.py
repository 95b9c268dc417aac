"""The program's view of the service: whether it responds, its parts' health, running workflows, and changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from registry_tui.app.switching import Switching
from registry_tui.contracts import clocks
from registry_tui.screens.base.frame import FrameScreen

if TYPE_CHECKING:
    from registry_tui.client import RegistryClient, RegistryError
    from registry_tui.schemas.operations import PlatformStatus, Workflow
    from registry_tui.schemas.people import User
    from registry_tui.schemas.stream import Change
    from registry_tui.terminal.preferences import Preferences

#: Seconds between health checks while the stream is closed: normally, and while the service does not respond.
AT_REST, IN_TROUBLE = 5.0, 1.0
#: Seconds between two counts of the approvals that wait for the user.
APPROVALS_EVERY = 20.0
#: Seconds between two repaints of how long a part has not been well, and between two checks for pending requests.
TICK = 1.0
#: Seconds that a response may take before the status line reports the service as slow.
SLOW = 3.0
#: Kinds of resources whose changes may change a user's roles.
OF_ROLES = frozenset({"environment", "group", "project", "user", "workspace"})
#: Seconds that the reason for a rejected token stays in view; it goes when the service accepts the user again.
SHUT_OUT = 600.0
#: Seconds that the message about a differing clock stays in view.
CLOCK_TOLD = 30.0


class Watching(Switching):
    """Follows the service's stream of changes, and polls while there is none."""

    preferences: Preferences

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._trouble: str | None = None
        #: Words for the status line when the service responds, but rejects this user.
        self._shut_out = ""
        #: Whether the service responded the last time.
        self.answering = False
        self.status: PlatformStatus | None = None
        self.user = ""
        #: The signed-in user, with roles.
        self.me: User | None = None
        self._me_wanted = True
        #: IDs of the workflows that run now.
        self.active: frozenset[str] = frozenset()
        #: How many approvals wait for the user; other users' questions are in no stream of theirs.
        self.approvals_waiting = 0
        self._following = False
        #: Whether the stream of changes is open. The program polls the service's health only while it is closed.
        self._streaming = False
        self._ticking = False
        #: Whether a requested health check is in flight, and whether another one is wanted.
        self._looking = self._look_wanted = False
        #: The same for the count of the approvals that wait for the user.
        self._counting = self._count_wanted = False
        self._was_slow = False
        #: Whether the user was informed that this machine's clock differs from the service's.
        self._clock_told = False
        #: Since when a part is not well (`time.monotonic`).
        self._unwell_since: dict[str, float] = {}

    @property
    def client(self) -> RegistryClient:
        """The service's client."""
        raise NotImplementedError

    @property
    def connecting(self) -> bool:
        """Whether it is still unknown whether the service responds."""
        return not self.answering and self._trouble is None

    def lost(self, message: str) -> None:
        """The service did not respond to a request."""
        self.answering, self._trouble = False, message
        self._show_status()
        self._look_again()

    def shut_out(self, error: RegistryError) -> None:
        """The service rejects the token, or cannot be trusted: shows how to fix it, once, until it responds again."""
        from registry_tui.client.errors import NotSignedIn
        from registry_tui.wording.text import safe

        words = "does not take your token" if isinstance(error, NotSignedIn) else "is not trusted"
        if words != self._shut_out:
            text = "\n".join(safe(line, 500) for line in (error.message, error.action) if line)
            self.notify(text, title=self.context_name, severity="error", markup=False, timeout=SHUT_OUT)
        self.answering, self._trouble, self._shut_out = False, error.message, words
        self._show_status()
        self._look_again()

    def _look_again(self) -> None:
        """Polls until it responds: a stream survives a response that came too late, and then reports nothing."""
        if self._streaming:
            self.set_timer(IN_TROUBLE, self.look_now, name="look")

    def watch_for_slowness(self) -> None:
        """Makes the status line count the seconds of a slow response."""
        self.set_interval(TICK, self.each_second, name="slowness")
        self.set_interval(APPROVALS_EVERY, self.count_approvals, name="approvals")

    def each_second(self) -> None:
        """Checks for states without events: whether a response is slow."""
        slow = self.waiting >= SLOW
        if slow or self._was_slow:
            self._show_status()
        self._was_slow = slow

    @property
    def waiting(self) -> float:
        """Seconds that the oldest request has been waiting for its response."""
        return self.client.waiting

    async def follow(self) -> None:
        """Follows the service's stream of changes; while that is not possible, polls every few seconds."""
        from registry_tui.client import RegistryError

        last: str | None = None
        while True:
            try:
                async for change in self.client.changes(last):
                    last, self._streaming = change.id, True
                    await self._heard(change)
            except RegistryError as error:
                self.log.info(error)
            finally:
                self._streaming = False
            await self._look()
            await asyncio.sleep(AT_REST if self.answering else IN_TROUBLE)

    async def _heard(self, change: Change) -> None:
        """Handles a change from the service: the badge, the parts' health, and the affected screens."""
        if change.kind == "resync":
            # The first one comes right after the program's own check.
            if self._following:
                await self._look()
                self._refresh_frames(lambda screen: True)
            self._following = True
        elif change.status is not None:
            self.status = change.status
            self._show_status()
        elif change.workflow is not None:
            work, before = change.workflow, self.active
            self.work_seen(work)
            self.active = before - {work.id} if work.status.finished else before | {work.id}
            if self.active != before:
                self._show_status()
            self._refresh_frames(lambda screen: self.active != before or screen.follows_workflow(work.id))
        elif change.event is not None:
            kind = change.event.resource_type
            if kind in OF_ROLES:
                self.look_at_me()
            if change.event.action.startswith("approval."):
                self.count_approvals()
            self._refresh_frames(lambda screen: screen.follows(kind))

    def work_seen(self, work: Workflow) -> None:
        """Takes over a workflow's current state from the service."""

    async def works_seen(self, active: Sequence[Workflow]) -> None:
        """Takes over all running workflows from the service."""

    def _frames(self) -> list[FrameScreen]:
        """The complete places: already created, and not being removed as the program ends."""
        if not self.is_running:
            return []
        return [screen for screen in self.screen_stack if isinstance(screen, FrameScreen) and screen.is_mounted]

    def _refresh_frames(self, wanted: Callable[[FrameScreen], bool]) -> None:
        for screen in self._frames():
            if wanted(screen):
                screen.refresh_soon()

    def _show_status(self) -> None:
        for screen in self._frames():
            screen.show_status()
            screen.show_actions()
        if self._unwell_since and not self._ticking:
            self._ticking = True
            self.set_timer(TICK, self._tick, name="tick")

    def _tick(self) -> None:
        """Counts the seconds of a part that is not well."""
        self._ticking = False
        self._show_status()

    async def _look(self) -> None:
        from registry_tui.client import RegistryError, ServiceUnavailable
        from registry_tui.client.errors import NotSignedIn, UntrustedCertificate

        before = self.answering, self.parts_shown(), self.active, self.me
        was_answering, finished = self.answering, False
        try:
            if self._me_wanted:
                await self._look_at_me()
                self._answered()
            works = (await self.client.workflows(status="active", page_size=100)).items
            active = frozenset(work.id for work in works)
            self._answered()
            await self.works_seen(works)
            finished = bool(self.active - active) or bool(active - self.active)
            self.active = active
            self.status = await self.client.status()
            self.count_approvals()
        except (NotSignedIn, UntrustedCertificate) as error:
            self.shut_out(error)
        except ServiceUnavailable as error:
            self.answering, self._trouble, self._shut_out = False, error.message, ""
            self._look_again()
        except RegistryError as error:
            self._trouble = error.message
        else:
            self._trouble = None
            self._tell_of_clock()
        if before != (self.answering, self.parts_shown(), self.active, self.me):
            self._show_status()
            if finished and was_answering:
                self._refresh_frames(lambda screen: True)

    def count_approvals(self) -> None:
        """Counts again how many approvals wait for the user, while the service responds: one request at a time."""
        if not self.answering:
            return
        if self._counting:
            self._count_wanted = True
            return
        self._counting = True
        # Not a coroutine, as in `look_now`.
        self.run_worker(self._count_again, group="approvals", exit_on_error=False)  # type: ignore[arg-type]

    async def _count_again(self) -> None:
        from registry_tui.client import RegistryError

        before = self.approvals_waiting
        try:
            with suppress(RegistryError):  # the next check shows whether the service responds
                self.approvals_waiting = (await self.client.approvals(waiting=True, page_size=1)).total or 0
        finally:
            wanted, self._counting, self._count_wanted = self._count_wanted, False, False
        if before != self.approvals_waiting:
            self._show_status()
            self._refresh_frames(lambda screen: screen.follows("approval"))
        if wanted:
            self.count_approvals()

    def _tell_of_clock(self) -> None:
        """Reports once that this machine's clock differs from the service's."""
        difference = self.client.clock.difference
        if difference and not self._clock_told:
            text = clocks.sentence(difference)
            self.notify(text, title=self.context_name, severity="warning", markup=False, timeout=CLOCK_TOLD)
        self._clock_told = bool(difference)

    async def _look_at_me(self) -> None:
        self._me_wanted = False
        try:
            self.me = await self.client.whoami()
        except Exception:
            self._me_wanted = True
            raise
        self.user = self.me.name

    def look_at_me(self) -> None:
        """Requests the roles of the signed-in user again, together with the health."""
        self._me_wanted = True
        self.look_now()

    def _answered(self) -> None:
        """The service responds: if it did not before, every place reloads its data."""
        if not self.answering:
            if self._shut_out:
                self.clear_notifications()
            self.answering, self._trouble, self._shut_out = True, None, ""
            for screen in self._frames():
                screen.refresh_data()

    def look_now(self) -> None:
        """Checks the health now rather than at the next tick; behind a check in flight, another is queued."""
        self._look_wanted = True
        if not self._looking:
            self._looking = True
            # Not a coroutine: one that is replaced before it starts would never be awaited.
            self.run_worker(self._look_while_wanted, group="look", exit_on_error=False)  # type: ignore[arg-type]

    async def _look_while_wanted(self) -> None:
        try:
            while self._look_wanted:
                self._look_wanted = False
                await self._look()
        finally:
            self._looking = False

    @property
    def who(self) -> str:
        if not self.user and self.context is None:
            return ""
        return f"{self.user}@{self.context_name}"

    @property
    def running(self) -> int:
        """How many workflows run now."""
        return len(self.active)

    def parts_shown(self) -> tuple[tuple[str, str, str], ...]:
        """(part, style, words when it is not well; in plain mode always words) for the status line."""
        if not self.answering:
            words = (
                "connecting"
                if self._trouble is None
                else f"{self._shut_out or 'does not answer'}, {self._unwell('service')}"
            )
            return (("service", "$foreground-muted" if self._trouble is None else "$error", words),)
        self._unwell_since.pop("service", None)
        shown = []
        slow = self.waiting >= SLOW
        if slow:
            shown.append(("service", "$warning", f"slow, {self.waiting:.0f} s"))
        for part in self.status.parts if self.status is not None else ():
            if slow and part.name == "service":
                continue
            style = {"healthy": "$success", "starting": "$warning"}.get(part.state, "$error")
            if part.state == "healthy":
                self._unwell_since.pop(part.name, None)
                words = "ok" if self.preferences.terminal.plain else ""
            else:
                words = f"{'restarting' if part.state == 'starting' else part.state}, {self._unwell(part.name)}"
            shown.append((part.name, style, words))
        return tuple(shown)

    def _unwell(self, part: str) -> str:
        """How long a part has not been well, as far as this program knows."""
        since = self._unwell_since.setdefault(part, time.monotonic())
        return f"{time.monotonic() - since:.0f} s"
