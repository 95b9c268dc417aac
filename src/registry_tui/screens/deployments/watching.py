"""Watching a deployment from its page: the logged requests, and drift."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_tui.screens.base.every import Every
from registry_tui.screens.base.frame import FrameScreen
from registry_tui.screens.deployments.drift_pane import DriftPane
from registry_tui.screens.deployments.requests_pane import RequestsPane
from registry_tui.terminal.commands import Place
from registry_tui.wording import drift as drift_wording
from registry_tui.wording.request_logs import rules_told

if TYPE_CHECKING:
    from registry_tui.schemas.deployments import Deployment
    from registry_tui.schemas.drift import Drift
    from registry_tui.schemas.request_log import RequestLog

#: Seconds between refreshes of the logged requests, and of drift, which takes the service up to a second.
REQUESTS_EVERY, DRIFT_EVERY = 3.0, 30.0


class Watching(FrameScreen):
    """The tabs *Requests* and *Drift*. Subclasses have `deployment` and `tab`, and their two panes."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._requests = Every(
            self, REQUESTS_EVERY, self._look_at_requests, group="requests", wanted=lambda: self.tab == "requests"
        )
        self._drift = Every(self, DRIFT_EVERY, self._look_at_drift, group="drift", wanted=lambda: self.tab == "drift")

    @property
    def deployment(self) -> Deployment | None:
        raise NotImplementedError

    @property
    def tab(self) -> str:
        raise NotImplementedError

    def begin_watching(self) -> None:
        """Refreshes the visible tab periodically."""
        self._requests.begin()
        self._drift.begin()

    def watch_now(self) -> None:
        """Refreshes at once if one of the two tabs is visible."""
        self._requests.now()
        self._drift.now()

    def refresh_data(self) -> None:
        super().refresh_data()
        self.watch_now()

    async def _look_at_requests(self) -> None:
        await self.query_one(RequestsPane).look(self.client)

    async def _look_at_drift(self) -> None:
        await self.query_one(DriftPane).look(self.client)

    def open_request(self) -> None:
        """Shows the selected request with all its rows and columns."""
        from registry_tui.screens.deployments.kept_request import KeptRequest

        row, found = self.query_one(RequestsPane).table.current, self.deployment
        if row is not None and found is not None:
            self.app.push_screen(KeptRequest(found.id, row.id, row.at))

    # -- requests -------------------------------------------------------------------------------------

    def do_requests(self) -> None:
        found = self.deployment
        if found is not None:
            self.opening(self._choose_requests(found), "form")

    async def _choose_requests(self, found: Deployment) -> None:
        from registry_tui.screens.base.dialogs import Menu, MenuItem

        log = await self.client.request_log(found.id)
        if not log.rules.share and not log.bytes:
            self._keep(found, log)
            return
        none = None if log.rules.share else "none are kept now"
        items = [
            MenuItem("keep", "Keep a share of them …"),
            MenuItem("off", "Keep none from now on", none),
            MenuItem("delete", "Delete those that were kept …", None if log.bytes else "none were kept"),
        ]
        self.app.push_screen(Menu(f"Requests of {found.name}", items), lambda choice: self._chosen(choice, found, log))

    def _chosen(self, choice: str | None, found: Deployment, log: RequestLog) -> None:
        if choice == "keep":
            self._keep(found, log)
        elif choice == "off":
            rules, client = log.rules.model_copy(update={"share": 0.0}), self.client
            self.change(
                f"{found.name}: keep no requests", lambda: client.set_request_log(found.id, rules), self._kept_otherwise
            )
        elif choice == "delete":
            self._delete_requests(found)

    def _keep(self, found: Deployment, log: RequestLog) -> None:
        from registry_tui.screens.deployments.watching_forms import KeepRequests

        self.app.push_screen(KeepRequests(found.id, found.name, log.rules), self._kept_otherwise)

    def _kept_otherwise(self, log: RequestLog | None) -> None:
        if log is not None:
            self.flash(f"{log.deployment_name}: {rules_told(log.rules)}")
            self.watch_now()

    def _delete_requests(self, found: Deployment) -> None:
        from registry_tui.screens.base.dialogs import Confirm

        lines = (f"All requests of {found.name} that were kept until now go. Drift is measured with later ones alone.",)
        question = Confirm("Delete kept requests", lines, "Delete", danger=True)
        client = self.client

        def answered(yes: bool | None) -> None:
            if yes:
                words = f"{found.name}: delete kept requests"
                self.change(words, lambda: client.delete_requests(found.id), lambda _: self._deleted(found))

        self.app.push_screen(question, answered)

    def _deleted(self, found: Deployment) -> None:
        self.flash(f"{found.name}: the requests that were kept are deleted")
        self.watch_now()

    # -- drift ----------------------------------------------------------------------------------------

    def do_drift(self) -> None:
        found = self.deployment
        if found is not None:
            self.opening(self._judge(found), "form")

    async def _judge(self, found: Deployment) -> None:
        from registry_tui.screens.deployments.watching_forms import JudgeDrift

        rules = (await self.client.drift(found.id)).rules
        self.app.push_screen(JudgeDrift(found.id, found.name, rules), self._judged)

    def _judged(self, drift: Drift | None) -> None:
        if drift is not None:
            self.flash(f"{drift.deployment_name}: {drift_wording.rules_in_short(drift.rules)}")
            self.watch_now()
