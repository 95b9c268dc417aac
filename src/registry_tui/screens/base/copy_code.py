"""Copying as code: the command line of the current view, of the last change, and of the request a form would send."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_tui.screens.base.dialogs import Menu, MenuItem
from registry_tui.wording.command_lines import as_typed, command_lines, remark, showing, showing_row
from registry_tui.wording.command_parts import NoCommand
from registry_tui.wording.text import safe

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from registry_tui.client.outgoing import Outgoing
    from registry_tui.screens.base.frame import FrameScreen
    from registry_tui.screens.base.program import Program


def offer(screen: FrameScreen) -> None:
    """Lists the texts that can be copied as code at a place, or copies a single one directly."""
    place = screen.place
    texts: list[str] = []
    items: list[MenuItem] = []

    def add(words: str, text: str, why_not: str | None = None) -> None:
        items.append(MenuItem(str(len(texts)), words, why_not, text.partition("\n")[0]))
        texts.append(text)

    if (change := screen.client.last_change) is not None:
        try:
            text = as_typed(command_lines(change))
        except NoCommand:
            text = ""
        if text:
            add("the last change", text)
    row = getattr(screen, "current", None)
    if row is not None and (line := showing_row(place.kind, place.args, row)) is not None:
        add("the selected one", as_typed([line]))
    if (line := showing(place.kind, place.args)) is not None:
        add("this page", as_typed([line]))
    for words, text, why_not in screen.code():
        add(words, text, why_not)

    def chosen(id_: str | None) -> None:
        if id_ is not None:
            screen.program.copy_text(texts[int(id_)])

    possible = [item for item in items if item.why_not is None]
    if len(items) == 1 and possible:
        chosen(items[0].id)
    elif items:
        screen.app.push_screen(Menu("Copy as code", items, possible[0].id if possible else None), chosen)
    else:
        screen.flash("no command shows this page", "$warning")


async def copy_what_is_sent(program: Program, send: Coroutine[Any, Any, Any]) -> str:
    """Copies the command lines of the requests `send` would make, without making them. Returns the message about them.

    Raises RegistryError when a query to the service fails.
    """
    from registry_tui.client.outgoing import NotSent, rehearsal

    try:
        with rehearsal():
            await send
    except NotSent as rehearsed:
        return _copy(program, rehearsed.request)
    return "not copied: nothing would be sent"


def _copy(program: Program, request: Outgoing) -> str:
    messages: list[str] = []
    try:
        text = as_typed(command_lines(request))
    except NoCommand as error:
        return f"not copied: {error}"
    program.copy_text(text, messages.append)
    lines = [f"{messages[0] if messages else 'copied'}:", safe(text, 2_000), remark(request)]
    return "\n".join(each for each in lines if each)
