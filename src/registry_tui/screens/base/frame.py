"""The base of every screen: the frame around its content, its actions, and its place in the program."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget

from registry_tui.screens.base.bars import Asked, Breadcrumbs, Crumb, Navigation, StatusLine
from registry_tui.screens.base.loading import Loading
from registry_tui.terminal.action import Action, bindings, key_shown, with_keys
from registry_tui.terminal.actions import EVERYWHERE, MOVES, OPEN_FORMS, SECTIONS
from registry_tui.terminal.commands import Place
from registry_tui.terminal.permitted import refusal
from registry_tui.terminal.textual_private import LowestScreen
from registry_tui.widgets.awaited import LOADING, NOT_LOADED, say_waiting
from registry_tui.widgets.compositing import SeenCompositor
from registry_tui.widgets.table_messages import Empty
from registry_tui.wording.text import safe

if TYPE_CHECKING:
    from registry_tui.client import RegistryClient


#: Actions that are possible for any selection, and also while the service does not respond.
_ALWAYS = frozenset(
    {"command", "help", "quit", "suspend", "back", "previous", "next", "refresh", "menu", "tab_next", "tab_previous"}
)
#: Seconds in which several changes are combined into one refresh.
GATHER = 0.3
#: Seconds that a short message stays in the status line.
FLASH = 5.0
#: Seconds until a failed request is retried.
RETRY = 2.0


#: How the status line begins while keys are kept.
_KEPT = "kept until it is loaded: "


class FrameScreen(Loading, LowestScreen):
    """A place of the program. Subclasses give `ACTIONS`, `compose_content`, `crumbs` and `start`."""

    SECTION: ClassVar[str] = ""
    ACTIONS: ClassVar[tuple[Action, ...]] = ()
    #: Signs on it without words next to them, for the help.
    LEGEND: ClassVar[tuple[tuple[str, str], ...]] = ()
    #: Kinds of resources whose changes affect this page.
    CONCERNS: ClassVar[frozenset[str]] = frozenset()
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(EVERYWHERE),
        *[Binding(number, f"jump('{section}')", word, show=False) for number, section, word in SECTIONS],
    ]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide"), (120, "-roomy")]

    def __init__(self, place: Place) -> None:
        super().__init__(classes="frame")
        self.compose_with(SeenCompositor())
        self.place = place
        self._refresh_waits = False

    # -- for subclasses -----------------------------------------------------------------------------

    def compose_content(self) -> Iterable[Widget]:
        """The widgets between navigation and status line."""
        return ()

    def crumbs(self) -> tuple[Crumb, ...]:
        """The path of this page, from the top."""
        return ()

    async def start(self) -> None:
        """Requests the screen's data from the service; called once the service responds."""

    def show_early(self, answer: dict[str, Any]) -> None:
        """Shows the first page of Model Registries, which the service returned before the client was there."""

    def refresh_data(self) -> None:
        """Reloads, keeping cursor and input; queued behind a request in flight."""
        self.ask(self._ask, "start")

    def refresh_soon(self) -> None:
        """Reloads in a moment, once for all changes until then."""
        if not self._refresh_waits:
            self._refresh_waits = True
            self.set_timer(GATHER, self._refresh_now, name="refresh-soon")

    def _refresh_now(self) -> None:
        self._refresh_waits = False
        if self.program.answering:
            self.refresh_data()

    def follows(self, resource_type: str) -> bool:
        """Whether a change of such a resource affects this page."""
        return resource_type in self.CONCERNS

    def follows_workflow(self, workflow: str) -> bool:
        """Whether this workflow's progress affects this page."""
        return False

    def failed(self, error: Exception) -> None:
        """Keeps the current content, and retries by itself, when a part of the platform does not respond."""
        from registry_tui.client import ServiceProblem

        if isinstance(error, ServiceProblem) and error.problem.status == 503:
            self.flash(f"{error.message}; asking again", "$warning")
            self.set_timer(RETRY, self.refresh_soon, name="retry")
            self.program.look_now()
        else:
            super().failed(error)

    def leave(self) -> None:
        """Keeps in `self.place.state` the state needed to come back."""

    def why_not(self, action: str) -> str | None:
        """Why an action is not possible now, or None."""
        return None

    # -- the frame ----------------------------------------------------------------------------------

    @property
    def section(self) -> str:
        """The entry of the side bar that is marked."""
        return self.SECTION

    @property
    def client(self) -> RegistryClient:
        return self.program.client

    def compose(self) -> ComposeResult:
        yield Breadcrumbs(id="breadcrumbs")
        with Horizontal(id="body"):
            yield Navigation(id="navigation")
            with Vertical(id="content"):
                yield from self.compose_content()
        yield StatusLine(id="status")

    def on_mount(self) -> None:
        self.show_crumbs()
        self.show_status()
        if self.program.answering:
            self.ask(self._ask, "start")

    def on_screen_resume(self, event: events.ScreenResume) -> None:
        """Runs first when the screen was just created and styled: Textual would style every widget again."""
        event.refresh_styles = event.refresh_styles and self.stack_updates > 0

    async def _ask(self) -> None:
        from registry_tui.client import NotFound

        say_waiting(self, LOADING)
        if not self._found and not self._recalled:
            await self.recall()
        self._not_had = False
        try:
            await self.start()
            self._found = True
        except NotFound as error:
            if self._found:
                raise
            self.program.missing(self.place, error)
        except Exception:
            self._not_had = True
            say_waiting(self, NOT_LOADED)
            raise

    def show_crumbs(self) -> None:
        """Shows `crumbs` again, after a name became known."""
        self.query_one(Breadcrumbs).crumbs = self.crumbs()
        self.query_one(Navigation).section = self.section
        self.show_actions()

    def show_actions(self) -> None:
        """Shows again which actions are possible."""
        plain = self.program.preferences.terminal.plain
        known = {action.id: key_shown(action.key, plain=plain) for action in self.all_actions()}
        self.query_one(Breadcrumbs).keys = (known["command"], known["help"])
        self.query_one(StatusLine).keys = tuple(
            (key_shown(action.key, plain=plain), action.label, self.reason(action.id) is None, action.id)
            for action in self.all_actions()
            if action.footer
        )

    def show_status(self) -> None:
        """Shows the acting user, and the state of the parts."""
        line = self.query_one(StatusLine)
        line.who, line.parts = self.program.who, self.program.parts_shown()
        navigation = self.query_one(Navigation)
        navigation.badge, navigation.approvals = self.program.running, self.program.approvals_waiting

    def flash(self, text: str, style: str = "$accent") -> None:
        """A short message in the status line, in place of the keys. A refusal that is cut there is also shown in
        full."""
        line = self.query_one(StatusLine)
        if style == "$warning" and line.cuts(text) and line.message != (text, style):
            self.app.notify(safe(text), severity="warning", markup=False, timeout=2 * FLASH)
        line.message = (text, style)
        self.set_timer(FLASH, lambda: self.end_flash(text))

    def end_flash(self, text: str) -> None:
        """Removes a message if it is still shown."""
        if not self.is_attached:
            return
        line = self.query_one(StatusLine)
        if line.message is not None and line.message[0] == text:
            line.message = None
            if self.app.screen is not self:
                # The visible part of this screen next to a form is drawn with the form.
                self.app.screen.refresh()

    def show_kept(self, keys: str) -> None:
        """Shows the queued keys in place of those that can be pressed; none: the latter again."""
        if not self.is_attached:
            return
        line = self.query_one(StatusLine)
        if keys:
            line.message = (f"{_KEPT}{keys}   esc drops them", "$accent")
        elif line.message is not None and line.message[0].startswith(_KEPT):
            # Not the message that a queued key showed when it acted.
            line.message = None

    # -- actions ------------------------------------------------------------------------------------

    def all_actions(self) -> list[Action]:
        """This screen's actions and those of every screen that make sense here."""
        actions = [*self.ACTIONS, *(action for action in EVERYWHERE if action.id != "filter" or self.can_filter)]
        return with_keys(actions, self.program.preferences.keys.get(self.place.kind, {}))

    @property
    def can_filter(self) -> bool:
        return hasattr(self, "do_filter")

    def reason(self, action: str) -> str | None:
        """Why an action is not possible now, or None."""
        if action in _ALWAYS:
            return None
        if not self.program.answering:
            return "the service does not answer"
        return self.not_permitted(action) or self.why_not(action)

    def concerned(self, action: str) -> object | None:
        """The object of an action: the selection, unless a page overrides this. None for an object yet to be
        created."""
        return None if action == "create" else getattr(self, "current", None)

    def not_permitted(self, action: str) -> str | None:
        """Why the signed-in user may not run an action, or None."""
        me = self.program.me
        return None if me is None else refusal(me, self.place, action, self.concerned(action))

    def told(self, nothing: Empty) -> Empty:
        """The text of an empty table: no advice that the signed-in user may not follow, but why."""
        why = self.not_permitted(nothing.action) if nothing.action else None
        return nothing if why is None else Empty(nothing.title, (f"{why[:1].upper()}{why[1:]}.",))

    def action_act(self, action: str) -> None:
        """Runs an action, or shows why it is not possible."""
        if not any(known.id == action for known in self.all_actions()):
            return
        why = self.reason(action)
        if why is not None:
            if self.program.answering and self.not_permitted(action) is not None:
                # The role may have been granted in the meantime: then it works with the next press.
                self.program.look_at_me()
            label = next(known.label for known in self.all_actions() if known.id == action)
            self.flash(f"{label}: not now, {why}", "$warning")
            return
        if action in OPEN_FORMS:
            self.program.hold_keys()
        getattr(self, f"do_{action}")()

    @property
    def menu_of(self) -> str:
        """The name of the object of the Actions menu: the selection's, or the page's; empty while unknown."""
        return ""

    def in_menu(self, action: str) -> bool:
        """Whether the Actions menu lists an action for the current view."""
        return action not in MOVES

    def do_menu(self) -> None:
        """Lists the actions on the selection or the page, with their keys."""
        self.program.show_actions_menu()

    def action_jump(self, section: str) -> None:
        self.program.jump(Place(section))

    def do_command(self) -> None:
        self.program.show_command_box()

    @property
    def was_found(self) -> bool:
        """Whether the page's object existed."""
        return self._found

    def focus_content(self) -> None:
        """Focuses the main widget."""

    def do_help(self) -> None:
        self.program.show_help()

    def do_back(self) -> None:
        self.program.back()

    def do_previous(self) -> None:
        self.program.step_history(-1)

    def do_next(self) -> None:
        self.program.step_history(1)

    def do_refresh(self) -> None:
        self.program.paint_anew()
        self.program.look_at_me()
        self.refresh_data()

    def code(self) -> Iterable[tuple[str, str, str | None]]:
        """The page's own texts to copy as code, in addition to command lines: words, text, and why not now."""
        return ()

    def do_copy_code(self) -> None:
        self.program.show_code()

    def do_suspend(self) -> None:
        self.app.action_suspend_process()

    def do_quit(self) -> None:
        self.app.exit()

    @on(Breadcrumbs.Chosen)
    def _crumb_chosen(self, event: Breadcrumbs.Chosen) -> None:
        self.program.jump(event.place)

    @on(Asked)
    def _asked(self, event: Asked) -> None:
        self.action_act(event.action)

    @on(Navigation.Chosen)
    def _section_chosen(self, event: Navigation.Chosen) -> None:
        self.program.jump(Place(event.section))
