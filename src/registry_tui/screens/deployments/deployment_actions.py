"""Actions on a deployment, from the list and from its page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from registry_tui.contracts.counts import counted
from registry_tui.contracts.lineage_refs import reference
from registry_tui.screens.base.frame import FrameScreen

if TYPE_CHECKING:
    from registry_tui.schemas.canaries import Canary, Decision
    from registry_tui.schemas.deployments import Deployment
    from registry_tui.schemas.operations import Accepted

_BUSY = ("deploying", "stopping", "pending")


class DeploymentActions(FrameScreen):
    """Actions on the deployment that subclasses return from `deployment`."""

    @property
    def deployment(self) -> Deployment | None:
        raise NotImplementedError

    def deployment_why_not(self, action: str, found: Deployment) -> str | None:
        """Why an action is not possible with this deployment now, or None."""
        if action in ("promote_canary", "pause_canary") and found.canary is None:
            return "no version is being tried"
        if action in ("promote_canary", "pause_canary") and found.canary is not None:
            return "its replicas do not answer yet" if found.canary.state == "pending" else None
        if action == "rollback" and found.canary is not None:
            return None
        if action in ("change", "scale", "restart", "rollback", "stop") and found.state in _BUSY:
            return f"it is {found.state.value}"
        if action == "stop" and found.state == "stopped":
            return "it is stopped"
        if action == "rollback" and found.revision < 2:
            return "nothing else has served before"
        if action == "delete" and found.state in ("deploying", "stopping"):
            return f"it is {found.state.value}"
        return None

    def _begin(self, what: str, call: Callable[[str], Awaitable[Accepted[Deployment] | Canary]]) -> None:
        found = self.deployment
        if found is not None:
            self.change(f"{found.name}: {what}", lambda: call(found.id), lambda _: self._done(found, what))

    def _done(self, found: Deployment, what: str) -> None:
        self.flash(f"{found.name}: {what}; 6 Activity shows how far it is")
        self.program.look_now()
        self.refresh_data()

    def _confirmed(self, title: str, lines: tuple[str, ...], ok: str, then: Callable[[], None]) -> None:
        from registry_tui.screens.base.dialogs import Confirm

        about = () if self.deployment is None else reference("deployment", self.deployment.id)
        question = Confirm(title, lines, ok, danger=True, about=about)
        self.app.push_screen(question, lambda yes: then() if yes else None)

    def do_stop(self) -> None:
        found = self.deployment
        assert found is not None
        lines = (
            f"{found.name} finishes its requests, then ends.",
            "Callers get 503 until it is started again with r.",
        )
        self._confirmed("Stop", lines, "Stop", lambda: self._begin("stops", self.client.stop_deployment))

    def do_lineage(self) -> None:
        from registry_tui.screens.base.lineage import show_lineage

        found = self.deployment
        if found is not None:
            show_lineage(self, found.name, reference("deployment", found.id))

    def do_restart(self) -> None:
        self._begin("restarts, new replicas before old ones go", self.client.restart_deployment)

    def do_rollback(self) -> None:
        from registry_tui.schemas.canaries import Decision

        if self.deployment is not None and self.deployment.canary is not None:
            self._decide(Decision.ABORT, "goes back to the old version")
            return
        self._begin("rolls back to what served before", self.client.roll_back_deployment)

    def do_promote_canary(self) -> None:
        from registry_tui.schemas.canaries import Decision

        self._decide(Decision.PROMOTE, "lets all callers reach the new version")

    def do_pause_canary(self) -> None:
        from registry_tui.schemas.canaries import Decision

        found = self.deployment
        paused = found is not None and found.canary is not None and found.canary.state == "paused"
        if paused:
            self._decide(Decision.RESUME, "goes on with the next step")
        else:
            self._decide(Decision.PAUSE, "stays at this share")

    def _decide(self, decision: Decision, what: str) -> None:
        client = self.client
        self._begin(what, lambda id_: client.decide_canary(id_, decision))

    def do_delete(self) -> None:
        found = self.deployment
        assert found is not None
        live = found.state in ("deployed", "pending", "failed")
        lines = (
            f"{found.name} ({found.model_name} v{found.version}) goes, with its history.",
            f"The files of its logs stay: logs/deployments/{found.id}",
            "It is stopped first: its callers get 404 from then on." if live else "It is stopped already.",
        )
        client = self.client
        self._confirmed(
            "Delete deployment",
            lines,
            "Delete",
            lambda: self._begin("is being deleted", lambda id_: client.delete_deployment(id_, force=True)),
        )

    def do_change(self) -> None:
        found = self.deployment
        if found is not None:
            self.opening(self._change(found), "form")

    async def _change(self, found: Deployment) -> None:
        from registry_tui.screens.deployments.change_deployment import ChangeForm

        history = await self.client.revisions(found.id)
        environment = found.among(history).environment
        self.app.push_screen(ChangeForm(found, environment), lambda _: self.refresh_data())

    def do_scale(self) -> None:
        from registry_tui.screens.base.dialogs import Menu, MenuItem

        found = self.deployment
        assert found is not None
        items = [MenuItem(str(count), counted(count, "replica")) for count in (1, 2, 3, 4, 6, 8)]
        title = f"Scale {found.name}" + ("" if found.autoscaling is None else " to a fixed number")
        self.app.push_screen(Menu(title, items, str(found.replicas_wanted)), lambda choice: self._scale(choice))

    def _scale(self, choice: str | None) -> None:
        from registry_tui.schemas.deployments import DeploymentUpdate

        if choice is None:
            return
        request = DeploymentUpdate(replicas=int(choice), comment=f"scaled to {choice}")
        client = self.client

        async def call(id_: str) -> Any:
            return await client.update_deployment(id_, request)

        self._begin(f"scales to {choice}", call)

    def do_test(self) -> None:
        from registry_tui.terminal.commands import Place

        if self.deployment is not None:
            self.program.open(Place("deployment", {"deployment": self.deployment.id, "tab": "test"}))

    def do_logs(self) -> None:
        from registry_tui.terminal.commands import Place

        if self.deployment is not None:
            self.program.open(Place("deployment", {"deployment": self.deployment.id, "tab": "logs"}))
