"""The Deploy a Model form: everything filled in from the version; then the rollout's progress."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from textual import on
from textual.widget import Widget
from textual.widgets import Checkbox, Input, Select, Static

from registry_tui.screens.base.form import Lines, Tick, row, whole
from registry_tui.screens.base.model_names import KnownModels
from registry_tui.screens.base.name_field import Choice, NameField, named_row
from registry_tui.screens.base.working_form import WorkingForm
from registry_tui.screens.deployments import cluster_rows, rollout_rows
from registry_tui.screens.deployments.version_names import version_choices
from registry_tui.terminal.commands import Place
from registry_tui.widgets.awaited import LOADING, loading
from registry_tui.wording.backends import runs_said
from registry_tui.wording.text import safe
from registry_tui.wording.words import memory, parse_size

if TYPE_CHECKING:
    from registry_tui.schemas.deployments import Batching, DeploymentSuggestion, EnvironmentVariable
    from registry_tui.schemas.models import ModelVersion, RegisteredModel
    from registry_tui.schemas.places import Project
    from registry_tui.schemas.scaling import Autoscaling
    from registry_tui.screens.base.frame import FrameScreen

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
#: The reason shown when *Deploy registered model* stays unticked.
FROM_A_RUN = "a model of a run is registered first: open the run, then R Register Model; deploy its version after that"


def size_text(count: int) -> str:
    """Bytes as they are typed: whole MiB or GiB."""
    return f"{count / (1 << 30):g}G" if count % (1 << 30) == 0 else f"{-(-count // (1 << 20))}M"


def parse_variables(text: str, *, secret: bool = False) -> list[EnvironmentVariable]:
    """Variables as typed: NAME=value, one a line. Raises ValueError."""
    from pydantic import ValidationError

    from registry_tui.schemas.deployments import EnvironmentVariable

    found: dict[str, str] = {}
    for line in text.splitlines():
        name, separator, value = line.partition("=")
        if not line.strip():
            continue
        if not separator:
            raise ValueError(f"{line!r} is not a variable: write NAME=value, one a line (alt+enter)")
        if name.strip() in found:
            raise ValueError(f"{name.strip()} is there twice")
        found[name.strip()] = value
    try:
        return [EnvironmentVariable(name=name, value=value, secret=secret) for name, value in found.items()]
    except ValidationError as error:
        raise ValueError("a variable's name has letters, digits and _ only") from error


class ServingForm(WorkingForm[Place]):
    """The common part of deploying and changing a deployment: the rows about replicas, and reading them."""

    WORK = "The rollout"

    def serving_rows(
        self,
        replicas: int,
        cpu: float,
        memory: str,
        variables: str,
        batching: str = "auto",
        strict_json: bool = False,
        autoscaling: Autoscaling | None = None,
        gpus: int = 0,
    ) -> Iterable[Widget]:
        yield row("Replicas", Input(str(replicas), compact=True, id="replicas", type="integer"))
        yield from cluster_rows.rows(autoscaling, gpus)
        yield row("CPU of each", Input(f"{cpu:g}", compact=True, id="cpu", type="number"))
        yield row("Memory of each", Input(memory, compact=True, id="memory", placeholder="512M, 2G"))
        yield row("Environment", Lines(variables, id="variables", placeholder="LOG_LEVEL=info    alt+enter for more"))
        yield row(
            "Secret variables",
            Input(compact=True, id="secrets", password=True, placeholder="TOKEN=…  never shown again"),
        )
        modes = [("auto: where no answer can differ by it", "auto"), ("on", "on"), ("off", "off")]
        yield row("Share calls", Select(modes, value=batching, allow_blank=False, compact=True, id="batching"))
        yield row("Strict JSON", Tick("null where MLflow answers NaN or an infinity", strict_json, id="strict"))
        yield row("Comment", Input(compact=True, id="comment"))

    def serving_problem(self) -> str | None:
        """The problem with those rows, or None."""
        replicas = self.text("replicas")
        if not 1 <= (whole(replicas) or 0) <= 32:
            return "replicas: a number from 1 to 32"
        try:
            if float(self.text("cpu") or "0") <= 0:
                return "CPU: a number above 0"
        except ValueError:
            return "CPU: a number above 0"
        try:
            if self.text("memory"):
                parse_size(self.text("memory"))
        except ValueError as error:
            return f"memory: {error}"
        try:
            parse_variables(self.text("variables"))
        except ValueError as error:
            return f"variables: {error}"
        try:
            parse_variables(self.text("secrets"), secret=True)
        except ValueError:
            return "secret variable: write NAME=value"
        return cluster_rows.problem(self)

    def text(self, name: str) -> str:
        """The text of a field."""
        field = self.query_one(f"#{name}")
        assert isinstance(field, Input | Lines)
        return (field.text if isinstance(field, Lines) else field.value).strip()

    def batching(self) -> Batching:
        """Whether requests shall share calls of the model."""
        from registry_tui.schemas.deployments import Batching

        return Batching(str(self.query_one("#batching", Select).value))

    def environment(self) -> list[EnvironmentVariable]:
        """All variables that are typed. Raises ValueError."""
        return parse_variables(self.text("variables")) + parse_variables(self.text("secrets"), secret=True)


class DeployForm(ServingForm):
    """Serves a version from a project; the result is the deployment's place.

    Without a model, the form asks for a registered model and its version or alias, as the project's page does.
    """

    OK = "Deploy model"

    def __init__(self, project: Project, model: RegisteredModel | None = None, version: int | None = None) -> None:
        super().__init__()
        self.project, self.model, self.version = project, model, version
        self.names = KnownModels()
        self.suggestion: DeploymentSuggestion | None = None
        self._named = False

    def title_text(self) -> str:
        what = "" if self.model is None else f" {self.model.name} v{self.version}"
        return f"Deploy{what} ▸ project {self.project.name} (workspace {self.project.workspace_name})"

    def compose_fields(self) -> Iterable[Widget]:
        if self.model is None:
            yield row("Model", Tick("Deploy registered model", True, id="registered"))
            field = NameField(id="model", find=self._find_models, must_exist=True, placeholder="type its name")
            yield named_row("Registered Model", field)
        typed = "" if self.version is None else str(self.version)
        version = NameField(typed, id="version", find=self._find_versions, placeholder="3, champion")
        yield named_row("Version or alias", version)
        yield Static("", id="about", classes="hint", markup=False)
        yield row("Follow the alias", Tick("roll to its version when it moves", id="follow"))
        yield rollout_rows.strategy_row("On alias moves", "follow-strategy", rollout_rows.AT_ONCE)
        yield from rollout_rows.detail_rows(None)
        yield row("Name", Input(compact=True, id="name", placeholder="wine-api"))
        yield row("Description", Lines(id="description"))
        yield row("Authentication", Tick("callers need an API key", True, id="authentication"))
        yield from self.serving_rows(1, 1.0, "", "")

    def on_mount(self) -> None:
        cluster_rows.show_rows(self, cluster=False)
        self._show_rollout()
        self.query_one("#model" if self.model is None else "#name").focus()
        self.work_on(self._learn(), "learn")

    def _show_rollout(self) -> None:
        """Shows the rollout of versions that an alias moves to, if an alias is followed."""
        rollout_rows.show_rows(self, following=self.query_one("#follow", Tick).value)

    async def _learn(self) -> None:
        client, registry = self.program.client, self.project.registry_id
        if registry is None:
            self.complain(f"The project {self.project.name} has no Model Registry; synchronize its workspace first")
            return
        if self.model is None:
            with self._loading(""):
                await self.names.ask(client, registry, "")
        await self._suggest()
        self.check()

    @contextmanager
    def _loading(self, what: str) -> Iterator[None]:
        """Shows that a response is being loaded, until it arrives or fails."""
        about = self.query_one("#about", Static)
        about.update(loading(f"{what}{LOADING}"))
        try:
            yield
        except Exception:
            about.update(self._version_problem() or "")
            raise

    @property
    def typed_name(self) -> str:
        """The model's name as far as it is typed."""
        return self.text("model")

    async def _find_models(self, name: str) -> list[Choice]:
        if self.project.registry_id is not None:
            await self.names.ask(self.program.client, self.project.registry_id, name)
            self.work_on(self._suggest(), "suggest")
            self.check()
        return self.names.choices

    async def _find_versions(self, _: str) -> list[Choice]:
        model = self.chosen_model
        return [] if model is None else await version_choices(self.program.client, model.registry_id, model.name)

    async def _suggest(self) -> None:
        """Fills in the version's suggestions where nothing was typed."""
        model, number = self.chosen_model, self.chosen_version
        about = self.query_one("#about", Static)
        self.suggestion = None
        if model is None or number is None:
            about.update(self._version_problem() or "")
            return
        with self._loading(f"version {number}: "):
            suggestion = await self.program.client.suggest_deployment(model.registry_id, model.id, number)
        self.suggestion = suggestion
        if suggestion.not_servable_reason:
            about.update(safe(self._version_problem() or "", 600))
            self.check()
            return
        columns = len((suggestion.signature or {}).get("inputs") or ())
        parts = [f"version {number}", f"{columns} inputs" if columns else "no signature"]
        parts.append(f"suggested memory {memory(suggestion.memory_bytes)}")
        if suggestion.backend == "local":
            parts.append(f"free {memory(suggestion.free_memory_bytes)} and {suggestion.machine_cpus} CPUs here")
        else:
            parts.append(f"runs {runs_said(suggestion.backend)}")
        self._show_cluster_rows()
        about.update(safe(", ".join(parts), 300) + "".join(f"\n⚠ {safe(each, 200)}" for each in suggestion.warnings))
        for field, value in (("memory", size_text(suggestion.memory_bytes)), ("name", suggestion.name)):
            if not self.text(field):
                self.query_one(f"#{field}", Input).value = value
        if not self.text("description"):
            self.query_one("#description", Lines).text = suggestion.description
        self.check()

    @on(Input.Changed, "#most")
    def _show_cluster_rows(self) -> None:
        """Shows the rows about clusters, once the chosen version fixes where it will run."""
        cluster_rows.show_rows(self, cluster=self.suggestion is not None and self.suggestion.backend != "local")

    # -- input ----------------------------------------------------------------------------------------

    @property
    def chosen_model(self) -> RegisteredModel | None:
        return self.model if self.model is not None else self.names.found.get(self.typed_name)

    @property
    def chosen_version(self) -> int | None:
        """The number that is typed, or that the typed alias names."""
        typed, model = self.text("version"), self.chosen_model
        if (number := whole(typed)) is not None:
            return number
        return None if model is None else model.aliases.get(typed)

    @on(Input.Changed, "#model")
    @on(Input.Changed, "#version")
    def _version_typed(self, event: Input.Changed) -> None:
        if event.input.id == "model":  # its versions are others
            self.query_one("#version", NameField).forget()
        self.work_on(self._suggest(), "suggest")

    def _version_problem(self) -> str | None:
        model, typed = self.chosen_model, self.text("version")
        if self.model is None and not self.query_one("#registered", Tick).value:
            return FROM_A_RUN
        if model is None:
            return self._model_problem()
        if not typed:
            known = ", ".join(sorted(model.aliases)) or "none"
            return f"Version or alias: latest is {model.latest_version}; aliases: {known}"
        if self.chosen_version is None:
            return f"{model.name} has no alias {typed}"
        if self.query_one("#follow", Tick).value and whole(typed) is not None:
            return f"untick Follow the alias to serve version {whole(typed)}, or type an alias"
        if self.suggestion is not None and self.suggestion.not_servable_reason:
            return f"version {self.chosen_version} cannot be deployed: {self.suggestion.not_servable_reason}"
        return None

    def _model_problem(self) -> str:
        """Why no model is chosen yet, with the names that could be meant."""
        name = self.typed_name
        similar = [safe(each, 40) for each in self.names.similar_to(name)]
        if not name and self.names.waits:
            return f"Registered Model: {LOADING}"
        if not name and self.names.failed:
            return "Registered Model: the names could not be loaded; type the name"
        if not name:
            return "Registered Model: " + (f"there are {', '.join(similar)}" if similar else "none is registered yet")
        if name not in self.names.found:
            return "checking the name …"
        return f"→ takes {similar[0]}" if similar else f"no model is named {name}, and none is like it"

    @on(Checkbox.Changed)
    def _ticked(self) -> None:
        if self.model is None:
            registered = self.query_one("#registered", Tick).value
            for name in ("#model", "#version", "#follow"):
                self.query_one(name).disabled = not registered
        self._show_rollout()
        self.work_on(self._suggest(), "suggest")
        self.check()

    @on(Select.Changed)
    @on(Input.Changed, "#max-disagreement")
    def _chosen(self) -> None:
        self._show_rollout()
        self.check()

    def problem_of(self) -> str | None:
        why = self._version_problem()
        if why is not None:
            return why
        if not _NAME.fullmatch(self.text("name")):
            return "name: lowercase letters, digits and hyphens, 63 at most"
        return rollout_rows.problem(self) or self.serving_problem()

    async def send(self) -> Place:
        from registry_tui.schemas.deployments import DeploymentCreate

        model, typed = self.chosen_model, self.text("version")
        assert model is not None
        autoscaling = cluster_rows.autoscaling(self)
        request = DeploymentCreate(
            name=self.text("name"),
            project=self.project.id,
            registry=model.registry_id,
            model=model.id,
            version=whole(typed),
            alias=None if whole(typed) is not None else typed,
            follow_alias=self.query_one("#follow", Tick).value,
            follow_rollout=rollout_rows.tried(rollout_rows.rollout(self, "follow-strategy")),
            description=self.text("description"),
            authentication=self.query_one("#authentication", Tick).value,
            replicas=1 if autoscaling is not None else int(self.text("replicas")),
            autoscaling=autoscaling,
            gpus=cluster_rows.gpus(self),
            cpu=float(self.text("cpu")),
            memory_bytes=parse_size(self.text("memory")) if self.text("memory") else None,
            environment=self.environment(),
            batching=self.batching(),
            strict_json=self.query_one("#strict", Tick).value,
            comment=self.text("comment"),
        )
        accepted = await self.program.client.create_deployment(request)
        await self.follow(accepted.workflow, f"{request.name} was not deployed")
        return Place("deployment", {"deployment": accepted.resource.id})


def choose_project(screen: FrameScreen, model: RegisteredModel, version: ModelVersion) -> None:
    """Select Project, then the form: the version's own project or any other of the environment."""
    screen.opening(_choose(screen, model, version), "deploy")


async def _choose(screen: FrameScreen, model: RegisteredModel, version: ModelVersion) -> None:
    from registry_tui.screens.base.dialogs import Menu, MenuItem

    client = screen.client
    registry = await client.registry(model.registry_id)
    found = [
        project async for project in client.every(client.projects) if project.environment_id == registry.environment_id
    ]
    projects = {project.id: project for project in found}
    items = [
        MenuItem(
            project.id,
            project.name,
            None if project.registry_id else "its workspace is not synchronized with the registry",
            f"workspace {project.workspace_name}",
        )
        for project in found
    ]

    def chosen(choice: str | None) -> None:
        if choice is not None:
            open_form(screen, DeployForm(projects[choice], model, version.version))

    screen.app.push_screen(Menu("Deploy: select project", items, version.origin.project_id), chosen)


def open_form(screen: FrameScreen, form: ServingForm) -> None:
    """Opens a form, and goes to the deployment that it led to."""

    def done(place: Place | None) -> None:
        if place is not None:
            screen.program.open(place)

    screen.app.push_screen(form, done)
