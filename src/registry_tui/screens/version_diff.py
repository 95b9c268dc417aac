"""Two versions of a model: what differs in params, metrics, signature, requirements, and files by their sums."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from textual.widget import Widget

from registry_tui.actions import DIFF, bindings
from registry_tui.commands import Place
from registry_tui.screens.compare import Line, numbers_line, texts_line
from registry_tui.screens.frame import FrameScreen
from registry_tui.screens.version_panel import column_text
from registry_tui.widgets.frame import Crumb
from registry_tui.widgets.page_cache import PageCache
from registry_tui.widgets.virtual_table import Column, Empty, VirtualTable
from registry_tui.widgets.words import Cell, absolute, size

if TYPE_CHECKING:
    from registry_tui.schemas.deployments import DeploymentSuggestion
    from registry_tui.schemas.models import Manifest, ModelVersion
    from registry_tui.schemas.tracking import RunDetails


class Side:
    """One version with what is known of it; what is gone or not ours to see is None."""

    def __init__(
        self,
        version: ModelVersion,
        manifest: Manifest | None,
        described: DeploymentSuggestion | None,
        run: RunDetails | None,
    ) -> None:
        self.version, self.manifest, self.described, self.run = version, manifest, described, run


def difference(sides: Sequence[Side]) -> list[Line]:
    """Every line of the comparison; within each kind what differs comes first."""
    versions = [side.version for side in sides]
    lines = [
        texts_line("version", "status", [each.status.value for each in versions]),
        texts_line("version", "created", [absolute(each.created_at) for each in versions]),
        texts_line("version", "creator", [each.creator for each in versions]),
        texts_line("version", "aliases", [", ".join(each.aliases) or None for each in versions]),
        texts_line("version", "notes", [each.notes or None for each in versions]),
        texts_line("version", "run", [each.origin.run_name or each.origin.run_id for each in versions]),
        texts_line("version", "archive", [size(each.archive_bytes) for each in versions]),
    ]
    lines += _texts("tag", [each.tags for each in versions])
    lines += _texts("param", [{} if side.run is None else side.run.params for side in sides])
    metrics = [{} if side.run is None else side.run.metrics for side in sides]
    keys = sorted({key for each in metrics for key in each})
    lines += _differing_first([numbers_line(key, [each.get(key) for each in metrics]) for key in keys])
    for part in ("inputs", "outputs", "params"):
        lines += _texts(f"signature {part}", [_columns(side.described, part) for side in sides])
    lines += _texts("requirement", [_requirements(side.described) for side in sides])
    lines += _texts("file", [_files(side.manifest) for side in sides])
    return lines


def _texts(kind: str, values: Sequence[Mapping[str, str]]) -> list[Line]:
    keys = sorted({key for each in values for key in each})
    return _differing_first([texts_line(kind, key, [each.get(key) for each in values]) for key in keys])


def _differing_first(lines: list[Line]) -> list[Line]:
    return sorted(lines, key=lambda line: line.same)


def _columns(described: DeploymentSuggestion | None, part: str) -> dict[str, str]:
    """A signature's columns by name, or by place where they have none."""
    columns = None if described is None else (described.signature or {}).get(part)
    if not isinstance(columns, list):
        return {}
    found = {}
    for place, each in enumerate(columns):
        named = isinstance(each, dict) and "name" in each
        found[str(each["name"]) if named else f"[{place}]"] = column_text(each, named=False)
    return found


def _requirements(described: DeploymentSuggestion | None) -> dict[str, str]:
    """Requirement lines by package."""
    found = {}
    for line in () if described is None else described.requirements:
        name = next((line[:place] for place, sign in enumerate(line) if sign in "=<>!~;[ @"), line)
        found[name] = line.removeprefix(name).strip() or "any"
    return found


def _files(manifest: Manifest | None) -> dict[str, str]:
    """Files with the beginning of their sum and their size."""
    return {} if manifest is None else {each.path: f"{each.sha256[:12]}  {size(each.size)}" for each in manifest.files}


class DiffScreen(FrameScreen):
    """A line for everything, a column for each version."""

    SECTION = "models"
    ACTIONS = DIFF
    BINDINGS = bindings(DIFF)

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.sides: list[Side] = []
        self.all_lines: bool = place.state.get("all", False)

    def compose_content(self) -> Iterable[Widget]:
        yield VirtualTable((), id="table", empty=Empty("Nothing differs", ("x shows what is equal, too.",)))

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
        numbers = (int(self.place.args["one"]), int(self.place.args["other"]))
        self.sides = list(await asyncio.gather(*(self._side(number) for number in numbers)))
        self.show_crumbs()
        self._show()

    async def _side(self, number: int) -> Side:
        from registry_tui.client import ServiceProblem

        registry, model, client = self.place.args["registry"], self.place.args["model"], self.client
        version = await client.version(registry, model, number)
        manifest = described = run = None
        try:
            manifest = await client.manifest(registry, model, number)
            described = await client.suggest_deployment(registry, model, number)
        except ServiceProblem as error:
            self.flash(f"version {number}: {error.message}", "$warning")
        origin = version.origin
        if origin.project_id is not None and origin.run_id is not None:
            try:
                run = await client.run(origin.project_id, origin.run_id)
            except ServiceProblem:
                self.flash(f"version {number}: its run is not there any more, or not ours to see", "$warning")
        return Side(version, manifest, described, run)

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
        """Shows or hides what is the same in both."""
        self.all_lines = not self.all_lines
        self._show()
        self.flash("all lines" if self.all_lines else "only what differs")

    def do_copy(self) -> None:
        name = self.sides[0].version.model_name
        self.program.copy_text(" ".join(f"models:/{name}/{side.version.version}" for side in self.sides))

    def do_view(self) -> None:
        from registry_tui.screens.dialogs import View

        text = "[\n" + ",\n".join(side.version.model_dump_json(indent=2) for side in self.sides) + "\n]"
        self.app.push_screen(View("two versions", text))
