"""One deployment: the serving version, live charts, replicas; trying it; logs; builds, history and settings."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual import on
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static, TabbedContent, TabPane, TextArea

from registry_tui.contracts.counts import counted
from registry_tui.screens.base.bars import Crumb
from registry_tui.screens.base.every import Every
from registry_tui.screens.base.tones import styled
from registry_tui.screens.deployments.canary_panel import panel
from registry_tui.screens.deployments.deployment_actions import DeploymentActions
from registry_tui.screens.deployments.deployment_panes import BUILDS, HISTORY, REPLICAS, addresses, rate_words, settings
from registry_tui.screens.deployments.drift_pane import DriftPane
from registry_tui.screens.deployments.replica_logs import ReplicaLogs
from registry_tui.screens.deployments.requests_pane import RequestsPane
from registry_tui.screens.deployments.try_request import TryRequest
from registry_tui.screens.deployments.watching import Watching
from registry_tui.terminal.action import bindings
from registry_tui.terminal.actions.deployments import DEPLOYMENT
from registry_tui.terminal.commands import Place
from registry_tui.widgets.awaited import Awaited
from registry_tui.widgets.chart import LineChart
from registry_tui.widgets.facts import AwaitedFacts
from registry_tui.widgets.page_cache import PageCache
from registry_tui.widgets.pages import Pages
from registry_tui.widgets.plotting import Series
from registry_tui.widgets.virtual_table import Empty, VirtualTable
from registry_tui.wording.text import safe
from registry_tui.wording.words import deployment_state, milliseconds

if TYPE_CHECKING:
    from registry_tui.schemas.deployments import Deployment, Revision

#: Seconds between looks at replicas and traffic, and at a log that is followed.
EVERY, LOG_EVERY = 1.0, 0.7
#: The widget with the focus in each tab.
_FOCUS = {
    "overview": "#replicas",
    "test": "#request",
    "logs": "#log",
    "requests": "#kept",
    "drift": "#drift-columns",
    "builds": "#build-list",
    "history": "#revisions",
    "settings": "#settings-scroll",
}


class DeploymentScreen(Watching, DeploymentActions):
    """Tabs over one deployment."""

    SECTION = "deployments"
    ACTIONS = DEPLOYMENT
    CONCERNS = frozenset({"deployment"})
    BINDINGS = bindings(DEPLOYMENT)
    CSS_PATH = "../../styles/deployments/deployment.tcss"

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.found: Deployment | None = None
        self._filled = False
        self._looking = Every(self, EVERY, self._ask, group="start")
        self._reading = Every(self, LOG_EVERY, self._read_more, group="log", wanted=lambda: self.tab == "logs")

    @property
    def deployment(self) -> Deployment | None:
        return self.found

    def compose_content(self) -> Iterable[Widget]:
        id_ = self.place.args["deployment"]
        yield Awaited(id="headline")
        initial = self.place.state.get("tab", self.place.args.get("tab", "overview"))
        with Pages(id="tabs", initial=initial):
            with TabPane("Status", id="overview"):
                yield Static("", id="canary", markup=False)
                with Horizontal(id="charts"):
                    with Vertical():
                        yield AwaitedFacts(id="rate-words")
                        yield LineChart(axis="time", id="rate")
                    with Vertical():
                        yield Awaited(id="latency-words")
                        yield LineChart(axis="time", id="latency")
                yield VirtualTable(REPLICAS, id="replicas", empty=Empty("No replicas", ("r starts it.",)))
                yield AwaitedFacts(id="addresses")
            with TabPane("Test", id="test"):
                yield TryRequest(id_, self.place.state.get("request", ""))
            with TabPane("Logs", id="logs"):
                yield ReplicaLogs(id_)
            with TabPane("Requests", id="requests"):
                yield RequestsPane(id_)
            with TabPane("Drift", id="drift"):
                yield DriftPane(id_)
            with TabPane("Builds", id="builds"):
                yield VirtualTable(BUILDS, id="build-list", empty=Empty("Nothing was built yet"))
            with TabPane("History", id="history"):
                yield VirtualTable(HISTORY, id="revisions", empty=Empty("No history yet"))
            with TabPane("Settings", id="settings"), VerticalScroll(id="settings-scroll"):
                yield AwaitedFacts(id="facts")

    def crumbs(self) -> tuple[Crumb, ...]:
        name = "…" if self.found is None else self.found.name
        if self.found is None:
            return (("Deployments", Place("deployments")), (name, None))
        project = Place("deployments", {"project": self.found.project_id})
        return (("Deployments", Place("deployments")), (self.found.project_name, project), (name, None))

    def on_mount(self) -> None:
        self._looking.begin()
        self._reading.begin()
        self.begin_watching()
        self.focus_content()

    def focus_content(self) -> None:
        self.set_focus(self.query_one(_FOCUS[self.tab]))

    @property
    def tab(self) -> str:
        return self.query_one("#tabs", TabbedContent).active

    @property
    def trying(self) -> TryRequest:
        return self.query_one(TryRequest)

    @property
    def logs(self) -> ReplicaLogs:
        return self.query_one(ReplicaLogs)

    def leave(self) -> None:
        self.place.state["tab"] = self.tab
        self.place.state["request"] = self.trying.request

    # -- asking --------------------------------------------------------------------------------------

    async def start(self) -> None:
        id_ = self.place.args["deployment"]
        before = self.found
        self.found = await self.client.deployment(id_)
        if before is None or before.name != self.found.name:
            self.show_crumbs()
        elif (before.state, _trial(before)) != (self.found.state, _trial(self.found)):
            self.show_actions()
        self._show(self.found)
        self._fill_tables(self.found.id)
        if self.tab == "settings":
            history = await self.client.revisions(id_)
            self._show_settings(self.found, history)
        if not self._filled:
            self._filled = True
            self.watch_now()
            self.work_on(self.trying.fill(self.client), "example", exclusive=False)

    def _fill_tables(self, id_: str) -> None:
        from registry_tui.schemas.base import Page

        client = self.client

        async def replicas(token: str | None, backwards: bool) -> Any:
            found = await client.replicas(id_)
            return Page(items=found, total=len(found))

        async def revisions(token: str | None, backwards: bool) -> Any:
            found = await client.revisions(id_)
            return Page(items=found, total=len(found))

        for tab, name, fetch, key in (
            ("overview", "#replicas", replicas, attrgetter("name")),
            ("builds", "#build-list", revisions, lambda row: str(row.number)),
            ("history", "#revisions", revisions, lambda row: str(row.number)),
        ):
            table = self.query_one(name, VirtualTable)
            if self.tab != tab:
                continue
            if table.source is None:
                table.set_source(PageCache(fetch, key))
            else:
                table.reload()

    # -- showing --------------------------------------------------------------------------------------

    def _show(self, found: Deployment) -> None:
        state = deployment_state(found.state)
        follows = f" (follows {safe(found.alias or '', 40)})" if found.follow_alias else ""
        parts: list[tuple[str, str]] = [
            (safe(found.name, 60), "bold"),
            ("   ", ""),
            styled(state),
            (f"   {safe(found.model_name, 60)} v{found.version}{follows}", ""),
            (f"   {found.replicas_ready} of {counted(found.replicas_wanted, 'replica')}", "$foreground-muted"),
        ]
        if found.reason:
            parts.append((f"\n{safe(found.reason, 600)}", "$error" if found.state == "failed" else "$warning"))
        self.query_one("#headline", Static).update(Content.assemble(*parts))
        self._show_canary(found)
        traffic = found.traffic
        self.query_one("#rate-words", AwaitedFacts).show(lambda room: rate_words(traffic, room))
        latency = [
            (f"p50 {milliseconds(traffic.p50)}", "bold"),
            (f"   p95 {milliseconds(traffic.p95)}   p99 {milliseconds(traffic.p99)}", "$foreground-muted"),
        ]
        self.query_one("#latency-words", Static).update(Content.assemble(*latency))
        seconds = traffic.seconds
        if seconds:
            times = array("d", [float(each[0]) for each in seconds])
            self.query_one("#rate", LineChart).show(
                [Series("requests/s", times, array("d", [each[1] for each in seconds]))]
            )
            with_latency = [each for each in seconds if each[3] is not None]
            p95 = Series(
                "p95 ms",
                array("d", [float(each[0]) for each in with_latency]),
                array("d", [(each[3] or 0.0) * 1000 for each in with_latency]),
            )
            self.query_one("#latency", LineChart).show([p95])
        for name in ("#rate", "#latency"):
            self.query_one(name).display = bool(seconds)
        self.query_one("#addresses", AwaitedFacts).show(lambda room: addresses(found, room))

    def _show_canary(self, found: Deployment) -> None:
        shown = self.query_one("#canary", Static)
        shown.display = found.canary is not None
        # Where there is not room for both, the canary's panel comes first.
        self.query_one("#overview").set_class(found.canary is not None, "-tries")
        if found.canary is not None:
            shown.update(panel(found.canary))

    def _show_settings(self, found: Deployment, history: list[Revision]) -> None:
        serving = next((each for each in history if each.number == found.revision), None)
        if serving is not None:
            self.query_one("#facts", AwaitedFacts).show(lambda room: settings(found, serving, room))

    # -- test -----------------------------------------------------------------------------------------

    def do_send(self) -> None:
        if self.tab != "test":
            self._turn_to("test")
            return
        if self.trying.waits:
            self.flash("a request waits for its answer; the next can be sent then", "$warning")
            return
        self.work_on(self._send(), "send", exclusive=False)

    def do_protocol(self) -> None:
        if self.tab != "test":
            self._turn_to("test")
            return
        if (problem := self.trying.other_protocol()) is not None:
            self.flash(problem, "$warning")

    async def _send(self) -> None:
        await self.trying.send(self.client)
        if self.tab == "test" and self.trying.answer is not None:
            # Out of the text field, so that the keys that copy the request are keys again.
            self.set_focus(self.query_one("#answer-scroll"))

    def do_curl(self) -> None:
        if self.tab == "test" and self.trying.answer is not None:
            self.program.copy_text(self.trying.answer.curl)
        elif self.found is not None:
            self.program.copy_text(self.found.endpoint_url)

    def code(self) -> Iterable[tuple[str, str, str | None]]:
        answer = self.trying.answer
        why_not = "send a test first" if answer is None else None
        yield "the request in Python", answer.python if answer is not None else "", why_not
        yield "the request for curl", answer.curl if answer is not None else "", why_not

    # -- logs -----------------------------------------------------------------------------------------

    async def _read_more(self) -> None:
        await self.logs.look(self.client)

    def do_replica(self) -> None:
        self.logs.show_next()
        self._turn_to("logs")

    def do_filter(self) -> None:
        self._turn_to("logs")
        self.set_focus(self.query_one("#match"))

    def do_save(self) -> None:
        from registry_tui.screens.base.save import Save

        name = "deployment" if self.found is None else self.found.name
        text = "".join(f"{line}\n" for line in self.logs.lines)
        self.app.push_screen(
            Save(f"Save the log of replica {self.logs.shown}", f"{name}-{self.logs.shown}.log", text), self._saved
        )

    def _saved(self, path: Path | None) -> None:
        if path is not None:
            self.flash(f"saved {counted(len(self.logs.lines), 'line')} to {path}")

    # -- actions --------------------------------------------------------------------------------------

    def concerned(self, action: str) -> object | None:
        return self.found

    def why_not(self, action: str) -> str | None:
        if self.found is None:
            return "the deployment is not known yet"
        if action == "save" and not self.logs.lines:
            return "the log is empty"
        if action == "open" and self.tab not in ("requests", "builds", "history"):
            return "builds and history have logs: tab"
        if action == "redeploy":
            return self._why_not_redeploy(self.found)
        return self.deployment_why_not(action, self.found)

    def _why_not_redeploy(self, found: Deployment) -> str | None:
        row = self.query_one("#revisions", VirtualTable).current
        if self.tab != "history" or row is None:
            return "select a revision under History"
        if row.state == "active":
            return f"revision {row.number} serves already"
        if row.state == "failed":
            return f"revision {row.number} could not serve"
        return self.deployment_why_not("change", found)

    def do_open(self) -> None:
        """The selected request, or the rollout of the selected revision, with the log of its build."""
        if self.tab == "requests":
            self.open_request()
            return
        row = self.query_one(_FOCUS[self.tab], VirtualTable).current
        if row is not None and row.workflow_id is not None:
            self.program.open(Place("workflow", {"workflow": row.workflow_id}))

    def do_redeploy(self) -> None:
        """A new revision with the version and settings of the selected one."""
        row = self.query_one("#revisions", VirtualTable).current
        if row is not None:
            number, client = row.number, self.client
            self._begin(f"goes to revision {number}", lambda id_: client.roll_back_deployment(id_, number))

    def do_served_at(self) -> None:
        """At the time of the selected revision under History, else now."""
        from registry_tui.screens.deployments.time_machine import TimeMachine

        found, row = self.found, self.query_one("#revisions", VirtualTable).current
        assert found is not None
        moment = self.client.clock.now() if self.tab != "history" or row is None else row.created_at
        self.app.push_screen(TimeMachine(found.id, found.name, moment))

    @on(VirtualTable.Opened, "#build-list, #revisions, #kept")
    def _opened(self) -> None:
        self.do_open()

    @on(TabbedContent.TabActivated, "#tabs")
    def _turned(self) -> None:
        # The tab's content is fetched now, not at the next look.
        self._looking.now()
        self._reading.now()
        self.watch_now()

    def _turn_to(self, tab: str) -> None:
        self.query_one("#tabs", TabbedContent).active = tab
        self.focus_content()

    def do_tab_next(self) -> None:
        self._turn(1)

    def do_tab_previous(self) -> None:
        self._turn(-1)

    def _turn(self, by: int) -> None:
        self._turn_to(self.query_one("#tabs", Pages).neighbour(by))

    def do_test(self) -> None:
        self._turn_to("test")

    def do_logs(self) -> None:
        self._turn_to("logs")

    def do_back(self) -> None:
        if isinstance(self.focused, Input | TextArea):
            self.set_focus(self.query_one("#tabs").query_one("Tabs"))
        else:
            super().do_back()

    def do_model(self) -> None:
        assert self.found is not None
        self.program.open(Place("model", {"registry": self.found.registry_id, "model": self.found.model_name}))

    @property
    def menu_of(self) -> str:
        return "" if self.found is None else self.found.name

    def do_keys(self) -> None:
        self.program.open(Place("keys"))

    def do_view(self) -> None:
        from registry_tui.screens.base.viewer import View

        assert self.found is not None
        self.app.push_screen(View(self.found.name, self.found.model_dump_json(indent=2)))

    def _done(self, found: Deployment, what: str) -> None:
        super()._done(found, what)
        if "deleted" in what:
            self.program.back()


def _trial(found: Deployment) -> str:
    """The state of the canary, which decides its actions; empty without one."""
    return "" if found.canary is None else found.canary.state.value
