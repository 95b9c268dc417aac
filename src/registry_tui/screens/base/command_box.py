"""The command box: commands, pages, actions and objects by name, listed while typing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from registry_tui.contracts.matching import match
from registry_tui.screens.base.dialogs import Dialog
from registry_tui.screens.base.offers import Known, Offer, Query, offers, understood, weak
from registry_tui.terminal.commands import CommandError, parse
from registry_tui.wording.text import fit, safe, shortened

if TYPE_CHECKING:
    from textual.timer import Timer

    from registry_tui.schemas.search import Found

#: Seconds without a key before the service is queried, and between checks of whether it responds again.
PAUSE, LOOK = 0.15, 1.0
#: Objects requested of each kind; letters of a text that are sent.
LIMIT, LONGEST = 20, 200
#: Cells of the box, of the kinds' column, and of the longest names next to notes.
WIDTH, KIND, NAME = 110, 12, 44
#: Lines that pgup and pgdn move by.
PAGE = 10


class CommandField(Input):
    """The field of the box, which has all keys; ↑ above the list recalls earlier commands."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "screen.choose(1)", "Next", show=False),
        Binding("up", "screen.choose(-1)", "Previous", show=False),
        Binding("pagedown", f"screen.choose({PAGE})", "Further down", show=False),
        Binding("pageup", f"screen.choose(-{PAGE})", "Further up", show=False),
        Binding("tab", "screen.complete", "Complete", show=False),
    ]


class OfferList(OptionList, can_focus=False):
    """The lines below the field; the field keeps the keys."""

    def on_mouse_down(self, event: events.MouseDown) -> None:
        event.prevent_default()


class CommandBox(Dialog[tuple[Offer, str]]):
    """Returns the chosen line, and the command to remember."""

    def __init__(self, known: Known, given: Sequence[str]) -> None:
        """`given`: commands typed before, the last one first."""
        super().__init__()
        self._known = known
        self._given = given
        #: Which of them is in the field; -1 for none.
        self._at = -1
        self._answers: dict[Query, Sequence[Found]] = {}
        self._remarks: dict[Query, str] = {}
        self._typed = understood("")
        self.offered: list[Offer] = []
        #: Whether a line was chosen by keys, and whether enter waits for the service's response.
        self._moved = self._enter = False
        self._asked: Query | None = None
        self._pause: Timer | None = None

    def compose(self) -> ComposeResult:
        plain = self.program.preferences.terminal.plain
        with Vertical(classes="box command") as box:
            box.border_title = "Go, do, find"
            up = "up" if plain else "↑"
            box.border_subtitle = f"enter go · tab complete · {up} typed before · esc close"
            with Horizontal(classes="line"):
                yield Label(":", markup=False)
                yield CommandField(placeholder="a command, an action, or letters of a name", compact=True, id="command")
            yield Static("", id="remark", markup=False)
            yield OfferList(compact=True, id="offers")

    def on_mount(self) -> None:
        self._show()
        self.query_one(CommandField).focus()
        self.set_interval(LOOK, self._ask, name="service")

    # -- the service --------------------------------------------------------------------------------

    def _ask_soon(self) -> None:
        if self._pause is not None:
            self._pause.stop()
        self._pause = self.set_timer(PAUSE, self._ask, name="search")

    def _ask(self) -> None:
        """Queries the service for the typed text; a response to an earlier query is then ignored."""
        query = self._typed.query
        if query is None or query == self._asked or query in self._answers or not self.program.answering:
            return
        if len(query.text) > LONGEST:
            self._remarks[query] = f"a name that is searched for has at most {LONGEST} letters"
        else:
            self._asked = query
            self.work_on(self._search(query), "search")
        self._say()

    async def _search(self, query: Query) -> None:
        from registry_tui.schemas.search import FoundKind

        answer = await self.program.client.search(
            query.text,
            kinds=[FoundKind(kind) for kind in query.kinds],
            project=query.project,
            registry=query.registry,
            limit=LIMIT,
        )
        self._asked = None
        self._answers[query] = answer.items
        if answer.not_searched:
            self._remarks[query] = f"MLflow does not answer: not searched are {_listed(answer.not_searched)}"
        elif answer.more:
            self._remarks[query] = f"there are more: {_listed(answer.more)}; type more letters"
        self._show()

    def failed(self, error: Exception) -> None:
        """Shows why names are not found; commands still work. The next key queries again."""
        from registry_tui.client import RegistryError

        asked, self._asked, self._enter = self._asked, None, False
        if not isinstance(error, RegistryError):
            super().failed(error)
        elif asked is not None:
            self._remarks[asked] = error.message
            self._answers[asked] = ()
        self._show()

    # -- the list -----------------------------------------------------------------------------------

    def _show(self) -> None:
        """Builds the lines for the typed text, keeping the one that was chosen by keys."""
        listed = self.query_one(OfferList)
        before = self.chosen.identity if self._moved and self.chosen is not None else None
        typed = self._typed
        self.offered = offers(typed, replace(self._known, answers=self._answers))
        width = min(WIDTH, self.app.size.width * 96 // 100) - 6
        name = min(NAME, max((cell_len(safe(offer.name, 200)) for offer in self.offered), default=0))
        listed.clear_options()
        listed.add_options([_option(offer, typed.text, width, name) for offer in self.offered])
        places = [offer.identity for offer in self.offered]
        if before is not None and before in places:
            listed.highlighted = places.index(before)
        else:
            self._moved = False
            # Enter alone does nothing before something is typed.
            listed.highlighted = 0 if self.offered and typed.line.strip() else None
        self._say()
        if self._enter and self._is_answered:
            self._enter = False
            self._choose()

    @property
    def _is_answered(self) -> bool:
        return self._typed.query is None or self._typed.query in self._answers

    @property
    def chosen(self) -> Offer | None:
        """The line that enter takes."""
        at = self.query_one(OfferList).highlighted
        return self.offered[at] if at is not None and at < len(self.offered) else None

    def _say(self, problem: str = "") -> None:
        query = self._typed.query
        words = problem or (self._remarks.get(query, "") if query is not None else "")
        if not words and query is not None and query not in self._answers:
            if not self.program.answering:
                words = "the service does not answer: names are not searched"
            elif self._enter:
                words = "searching …; enter takes the best"
            else:
                words = "searching …"
        if not words and query is not None and not self.offered:
            words = "nothing has these letters in its name"
        remark = self.query_one("#remark", Static)
        remark.update(safe(words, 300))
        remark.set_class(bool(problem), "-bad")

    # -- keys ---------------------------------------------------------------------------------------

    @on(Input.Changed, "#command")
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        if self._at >= 0 and event.value != self._given[self._at]:
            self._at = -1
        self._moved = self._enter = False
        self._typed = understood(event.value)
        self._show()
        if not self._is_answered:
            self._ask_soon()

    def action_choose(self, by: int) -> None:
        """Moves in the list; above it, through earlier commands."""
        listed = self.query_one(OfferList)
        at = listed.highlighted
        if (by < 0 and not at) or (by > 0 and self._at >= 0):
            self._recall(1 if by < 0 else -1)
        elif self.offered:
            self._moved, self._enter = True, False
            listed.highlighted = min(max((-1 if at is None else at) + by, 0), len(self.offered) - 1)

    def _recall(self, by: int) -> None:
        self._at = max(-1, min(self._at + by, len(self._given) - 1))
        self._put(self._given[self._at] if self._at >= 0 else "")

    def _put(self, text: str) -> None:
        line = self.query_one(CommandField)
        line.value = text
        line.cursor_position = len(text)

    def action_complete(self) -> None:
        """Puts the chosen line's command into the field, or the next best one when the field holds it."""
        lines = [offer.line for offer in (self.chosen, *self.offered) if offer is not None and offer.line]
        if line := next((line for line in lines if line != self._typed.line), ""):
            self._put(line)

    @on(Input.Submitted, "#command")
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        offer = self.chosen
        waits = offer is None or (weak(self._typed, offer) and not self._typed.is_whole)
        if waits and not self._moved and not self._is_answered and self.program.answering:
            self._enter = True
            self._ask()
            self._say()
        else:
            self._choose()

    @on(OptionList.OptionSelected, "#offers")
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.query_one(OfferList).highlighted = event.option_index
        self._choose()

    def _choose(self) -> None:
        offer = self.chosen
        if offer is None:
            try:
                parse(self._typed.line)
            except CommandError as error:
                self._say(str(error))
            return
        if offer.place is not None or offer.action:
            self.dismiss((offer, offer.line))
        elif offer.line.endswith(" "):
            self._put(offer.line)
        elif problem := self._problem(offer.line):
            self._say(problem)
        else:
            self.dismiss((offer, offer.line))

    def _problem(self, line: str) -> str:
        """Why a command cannot be run; empty when it can."""
        try:
            command, arguments = parse(line)
        except CommandError as error:
            return str(error)
        theme = arguments.get("theme", "") if command.name == "theme" else ""
        if theme and not any(name.startswith(theme) for name in self._known.themes):
            return f"There is no theme {theme}; choose one of {', '.join(self._known.themes)}"
        return ""


def _listed(kinds: Sequence[str]) -> str:
    return ", ".join(f"{kind}s" if not kind.endswith("y") else f"{kind[:-1]}ies" for kind in kinds)


def _option(offer: Offer, typed: str, width: int, name_width: int) -> Option:
    """A line: its kind, its name with the letters that match marked, a note, and its key."""
    name = safe(offer.name, 200)
    room = min(name_width, width - KIND)
    shown = shortened(name, room)
    content = Content(fit(shown, room))
    found = match(typed, offer.name) if typed else None
    if found is not None and shown == offer.name:
        for at in found[2]:
            content = content.stylize("bold underline", at, at + 1)
    key = f" {offer.key}" if offer.key else ""
    note_room = width - KIND - room - 2 - cell_len(key)
    note = fit(safe(offer.note, 300), note_room) if note_room > 0 else ""
    return Option(
        Content.assemble(
            (fit(offer.kind, KIND), "$foreground-muted"),
            content,
            "  ",
            (note, "$foreground-muted"),
            (key, "bold $accent"),
        )
    )
