"""A page or form that is left before its parts are mounted goes quietly."""

from __future__ import annotations

from typing import Any

import pytest
from textual.app import App, ComposeResult
from textual.screen import ModalScreen, Screen
from textual.widgets import Label

from registry_tui.screens.base.dialogs import Dialog
from registry_tui.screens.base.frame import FrameScreen
from registry_tui.terminal.textual_private import LeftEarly


class Left:
    """Is left while it is composed, as when somebody goes back on a slow machine, and looks for its part after."""

    def compose(self: Any) -> ComposeResult:
        self.app.pop_screen()
        self.remove()
        yield Label(id="part")

    def on_mount(self: Any) -> None:
        self.query_one("#part")


class Page(Left, LeftEarly, Screen[None]):
    pass


class Form(Left, LeftEarly, ModalScreen[None]):
    pass


@pytest.mark.parametrize("kind", [Page, Form])
async def test_what_is_left_while_it_is_composed_goes_quietly(kind: type[Screen[None]]) -> None:
    app: App[None] = App()
    async with app.run_test() as pilot:
        lowest = app.screen
        app.push_screen(kind())
        await pilot.pause()
        assert app.screen is lowest and app.is_running


def test_every_page_and_form_is_of_that_kind() -> None:
    assert issubclass(FrameScreen, LeftEarly) and issubclass(Dialog, LeftEarly)
