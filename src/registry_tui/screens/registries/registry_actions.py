"""Actions on a Model Registry, from its list and from its page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Input, Label, Static

from registry_tui.contracts.counts import counted
from registry_tui.contracts.lineage_refs import reference
from registry_tui.screens.base.depends_on import DependsOn
from registry_tui.screens.base.dialogs import Dialog, title
from registry_tui.screens.base.form import Tick
from registry_tui.screens.base.frame import FrameScreen
from registry_tui.screens.base.working_form import WorkingForm
from registry_tui.terminal.commands import Place
from registry_tui.widgets.awaited import LOADING
from registry_tui.wording.text import safe
from registry_tui.wording.words import ago, size

if TYPE_CHECKING:
    from registry_tui.schemas.operations import Accepted
    from registry_tui.schemas.registries import ModelRegistry, WorkspaceSync


def confirm_synchronize(screen: FrameScreen, registry: ModelRegistry) -> None:
    """Lists each workspace with its current state, then each one's outcome."""

    def ended(_: bool | None) -> None:
        screen.refresh_data()
        screen.program.look_now()

    screen.app.push_screen(Synchronize(registry), ended)


def confirm_delete(screen: FrameScreen, registry: ModelRegistry) -> None:
    """Shows which data is deleted and which is kept; the name must be typed."""

    def answered(choice: tuple[bool, bool] | None) -> None:
        if choice is not None:
            from registry_tui.schemas.registries import RegistryDelete

            archives, force = choice
            request = RegistryDelete(delete_archives=archives, force=force)
            client = screen.client
            screen.change(
                f"{registry.name}: delete",
                lambda: client.delete_registry(registry.id, request),
                lambda accepted: _follow(screen, accepted),
            )

    screen.app.push_screen(DeleteRegistry(registry), answered)


def _follow(screen: FrameScreen, accepted: Accepted[ModelRegistry]) -> None:
    screen.program.look_now()
    screen.program.open(Place("workflow", {"workflow": accepted.workflow.id}))


def sync_line(sync: WorkspaceSync, label: str = "") -> Content:
    """A workspace, and whether its projects know the registry."""
    style = {"completed": "$success", "failed": "$error", "running": "$accent"}.get(sync.state, "$foreground-muted")
    mark = {"completed": "✓", "failed": "✗", "running": "◐"}.get(sync.state, "○")
    words = {"completed": "synchronized", "never run": "never synchronized"}.get(sync.state, sync.state.value)
    when = f", {ago(sync.finished_at)}" if sync.finished_at else ""
    return Content.assemble(
        (f"{label:<24}" if label else "", "$foreground-muted"),
        (f"{safe(sync.workspace_name, 40)}  ", ""),
        (f"{mark} {words}", style),
        (f"  {counted(sync.project_count, 'project')}{when}", "$foreground-muted"),
        (f"  {safe(sync.error, 300)}" if sync.error else "", "$error"),
    )


class Synchronize(WorkingForm[bool]):
    """Confirms, follows the workflow in place, and stays to show the outcome of each workspace."""

    OK = "OK"
    WORK = "Synchronizing"

    def __init__(self, registry: ModelRegistry) -> None:
        super().__init__()
        self.registry = registry
        self.ended = False

    def title_text(self) -> str:
        return f"Synchronize {self.registry.name}"

    def compose_fields(self) -> Iterable[Widget]:
        words = f"These workspaces of {self.registry.environment_name} will use the registry:"
        yield Static(safe(words), classes="note", id="words", markup=False)
        yield Static("", id="workspaces", classes="note", markup=False)

    def on_mount(self) -> None:
        self._show()
        self.query_one("#ok").focus()
        self.work_on(self._learn(), "learn")

    async def _learn(self) -> None:
        self.registry = await self.program.client.registry(self.registry.id)
        self._show()

    def _show(self) -> None:
        lines = [part for sync in self.registry.workspaces for part in (sync_line(sync), Content("\n"))]
        none = f"{self.registry.environment_name} has no workspace yet; 5 Environments, then N makes one."
        self.query_one("#workspaces", Static).update(Content.assemble(*lines[:-1]) if lines else safe(none))
        self.check()

    def problem_of(self) -> str | None:
        if self.under_way and not self.ended:
            return "it is under way"
        return None if self.registry.workspaces else "there is no workspace to notify"

    async def send(self) -> bool:
        if self.ended:
            return True
        accepted = await self.program.client.synchronize_registry(self.registry.id)
        try:
            await self.follow(accepted.workflow, "Not every workspace was synchronized")
        finally:
            await self._learn()
        self.ended, self.under_way = True, False
        return False

    def sent(self, result: bool) -> None:
        if result:
            self.dismiss(True)
            return
        self.query_one("#words", Static).update("Done. Their projects register here now:")
        for name in ("#progress", "#step", "#cancel"):
            self.query_one(name).display = False
        self.query_one("#ok", Button).label = "Close"
        self.check()
        self.query_one("#ok").focus()


class DeleteRegistry(Dialog[tuple[bool, bool]]):
    """Shows the numbers of deleted and kept objects. The result is (delete archives, force)."""

    def __init__(self, registry: ModelRegistry) -> None:
        super().__init__()
        self.registry = registry

    def compose(self) -> ComposeResult:
        registry = self.registry
        with Vertical(classes="box") as box:
            box.border_title = title(f"Delete {registry.name}")
            yield Static("", id="goes", classes="note", markup=False)
            yield Static("", id="stays", classes="note", markup=False)
            yield DependsOn([reference("registry", registry.id)])
            yield Tick("delete the stored archives too", id="archives")
            yield Tick("force: go on after errors, and over deployed versions", id="force")
            yield Label(f"\nType {safe(registry.name)} to go on:", markup=False)
            yield Input(compact=True, id="typed")
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button("Delete", id="ok", variant="error", compact=True, disabled=True)

    def on_mount(self) -> None:
        self.query_one("#typed").focus()
        self.show_counts(None, LOADING)
        self.work_on(self._count(), "count")

    async def _count(self) -> None:
        """Shows the registry's content."""
        client = self.program.client
        self.registry = registry = await client.registry(self.registry.id)
        stored = ""
        if registry.status.live:
            usage = await client.storage(registry.id, max_age=60)
            if usage.measured_at is not None:
                stored = f"{counted(usage.archives, 'archive')}, {size(usage.bytes)}"
        self.show_counts(registry.model_count, stored)

    def failed(self, error: Exception) -> None:
        self.show_counts(None, "")
        self.query_one("#goes", Static).update(safe(f"Goes: everything in it. It could not be counted: {error}", 400))

    def show_counts(self, models: int | None, stored: str) -> None:
        """Shows which objects are deleted and kept; while they are being counted `models` is None, and `stored` is a
        text for that."""
        registry = self.registry
        held = "its registered models" if models is None else counted(models, "registered model")
        number = f" ({LOADING})" if models is None else ""
        workspace = registry.mlflow_workspace
        goes = f"Goes: {held} with all versions{number}, its machine user, its MLflow workspace {workspace}."
        self.query_one("#goes", Static).update(safe(goes))
        kept = f"its archives ({stored}) in {registry.archives} unless chosen below; " if stored else ""
        stays = f"Stays: {kept}environment {registry.environment_name} with its workspaces, projects and runs."
        self.query_one("#stays", Static).update(safe(stays))
        if stored and models is not None:
            self.query_one("#archives", Tick).label = f"delete the stored archives too: {stored}"

    def on_input_changed(self, event: Input.Changed) -> None:
        self.query_one("#ok", Button).disabled = event.value != self.registry.name

    def on_input_submitted(self) -> None:
        if not self.query_one("#ok", Button).disabled:
            self._give()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "ok":
            self._give()
        else:
            self.dismiss(None)

    def _give(self) -> None:
        self.dismiss((self.query_one("#archives", Tick).value, self.query_one("#force", Tick).value))
