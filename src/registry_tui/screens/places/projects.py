"""Projects: each is one MLflow workspace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from registry_tui.contracts.lineage_refs import reference
from registry_tui.screens.base.bars import Crumb
from registry_tui.screens.base.filter_bar import Filter, FilterBar
from registry_tui.screens.base.frame import FrameScreen
from registry_tui.screens.base.list_screen import ListScreen
from registry_tui.terminal.action import bindings
from registry_tui.terminal.actions.places import PROJECTS
from registry_tui.terminal.commands import Place
from registry_tui.widgets.page_cache import Fetch
from registry_tui.widgets.virtual_table import Column, Empty
from registry_tui.wording.words import Cell, ago

if TYPE_CHECKING:
    from registry_tui.schemas.places import Project


class ProjectsScreen(ListScreen):
    """All projects of this installation."""

    SECTION = "projects"
    ACTIONS = PROJECTS
    CONCERNS = frozenset({"project", "workspace"})
    BINDINGS = bindings(PROJECTS)
    CSS_PATH = "../../styles/places/project.tcss"
    SORT = ("name", False)
    FILTERS = (
        Filter("name", "name"),
        Filter("workspace", "workspace", ()),
        Filter("environment", "environment", ()),
    )
    COLUMNS: ClassVar[tuple[Column[Any], ...]] = (
        Column("name", "Name", lambda row: row.name, 0, sort="name", keeps_end=True),
        Column("workspace", "Workspace", lambda row: row.workspace_name, 1),
        Column("environment", "Environment", lambda row: row.environment_name, 2),
        Column("registry", "Registers into", lambda row: row.registry_name or Cell("–", "dim"), 1),
        Column("creator", "Creator", lambda row: row.creator, 5, sort="creator"),
        Column("created", "Created", lambda row: Cell(ago(row.created_at), "dim"), 4, sort="created_at"),
        Column("description", "Description", lambda row: Cell(row.description, "dim"), 3, max_width=60),
    )
    EMPTY = Empty("No project yet", ("n creates one in a workspace.",), action="create")

    def crumbs(self) -> tuple[Crumb, ...]:
        return (("Projects", None),)

    def fetch_for(self, filters: dict[str, str], order: str | None) -> Fetch[Any]:
        client = self.client
        asked = {name: value or None for name, value in filters.items()}

        async def fetch(token: str | None, backwards: bool) -> Any:
            return await client.projects(**asked, order_by=order, page_token=token)

        return fetch

    async def prepare(self) -> None:
        # In parallel with the list, which does not wait for the choices.
        self.ask(self._offer_choices, "choices")

    async def _offer_choices(self) -> None:
        client, filters = self.client, self.query_one(FilterBar)
        workspaces = [each async for each in client.every(client.workspaces, page_size=1000)]
        names = Counter(each.name for each in workspaces)
        choices = [
            (each.id, each.name if names[each.name] == 1 else f"{each.name} ({each.environment_name})")
            for each in workspaces
        ]
        filters.set_choices("workspace", tuple(choices))
        environments = [each async for each in client.every(client.environments, page_size=1000)]
        filters.set_choices("environment", tuple((each.id, each.name) for each in environments))

    def open_row(self, row: Project) -> None:
        self.program.open(Place("project", {"project": row.id}))

    def copied(self, row: Project) -> str:
        return row.mlflow_workspace

    def do_attached(self) -> None:
        self.program.open(Place("attached"))

    def do_create(self) -> None:
        self.work_on(self._create(), "create")

    async def _create(self) -> None:
        from registry_tui.screens.places.create_place import CreateProject

        found = (await self.client.workspaces(page_size=1000)).items
        if not found:
            self.flash("There is no workspace yet: 5, then N makes one", "$warning")
            return
        choices = [(f"{each.name} ({each.environment_name})", each.id) for each in found]
        self.app.push_screen(CreateProject(choices), self._made)

    def _made(self, name: str | None) -> None:
        if name is not None:
            self.flash(f"Project {name} is there")
            self.refresh_data()

    def do_credentials(self) -> None:
        show_credentials(self, self.current)

    def do_collaborators(self) -> None:
        from registry_tui.screens.places.collaborators import Collaborators

        self.app.push_screen(Collaborators(self.current))

    def do_delete(self) -> None:
        confirm_delete_project(self, self.current, self.refresh_data)


def confirm_delete_project(screen: FrameScreen, project: Project, then: Callable[[], None]) -> None:
    """Shows which data is deleted and which is kept; the name must be typed."""
    from registry_tui.screens.base.dialogs import Confirm

    lines = (
        f"Goes: {project.name} with its experiments, runs, run artifacts and deployments.",
        "Stays: every version that was registered from it, with its archive.",
    )

    client = screen.client

    def deleted(_: None) -> None:
        then()
        screen.program.frame.flash(f"Project {project.name} is deleted")

    def answered(ok: bool | None) -> None:
        if ok:
            words = f"{project.name}: delete"
            screen.change(words, lambda: client.delete_project(project.id, force=True), deleted)

    about = reference("project", project.id)
    question = Confirm("Delete project", lines, "Delete", project.name, danger=True, about=about)
    screen.app.push_screen(question, answered)


def show_credentials(screen: FrameScreen, project: Project) -> None:
    """Shows the exports that configure stock MLflow code for a project. The password is not on the screen."""
    from registry_tui.screens.base.viewer import View

    command = f'eval "$(registry-tui env --project {project.name})"'
    text = (
        f"{command}\npython train.py\n\n"
        "# in train.py, stock MLflow code:\n"
        "import mlflow\n\n"
        'mlflow.set_experiment("my experiment")\n'
        "with mlflow.start_run():\n"
        '    mlflow.log_param("alpha", 0.5)\n'
        '    mlflow.sklearn.log_model(model, name="model", registered_model_name="MyModel")\n'
    )
    note = f"Stock MLflow code logs into {project.name} with these lines, in any shell of this machine."
    screen.app.push_screen(View(f"work in {project.name}", text, note=note))
