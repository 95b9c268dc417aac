"""Sizes of a Model Registry's archives, the largest first, and cleaning up those without a version."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Button, Static

from registry_tui.contracts.counts import counted
from registry_tui.screens.base.dialogs import Dialog, first_button, title
from registry_tui.screens.base.filter_bar import Filter, FilterBar
from registry_tui.screens.base.form import Tick
from registry_tui.screens.base.list_pane import ListPane
from registry_tui.terminal.commands import Place
from registry_tui.widgets.awaited import Awaited
from registry_tui.widgets.page_cache import Fetch
from registry_tui.widgets.virtual_table import Column, Empty, VirtualTable
from registry_tui.wording.text import safe
from registry_tui.wording.words import NOTHING, Cell, ago, size

if TYPE_CHECKING:
    from registry_tui.schemas.operations import Accepted
    from registry_tui.schemas.registries import ModelRegistry
    from registry_tui.schemas.storage import ArchiveUsage, StorageUsage

#: Seconds after which a measurement is repeated when its tab is opened, and between polls during a measurement.
FRESH, EVERY = 600.0, 0.5
#: Archives that the confirmation lists by name.
LISTED = 200

_STATES = {
    "stored": Cell("● stored", "good"),
    "storing": Cell("◐ storing", "busy"),
    "incomplete": Cell("✗ incomplete", "bad"),
    "missing": Cell("✗ no archive", "bad"),
    "failed": Cell("✗ failed", "bad"),
    "in use": Cell("◐ in use", "busy"),
    "orphaned": Cell("○ no version", "warn"),
}


def _model(row: Any) -> str | Cell:
    return row.model_name or Cell(row.model_id or "–", "dim")


_ARCHIVES: tuple[Column[Any], ...] = (
    Column("model", "Model", _model, 0, max_width=44, sort="model"),
    Column("version", "Version", lambda row: NOTHING if row.version is None else f"v{row.version}", 0, right=True),
    Column("state", "State", lambda row: _STATES.get(row.state, Cell(row.state)), 0, min_width=12, sort="state"),
    Column("bytes", "Size", lambda row: size(row.bytes), 0, right=True, min_width=8, sort="bytes"),
    Column("objects", "Objects", lambda row: f"{row.objects:,}", 1, right=True, sort="objects"),
    Column("modified", "Changed", lambda row: Cell(ago(row.modified_at), "dim"), 2, sort="modified_at"),
    Column("archive", "Archive", lambda row: Cell(f"{row.model_id}/{row.version_id}", "dim"), 3, max_width=44),
)
_MODELS: tuple[Column[Any], ...] = (
    Column("model", "Model", _model, 0, max_width=44, sort="model"),
    Column("versions", "Versions", lambda row: f"{row.versions:,}", 1, right=True, sort="versions"),
    Column("bytes", "Size", lambda row: size(row.bytes), 0, right=True, min_width=8, sort="bytes"),
    Column("objects", "Objects", lambda row: f"{row.objects:,}", 1, right=True, sort="objects"),
    Column("orphaned", "No version", lambda row: _count(row.orphaned), 0, right=True, sort="orphaned"),
    Column("id", "ID", lambda row: Cell(row.model_id, "dim"), 3),
)


def _count(number: int) -> Cell:
    return Cell(f"{number:,}", "warn") if number else NOTHING


class StoragePane(ListPane):
    """Totals with their age above, archives or models below."""

    FILTERS = (
        Filter("model", "model"),
        Filter("state", "state", tuple((state, cell.text) for state, cell in _STATES.items())),
        Filter("each", "by", (("version", "version"), ("model", "model"))),
    )
    COLUMNS = _ARCHIVES
    SORT = (("bytes", True),)
    EMPTY = Empty("No archive", ("Registering a model stores one; / changes the filter.",))

    def __init__(self) -> None:
        super().__init__()
        self.usage: StorageUsage | None = None
        self._again: Timer | None = None

    def compose(self) -> Iterable[Widget]:
        yield Awaited(id="totals")
        yield FilterBar(self.FILTERS, {"each": "version"})
        yield VirtualTable(self.COLUMNS, id="table", empty=self.EMPTY)

    @property
    def by_model(self) -> bool:
        return self.filters.get("each") == "model"

    def key_of(self, row: Any) -> str:
        version = getattr(row, "version_id", None)
        return str(row.model_id) if version is None else f"{row.model_id}/{version}"

    def show(self, registry: ModelRegistry) -> None:
        self.registry = registry
        self.frame.ask(lambda: self._learn(FRESH), "storage")

    def measure(self) -> None:
        """Starts a new measurement."""
        self.frame.ask(lambda: self._learn(0), "measure")

    async def _learn(self, max_age: float | None) -> None:
        """Requests the totals, and polls while they are measured; the last measurement stays in view meanwhile."""
        assert self.registry is not None
        from registry_tui.client import Conflict, Refused

        before = None if self.usage is None else self.usage.measured_at
        try:
            self.usage = found = await self.frame.client.storage(self.registry.id, max_age=max_age)
        except (Conflict, Refused):
            self.restart()  # this is refused too, and the reason is shown in place of the rows
            return
        self.query_one("#totals", Static).update(_totals(found))
        if self.table.source is None:
            self.restart()
        elif found.measured_at != before:
            self.table.reload()
        if self._again is not None:
            self._again.stop()
        self._again = self.set_timer(EVERY, self._look_again, name="measuring") if found.measuring else None
        self.frame.show_actions()

    def _look_again(self) -> None:
        if self.frame.is_current and self.frame.program.answering:
            self.frame.ask(lambda: self._learn(None), "storage", again=False)

    def fetch(self, registry: ModelRegistry) -> Fetch[Any]:
        client, asked, order, by_model = self.frame.client, self.filters, self.order, self.by_model
        asked.pop("each", None)
        if by_model:
            asked.pop("state", None)

        async def fetch(token: str | None, backwards: bool) -> Any:
            ask = client.storage_models if by_model else client.storage_archives
            return await ask(registry.id, order_by=order, page_token=token, **asked)

        return fetch

    def restart(self) -> None:
        columns = _MODELS if self.by_model else _ARCHIVES
        others = tuple(self.table.columns) != columns
        if others:
            self.table.sorted_by = self.SORT
        super().restart()
        if others:  # now that there are no more rows of the other kind
            self.table.set_columns(columns)

    def open_row(self, row: Any) -> None:
        if self.registry is not None and row.model_name and getattr(row, "state", "") != "orphaned":
            self.frame.program.open(Place("model", {"registry": self.registry.id, "model": row.model_name}))
        else:
            self.frame.flash("No version of it is left to open", "$warning")

    def copied(self, row: Any) -> str:
        registry = self.registry
        assert registry is not None
        return f"{registry.archives}{self.key_of(row)}/"

    # -- cleaning up ----------------------------------------------------------------------------------

    def why_not_clean_up(self) -> str | None:
        """Why nothing can be cleaned up now, or None."""
        usage = self.usage
        if usage is None or usage.measured_at is None:
            return "it is being measured"
        if not usage.orphaned and not usage.without_archive:
            return "every archive has its version, and every version its archive"
        return None

    def clean_up(self) -> None:
        """Lists the objects to be deleted, and asks."""
        self.frame.opening(self._ask(), "clean-up")

    async def _ask(self) -> None:
        from registry_tui.schemas.storage import MAX_CLEAN_UP

        registry, client = self.registry, self.frame.client
        assert registry is not None
        page = await client.storage_archives(registry.id, state="orphaned", page_size=MAX_CLEAN_UP)
        orphaned, all_orphaned = page.items, page.total or 0
        without: list[ArchiveUsage] = []
        for state in ("missing", "failed"):
            found = (await client.storage_archives(registry.id, state=state, page_size=MAX_CLEAN_UP)).items
            without += [each for each in found if not each.objects]
        if not orphaned and not without:
            self.frame.flash("There is nothing to clean up any more")
            return

        def answered(versions_too: bool | None) -> None:
            if versions_too is not None:
                chosen = [each.id for each in without[:MAX_CLEAN_UP]] if versions_too else []
                self._begin([each.id for each in orphaned], chosen)

        self.app.push_screen(ConfirmCleanUp(registry, orphaned, without, all_orphaned), answered)

    def _begin(self, archives: list[str], versions: list[str]) -> None:
        from registry_tui.schemas.storage import StorageCleanUp

        registry, client = self.registry, self.frame.client
        assert registry is not None
        request = StorageCleanUp(archives=archives, versions=versions)
        words = f"{registry.name}: clean up"
        self.frame.change(words, lambda: client.clean_up_storage(registry.id, request), self._begun)

    def _begun(self, accepted: Accepted[ModelRegistry]) -> None:
        self.frame.program.look_now()
        self.frame.program.open(Place("workflow", {"workflow": accepted.workflow.id}))


def _totals(usage: StorageUsage) -> Content:
    """Two lines: the size, and the problem with it or the progress of measuring."""
    muted = "$foreground-muted"
    if usage.measured_at is None:
        so_far = f"Measuring, {counted(usage.seen, 'object')} so far …"
        words = so_far if usage.measuring else usage.error or "Not measured yet"
        return Content.assemble((safe(words, 300), "$accent" if usage.measuring else "$error"))
    parts: list[tuple[str, str]] = [
        (size(usage.bytes), "bold"),
        (
            f" in {counted(usage.objects, 'object')} · {counted(usage.archives, 'archive')}"
            f" of {counted(usage.models, 'model')}",
            "",
        ),
        (f" · measured {ago(usage.measured_at)}", muted),
    ]
    if usage.measuring:
        parts.append((f" · measuring again, {counted(usage.seen, 'object')}", "$accent"))
    elif usage.error:
        parts.append((f" · could not be measured again: {safe(usage.error, 200)}", "$error"))
    parts.append(("\n", ""))
    if usage.orphaned:
        parts.append((f"{usage.orphaned:,} without a version ({size(usage.orphaned_bytes)})   ", "$warning"))
    if usage.without_archive:
        parts.append((f"{counted(usage.without_archive, 'version')} without an archive   ", "$error"))
    if usage.other_objects:
        parts.append((f"{counted(usage.other_objects, 'object')} of no archive ({size(usage.other_bytes)})", muted))
    if not (usage.orphaned or usage.without_archive or usage.other_objects):
        parts.append(("every archive has its version, and every version its archive", muted))
    return Content.assemble(*parts)


class ConfirmCleanUp(Dialog[bool]):
    """Lists the objects to be deleted. The result is whether versions without an archive are deleted too."""

    def __init__(
        self,
        registry: ModelRegistry,
        orphaned: Sequence[ArchiveUsage],
        without: Sequence[ArchiveUsage],
        all_orphaned: int,
    ) -> None:
        """`all_orphaned`: their total number; one clean-up deletes at most a thousand."""
        super().__init__()
        self.registry, self.orphaned, self.without, self.all_orphaned = registry, orphaned, without, all_orphaned

    def compose(self) -> ComposeResult:
        with Vertical(classes="box clean-up") as box:
            box.border_title = title(f"Clean up the storage of {self.registry.name}", 60)
            if self.orphaned:
                total = size(sum(each.bytes for each in self.orphaned))
                more = f"; {self.all_orphaned:,} there are" if self.all_orphaned > len(self.orphaned) else ""
                words = f"Goes: {counted(len(self.orphaned), 'archive')} without a version, {total}{more}"
                yield Static(words, classes="note", markup=False)
                with VerticalScroll(classes="listed"):
                    yield Static(_listed(self.orphaned), markup=False)
            if self.without:
                words = f"and {counted(len(self.without), 'version')} without an archive"
                yield Tick(words, not self.orphaned, id="versions")
                with VerticalScroll(classes="listed"):
                    yield Static(_listed(self.without), markup=False)
            stays = "Stays: every archive that has a version, is being stored, or is deployed. Each is looked at again."
            yield Static(stays, classes="note", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button("Clean up", id="ok", variant="error", compact=True)

    def on_mount(self) -> None:
        self.query_one(first_button(danger=True)).focus()
        self._check()

    def on_checkbox_changed(self) -> None:
        self._check()

    @property
    def versions_too(self) -> bool:
        return bool(self.without) and self.query_one("#versions", Tick).value

    def _check(self) -> None:
        self.query_one("#ok", Button).disabled = not (self.orphaned or self.versions_too)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(self.versions_too if event.button.id == "ok" else None)


def _listed(archives: Sequence[ArchiveUsage]) -> Content:
    parts: list[tuple[str, str]] = []
    for each in archives[:LISTED]:
        version = "" if each.version is None else f" v{each.version}"
        parts.append((f"{size(each.bytes):>9}  ", "$foreground-muted"))
        parts.append((f"{safe(each.model_name or each.id, 60)}{version}\n", ""))
    if len(archives) > LISTED:
        parts.append((f"           and {len(archives) - LISTED:,} more", "$foreground-muted"))
    return Content.assemble(*parts)
