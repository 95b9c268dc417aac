"""The terminal program: it holds client, history and health. Only Textual is imported before the first paint."""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakKeyDictionary

from textual import events
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Input

from registry_tui.commands import SCREENS, CommandError, Place, parse
from registry_tui.memory import Memory
from registry_tui.screens.frame import FrameScreen
from registry_tui.widgets.themes import DARK, LIGHT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from textual.widget import Widget

    from registry_tui.client import RegistryClient
    from registry_tui.early import EarlyPage
    from registry_tui.schemas.operations import PlatformStatus

#: Seconds between two looks at the platform's health: at rest, and while it does not answer.
AT_REST, IN_TROUBLE = 5.0, 1.0
#: Places kept in the history.
HISTORY = 40


class RegistryApp(App[None]):
    """The program. `connect` makes the client; tests give their own."""

    TITLE = "registry-tui"
    CSS_PATH = Path(__file__).parent / "styles/frame.tcss"
    #: The first place is the lowest screen itself: an empty one below it would be styled and painted first.
    DEFAULT_MODE = "places"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+q", "quit", "Quit", show=False, priority=True)]
    ENABLE_COMMAND_PALETTE = True

    def __init__(
        self,
        connect: Callable[[], RegistryClient] | None = None,
        *,
        start_platform: bool = True,
        early: EarlyPage | None = None,
        memory: Memory | None = None,
    ) -> None:
        super().__init__()
        self._early = early
        self._connect = connect
        self._start_platform = start_platform
        #: What is remembered between runs: views, columns, the last place.
        self.memory = memory or Memory()
        self._client: RegistryClient | None = None
        self._watching: asyncio.Task[None] | None = None
        self._history: list[Place] = [Place("registries")]
        self._here = 0
        self.add_mode("places", lambda: self._screen_of(self._history[0]))
        self._trouble: str | None = None
        #: Whether the service answered the last time it was asked.
        self.answering = False
        self.status: PlatformStatus | None = None
        self.user = ""
        #: IDs of the workflows that run now, and how many.
        self.active: frozenset[str] = frozenset()
        #: Names to offer when a command is typed, by kind of argument.
        self.names: dict[str, Sequence[str]] = {}
        #: Which widget had the focus when a key was pressed.
        self._aimed_at: WeakKeyDictionary[events.Key, Widget | None] = WeakKeyDictionary()
        # Movement is never animated: it costs bytes over SSH and tells nothing.
        self.animation_level = "none"
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = "registry-light" if os.environ.get("REGISTRY_TUI_THEME") == "light" else "registry-dark"

    # -- start --------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            try:
                loop.add_signal_handler(number, self.exit)
            except (RuntimeError, ValueError):
                # Only the main thread may; tests run elsewhere.
                break
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        self._watching = asyncio.create_task(self._open(), name="watch")

    async def on_unmount(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
        if self._client is not None:
            await self._client.close()

    @property
    def client(self) -> RegistryClient:
        """The service's client. Raises RuntimeError before it is connected."""
        if self._client is None:
            raise RuntimeError("The client is not there yet")
        return self._client

    async def _open(self) -> None:
        """Imports and makes the client after the first paint, starts the platform if nobody answers, then watches."""
        if self._early is not None:
            await asyncio.to_thread(self._early.wait)
            self.show_early()
        if self._connect is None:
            module = await asyncio.to_thread(importlib.import_module, "registry_tui.client")
            self._client = module.RegistryClient()
        else:
            self._client = self._connect()
        # Garbage is looked for again from here on, in what is made from here on.
        gc.freeze()
        gc.enable()
        await self._look()
        if not self.answering and self._start_platform:
            self.start_platform()
        while True:
            await asyncio.sleep(AT_REST if self.answering else IN_TROUBLE)
            await self._look()

    def show_early(self) -> None:
        """Shows the first page that was asked for before the client was there, when it is here and was not shown."""
        if self._early is not None and self._early.answer is not None:
            answer, self._early = self._early.answer, None
            self.frame.show_early(answer)

    def start_platform(self) -> None:
        """Shows the platform's parts coming up."""
        from registry_tui.screens.start import StartScreen

        if not isinstance(self.screen, StartScreen):
            self.push_screen(StartScreen())

    # -- health -------------------------------------------------------------------------------------

    async def _look(self) -> None:
        from registry_tui.client import RegistryError, ServiceUnavailable

        before = self.answering, self.parts_shown(), self.active, self.user
        was_answering, finished = self.answering, False
        try:
            if not self.user:
                self.user = (await self.client.whoami()).name
            if not self.answering:
                self.answering, self._trouble = True, None
                self._answered()
            active = frozenset(work.id for work in (await self.client.workflows(status="active", page_size=100)).items)
            finished = bool(self.active - active) or bool(active - self.active)
            self.active = active
            self.status = await self.client.status()
        except ServiceUnavailable as error:
            self.answering, self._trouble = False, error.message
        except RegistryError as error:
            self._trouble = error.message
        else:
            self._trouble = None
        if before != (self.answering, self.parts_shown(), self.active, self.user):
            for screen in self.screen_stack:
                if isinstance(screen, FrameScreen) and screen.is_mounted:
                    screen.show_status()
                    screen.show_actions()
                    if finished and was_answering:
                        screen.refresh_data()

    def _answered(self) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, FrameScreen) and screen.is_mounted:
                screen.refresh_data()

    def look_now(self) -> None:
        """Looks at the health now rather than at the next tick."""
        self.run_worker(self._look(), group="look", exclusive=True, exit_on_error=False)

    @property
    def who(self) -> str:
        return f"{self.user}@local" if self.user else ""

    @property
    def running(self) -> int:
        """How many workflows run now."""
        return len(self.active)

    def parts_shown(self) -> tuple[tuple[str, str, str], ...]:
        """(part, style, words when it is not well) for the status line."""
        if not self.answering:
            words = "connecting" if self._trouble is None else "does not answer, trying again"
            return (("service", "$foreground-muted" if self._trouble is None else "$error", words),)
        if self.status is None:
            return ()
        shown = []
        for part in self.status.parts:
            style = {"healthy": "$success", "starting": "$warning"}.get(part.state, "$error")
            shown.append((part.name, style, "" if part.state == "healthy" else str(part.state)))
        return tuple(shown)

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key) and not event.is_forwarded:
            self._aimed_at[event] = self.focused
        await super().on_event(event)

    def on_key(self, event: events.Key) -> None:
        """Gives a text field what was typed right before it got the focus, so that no letter acts as a key."""
        field = self.focused
        if isinstance(field, Input) and self._aimed_at.pop(event, field) is not field:
            event.prevent_default()
            # As the app itself sends keys on; it does not take a key that was sent on for a new one.
            field._forward_event(events.Key(event.key, event.character))

    # -- places -------------------------------------------------------------------------------------

    @property
    def frame(self) -> FrameScreen:
        """The place in view, below any dialog."""
        return next(screen for screen in reversed(self.screen_stack) if isinstance(screen, FrameScreen))

    def open(self, place: Place) -> None:
        """Drills into a place; esc comes back from it."""
        place.came_from = self.frame.place
        self._go(place)

    def jump(self, place: Place) -> None:
        """Goes somewhere else; esc goes up from there."""
        if place != self.frame.place:
            self._go(place)

    def _go(self, place: Place) -> None:
        del self._history[self._here + 1 :]
        self._history.append(place)
        del self._history[:-HISTORY]
        self._here = len(self._history) - 1
        self._show(place)

    def back(self) -> None:
        """To where this place was opened from, else one up."""
        frame = self.frame
        target = frame.place.came_from
        if target is None:
            above = [place for _, place in frame.crumbs()[:-1] if place is not None]
            target = above[-1] if above else None
        if target is not None:
            self._go(target)

    def step_history(self, by: int) -> None:
        """Through the places seen, without changing their order."""
        step = self._here + by
        if 0 <= step < len(self._history):
            self._here = step
            self._show(self._history[step])

    def _show(self, place: Place) -> None:
        self.frame.leave()
        while len(self.screen_stack) > 1 and not isinstance(self.screen, FrameScreen):
            self.pop_screen()
        self.switch_screen(self._screen_of(place))

    def _screen_of(self, place: Place) -> FrameScreen:
        module, name = SCREENS[place.kind].split(":")
        screen: FrameScreen = getattr(importlib.import_module(module), name)(place)
        # As it will be at this width: a change of classes styles every widget again.
        fitting = [class_ for width, class_ in sorted(screen.HORIZONTAL_BREAKPOINTS) if self.size.width >= width]
        screen.add_class(*fitting[-1:])
        return screen

    # -- commands -----------------------------------------------------------------------------------

    def known_names(self) -> dict[str, Sequence[str]]:
        return self.names

    def obey(self, text: str) -> None:
        """Does what a `:` command says."""
        try:
            command, arguments = parse(text)
        except CommandError as error:
            self.frame.flash(str(error), "$warning")
            return
        if command.kind is not None:
            self.jump(Place(command.kind, arguments))
        elif command.name == "quit":
            self.exit()
        elif command.name == "theme":
            chosen = next(iter(arguments.values()), "light" if self.current_theme.dark else "dark")
            self.theme = "registry-light" if chosen.startswith("l") else "registry-dark"
        elif command.name == "up":
            self.start_platform()
        else:
            self.frame.do_help()

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """What the palette (ctrl+p) offers: this screen's actions, then the commands that need no argument."""
        from registry_tui.commands import COMMANDS

        if isinstance(screen, FrameScreen):
            for action in screen.all_actions():
                why = screen.reason(action.id)
                text = action.help if why is None else f"not now: {why}"
                yield SystemCommand(action.label.capitalize(), text, lambda act=action.id: screen.action_act(act))
        for command in COMMANDS:
            if not command.arguments or command.arguments[0].startswith("["):
                yield SystemCommand(f":{command.name}", command.help, lambda name=command.name: self.obey(name))

    # -- messages -----------------------------------------------------------------------------------

    def report(self, error: Exception) -> None:
        """Shows what failed, what to do, and the request's ID."""
        from registry_tui.client import RegistryError, ServiceUnavailable
        from registry_tui.widgets.text import safe

        if isinstance(error, ServiceUnavailable):
            self.answering, self._trouble = False, error.message
            self.frame.show_status()
            self.frame.show_actions()
            return
        if isinstance(error, RegistryError):
            lines = [error.message, error.action or "", f"request {error.request_id}" if error.request_id else ""]
        else:
            self.log.error(error)
            lines = [f"{type(error).__name__}: {error}", "This is a defect of the program; please report it."]
        self.notify("\n".join(safe(line, 500) for line in lines if line), severity="error", markup=False, timeout=10)

    def copy_text(self, text: str) -> None:
        """Copies over OSC 52, which answers nothing: so the text is shown too."""
        self.copy_to_clipboard(text)
        self.frame.flash(f"copied: {text}")


def main(early: EarlyPage | None = None) -> int:
    """Opens the terminal program, with a page that was asked for already; returns the exit code."""
    app = RegistryApp(early=early)
    app.run()
    return app.return_code or 0
