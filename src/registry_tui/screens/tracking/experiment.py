"""The runs of an experiment: MLflow's filter language, columns to choose, sorted by the server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.widget import Widget
from textual.widgets import Input, Static

from registry_tui.contracts.counts import counted
from registry_tui.schemas.mlflow_tags import PARENT_RUN
from registry_tui.screens.base.bars import Crumb
from registry_tui.screens.tracking.run_columns import (
    ATTRIBUTES,
    MODEL_SIGN,
    NAME,
    SIGNED_NAME,
    column,
    first_columns,
    order_field,
    shape,
)
from registry_tui.screens.tracking.run_following import Following
from registry_tui.screens.tracking.run_list import RunView
from registry_tui.screens.tracking.run_list_changes import RunListChanges
from registry_tui.screens.tracking.run_registered import REGISTERED, Registered
from registry_tui.screens.tracking.run_varying import varying
from registry_tui.screens.tracking.run_views import default_view
from registry_tui.terminal.action import bindings
from registry_tui.terminal.actions.tracking import EXPERIMENT
from registry_tui.terminal.commands import Place
from registry_tui.widgets.filter_field import FilterField, FilterLine
from registry_tui.widgets.page_cache import Fetch, PageCache
from registry_tui.widgets.tree_cache import TreeCache
from registry_tui.widgets.virtual_table import Column, Empty, VirtualTable

if TYPE_CHECKING:
    from registry_tui.schemas.places import Project
    from registry_tui.schemas.tracking import Experiment, Run

#: The tag that names a nested run's parent. Pages of nested runs that are read to find the parents.
PARENT_PAGES = 10
#: Maximum parents in such a page to exclude from the next request, and in all requests together.
FEW_PARENTS, MANY_LEFT_OUT = 3, 12
#: Terminals narrower than this explain the sign of models in the help only.
LEGEND_FROM = 100
#: Maximum number of runs that are compared.
MAX_COMPARED = 20


class ExperimentScreen(RunListChanges):
    """Runs, a page at a time."""

    SECTION = "projects"
    ACTIONS = EXPERIMENT
    CONCERNS = frozenset({"version"})
    BINDINGS = bindings(EXPERIMENT)
    CSS_PATH = "../../styles/tracking/experiment.tcss"
    SORT = ("attribute started", True)
    SORT_COLUMNS = 3
    LEGEND = ((MODEL_SIGN, "the run holds a model"),)
    COLUMNS: ClassVar[tuple[Column[Any], ...]] = tuple(first_columns(Counter(), Counter()))

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.project: Project | None = None
        self.experiment: Experiment | None = None
        #: Keys seen in loaded runs, with how many have them.
        self.seen_params: Counter[str] = Counter()
        self.seen_metrics: Counter[str] = Counter()
        self.seen_tags: Counter[str] = Counter()
        #: Keys of the columns that differ between runs seen since the list was loaded; whether one has a model.
        self.varying: set[str] = set()
        self.hold_models = False
        #: Whether the list was reloaded and none of its runs has arrived yet.
        self._renewed = True
        #: Keys of the columns that the user chose; None: those that most runs have.
        self.chosen: list[str] | None = place.state.get("columns")
        self.filter_text: str = place.state.get("filter", "")
        #: The filter that was reported as invalid.
        self._refused: str | None = None
        #: Whether nested runs are below their parents, and the runs known to have some.
        self.nested: bool = place.state.get("nested", False)
        self.parents: set[str] = set()
        self.registered = Registered(
            lambda runs: self.client.registered_from(place.args["project"], runs),
            place.state.setdefault("registered", {}),
        )

    def compose_content(self) -> Iterable[Widget]:
        yield FilterLine(self.filter_text, self.known_keys)
        yield from super().compose_content()

    def on_mount(self) -> None:
        if "cursor" not in self.place.state:
            self._open_with_default()
        Following(self).begin()

    def _open_with_default(self) -> None:
        """Opens the default view of this experiment, unless the page is reopened from the history."""
        found = default_view(self.program.memory, self.place.args["experiment"])
        if found is not None:
            name, view = found
            self.filter_text, self.chosen, self.nested = view.filter, view.columns, view.nested
            self.query_one("#filter", Input).value = view.filter
            self.place.state["sort"] = view.sort
            self.flash(f"view {name}; V shows others")

    def crumbs(self) -> tuple[Crumb, ...]:
        project = Place("project", {"project": self.place.args["project"]})
        return (
            ("Projects", Place("projects")),
            ("…" if self.project is None else self.project.name, project),
            (
                "…" if self.experiment is None else self.experiment.name + (" · deleted runs" if self.deleted else ""),
                None,
            ),
        )

    async def prepare(self) -> None:
        if self.experiment is None:
            project, experiment = self.place.args["project"], self.place.args["experiment"]
            self.project = await self.client.project(project)
            self.experiment = await self.client.experiment(project, experiment)
            # The runs of a deleted experiment are deleted with it.
            self.deleted = self.deleted or self.experiment.lifecycle_stage == "deleted"
        if self.nested and not self.parents:
            self.ask(self._learn_parents, "parents", again=False)

    def new_source(self) -> PageCache[Any] | TreeCache[Any]:
        self._refused = None
        self._renewed = True
        self.table.empty = self.nothing
        rows = PageCache(self._fetch(self.filter_text, top_level=self.nested), self.key_of, reversible=not self.nested)
        if not self.nested:
            return rows
        return TreeCache(
            rows, can_open=lambda run: run.id in self.parents, children=lambda run: self._children_of(run.id)
        )

    @property
    def nothing(self) -> Empty:
        """The text of an empty list: how to create runs."""
        if self.filter_text:
            return Empty("Nothing matches", ("/ changes the filter; an empty one shows all runs.",))
        if self.deleted:
            return Empty("No deleted runs", ("H shows those that are not deleted.",))
        name = "" if self.project is None else self.project.name
        lines = (f'  eval "$(registry-tui env --project {name})"', "  python train.py")
        return Empty("No runs", ("Log one with stock MLflow code:", *lines))

    def fetch_for(self, filters: dict[str, str], order: str | None) -> Fetch[Any]:
        """For an export, which waits until every cell of a page is known."""
        fetch = self._fetch(self.filter_text, top_level=self.nested)

        async def whole(token: str | None, backwards: bool) -> Any:
            page = await fetch(token, backwards)
            if self.registered.column in self.table.columns:
                await self.registered.learn(self.registered.unknown(page.items))
            return page

        return whole

    @property
    def orders(self) -> list[str]:
        """As in every list, also by columns that are not shown, or not yet."""
        return [
            f"-{field}" if down else field
            for key, down in self.table.sorted_by
            if (field := order_field(key)) is not None
        ]

    def _fetch(self, filter_: str, *, top_level: bool = False) -> Fetch[Any]:
        from registry_tui.schemas.tracking import RunSearch

        client, project = self.client, self.place.args["project"]
        assert self.experiment is not None
        ids, orders = [self.experiment.id], self.orders or ["-attributes.start_time"]
        deleted = self.deleted

        async def fetch(token: str | None, backwards: bool) -> Any:
            order_by = [
                f"{each.removeprefix('-')} {'DESC' if each.startswith('-') != backwards else 'ASC'}" for each in orders
            ]
            search = RunSearch(
                experiment_ids=ids,
                filter=filter_,
                order_by=order_by,
                top_level=top_level,
                deleted=deleted,
                page_token=token,
                page_size=100,
            )
            return await client.search_runs(project, search)

        return fetch

    async def newest_run(self) -> Run | None:
        """The most recently started one that matches the filter."""
        from registry_tui.schemas.tracking import RunSearch

        assert self.experiment is not None
        newest_first = ["attributes.start_time DESC"]
        search = RunSearch(
            experiment_ids=[self.experiment.id],
            filter=self.filter_text,
            order_by=newest_first,
            deleted=self.deleted,
            page_size=1,
        )
        page = await self.client.search_runs(self.place.args["project"], search)
        return next(iter(page.items), None)

    # -- nested runs --------------------------------------------------------------------------------

    def _children_of(self, run: str) -> PageCache[Any]:
        return PageCache(self._fetch(f"tags.`{PARENT_RUN}` = '{run}'"), self.key_of)

    def do_tree(self) -> None:
        """Switches between all runs in one list, and nested runs below their parents."""
        self.nested = not self.nested
        if self.nested:
            self.work_on(self._learn_parents(), "parents")
        self.restart()
        self.flash("nested runs below their parents: → opens, ← closes" if self.nested else "all runs in one list")

    async def _learn_parents(self) -> None:
        """Finds the runs with nested ones, from the newest nested runs; MLflow has no query for parents."""
        nested = f"tags.`{PARENT_RUN}` IS NOT NULL"
        token: str | None = None
        left_out: set[str] = set()
        for _ in range(PARENT_PAGES):
            page = await self._fetch(nested)(token, False)
            found = {run.tags[PARENT_RUN] for run in page.items}
            before = len(self.parents)
            self.parents |= found
            if len(self.parents) != before:
                self.table.cells_came()
            token = page.next_page_token
            if token is None:
                return
            if len(found) <= FEW_PARENTS and len(left_out) + len(found) <= MANY_LEFT_OUT:
                # The runs of one large parent do not hide those of others.
                left_out |= found
                nested += "".join(f" and tags.`{PARENT_RUN}` != '{each}'" for each in sorted(found))
                token = None

    # -- the filter ---------------------------------------------------------------------------------

    def do_filter(self) -> None:
        self.set_focus(self.query_one("#filter"))

    @property
    def can_filter(self) -> bool:
        return True

    @on(Input.Submitted, "#filter")
    def _filter_given(self, event: Input.Submitted) -> None:
        self.filter_text = event.value.strip()
        self._complain("")
        self.restart()
        self.table.focus()

    def list_failed(self, error: Exception) -> None:
        from registry_tui.client import WrongInput

        if isinstance(error, WrongInput):
            # The list may be reloaded, e.g. after a resize; the error is not reported again while the user is typing.
            if self._refused == self.filter_text:
                return
            self._refused = self.filter_text
            self.query_one("#filter").focus()
            self._complain(error.message)
            self.query_one("#count", Static).update("")
            self.table.say(Empty("No runs were asked for", ("The filter above is not understood.",)))
        else:
            self.failed(error)

    def _complain(self, words: str) -> None:
        self.query_one(FilterLine).complain(words, self.filter_text)

    def do_back(self) -> None:
        if self.focused is not None and self.focused.id == "filter":
            self.table.focus()
        else:
            super().do_back()

    # -- columns ------------------------------------------------------------------------------------

    @on(VirtualTable.Loaded, "#table")
    def _runs_loaded(self) -> None:
        source = self.table.source
        if source is None:
            return
        self._learn(source)
        self._show_columns()
        if unknown := self.registered.unknown(source.loaded_rows()):
            self.ask(lambda: self._learn_registered(unknown), "registered")
        total = source.total
        if total is None:
            text = counted(source.seen, "run") if source.seeking else f"more than {counted(source.seen, 'run')}"
        else:
            text = f"{source.seen} of {total}" if total != source.seen else counted(total, "run")
        if self.hold_models and self.size.width >= LEGEND_FROM:
            text = f"{MODEL_SIGN} holds a model · {text}"
        self.query_one("#count", Static).update(f"deleted: {text}" if self.deleted else text)

    def _learn(self, source: PageCache[Any] | TreeCache[Any]) -> None:
        rows = source.loaded_rows()
        if not rows:
            return  # the columns stay until there are others
        if self._renewed:
            self._renewed, self.varying, self.hold_models = False, set(), False
        params: Counter[str] = Counter()
        metrics: Counter[str] = Counter()
        tags: Counter[str] = Counter()
        for run in rows:
            params.update(run.params.keys())
            metrics.update(run.metrics.keys())
            tags.update(key for key in run.tags if not key.startswith("mlflow."))
            self.hold_models = self.hold_models or run.holds_model
        self.varying |= varying(rows)
        before = self.known_keys()
        self.seen_params, self.seen_metrics, self.seen_tags = params, metrics, tags
        if any({*before[kind]} != {*keys} for kind, keys in self.known_keys().items()):
            self.query_one(FilterField).know_more()

    def known_keys(self) -> dict[str, Iterable[str]]:
        """The keys seen in loaded runs, by kind."""
        return {"metrics": self.seen_metrics, "params": self.seen_params, "tags": self.seen_tags}

    def _columns(self) -> list[Column[Any]]:
        if self.chosen is not None:
            columns = [NAME, *(self.registered.column if key == REGISTERED else column(key) for key in self.chosen)]
        else:
            registered = self.registered.column if self.registered.any else None
            columns = first_columns(self.seen_params, self.seen_metrics, self.varying, registered)
        return [SIGNED_NAME if self.hold_models else NAME, *columns[1:]]

    def _show_columns(self) -> None:
        columns = self._columns()
        if shape(columns) != shape(self.table.columns):
            self.table.set_columns(columns)

    def do_columns(self) -> None:
        from registry_tui.screens.base.columns import ChooseColumns

        offered = [
            *ATTRIBUTES,
            REGISTERED,
            *(f"metric {key}" for key in sorted(self.seen_metrics)),
            *(f"param {key}" for key in sorted(self.seen_params)),
            *(f"tag {key}" for key in sorted(self.seen_tags)),
        ]
        now = [each.key for each in self._columns()[1:]]
        self.app.push_screen(ChooseColumns(offered, now), self._columns_chosen)

    def _columns_chosen(self, chosen: list[str] | None) -> None:
        if chosen is not None:
            self.chosen = chosen
            self._show_columns()

    async def _learn_registered(self, runs: list[str]) -> None:
        if await self.registered.learn(runs):
            self._show_columns()
            self.table.cells_came()

    def refresh_data(self) -> None:
        self.registered.ask_again()
        super().refresh_data()

    def do_sort_started(self) -> None:
        self.sort("attribute started", True)

    # -- rows ---------------------------------------------------------------------------------------

    def open_row(self, row: Run) -> None:
        self.program.open(Place("run", {"project": self.place.args["project"], "run": row.id}))

    def copied(self, row: Run) -> str:
        return row.id

    def leave(self) -> None:
        super().leave()
        state = self.place.state
        state["columns"], state["filter"], state["nested"] = self.chosen, self.filter_text, self.nested

    def why_not(self, action: str) -> str | None:
        if action in ("tree", "views", "group", "deleted"):
            return None if self.experiment is not None else "the experiment is not known yet"
        if action == "compare":
            marked = len(self.table.marked)
            if not 2 <= marked <= MAX_COMPARED:
                return f"mark 2 to {MAX_COMPARED} runs with space first; {marked} are marked"
            return None
        return super().why_not(action)

    # -- several runs -------------------------------------------------------------------------------

    def do_compare(self) -> None:
        # In the order of the list, as far as it is loaded; the rest after that.
        source = self.table.source
        shown = [] if source is None else [run.id for run in source.loaded_rows() if run.id in self.table.marked]
        marked = ",".join([*shown, *sorted(set(self.table.marked) - set(shown))])
        args = {"project": self.place.args["project"], "experiment": self.place.args["experiment"], "runs": marked}
        self.program.open(Place("compare", args))

    def do_group(self) -> None:
        from registry_tui.screens.tracking.run_groups import choose_group

        choose_group(self)

    # -- views --------------------------------------------------------------------------------------

    def view_now(self) -> RunView:
        """The current view, to be kept under a name."""
        return RunView(self.filter_text, tuple(self.table.sorted_by), self.chosen, self.nested)

    def show_view(self, view: RunView) -> None:
        """Shows a saved view."""
        self.filter_text, self.chosen, self.nested = view.filter, view.columns, view.nested
        self.query_one("#filter", Input).value = view.filter
        self._complain("")
        self._show_columns()
        if self.nested:
            self.work_on(self._learn_parents(), "parents")
        self.sort_by(view.sort)

    def do_views(self) -> None:
        from registry_tui.screens.tracking.run_views import open_views

        open_views(self)

    def narrow(self, filter_: str) -> None:
        """Adds a condition to the filter."""
        self.filter_text = f"{self.filter_text} and {filter_}" if self.filter_text else filter_
        self.query_one("#filter", Input).value = self.filter_text
        self.restart()
