"""One project: where it is, its experiments and its Model Deployments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static, TabbedContent, TabPane

from registry_tui.screens.base.bars import Crumb
from registry_tui.screens.base.every import Every
from registry_tui.screens.base.filter_bar import Filter
from registry_tui.screens.deployments.deployment_actions import DeploymentActions
from registry_tui.screens.deployments.deployments import DeploymentsScreen
from registry_tui.screens.places.project_experiments import ExperimentActions
from registry_tui.screens.places.projects import confirm_delete_project, show_credentials
from registry_tui.terminal.action import Action, bindings
from registry_tui.terminal.actions.places import PROJECT
from registry_tui.terminal.actions.shared import ON_DEPLOYMENT
from registry_tui.terminal.commands import Place
from registry_tui.widgets.awaited import Awaited
from registry_tui.widgets.page_cache import Fetch, PageCache
from registry_tui.widgets.pages import Pages
from registry_tui.widgets.virtual_table import Column, Empty, VirtualTable
from registry_tui.wording.text import safe
from registry_tui.wording.words import Cell, ago

if TYPE_CHECKING:
    from registry_tui.schemas.deployments import Deployment
    from registry_tui.schemas.places import Project
    from registry_tui.schemas.tracking import Experiment

#: Seconds between polls of the deployments while they are in view.
EVERY = 2.0
#: Actions on the selected deployment, and those on the project, by ID.
OF_DEPLOYMENT = frozenset(action.id for action in ON_DEPLOYMENT)
OF_EXPERIMENT = frozenset({"create", "mark", "restore", "deleted"})
#: Words of actions on the tab's list.
ON_EXPERIMENT: Mapping[str, Any] = {
    "create": {"help": "Create an experiment"},
    "change": {"menu": "Rename experiment", "help": "Rename the selected experiment; its ID and its runs stay"},
    "delete": {
        "menu": "Delete experiment",
        "help": "Delete the marked experiments, or the selected one, with all runs",
    },
    "restore": {"label": "restore experiment"},
    "deleted": {"label": "deleted experiments"},
    "mark": {"label": "mark experiment"},
}
_ON_DEPLOYMENT_WORDS: Mapping[str, Any] = {
    action.id: {"menu": action.menu, "help": action.help} for action in ON_DEPLOYMENT
}
OF_PROJECT = frozenset({"deployments", "collaborators", "credentials", "deploy", "import_models", "delete_project"})


class ProjectScreen(DeploymentActions, ExperimentActions):
    """The project's facts, and a tab each for experiments and deployments."""

    SECTION = "projects"
    ACTIONS = PROJECT
    CONCERNS = frozenset({"deployment", "project"})
    BINDINGS = bindings(PROJECT)
    CSS_PATH = "../../styles/places/project.tcss"
    FILTERS = (Filter("name", "name"),)
    SORT = ("updated", True)
    COLUMNS: ClassVar[tuple[Column[Any], ...]] = (
        Column("name", "Experiment", lambda row: row.name, 0, max_width=60, sort="name", keeps_end=True),
        Column("id", "ID", lambda row: Cell(row.id, "dim"), 3, right=True),
        Column("updated", "Last updated", lambda row: Cell(ago(row.updated_at), "dim"), 1, sort="updated_at"),
        Column("created", "Created", lambda row: Cell(ago(row.created_at), "dim"), 2, sort="created_at"),
    )

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.project: Project | None = None

    def compose_content(self) -> Iterable[Widget]:
        yield Awaited(id="facts")
        columns = [column for column in DeploymentsScreen.COLUMNS if column.key != "project"]
        with Pages(id="tabs", initial=self.place.state.get("tab", "experiments")):
            with TabPane("Experiments", id="experiments"):
                yield from super().compose_content()
            with TabPane("Model Deployments", id="deployments"):
                yield VirtualTable(columns, id="deployed", empty=DEPLOY_FIRST)

    def on_mount(self) -> None:
        Every(
            self, EVERY, self._look_at_deployments, group="deployments", wanted=lambda: self.tab == "deployments"
        ).begin()
        self.focus_content()

    def crumbs(self) -> tuple[Crumb, ...]:
        name = "…" if self.project is None else self.project.name
        return (("Projects", Place("projects")), (f"{name} · deleted experiments" if self.deleted else name, None))

    # -- the project's facts ------------------------------------------------------------------------

    async def prepare(self) -> None:
        self.project = project = await self.client.project(self.place.args["project"])
        self.table.empty = (
            Empty("No experiment there")
            if project.attached_url
            else Empty(
                "No experiment yet",
                (
                    "Log one with stock MLflow code:",
                    f'  eval "$(registry-tui env --project {project.name})"',
                    "  python train.py",
                    "$ shows these lines to copy.",
                ),
            )
        )
        self._show_facts(project, "", self.place.state.get("people"))
        self._show_deployments()
        # In parallel with the list, which does not wait for them.
        self.ask(lambda: self._learn_facts(project), "facts")

    async def _learn_facts(self, project: Project) -> None:
        why = ""
        if project.registry_id is None:
            registry = (await self.client.environment(project.environment_id)).registry_name
            why = f"{project.environment_name} has no Model Registry: 1, then n makes one"
            if registry is not None:
                why = f"{project.workspace_name} is not synchronized with {registry}: 1, then s does it"
        people = (await self.client.collaborators(project.id)).items
        self.place.state["people"] = len(people)
        self._show_facts(project, why, len(people))

    def _show_facts(self, project: Project, why: str, people: int | None) -> None:
        muted = "$foreground-muted"
        parts: list[tuple[str, str]] = [
            (safe(project.name, 60), "bold"),
            ("   workspace ", muted),
            (safe(project.workspace_name, 40), ""),
            (" · environment ", muted),
            (safe(project.environment_name, 40), ""),
            (" · owner ", muted),
            (safe(project.creator, 40), ""),
        ]
        if people is not None:
            parts.append((f" · {people} {'person' if people == 1 else 'people'}", muted))
        parts.append(("\n", ""))
        if project.attached_url is not None:
            parts += [("read-only", "$warning"), (f": shows MLflow at {safe(project.attached_url, 100)}", muted)]
            if project.registry_name is not None:
                parts.append((f", registers into {safe(project.registry_name, 40)}", muted))
        elif project.registry_name is not None:
            parts += [("✓ synchronized", "$success"), (f", registers into {safe(project.registry_name, 40)}", muted)]
        else:
            parts += [("✗ cannot register models", "$warning"), (f"  {safe(why, 200)}" if why else "", muted)]
        if project.description:
            parts += [("   ", ""), (safe(project.description, 200), muted)]
        self.query_one("#facts", Static).update(Content.assemble(*parts))

    # -- tabs ---------------------------------------------------------------------------------------

    @property
    def tab(self) -> str:
        """The tab in view."""
        return self.query_one("#tabs", TabbedContent).active or "experiments"

    @property
    def deployed(self) -> VirtualTable[Deployment]:
        return self.query_one("#deployed", VirtualTable)

    def focus_content(self) -> None:
        (self.deployed if self.tab == "deployments" else self.table).focus()

    def leave(self) -> None:
        super().leave()
        self.place.state["tab"] = self.tab

    @on(TabbedContent.TabActivated)
    def _tab_chosen(self) -> None:
        self._show_deployments()
        self.show_actions()

    def do_tab_next(self) -> None:
        self.query_one("#tabs", TabbedContent).active = "experiments" if self.tab == "deployments" else "deployments"
        self.focus_content()

    def do_tab_previous(self) -> None:
        self.do_tab_next()

    def do_deployments(self) -> None:
        self.query_one("#tabs", TabbedContent).active = "deployments"
        self.focus_content()

    # -- experiments --------------------------------------------------------------------------------

    def fetch_for(self, filters: dict[str, str], order: str | None) -> Fetch[Any]:
        return self.fetch_experiments(filters.get("name") or None, order)

    def open_row(self, row: Experiment) -> None:
        project = self.place.args["project"]
        self.program.open(Place("experiment", {"project": project, "experiment": row.id}))

    def copied(self, row: Experiment) -> str:
        return row.id

    @property
    def exported(self) -> VirtualTable[Any]:
        return self.deployed if self.tab == "deployments" else self.table

    # -- deployments --------------------------------------------------------------------------------

    @property
    def deployment(self) -> Deployment | None:
        return self.deployed.current if self.tab == "deployments" else None

    def _show_deployments(self) -> None:
        if self.tab != "deployments" or not self.program.answering:
            return
        if self.deployed.source is not None:
            self.deployed.reload()
            return
        client, project = self.client, self.place.args["project"]

        async def fetch(token: str | None, backwards: bool) -> Any:
            return await client.deployments(project=project, page_token=token)

        self.deployed.set_source(PageCache(fetch, lambda row: str(row.id)))

    async def _look_at_deployments(self) -> None:
        if self.deployed.source is None:
            self._show_deployments()
        else:
            await self.deployed.reloaded()

    @on(VirtualTable.Highlighted, "#deployed")
    def _deployment_chosen(self) -> None:
        self.show_actions()

    @on(VirtualTable.Opened, "#deployed")
    def _deployment_opened(self) -> None:
        self.do_open()

    @on(VirtualTable.Failed, "#deployed")
    def _deployments_failed(self, event: VirtualTable.Failed) -> None:
        self.failed(event.error)

    # -- actions ------------------------------------------------------------------------------------

    def all_actions(self) -> list[Action]:
        """The other tab's actions stay in the help, but not in the status line; labels are those of the tab."""
        here = not self.is_mounted or self.tab == "experiments"
        hidden = ("credentials", "deployments", "create") if not here else ("deploy",)
        words = ON_EXPERIMENT if here else _ON_DEPLOYMENT_WORDS
        return [
            replace(each, footer=self._in_footer(each) and each.id not in hidden, **words.get(each.id, {}))
            for each in super().all_actions()
        ]

    def _in_footer(self, action: Action) -> bool:
        """Importing is in the status line if there is a server to import from."""
        return action.footer or (action.id == "import_models" and self._attached)

    @property
    def _attached(self) -> bool:
        """Whether the project shows an external MLflow server."""
        return self.project is not None and self.project.attached_url is not None

    def concerned(self, action: str) -> object | None:
        if self.project is None:
            return None
        return super().concerned(action) if self.tab != "deployments" else self.deployment

    def why_not(self, action: str) -> str | None:
        if self.project is None:
            return "the project is not known yet"
        if (elsewhere := self._elsewhere(action)) is not None:
            return elsewhere
        if action == "import_models" and not self._attached:
            return "the project shows no MLflow server elsewhere"
        if action in ("deploy", "import_models"):
            return None if self.project.registry_id else "the project cannot register models yet"
        if action in OF_PROJECT:
            return None
        if self.tab != "deployments" and action in (*OF_EXPERIMENT, "change", "delete"):
            return self.experiments_why_not(action)
        if action == "create":
            return self.why_not("deploy")
        if action in OF_EXPERIMENT:
            return "it belongs to Experiments (tab)"
        if action in OF_DEPLOYMENT:
            if self.tab != "deployments":
                return "it belongs to Model Deployments (tab)"
            return (
                "nothing is selected" if self.deployment is None else self.deployment_why_not(action, self.deployment)
            )
        if self.tab == "deployments" and action != "export":
            if action in ("filter", "order"):
                return "it belongs to Experiments (tab)"
            return "nothing is selected" if self.deployment is None else None
        return super().why_not(action)

    def _elsewhere(self, action: str) -> str | None:
        """Why an action is not available in a project that shows an external MLflow server, or None."""
        if self.project is None or self.project.attached_url is None:
            return None
        if action == "delete_project":
            return f"it shows a server elsewhere: registry-tui detach {self.project.workspace_name}"
        of_experiments = self.tab != "deployments" and action in ("create", "change", "delete", "restore", "mark")
        if of_experiments or action == "credentials":
            return f"experiments are changed at {self.project.attached_url}"
        return None

    def do_open(self) -> None:
        if self.tab != "deployments":
            super().do_open()
        elif self.deployment is not None:
            self.program.open(Place("deployment", {"deployment": self.deployment.id}))

    def do_copy(self) -> None:
        if self.deployment is not None:
            self.program.copy_text(self.deployment.endpoint_url)
        else:
            super().do_copy()

    def do_view(self) -> None:
        from registry_tui.screens.base.viewer import View

        if self.deployment is not None:
            self.app.push_screen(View(self.deployment.name, self.deployment.model_dump_json(indent=2)))
        else:
            super().do_view()

    @property
    def menu_of(self) -> str:
        """The selected deployment, else the project with its experiments."""
        if self.deployment is not None:
            return self.deployment.name
        return "" if self.project is None else self.project.name

    def in_menu(self, action: str) -> bool:
        if self.tab == "deployments":
            hidden = OF_EXPERIMENT | (OF_PROJECT if self.deployment is not None else OF_DEPLOYMENT)
        else:
            hidden = OF_DEPLOYMENT - {"change", "delete"}
        if action == "import_models" and not self._attached:
            return False
        return super().in_menu(action) and action not in hidden

    def do_create(self) -> None:
        if self.tab == "deployments":
            self.do_deploy()
        else:
            self.create_experiment()

    def do_change(self) -> None:
        if self.tab == "deployments":
            super().do_change()
        else:
            self.rename_experiment()

    def do_delete(self) -> None:
        if self.tab == "deployments":
            super().do_delete()
        else:
            self.delete_experiments()

    def do_deploy(self) -> None:
        from registry_tui.screens.deployments.deploy import DeployForm, open_form

        assert self.project is not None
        open_form(self, DeployForm(self.project))

    def do_import_models(self) -> None:
        from registry_tui.screens.places.import_models import open_form

        assert self.project is not None
        open_form(self, self.project)

    def do_credentials(self) -> None:
        assert self.project is not None
        show_credentials(self, self.project)

    def do_collaborators(self) -> None:
        from registry_tui.screens.places.collaborators import Collaborators

        assert self.project is not None
        self.app.push_screen(Collaborators(self.project), lambda _: self.refresh_data())

    def do_delete_project(self) -> None:
        assert self.project is not None
        confirm_delete_project(self, self.project, lambda: self.program.jump(Place("projects")))


DEPLOY_FIRST = Empty(
    "Nothing is deployed from this project",
    (
        "D deploys a registered model here,",
        "or open a model's version (3 Models) and press D.",
    ),
)
