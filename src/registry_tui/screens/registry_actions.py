"""What can be done with a Model Registry, from its list and from its page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Checkbox, Input, Label, Static

from registry_tui.commands import Place
from registry_tui.screens.dialogs import Confirm, Dialog, Menu, MenuItem
from registry_tui.screens.frame import FrameScreen
from registry_tui.widgets.text import safe

if TYPE_CHECKING:
    from registry_tui.schemas.operations import Accepted
    from registry_tui.schemas.registries import ModelRegistry


def registry_menu(screen: FrameScreen, registry: ModelRegistry) -> None:
    """The *Actions* menu."""
    items = [
        MenuItem("synchronize", "Synchronize", screen.reason("synchronize"), "tell each workspace about the registry"),
        MenuItem("copy", "Copy CRN", None, registry.crn),
        MenuItem("delete", "Delete", screen.reason("delete"), "with its registered models"),
    ]

    def chosen(action: str | None) -> None:
        if action == "synchronize":
            confirm_synchronize(screen, registry)
        elif action == "delete":
            confirm_delete(screen, registry)
        elif action == "copy":
            screen.program.copy_text(registry.crn)

    screen.app.push_screen(Menu(f"Actions of {registry.name}", items), chosen)


def confirm_synchronize(screen: FrameScreen, registry: ModelRegistry) -> None:
    """Lists each workspace with its present state, then synchronizes and follows."""
    if registry.workspaces:
        lines = [f"Workspaces of {registry.environment_name}:"]
        for sync in registry.workspaces:
            plural = "project" if sync.project_count == 1 else "projects"
            lines.append(f"  {sync.workspace_name}: {sync.state.value}, {sync.project_count} {plural}")
    else:
        lines = [f"{registry.environment_name} has no workspace yet; there is nothing to tell."]

    def answered(ok: bool | None) -> None:
        if ok:
            screen.work_on(_begin(screen, screen.client.synchronize_registry(registry.id)), "change", exclusive=False)

    screen.app.push_screen(Confirm(f"Synchronize {registry.name}", lines), answered)


def confirm_delete(screen: FrameScreen, registry: ModelRegistry) -> None:
    """Says what goes and what stays; the name has to be typed."""

    def answered(choice: tuple[bool, bool] | None) -> None:
        if choice is not None:
            from registry_tui.schemas.registries import RegistryDelete

            archives, force = choice
            request = RegistryDelete(delete_archives=archives, force=force)
            work = screen.client.delete_registry(registry.id, request)
            screen.work_on(_begin(screen, work), "change", exclusive=False)

    screen.app.push_screen(DeleteRegistry(registry), answered)


async def _begin(screen: FrameScreen, asked: object) -> None:
    from collections.abc import Awaitable
    from typing import cast

    accepted = await cast("Awaitable[Accepted[ModelRegistry]]", asked)
    screen.program.look_now()
    screen.program.open(Place("workflow", {"workflow": accepted.workflow.id}))


class DeleteRegistry(Dialog[tuple[bool, bool]]):
    """Gives (delete archives, force)."""

    def __init__(self, registry: ModelRegistry) -> None:
        super().__init__()
        self.registry = registry

    def compose(self) -> ComposeResult:
        registry = self.registry
        count = "its registered models" if registry.model_count is None else f"{registry.model_count} registered models"
        with Vertical(classes="box") as box:
            box.border_title = safe(f"Delete {registry.name}")
            yield Static(f"Goes: {count}, its machine user, its MLflow workspace.", classes="note", markup=False)
            yield Static(
                f"Stays: environment {registry.environment_name}, its workspaces, projects and runs.",
                classes="note",
                markup=False,
            )
            yield Checkbox("delete the stored archives too", compact=True, id="archives")
            yield Checkbox("force: go on after errors, and over deployed versions", compact=True, id="force")
            yield Label(f"\nType {safe(registry.name)} to go on:", markup=False)
            yield Input(compact=True, id="typed")
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button("Delete", id="ok", variant="error", compact=True, disabled=True)

    def on_mount(self) -> None:
        self.query_one("#typed").focus()

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
        self.dismiss((self.query_one("#archives", Checkbox).value, self.query_one("#force", Checkbox).value))
