"""Typed or pasted text reaches its field completely, and the field that the keys before it led to."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from textual import events, on
from textual.app import ComposeResult
from textual.pilot import Pilot
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Checkbox, Input, TextArea

from registry_tui.screens.base.form import Lines
from registry_tui.terminal.typing_ahead import LONGEST, OPENING, Typed, TypingAhead


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


NAMED = {"\t": "tab", "\r": "enter", "\b": "backspace", " ": "space"}


def typed(text: str) -> list[Typed]:
    """The keys of a text; a back tab is written as "<"."""
    return [
        events.Key("shift+tab", None)
        if character == "<"
        else events.Key(NAMED.get(character, character), None if character == "\b" else character)
        for character in text
    ]


class _Box(ModalScreen[str]):
    """A box with a field of each kind; Enter in the first line closes it with their values at that time."""

    def compose(self) -> ComposeResult:
        yield Input(id="first")
        yield Checkbox("ticked", id="tick")
        yield Lines(id="text")
        yield Input(id="last")

    @on(Input.Submitted, "#first")
    def _given(self) -> None:
        self.dismiss(self.query_one("#first", Input).value)


class _WithBox(TypingAhead):
    """A field, with room for a box over it."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[str | None] = []

    def compose(self) -> ComposeResult:
        yield Input(id="below")


async def burst(pilot: Pilot[None], *parts: Typed) -> None:
    """All at once, as a slow line or a program delivers it."""
    for part in parts:
        pilot.app.post_message(part)


async def until(pilot: Pilot[None], condition: Callable[[], object]) -> None:
    for _ in range(3000):
        if condition():
            return
        await pilot.pause(0.01)
    raise AssertionError("the condition did not come true")


def values(screen: Widget) -> list[object]:
    """The values of the fields of the box."""
    first, last = screen.query_one("#first", Input), screen.query_one("#last", Input)
    return [first.value, screen.query_one(Checkbox).value, screen.query_one(TextArea).text, last.value]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("\t\ttext", ["", False, "text", ""]),
        ("one\t\ttext\tlast", ["one", False, "text", "last"]),
        ("\t \tab<<\bx", ["x", True, "ab", ""]),
        ("one<last<text", ["one", False, "text", "last"]),
        ("\t\t\tlast\tone\t\ttext", ["one", False, "text", "last"]),
    ],
)
async def test_keys_behind_a_tab_go_to_the_field_that_it_leads_to(keys: str, expected: list[object]) -> None:
    app = _WithBox()
    async with app.run_test() as pilot:
        app.push_screen(_Box())
        await until(pilot, lambda: app.focused is not None and app.focused.id == "first")
        await burst(pilot, *typed(keys))
        await until(pilot, lambda: values(app.screen) == expected)
        await pilot.pause()
        assert values(app.screen) == expected


async def test_a_text_that_is_pasted_behind_a_tab_goes_to_the_field_that_it_leads_to() -> None:
    app = _WithBox()
    async with app.run_test() as pilot:
        app.push_screen(_Box())
        await until(pilot, lambda: app.focused is not None and app.focused.id == "first")
        await burst(pilot, *typed("\t\t"), events.Paste("first\nsecond"), *typed("\t"), events.Paste("a\nb"))
        await until(pilot, lambda: values(app.screen) == ["", False, "first\nsecond", "a b"])


async def test_keys_behind_enter_do_not_get_into_what_it_sends() -> None:
    app = _WithBox()
    async with app.run_test() as pilot:
        app.push_screen(_Box(), app.answers.append)
        await until(pilot, lambda: app.focused is not None and app.focused.id == "first")
        await burst(pilot, *typed("name\rmore"))
        await until(pilot, lambda: app.answers)
        await until(pilot, lambda: app.query_one("#below", Input).value == "more")
        assert app.answers == ["name"]


async def test_keys_behind_enter_go_to_the_box_that_it_opens() -> None:
    app = _WithBox()

    def ask_more(answer: str | None) -> None:
        app.answers.append(answer)
        app.push_screen(_Box(), app.answers.append)

    async with app.run_test() as pilot:
        app.push_screen(_Box(), ask_more)
        await until(pilot, lambda: app.focused is not None and app.focused.id == "first")
        await burst(pilot, *typed("name\rmore\t\ttext<<\r"))
        await until(pilot, lambda: len(app.answers) == 2)
        assert app.answers == ["name", "more"] and app.query_one("#below", Input).value == ""


def stall(seconds: float) -> None:
    """Keeps the program from all work, as a machine does that has other things to do."""
    time.sleep(seconds)


class _SlowField(Input):
    """A field whose Enter takes longer than keys wait for one another."""

    async def action_submit(self) -> None:
        stall(LONGEST + 0.5)
        await super().action_submit()


class _SlowBox(ModalScreen[None]):
    """A box that takes longer to open than keys wait for one, as on a machine that does much else."""

    def compose(self) -> ComposeResult:
        stall(OPENING + 0.5)
        yield _SlowField(id="first")
        yield Input(id="last")

    @on(Input.Submitted, "#first")
    def _given(self) -> None:
        self.query_one("#last").focus()


async def test_no_key_is_lost_where_the_machine_is_too_slow_to_open_a_box_in_time() -> None:
    app = _WithBox()
    async with app.run_test() as pilot:
        app.hold_keys()
        await burst(pilot, *typed("name\rmore"))
        app.push_screen(_SlowBox())
        await until(pilot, lambda: isinstance(app.screen, _SlowBox) and app.focused is not None)
        await until(pilot, lambda: not app.holds_keys and not app.deals_with_key)
        boxes = [app.screen.query_one(each, Input).value for each in ("#first", "#last")]
        assert (boxes, app.query_one("#below", Input).value) == (["name", "more"], "")


async def test_a_key_whose_field_is_gone_does_not_keep_the_others() -> None:
    app = _WithBox()
    async with app.run_test() as pilot:
        app.push_screen(_Box())
        await until(pilot, lambda: app.focused is not None and app.focused.id == "first")
        await burst(pilot, *typed("\t"))
        await app.screen.query_one("#first").remove()
        await burst(pilot, *typed("\t\tlast"))
        await until(pilot, lambda: app.screen.query_one("#last", Input).value.endswith("last"))
