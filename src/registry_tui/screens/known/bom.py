"""The components of a version from its bill of materials, or the differences from another version's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual.content import Content
from textual.widget import Widget

from registry_tui.contracts.counts import counted
from registry_tui.screens.base.bars import Crumb
from registry_tui.screens.base.filter_bar import Filter
from registry_tui.screens.base.list_screen import ListScreen
from registry_tui.screens.known.version import change_problem, version_crumbs
from registry_tui.terminal.action import bindings
from registry_tui.terminal.actions.known import BOM
from registry_tui.terminal.commands import Place
from registry_tui.widgets.awaited import Awaited
from registry_tui.widgets.page_cache import Fetch, Rows
from registry_tui.widgets.virtual_table import Column, Empty
from registry_tui.wording.bom_differences import KINDS, BomLine, BomPart, bom_difference, bom_parts
from registry_tui.wording.text import safe
from registry_tui.wording.words import Cell, ago

if TYPE_CHECKING:
    from registry_tui.schemas.boms import VersionBom
    from registry_tui.schemas.models import ModelVersion, RegisteredModel

_NOT_MADE = Empty("It has no bill of materials yet", ("It was registered before they were made; r makes it now.",))


class BomScreen(ListScreen):
    """The parts of one version; with `against` in its place, the differences from another version."""

    SECTION = "models"
    ACTIONS = BOM
    CONCERNS = frozenset({"version"})
    BINDINGS = bindings(BOM)
    CSS_PATH = "../../styles/known/known.tcss"
    FILTERS = (
        Filter("search", "search", placeholder="names, versions, digests"),
        Filter("kind", "kind", tuple((kind, kind) for kind in KINDS)),
    )
    COLUMNS: ClassVar[tuple[Column[Any], ...]] = (
        Column("kind", "Kind", lambda row: Cell(row.kind, "dim"), 0),
        Column("name", "Name", lambda row: row.name, 0, max_width=60),
        Column("told", "Version, digest or value", lambda row: row.told, 0, max_width=80),
    )
    EMPTY = Empty("Nothing is listed", ("The version says neither requirements nor a run with data sets.",))

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.version: ModelVersion | None = None
        self.model: RegisteredModel | None = None
        #: Of the other version, if there is one, and of this one.
        self.boms: list[VersionBom] = []

    @property
    def against(self) -> int | None:
        """The version that it is compared with."""
        other = self.place.args.get("against")
        return int(other) if other else None

    @property
    def columns(self) -> tuple[Column[Any], ...]:
        if self.against is None:
            return self.COLUMNS
        return (
            self.COLUMNS[0],
            self.COLUMNS[1],
            Column("one", f"Version {self.against}", lambda row: row.one, 0, max_width=48),
            Column("other", f"Version {self.place.args['version']}", lambda row: row.other, 0, max_width=48),
        )

    @property
    def nothing(self) -> Empty:
        if not self.boms:
            return _NOT_MADE
        return self.EMPTY if self.against is None else Empty("Nothing differs")

    def compose_content(self) -> Iterable[Widget]:
        yield Awaited(id="facts")
        yield from super().compose_content()

    def crumbs(self) -> tuple[Crumb, ...]:
        words = "Bill of materials" if self.against is None else f"What it is made of, against version {self.against}"
        return (*version_crumbs(self.place, self.version), (words, None))

    async def prepare(self) -> None:
        from registry_tui.client import NotFound

        registry, model, number = self.place.args["registry"], self.place.args["model"], int(self.place.args["version"])
        self.version = await self.client.version(registry, model, number)
        self.model = await self.client.model(registry, model)
        numbers = [number] if self.against is None else [self.against, number]
        try:
            self.boms = [await self.client.bom(registry, model, each) for each in numbers]
        except NotFound:
            if self.against is not None:
                raise
            self.boms = []
        self.query_one("#facts", Awaited).update(_facts(self.version, self.boms))

    def _rows(self) -> Sequence[BomPart | BomLine]:
        if len(self.boms) == 2:
            return bom_difference(self.boms[0].document, self.boms[1].document)
        return [part for each in self.boms for part in bom_parts(each.document)]

    def _chosen(self) -> list[BomPart | BomLine]:
        """The filtered rows."""
        wanted, kind = self.filters["search"].strip().casefold(), self.filters["kind"]
        return [row for row in self._rows() if kind in ("", row.kind) and wanted in _searched(row)]

    def fetch_for(self, filters: dict[str, str], order: str | None) -> Fetch[Any]:
        async def fetch(token: str | None, backwards: bool) -> Any:
            found = self._chosen()
            return Rows(found, total=len(found))

        return fetch

    def key_of(self, row: BomPart | BomLine) -> str:
        return f"{row.kind}\t{row.name}\t{row.told if isinstance(row, BomPart) else ''}"

    def copied(self, row: BomPart | BomLine) -> str:
        return row.told or row.name if isinstance(row, BomPart) else row.name

    def open_row(self, row: BomPart | BomLine) -> None:
        """Shows the versions that use the same."""
        uses = _uses(row)
        if uses:
            self.program.open(Place("uses", {"uses": uses}))
        else:
            self.flash(f"{safe(row.name, 60)}: nothing can be searched for by a {row.kind}", "$warning")

    # -- actions ------------------------------------------------------------------------------------

    def why_not(self, action: str) -> str | None:
        if action == "again":
            if self.against is not None:
                return "open the bill of one version for that"
            return change_problem(self.program.me, self.model, self.version)
        if action == "view":
            return None if self.boms else "it has no bill of materials yet"
        return super().why_not(action)

    def row_why_not(self, action: str, row: BomPart | BomLine | None) -> str | None:
        if action == "components" and row is not None and not _uses(row):
            return f"nothing can be searched for by a {row.kind}"
        return None

    def do_components(self) -> None:
        self.open_row(self.current)

    def do_again(self) -> None:
        version, client = self.version, self.client
        assert version is not None
        send = lambda: client.make_bom(version.registry_id, version.model_id, version.version)  # noqa: E731
        self.change(f"{version.model_name} v{version.version}: bill of materials", send, self._made)

    def _made(self, bom: VersionBom) -> None:
        self.flash(f"made again: {counted(len(bom_parts(bom.document)), 'part')}")
        self.refresh_data()

    def do_export(self) -> None:
        from registry_tui.screens.base.save import ExportRows, file_name

        name = file_name(f"bom-{self.place.args['model']}-v{self.place.args['version']}")
        wanted = [asdict(row) for row in self._chosen()]
        self.app.push_screen(ExportRows(name, wanted), self._exported)

    def _exported(self, path: Path | None) -> None:
        if path is not None:
            self.flash(f"saved in {path}")

    def do_view(self) -> None:
        import json

        from registry_tui.screens.base.viewer import View

        assert self.version is not None
        name = f"{self.version.model_name} v{self.version.version}"
        note = f"CycloneDX {self.boms[-1].document.get('specVersion', '')}"
        self.app.push_screen(View(f"{name}.cdx", json.dumps(self.boms[-1].document, indent=2), note=note))


def _uses(row: BomPart | BomLine) -> str:
    if isinstance(row, BomPart):
        return row.uses
    # The one of the two that has it.
    return BomPart(row.kind, row.name).uses


def _searched(row: BomPart | BomLine) -> str:
    values = (row.told,) if isinstance(row, BomPart) else (row.one, row.other)
    return " ".join((row.kind, row.name, *values)).casefold()


def _facts(version: ModelVersion, boms: Sequence[VersionBom]) -> Content:
    parts = [(f"{safe(version.model_name, 64)} v{version.version}", "bold")]
    if boms:
        spec = safe(str(boms[-1].document.get("specVersion", "")), 10)
        parts.append((f"  CycloneDX {spec}, made {ago(boms[-1].made_at)}", "$foreground-muted"))
    return Content.assemble(*parts)
