"""The frame that all screens share: breadcrumbs above, navigation left, command and status lines below."""

from __future__ import annotations

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from registry_tui.terminal.actions import SECTIONS, WHOLE_NAMES
from registry_tui.terminal.commands import Place
from registry_tui.wording.text import fit, safe

#: A breadcrumb: its text, and where a click on it goes.
Crumb = tuple[str, Place | None]


class Asked(Message):
    """A click on an action's word."""

    def __init__(self, action: str) -> None:
        super().__init__()
        self.action = action


class Breadcrumbs(Widget):
    """Where you are. A click on a part goes there."""

    crumbs: reactive[tuple[Crumb, ...]] = reactive(())
    #: The keys of the command box and of help, as displayed.
    keys: reactive[tuple[str, str]] = reactive((":", "?"))

    class Chosen(Message):
        def __init__(self, place: Place) -> None:
            super().__init__()
            self.place = place

    def render(self) -> Content:
        parts: list[Content | str | tuple[str, str]] = [(" registry-tui ", "bold $accent"), "  "]
        room = self.size.width - 24 - sum(map(cell_len, self.keys))
        names = [safe(text, 60) for text, _ in self.crumbs]
        while len(names) > 2 and sum(cell_len(name) + 3 for name in names) > room:
            names.pop(0)
        for position, name in enumerate(names):
            last = position == len(names) - 1
            if position:
                parts.append((" › ", "$foreground-muted"))
            parts.append((name, "bold") if last else (name, "$foreground-muted"))
        left = Content.assemble(*parts)
        right = Content.assemble((self._hint("command") + self._hint("help"), "$foreground-muted"))
        space = self.size.width - left.cell_length - right.cell_length
        return Content.assemble(left, " " * space, right) if space > 0 else left

    def _hint(self, word: str) -> str:
        command, help_ = self.keys
        return f"{help_} help " if word == "help" else f"{command} command  "

    def on_click(self, event: events.Click) -> None:
        from_right, help_ = self.size.width - event.x, cell_len(self._hint("help"))
        if from_right <= help_ + cell_len(self._hint("command")):
            self.post_message(Asked("help" if from_right <= help_ else "command"))
            return
        x = 16
        for text, place in self.crumbs:
            width = cell_len(safe(text, 60))
            if x <= event.x < x + width and place is not None:
                self.post_message(self.Chosen(place))
            x += width + 3


#: Cells of the side bar with numbers only, with short names, and with whole names.
NUMBERS, SHORT, WHOLE = 4, 16, 22
#: Terminals narrower than these do not show short names, and whole names.
SHORT_FROM, WHOLE_FROM = 76, 130


#: The sign of approvals that wait for the person.
WAITS = "◆"


def few(count: int) -> str:
    """A number in at most three characters."""
    return str(count) if count < 100 else "99+"


class Navigation(Widget):
    """The sections by number and name; the badges count running workflows, and approvals that wait for the person."""

    section: reactive[str] = reactive("")
    badge: reactive[int] = reactive(0)
    approvals: reactive[int] = reactive(0)

    class Chosen(Message):
        def __init__(self, section: str) -> None:
            super().__init__()
            self.section = section

    def get_content_width(self, container: Size, viewport: Size) -> int:
        """As wide as the names that the terminal has room for."""
        if viewport.width < SHORT_FROM:
            return NUMBERS
        return SHORT if viewport.width < WHOLE_FROM else WHOLE

    def render(self) -> Content:
        width = self.size.width
        lines: list[Content] = []
        for number, section, word in SECTIONS:
            here = section == self.section
            badge = self._badges() if section == "activity" else ""
            if width < SHORT:
                text = fit(f"{number}{badge.strip()[:1]}", width - 1)
            else:
                name = word if width < WHOLE else WHOLE_NAMES.get(section, word)
                # A badge leaves a cell free: the page begins right behind the bar.
                text = fit(f"{number} {name}", width - 1 - len(badge) - bool(badge)) + badge
            edge = "▌" if here else " "
            lines.append(Content.assemble((edge, "$accent"), (text, "bold $accent" if here else "$foreground-muted")))
        return Content("\n").join(lines)

    def _badges(self) -> str:
        """The approvals that wait for the person come first: a narrow bar has room for one sign."""
        waiting = f" {WAITS}{few(self.approvals)}" if self.approvals else ""
        return waiting + (f" ●{self.badge}" if self.badge else "")

    def on_click(self, event: events.Click) -> None:
        if 0 <= event.y < len(SECTIONS):
            self.post_message(self.Chosen(SECTIONS[event.y][1]))


#: Ends the name of a user of this machine's own platform.
_HERE = "@local"


class StatusLine(Widget):
    """Left: the actions that are possible here now. Right: the user, and the state of each part."""

    #: (key, word, whether possible, action) of the screen's actions.
    keys: reactive[tuple[tuple[str, str, bool, str], ...]] = reactive(())
    #: A message that takes the keys' place, with its tone's style.
    message: reactive[tuple[str, str] | None] = reactive(None)
    who: reactive[str] = reactive("")
    #: (part, style of its dot, words when it is not well).
    parts: reactive[tuple[tuple[str, str, str], ...]] = reactive(())

    def render(self) -> Content:
        width = self.size.width
        # Actions, or a message, take precedence over the user's name and the names of healthy parts. A message takes
        # precedence over everything: it disappears in a moment.
        wanted = self._keys_length() if self.message is None else cell_len(safe(self.message[0])) + 2
        right = self._right(width)
        if wanted > width - right.cell_length - 2:
            right = self._right(0)
        if self.message is not None and wanted > width - right.cell_length - 2:
            right = Content("")
        room = width - right.cell_length - 2
        if self.message is not None:
            text, style = self.message
            left = Content.assemble((" " + fit(safe(text), max(0, room - 1)).rstrip(), style))
        else:
            left = self._left(room)
        return Content.assemble(left, " " * max(1, width - left.cell_length - right.cell_length), right)

    def cuts(self, text: str) -> bool:
        """Whether a message is too long for the line, once the line has a width."""
        return 0 < self.size.width < cell_len(safe(text)) + 3

    def _left(self, room: int) -> Content:
        parts: list[tuple[str, str]] = [(" ", "")]
        used = 1
        for key, word, possible, _ in self.keys:
            length = cell_len(key) + cell_len(word) + 3
            if used + length > room:
                break
            parts.append((key, "bold $accent" if possible else "$foreground-disabled"))
            parts.append((f" {word}  ", "" if possible else "$foreground-disabled"))
            used += length
        return Content.assemble(*parts)

    def _keys_length(self) -> int:
        return 1 + sum(cell_len(key) + cell_len(word) + 3 for key, word, _, _ in self.keys)

    def on_click(self, event: events.Click) -> None:
        """Runs the clicked action, or shows why it is not possible."""
        x = 1
        for key, word, _, action in self.keys if self.message is None else ():
            width = cell_len(key) + cell_len(word) + 3
            if x <= event.x < x + width - 2:
                self.post_message(Asked(action))
            x += width

    def _right(self, width: int) -> Content:
        parts: list[tuple[str, str]] = []
        if self.who and width >= 100:
            parts.append((f"{safe(self.who, 30)}  ", "$foreground-muted"))
        elif not self.who.endswith(_HERE) and (where := self.who.rpartition("@")[2]):
            # A remote service is named even where there is little room.
            parts.append((f"@{safe(where, 20)}  ", "$foreground-muted"))
        well = [words in ("", "ok") for _, _, words in self.parts]
        if len(self.parts) > 1 and width < 100 and all(well):
            return Content.assemble(*parts, ("● all ok  ", self.parts[0][1]))
        for (name, style, words), is_well in zip(self.parts, well, strict=True):
            if not is_well:
                parts.append((f"● {name} {words}  ", style))
            elif width >= 100:
                parts.append(("● ", style))
                parts.append((f"{name} {words or 'ok'}  ", "$foreground-muted"))
        return Content.assemble(*parts) if parts else Content("")
