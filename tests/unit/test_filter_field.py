"""The field for MLflow's filter language, when keys become known while somebody types."""

from __future__ import annotations

from textual.app import App, ComposeResult

from registry_tui.terminal.textual_private import suggestion_of
from registry_tui.widgets.filter_field import FilterField, FilterLine


async def test_keys_that_come_later_are_offered_and_completed() -> None:
    known: dict[str, list[str]] = {"metrics": []}

    class Page(App[None]):
        def compose(self) -> ComposeResult:
            yield FilterLine("", lambda: known)

    app = Page()
    async with app.run_test() as pilot:
        field = app.query_one(FilterField)
        field.focus()
        await pilot.press(*"metrics", "full_stop", "r")
        assert not field.choices.display and not suggestion_of(field)

        known["metrics"] = ["rmse"]
        field.know_more()
        await pilot.pause()
        assert suggestion_of(field) == "metrics.rmse"
        await pilot.press("right")
        assert field.value == "metrics.rmse"
