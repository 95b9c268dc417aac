"""Forms that create environments, workspaces and projects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from textual.widget import Widget
from textual.widgets import Input, Select

from registry_tui.screens.base.form import Form, Lines, Tick, row
from registry_tui.screens.base.names import name_problem
from registry_tui.screens.base.store_fields import StoreFields
from registry_tui.screens.places.store_forms import StoreForm

if TYPE_CHECKING:
    from registry_tui.schemas.places import Environment


def name_row() -> Widget:
    """The row for the name of the new object."""
    return row("Name", Input(compact=True, id="name", placeholder="lowercase letters, digits, hyphens"))


class _Named(Form[str]):
    """A form with a name."""

    @property
    def typed_name(self) -> str:
        return self.query_one("#name", Input).value.strip()

    def problem_of(self) -> str | None:
        return name_problem(self.typed_name)

    def on_mount(self) -> None:
        self.query_one("#name").focus()


class CreateEnvironment(StoreForm):
    """Creates an environment, perhaps with its own store."""

    TITLE_TEXT = "Create environment"

    def compose_fields(self) -> Iterable[Widget]:
        yield name_row()
        clouds = (("AWS", "aws"), ("Azure", "azure"))
        yield row("Cloud", Select(clouds, value="aws", allow_blank=False, compact=True, id="cloud"))
        yield row("RAZ", Tick("fine-grained storage access", True, id="raz"))
        yield StoreFields()

    def on_mount(self) -> None:
        self.query_one("#name").focus()

    @property
    def typed_name(self) -> str:
        """The environment's name."""
        return self.query_one("#name", Input).value.strip()

    def problem_of(self) -> str | None:
        return name_problem(self.typed_name) or self.store_fields.problem()

    async def send(self) -> Environment:
        from registry_tui.schemas.places import Cloud, EnvironmentCreate

        request = EnvironmentCreate(
            name=self.typed_name,
            cloud=Cloud(str(self.query_one("#cloud", Select).value)),
            raz_enabled=self.query_one("#raz", Tick).value,
            store=await self.store_fields.store(),
            store_artifacts=self.store_fields.artifacts,
        )
        return await self.program.client.create_environment(request)


class CreateWorkspace(_Named):
    """Creates a workspace in an environment."""

    def __init__(self, environment: str) -> None:
        super().__init__()
        self.environment = environment

    def title_text(self) -> str:
        return f"Create workspace in {self.environment}"

    def compose_fields(self) -> Iterable[Widget]:
        yield name_row()

    async def send(self) -> str:
        from registry_tui.schemas.places import WorkspaceCreate

        request = WorkspaceCreate(name=self.typed_name, environment=self.environment)
        return (await self.program.client.create_workspace(request)).name


class CreateProject(_Named):
    """Creates a project in a workspace; the result is its name."""

    TITLE_TEXT = "Create project"

    def __init__(self, workspaces: Sequence[tuple[str, str]]) -> None:
        """`workspaces`: label and ID of each."""
        super().__init__()
        self.workspaces = list(workspaces)

    def compose_fields(self) -> Iterable[Widget]:
        yield name_row()
        yield row("Workspace", Select(self.workspaces, compact=True, id="workspace", prompt="choose"))
        yield row("Description", Lines(id="description"))

    def on_mount(self) -> None:
        if len(self.workspaces) == 1:
            self.query_one("#workspace", Select).value = self.workspaces[0][1]

    def problem_of(self) -> str | None:
        if self.query_one("#workspace", Select).is_blank():
            return name_problem(self.typed_name) or "choose a workspace"
        return name_problem(self.typed_name)

    def on_select_changed(self) -> None:
        self.check()

    async def send(self) -> str:
        from registry_tui.schemas.places import ProjectCreate

        request = ProjectCreate(
            name=self.typed_name,
            workspace=str(self.query_one("#workspace", Select).value),
            description=self.query_one("#description", Lines).text,
        )
        return (await self.program.client.create_project(request)).name
