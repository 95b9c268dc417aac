"""One deployment: what serves, live charts, replicas; trying it; logs; its history."""

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
from textual.widgets import Input, Log, Static, TabbedContent, TabPane, TextArea

from registry_tui.actions import DEPLOYMENT, bindings
from registry_tui.commands import Place
from registry_tui.screens.deployment_actions import DeploymentActions
from registry_tui.widgets.chart import LineChart
from registry_tui.widgets.frame import Crumb
from registry_tui.widgets.page_cache import PageCache
from registry_tui.widgets.pages import Pages
from registry_tui.widgets.plotting import Series
from registry_tui.widgets.text import safe, safe_lines
from registry_tui.widgets.virtual_table import Column, Empty, VirtualTable
from registry_tui.widgets.words import (
    Cell,
    absolute,
    ago,
    deployment_state,
    duration,
    memory,
    milliseconds,
    own_port,
    percent,
    replica_state,
    revision_state,
)

if TYPE_CHECKING:
    from registry_tui.schemas.deployments import Deployment, ReplicaStatus, TestAnswer

#: Seconds between looks at replicas and traffic, and at a log that is followed.
EVERY, LOG_EVERY = 1.0, 0.7
_TONES = {"good": "$success", "busy": "$accent", "bad": "$error", "warn": "$warning"}

_REPLICAS: tuple[Column[Any], ...] = (
    Column("name", "Replica", lambda row: row.name, 0),
    Column("state", "State", lambda row: replica_state(row.state), 0, min_width=10),
    Column("version", "Version", lambda row: str(row.version), 2, right=True),
    Column("pid", "PID", lambda row: str(row.pid or "–"), 3, right=True),
    Column(
        "memory", "Memory", lambda row: f"{memory(row.memory_bytes)} / {memory(row.memory_limit_bytes)}", 1, right=True
    ),
    Column("requests", "Requests", lambda row: f"{row.requests:,}".replace(",", " "), 1, right=True),
    Column("restarts", "Restarts", lambda row: Cell(str(row.restarts), "warn" if row.restarts else ""), 2, right=True),
    Column("uptime", "Uptime", lambda row: duration(row.uptime_seconds), 3, right=True),
    Column("detail", "Detail", lambda row: Cell(row.detail, "dim"), 4, max_width=60),
)
_HISTORY: tuple[Column[Any], ...] = (
    Column("number", "Revision", lambda row: str(row.number), 0, right=True),
    Column("state", "State", lambda row: revision_state(row.state), 0, min_width=11),
    Column("version", "Version", lambda row: str(row.version), 0, right=True),
    Column("replicas", "Replicas", lambda row: str(row.replicas), 2, right=True),
    Column("memory", "Memory", lambda row: memory(row.memory_bytes), 3, right=True),
    Column("build", "Build", lambda row: row.build.value, 2),
    Column("environment", "Environment", lambda row: Cell(row.python_environment, "dim"), 4, max_width=18),
    Column("created", "Created", lambda row: Cell(ago(row.created_at), "dim"), 1),
    Column("by", "By", lambda row: row.creator, 3),
    Column(
        "comment", "Comment", lambda row: Cell(row.error or row.comment, "bad" if row.error else "dim"), 2, max_width=70
    ),
)


def _memory(replica: ReplicaStatus) -> str:
    return f"{memory(replica.memory_bytes)} of {memory(replica.memory_limit_bytes)}"


class DeploymentScreen(DeploymentActions):
    """Tabs over one deployment."""

    SECTION = "deployments"
    ACTIONS = DEPLOYMENT
    BINDINGS = bindings(DEPLOYMENT)
    CSS_PATH = "../styles/deployment.tcss"

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.found: Deployment | None = None
        self.answer: TestAnswer | None = None
        self.replica_names: list[str] = []
        self.log_of = "0"
        self._log_offset: int | None = None
        self._log_lines: list[str] = []
        self._filled = False

    @property
    def deployment(self) -> Deployment | None:
        return self.found

    def compose_content(self) -> Iterable[Widget]:
        yield Static("", id="headline", markup=False)
        initial = self.place.state.get("tab", self.place.args.get("tab", "overview"))
        with Pages(id="tabs", initial=initial):
            with TabPane("Overview", id="overview"):
                with Horizontal(id="charts"):
                    with Vertical():
                        yield Static("", id="rate-words", markup=False)
                        yield LineChart(x_is_time=True, id="rate")
                    with Vertical():
                        yield Static("", id="latency-words", markup=False)
                        yield LineChart(x_is_time=True, id="latency")
                yield VirtualTable(_REPLICAS, id="replicas", empty=Empty("No replicas", ("r starts it.",)))
                yield Static("", id="addresses", markup=False)
            with TabPane("Test", id="test"), Horizontal():
                with Vertical(id="request-side"):
                    yield Static("", id="request-words", markup=False)
                    yield TextArea("", id="request", language=None, soft_wrap=True, compact=True)
                with Vertical(id="answer-side"):
                    yield Static("", id="answer-words", markup=False)
                    with VerticalScroll(id="answer-scroll"):
                        yield Static("", id="answer", markup=False)
            with TabPane("Logs", id="logs"):
                with Horizontal(classes="bar"):
                    yield Static("", id="log-words", markup=False)
                    yield Input(placeholder="only lines with …", compact=True, id="match")
                yield Log(id="log", max_lines=10_000, highlight=False)
            with TabPane("History", id="history"):
                yield VirtualTable(_HISTORY, id="revisions", empty=Empty("No history yet"))

    def crumbs(self) -> tuple[Crumb, ...]:
        name = "…" if self.found is None else self.found.name
        if self.found is None:
            return (("Deployments", Place("deployments")), (name, None))
        project = Place("deployments", {"project": self.found.project_id})
        return (("Deployments", Place("deployments")), (self.found.project_name, project), (name, None))

    def on_mount(self) -> None:
        self.set_interval(EVERY, self._look_again, name="look-again")
        self.set_interval(LOG_EVERY, self._read_more, name="read-more")
        self.focus_content()

    def focus_content(self) -> None:
        target = {"overview": "#replicas", "test": "#request", "logs": "#log", "history": "#revisions"}
        self.query_one(target[self.tab]).focus()

    @property
    def tab(self) -> str:
        return self.query_one("#tabs", TabbedContent).active

    def leave(self) -> None:
        self.place.state["tab"] = self.tab
        self.place.state["request"] = self.query_one("#request", TextArea).text

    def _look_again(self) -> None:
        if self.is_current and self.program.answering:
            self.work_on(self.start(), "start")

    # -- asking --------------------------------------------------------------------------------------

    async def start(self) -> None:
        id_ = self.place.args["deployment"]
        before = self.found
        self.found = await self.client.deployment(id_)
        if before is None or before.name != self.found.name:
            self.show_crumbs()
        elif before.state != self.found.state:
            self.show_actions()
        self._show(self.found)
        self._fill_tables(self.found.id)
        if not self._filled:
            self._filled = True
            self.work_on(self._fill_request(), "example", exclusive=False)

    def _fill_tables(self, id_: str) -> None:
        from registry_tui.schemas.base import Page

        client = self.client

        async def replicas(token: str | None, backwards: bool) -> Any:
            found = await client.replicas(id_)
            self.replica_names = [each.name for each in found]
            return Page(items=found, total=len(found))

        async def revisions(token: str | None, backwards: bool) -> Any:
            found = await client.revisions(id_)
            return Page(items=found, total=len(found))

        shown = self.tab
        for name, fetch, key in (
            ("replicas", replicas, attrgetter("name")),
            ("revisions", revisions, lambda row: str(row.number)),
        ):
            table = self.query_one(f"#{name}", VirtualTable)
            if table.source is None:
                table.set_source(PageCache(fetch, key))
            elif (name == "replicas") == (shown == "overview"):
                table.reload()

    async def _fill_request(self) -> None:
        """The request that the Test tab begins with: what was typed last, else the model's own example."""
        area = self.query_one("#request", TextArea)
        kept = self.place.state.get("request")
        if kept:
            area.text = kept
            return
        suggestion = await self.client.deployment_example(self.place.args["deployment"])
        if not area.text:
            area.text = suggestion.example
        words = f"Request, from {suggestion.example_from}    ctrl+s send"
        self.query_one("#request-words", Static).update(Content.assemble((safe(words, 200), "$foreground-muted")))

    # -- showing --------------------------------------------------------------------------------------

    def _show(self, found: Deployment) -> None:
        state = deployment_state(found.state)
        follows = f" (follows {safe(found.alias or '', 40)})" if found.follow_alias else ""
        parts: list[tuple[str, str]] = [
            (safe(found.name, 60), "bold"),
            ("   ", ""),
            (state.text, _TONES.get(state.tone, "$foreground-muted")),
            (f"   {safe(found.model_name, 60)} v{found.version}{follows}", ""),
            (f"   {found.replicas_ready}/{found.replicas_wanted} replicas", "$foreground-muted"),
        ]
        if found.reason:
            parts.append((f"\n{safe(found.reason, 600)}", "$error" if found.state == "failed" else "$warning"))
        self.query_one("#headline", Static).update(Content.assemble(*parts))
        traffic = found.traffic
        rate = [
            (f"{traffic.per_second:.1f} requests/s", "bold"),
            (f"   errors {percent(traffic.error_rate)}", "$error" if traffic.error_rate else "$foreground-muted"),
            (f"   {traffic.requests} in all", "$foreground-muted"),
        ]
        latency = [
            (f"p50 {milliseconds(traffic.p50)}", "bold"),
            (f"   p95 {milliseconds(traffic.p95)}   p99 {milliseconds(traffic.p99)}", "$foreground-muted"),
        ]
        self.query_one("#rate-words", Static).update(Content.assemble(*rate))
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
        self.query_one("#addresses", Static).update(_addresses(found))

    # -- test ---------------------------------------------------------------------------------------------

    def do_send(self) -> None:
        if self.tab != "test":
            self._turn_to("test")
            return
        self.query_one("#answer-words", Static).update(Content.assemble(("sending …", "$accent")))
        self.work_on(self._send(), "send")

    async def _send(self) -> None:
        from registry_tui.client import RegistryError
        from registry_tui.schemas.deployments import TestRequest

        body = self.query_one("#request", TextArea).text
        try:
            answer = await self.client.test_deployment(self.place.args["deployment"], TestRequest(body=body))
        except RegistryError as error:
            self.query_one("#answer-words", Static).update(Content.assemble((safe(error.message, 400), "$error")))
            self.query_one("#answer", Static).update(safe(error.action or "", 400))
            return
        self.answer = answer
        good = answer.status == 200
        words = [
            (f"{answer.status}", "bold $success" if good else "bold $error"),
            (f"   {milliseconds(answer.seconds)}   replica {safe(answer.replica, 40)}", ""),
            ("   c curl  p Python  T edit", "$foreground-muted"),
        ]
        self.query_one("#answer-words", Static).update(Content.assemble(*words))
        self.query_one("#answer", Static).update(safe_lines(_pretty(answer.body), 20_000))
        if self.tab == "test":
            # Out of the text field, so that the keys that copy the request are keys again.
            self.set_focus(self.query_one("#answer-scroll"))

    def do_curl(self) -> None:
        if self.tab == "test" and self.answer is not None:
            self.program.copy_text(self.answer.curl)
        elif self.found is not None:
            self.program.copy_text(self.found.endpoint_url)

    def do_python(self) -> None:
        if self.answer is not None:
            self.program.copy_text(self.answer.python)

    # -- logs ---------------------------------------------------------------------------------------------

    def _read_more(self) -> None:
        if self.is_current and self.program.answering and self.tab == "logs" and self.found is not None:
            self.work_on(self._read_log(), "log")

    async def _read_log(self) -> None:
        from registry_tui.client import NotFound

        log = self.query_one("#log", Log)
        try:
            found = await self.client.replica_log(
                self.place.args["deployment"], self.log_of, offset=self._log_offset, lines=2000
            )
        except NotFound as error:
            self._log_words(error.message)
            return
        first = self._log_offset is None
        self._log_offset = found.next_offset
        self._log_lines += found.lines
        del self._log_lines[:-10_000]
        match = self.query_one("#match", Input).value
        log.write_lines(
            [safe(line, 2000) for line in found.lines if match in line], scroll_end=first or log.is_vertical_scroll_end
        )
        self._log_words("")

    def _log_words(self, problem: str) -> None:
        text = problem or f"replica {self.log_of}, following    n next replica  w save"
        self.query_one("#log-words", Static).update(
            Content.assemble((safe(text, 300), "$warning" if problem else "$foreground-muted"))
        )

    def do_replica(self) -> None:
        names = self.replica_names or ["0"]
        at = names.index(self.log_of) if self.log_of in names else -1 if self.log_of != "0" else 0
        self.log_of = names[(at + 1) % len(names)]
        self._log_offset, self._log_lines = None, []
        self.query_one("#log", Log).clear()
        self._turn_to("logs")

    @on(Input.Changed, "#match")
    def _matched(self, event: Input.Changed) -> None:
        log = self.query_one("#log", Log)
        log.clear()
        log.write_lines([safe(line, 2000) for line in self._log_lines if event.value in line])

    @on(Input.Submitted, "#match")
    def _match_given(self) -> None:
        self.query_one("#log").focus()

    def do_filter(self) -> None:
        self._turn_to("logs")
        self.set_focus(self.query_one("#match"))

    def do_save(self) -> None:
        name = "deployment" if self.found is None else self.found.name
        path = Path.cwd() / f"{name}-{self.log_of}.log"
        try:
            with path.open("x", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in self._log_lines)
        except OSError as error:
            self.flash(f"{path.name}: {error.strerror or error}", "$error")
        else:
            self.flash(f"saved {len(self._log_lines)} lines to {path}")

    # -- actions ----------------------------------------------------------------------------------------

    def why_not(self, action: str) -> str | None:
        if self.found is None:
            return "the deployment is not known yet"
        if action == "python" and self.answer is None:
            return "send a test first"
        if action == "save" and not self._log_lines:
            return "the log is empty"
        return self.deployment_why_not(action, self.found)

    def _turn_to(self, tab: str) -> None:
        self.query_one("#tabs", TabbedContent).active = tab
        self.focus_content()

    def do_tab_next(self) -> None:
        tabs = self.query_one("#tabs", TabbedContent)
        order = [str(pane.id) for pane in tabs.query(TabPane)]
        self._turn_to(order[(order.index(tabs.active) + 1) % len(order)])

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

    def do_keys(self) -> None:
        self.program.open(Place("keys"))

    def do_view(self) -> None:
        from registry_tui.screens.dialogs import View

        assert self.found is not None
        self.app.push_screen(View(self.found.name, self.found.model_dump_json(indent=2)))

    async def _doing(self, found: Deployment, what: str, call: Any) -> None:
        await super()._doing(found, what, call)
        if "deleted" in what:
            self.program.back()


def _addresses(found: Deployment) -> Content:
    """Where callers find it."""
    facts = [
        ("MLflow's protocol", f"POST {found.endpoint_url}/invocations"),
        ("documented call", f'POST {found.model_url}  {{"accessKey": "{found.access_key}", "request": …}}'),
        ("own port", own_port(found)),
        ("authentication", "Authorization: Bearer <API key>   (K makes one)" if found.authentication else "none"),
        ("each replica", f"{found.cpu:g} CPU, {memory(found.memory_bytes)} at most"),
        ("description", found.description),
        ("deployed", f"{absolute(found.created_at)} by {found.creator}, revision {found.revision}"),
    ]
    parts: list[tuple[str, str]] = []
    for name, value in facts:
        if value:
            parts += [(f"{name:<20}", "$foreground-muted"), (f"{safe(value, 300)}\n", "")]
    return Content.assemble(*parts)


def _pretty(body: str) -> str:
    """JSON indented; other text as it is."""
    import json

    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body
