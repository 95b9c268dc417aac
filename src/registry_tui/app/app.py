"""The terminal program, with client, history and health. Only Textual is imported before the first paint."""

from __future__ import annotations

import asyncio
import gc
import importlib
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual.binding import Binding, BindingType

from registry_tui.app.copying import Copying
from registry_tui.app.notifying import Notifying
from registry_tui.app.playing import Playing
from registry_tui.app.reloading import Reloading
from registry_tui.app.suspending import Suspending
from registry_tui.contracts import clocks
from registry_tui.screens.base.changes import Changes
from registry_tui.screens.base.frame import FrameScreen
from registry_tui.screens.base.program import Program
from registry_tui.terminal.commands import SCREENS, CommandError, Place, parse
from registry_tui.terminal.memory import Memory, remember_place, remembered_place
from registry_tui.terminal.preferences import Preferences, PreferencesFile, Terminal
from registry_tui.terminal.recent import Visit, remember_visits, remembered_visits, with_visit, without_place
from registry_tui.terminal.textual_private import CompositorUpdate, PaintingApp, forget_drawn, keep_parsed
from registry_tui.widgets.line_filters import Links, OnlyVisible, PlainCharacters, WithoutColors
from registry_tui.widgets.shown import Shown
from registry_tui.widgets.themes import BUILT_IN, PREFIX, theme_of

if TYPE_CHECKING:
    from textual.filter import LineFilter

    from registry_tui.client import RegistryClient
    from registry_tui.demo.walk import Scene
    from registry_tui.terminal.early import EarlyPage

#: Places kept in the history.
HISTORY = 40
#: Typed commands kept.
COMMANDS_KEPT = 50
#: Parsed sources of styles that are cached: one for each kind of widget and each screen.
STYLES_KEPT = 1024
STYLES = Path(__file__).parent.parent / "styles/base"
PLAIN_STYLES = STYLES / "plain.tcss"


class RegistryApp(Notifying, Reloading, Playing, Changes, Copying, Suspending, PaintingApp):
    """The program. `connect` creates the client; tests pass their own."""

    TITLE = "registry-tui"
    CSS_PATH = STYLES / "frame.tcss"
    #: The first place is the lowest screen itself: an empty one below it would be styled and painted first.
    DEFAULT_MODE = "places"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+q", "quit", "Quit", show=False, priority=True)]
    #: The command box takes the place of Textual's palette.
    ENABLE_COMMAND_PALETTE = False
    #: Called when the user leaves, to end the process in any case after a while.
    last_resort: Callable[[], None] | None = None

    def __init__(
        self,
        connect: Callable[[], RegistryClient] | None = None,
        *,
        start_platform: bool = True,
        early: EarlyPage | None = None,
        memory: Memory | None = None,
        preferences: Preferences | None = None,
        settings: PreferencesFile | None = None,
        walk: Sequence[Scene] = (),
    ) -> None:
        #: Settings, and the file that is watched for changes; by default, and in tests, nothing is remembered or
        #: linked.
        self.preferences = preferences or Preferences(terminal=Terminal(remember=False, links=False))
        plain = self.preferences.terminal.plain
        super().__init__(css_path=[self.CSS_PATH, PLAIN_STYLES] if plain else None, walk=walk, settings=settings)
        self._line_filters = self._filters_wanted()
        self.shown = Shown()
        self._early = early
        self._connect = connect
        self._start_platform = start_platform
        #: The state kept between runs: views, columns, the last place.
        self.memory = memory or Memory()
        self._client: RegistryClient | None = None
        # Before any task begins: ages on all screens use the service's clock.
        clocks.follow()
        self._watching: asyncio.Task[None] | None = None
        self._history: list[Place] = [self._first_place()]
        self._here = 0
        #: The place to show once the one being created is there.
        self._waits_to_be_shown: Place | None = None
        self.add_mode("places", lambda: self._screen_of(self._history[0]))
        #: Visited places, the last one first.
        self._visits = remembered_visits(self.memory) if self.preferences.terminal.remember else []
        # Movement is never animated: it costs bytes over SSH and has no meaning.
        self.animation_level = "none"
        for theme in (*BUILT_IN, *map(theme_of, self.preferences.themes)):
            self.register_theme(theme)
        self.theme = PREFIX + ("monochrome" if self.preferences.colorless else self.preferences.terminal.theme)
        self._styled_with = self.get_css_variables()
        self.stylesheet.set_variables(self._styled_with)
        keep_parsed(self.stylesheet, STYLES_KEPT)

    def _filters_wanted(self) -> list[LineFilter]:
        wanted: list[LineFilter] = [OnlyVisible()]
        if self.preferences.terminal.plain:
            wanted.append(PlainCharacters())
        if self.preferences.colorless:
            wanted.append(WithoutColors())
        if self.preferences.links:
            wanted.append(Links())
        return wanted

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), *self._line_filters]

    def _first_place(self) -> Place:
        """The place where the program was left, else the one in the settings."""
        terminal = self.preferences.terminal
        self._restored = remembered_place(self.memory) if terminal.remember else None
        return self._restored or Place(terminal.start)

    # -- painting -----------------------------------------------------------------------------------

    def painted(self, update: CompositorUpdate) -> CompositorUpdate:
        return self.shown.only_changes(update)

    def on_resize(self) -> None:
        """A terminal may lose its content when its size changes."""
        self.shown.forget()
        self.call_after_refresh(self.paint_anew)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Stops the cursor from blinking, which would send output twice a second while a form is open."""
        if hasattr(event.widget, "cursor_blink"):
            event.widget.cursor_blink = False

    def paint_anew(self) -> None:
        """Sends everything, as to a terminal of unknown content."""
        self.shown.forget()
        self.screen.refresh()

    def refresh_css(self, animate: bool = True) -> None:
        """Reads the styles again when colours changed; Textual also calls it at the start, with those just read."""
        variables = self.get_css_variables()
        if variables != self._styled_with:
            self._styled_with = variables
            super().refresh_css(animate)

    # -- start --------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            try:
                loop.add_signal_handler(number, self.exit)
            except (RuntimeError, ValueError):
                # Only the main thread may do this; tests run elsewhere.
                break
        self.app_resume_signal.subscribe(self, lambda _: self.shown.forget())
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        self._watching = asyncio.create_task(self._open(), name="watch")

    def exit(self, *arguments: Any, **options: Any) -> None:
        """Leaves the program; the current place is where it starts next time."""
        if self.last_resort is not None and not self.next_context:
            self.last_resort()
        try:
            frame = next((screen for screen in reversed(self.screen_stack) if isinstance(screen, FrameScreen)), None)
            if self.preferences.terminal.remember and frame is not None and frame.is_mounted:
                frame.leave()
                remember_place(self.memory, frame.place)
                self._note_visit(frame)
                remember_visits(self.memory, self._visits)
        except Exception as error:  # a half-created screen, for example: no error may prevent leaving
            self.log.error(error)
        finally:
            super().exit(*arguments, **options)

    async def on_unmount(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
        if self._client is not None:
            await self._client.close()
        forget_drawn()

    @property
    def client(self) -> RegistryClient:
        """The service's client. Raises RuntimeError before it is connected."""
        if self._client is None:
            raise RuntimeError("The client is not there yet")
        return self._client

    async def _open(self) -> None:
        """Imports and creates the client after the first paint, starts the platform if no service responds, then
        watches."""
        if self._early is not None:
            await asyncio.to_thread(self._early.wait)
            self.show_early()
        if self._connect is None:
            module = await asyncio.to_thread(importlib.import_module, "registry_tui.client")
            self._client = module.RegistryClient()
        else:
            self._client = self._connect()
        self._client.remember_answers()
        if not gc.isenabled():
            # The caller disabled garbage collection until now: all objects so far live as long as the process.
            gc.freeze()
            gc.set_threshold(5_000, 4, 20)
            gc.enable()
        self.watch_for_slowness()
        await self._look()
        # Not earlier: a screen that is still being created has no place for it.
        if self.preferences.problems:
            problems = "\n".join(self.preferences.problems)
            self.notify(problems, title="config.toml", severity="warning", markup=False, timeout=20)
        if not self.answering and self._start_platform and self.context is None:
            self.start_platform()
        await self.follow()

    def show_early(self) -> None:
        """Shows the first page that was requested before the client existed, once that exists and if not yet shown."""
        if self._early is not None and self._early.answer is not None:
            answer, self._early = self._early.answer, None
            self.frame.show_early(answer)

    def show_help(self) -> None:
        """Shows every action of the place in view."""
        # Imported with the first help, not before the first paint.
        from registry_tui.screens.base.help import Help

        self.push_screen(Help(self.frame))

    def show_command_box(self) -> None:
        """Shows the box that finds commands, pages, actions and objects by name."""
        # Imported with the first box, not before the first paint.
        from registry_tui.screens.base.commanding import open_command_box

        open_command_box(self.frame, self._visits)

    def show_actions_menu(self) -> None:
        """Shows the actions on the selection or the place in view."""
        # Imported with the first menu, not before the first paint.
        from registry_tui.screens.base.actions_menu import open_menu

        open_menu(self.frame)

    def show_code(self) -> None:
        """Shows the texts that can be copied as code at the place in view."""
        # Imported with the first copy, not before the first paint.
        from registry_tui.screens.base.copy_code import offer

        offer(self.frame)

    def start_platform(self) -> None:
        """Shows the start of the platform's parts."""
        from registry_tui.screens.activity.start import StartScreen

        if not isinstance(self.screen, StartScreen):
            self.push_screen(StartScreen())

    # -- places -------------------------------------------------------------------------------------

    def open(self, place: Place) -> None:
        """Drills into a place; esc comes back from it."""
        place.came_from = self.frame.place
        self._go(place)

    def jump(self, place: Place) -> None:
        """Goes to another place; esc goes up from there."""
        if place != self.frame.place or place.state:
            self._go(place)

    def _go(self, place: Place) -> None:
        del self._history[self._here + 1 :]
        self._history.append(place)
        del self._history[:-HISTORY]
        self._here = len(self._history) - 1
        self._show(place)

    def back(self) -> None:
        """Goes to where this place was opened from, else one up."""
        frame = self.frame
        target = frame.place.came_from
        if target is None:
            above = [place for _, place in frame.crumbs()[:-1] if place is not None]
            target = above[-1] if above else None
        if target is not None:
            self._go(target)

    def step_history(self, by: int) -> None:
        """Moves through the visited places, without changing their order."""
        step = self._here + by
        if 0 <= step < len(self._history):
            self._here = step
            self._show(self._history[step])

    def _note_visit(self, frame: FrameScreen) -> None:
        """Records a visit to a place that shows one object, by its name, once that was there."""
        if frame.was_found and frame.place.args:
            *above, name = [text for text, _ in frame.crumbs()]
            # A separate place: esc goes up from a place reached through the box, and no list state is kept.
            place = Place(frame.place.kind, dict(frame.place.args))
            self._visits = with_visit(self._visits, Visit(place, name, " › ".join(above[1:])))

    def _show(self, place: Place) -> None:
        if not self.frame.is_mounted:
            # A screen that is still being created cannot be removed: it would look for its widgets.
            self._waits_to_be_shown = place
            self.set_timer(0.01, self._show_waiting, name="show")
            return
        self._waits_to_be_shown = None
        self.frame.leave()
        self._note_visit(self.frame)
        forget_drawn()
        self.frame.keep_cursors()
        while len(self.screen_stack) > 1 and not isinstance(self.screen, FrameScreen):
            self.pop_screen()
        self.switch_screen(self._screen_of(place))

    def _show_waiting(self) -> None:
        if self._waits_to_be_shown is not None:
            self._show(self._waits_to_be_shown)

    def _screen_of(self, place: Place) -> FrameScreen:
        self.set_keymap(self.preferences.keymap(place.kind))
        module, name = SCREENS[place.kind].split(":")
        screen: FrameScreen = getattr(importlib.import_module(module), name)(place)
        # With the final width: a change of classes styles every widget again.
        fitting = [class_ for width, class_ in sorted(screen.HORIZONTAL_BREAKPOINTS) if self.size.width >= width]
        screen.add_class(*fitting[-1:], update=False)
        return screen

    def missing(self, place: Place, error: Exception) -> None:
        """The place's object does not exist: goes back to where it was opened from, with the service's message."""
        frame, restored = self.frame, place is self._restored
        self._visits = without_place(self._visits, place)
        if not restored:
            self.report(error)
        if frame.place is place and place != Place(frame.SECTION):
            self._history[self._here] = place.came_from or Place(frame.SECTION)
            self._show(self._history[self._here])
        if restored:
            self._restored = None
            # Once there is a place to show it.
            self.call_after_refresh(lambda: self.frame.flash("the page shown last time no longer exists", "$warning"))

    # -- commands -----------------------------------------------------------------------------------

    @property
    def commands_given(self) -> list[str]:
        """Commands typed before, also in earlier runs, the last one first."""
        return [str(text) for text in self.memory.get("commands", [])]

    def remember_command(self, text: str) -> None:
        """Keeps a typed command."""
        if text := text.strip():
            given = [other for other in self.commands_given if other != text]
            self.memory.set("commands", [text, *given][:COMMANDS_KEPT])

    def obey(self, text: str) -> None:
        """Runs a command."""
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
            self.choose_theme(next(iter(arguments.values()), "light" if self.current_theme.dark else "dark"))
        elif command.name == "contexts":
            self.choose_context(next(iter(arguments.values()), ""))
        elif command.name == "up" and self.context is not None:
            self.frame.flash(f"{self.context.name} is started on its own machine: `registry-tui up`", "$warning")
        elif command.name == "up":
            self.start_platform()
        else:
            self.frame.do_help()

    def choose_theme(self, name: str) -> None:
        """Changes the colours until the end; `config.toml` sets those at the start."""
        found = [theme for theme in self.preferences.theme_names if theme.startswith(name)]
        if found:
            self.theme = PREFIX + found[0]
        else:
            self.frame.flash(
                f"There is no theme {name}; choose one of {', '.join(self.preferences.theme_names)}", "$warning"
            )

    # -- messages -----------------------------------------------------------------------------------

    def report(self, error: Exception) -> None:
        """Shows an error, how to fix it, and the request's ID."""
        from registry_tui.client import RegistryError, ServiceUnavailable
        from registry_tui.client.errors import NotSignedIn, UntrustedCertificate
        from registry_tui.wording.mistakes import unexpected
        from registry_tui.wording.text import safe

        if isinstance(error, NotSignedIn | UntrustedCertificate):
            self.shut_out(error)
            return
        if isinstance(error, ServiceUnavailable):
            self.lost(error.message)
            return
        if isinstance(error, RegistryError):
            lines = [error.message, error.action or "", f"request {error.request_id}" if error.request_id else ""]
        else:
            self.log.error(error)
            lines = [unexpected(error), "This is a defect of the program; please report it."]
        self.notify("\n".join(safe(line, 500) for line in lines if line), severity="error", markup=False, timeout=10)


if TYPE_CHECKING:
    #: Lets the type checker verify that the program provides everything that screens require of it.
    _: type[Program] = RegistryApp
