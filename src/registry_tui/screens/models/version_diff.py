"""Two versions of a model: the differences in params, metrics, signature, requirements, and files by checksum."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.widget import Widget

from registry_tui.screens.base.bars import Crumb
from registry_tui.screens.base.frame import FrameScreen
from registry_tui.terminal.action import bindings
from registry_tui.terminal.actions.models import DIFF
from registry_tui.terminal.commands import Place
from registry_tui.widgets.page_cache import PageCache
from registry_tui.widgets.virtual_table import Column, Empty, VirtualTable
from registry_tui.wording.differences import difference
from registry_tui.wording.words import Cell

if TYPE_CHECKING:
    from registry_tui.client.version_sides import Side


class DiffScreen(FrameScreen):
    """A line for each value, a column for each version."""

    SECTION = "models"
    ACTIONS = DIFF
    BINDINGS = bindings(DIFF)

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.sides: list[Side] = []
        self.all_lines: bool = place.state.get("all", False)

    def compose_content(self) -> Iterable[Widget]:
        yield VirtualTable((), id="table", empty=Empty("Nothing differs", ("x shows equal values, too.",)))

    def crumbs(self) -> tuple[Crumb, ...]:
        args = {"registry": self.place.args["registry"], "model": self.place.args["model"]}
        name = self.sides[0].version.model_name if self.sides else self.place.args["model"]
        return (
            ("Registered Models", Place("models", {"registry": args["registry"]})),
            (name, Place("model", args)),
            (f"version {self.place.args['one']} and {self.place.args['other']}", None),
        )

    def on_mount(self) -> None:
        self.focus_content()

    def focus_content(self) -> None:
        self.query_one("#table").focus()

    def leave(self) -> None:
        self.place.state["all"] = self.all_lines

    async def start(self) -> None:
        from registry_tui.client.version_sides import read_side

        numbers = (int(self.place.args["one"]), int(self.place.args["other"]))
        registry, model = self.place.args["registry"], self.place.args["model"]
        read = (read_side(self.client, registry, model, number) for number in numbers)
        self.sides = list(await asyncio.gather(*read))
        for side in self.sides:
            for text in side.unknown:
                self.flash(text, "$warning")
        self.show_crumbs()
        self._show()

    def _show(self) -> None:
        from registry_tui.schemas.base import Page

        lines = [line for line in difference(self.sides) if self.all_lines or not line.same]
        table = self.query_one("#table", VirtualTable)

        def value(place: int) -> Column[Any]:
            title = f"version {self.sides[place].version.version}"
            return Column(f"side {place}", title, lambda line: line.cells[place], 0, max_width=36)

        table.set_columns(
            [
                Column("kind", "", lambda line: Cell(line.kind, "dim"), 0),
                Column("key", "", lambda line: line.key, 0, max_width=30),
                value(0),
                value(1),
            ]
        )

        async def fetch(token: str | None, backwards: bool) -> Any:
            return Page.model_construct(items=lines, next_page_token=None, total=len(lines))

        table.set_source(PageCache(fetch, lambda line: f"{line.kind} {line.key}"), table.place)

    def why_not(self, action: str) -> str | None:
        return None if self.sides else "the versions are not known yet"

    def do_equal(self) -> None:
        """Shows or hides the lines that are equal in both."""
        self.all_lines = not self.all_lines
        self._show()
        self.flash("all lines" if self.all_lines else "only what differs")

    def do_components(self) -> None:
        names = {name: self.place.args[name] for name in ("registry", "model")}
        self.program.open(
            Place("bom", {**names, "version": self.place.args["other"], "against": self.place.args["one"]})
        )

    def do_export(self) -> None:
        from registry_tui.screens.base.save import ExportRows, file_name

        one, other = self.sides[0].version, self.sides[1].version
        titles = [f"version {one.version}", f"version {other.version}"]
        rows = [line.fields(titles) for line in difference(self.sides) if self.all_lines or not line.same]
        name = file_name(f"{one.model_name}-v{one.version}-v{other.version}")
        self.app.push_screen(ExportRows(name, rows), self._exported)

    def _exported(self, path: Path | None) -> None:
        if path is not None:
            self.flash(f"saved in {path}")

    def do_copy(self) -> None:
        name = self.sides[0].version.model_name
        self.program.copy_text(" ".join(f"models:/{name}/{side.version.version}" for side in self.sides))

    def do_view(self) -> None:
        from registry_tui.screens.base.viewer import View

        text = "[\n" + ",\n".join(side.version.model_dump_json(indent=2) for side in self.sides) + "\n]"
        self.app.push_screen(View("two versions", text))
