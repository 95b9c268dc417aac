"""What is typed or pasted reaches the field whole."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.widgets import Input, TextArea

from registry_tui.terminal.typing_ahead import TypingAhead


class _Fields(TypingAhead):
    def compose(self) -> ComposeResult:
        yield Input(id="line")
        yield TextArea(id="lines")


async def test_several_lines_pasted_into_a_field_of_one_line_are_joined() -> None:
    app = _Fields()
    async with app.run_test() as pilot:
        app.query_one(Input).focus()
        app.post_message(events.Paste("first\r\n  second\n\nthird\n"))
        await pilot.pause()
        assert app.query_one(Input).value == "first second third"


async def test_lines_pasted_into_a_field_of_several_lines_stay_lines() -> None:
    app = _Fields()
    async with app.run_test() as pilot:
        app.query_one(TextArea).focus()
        app.post_message(events.Paste("first\nsecond"))
        await pilot.pause()
        assert app.query_one(TextArea).text == "first\nsecond"
