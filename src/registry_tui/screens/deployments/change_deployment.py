"""The form that changes a deployment: changed fields are rolled out, the rest stays."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from textual import on
from textual.widget import Widget
from textual.widgets import Checkbox, Input, Select, Static

from registry_tui.screens.base.form import Lines, Tick, row, whole
from registry_tui.screens.base.name_field import Choice, NameField, named_row, once
from registry_tui.screens.deployments import cluster_rows, rollout_rows
from registry_tui.screens.deployments.deploy import ServingForm, size_text
from registry_tui.screens.deployments.version_names import version_choices
from registry_tui.terminal.commands import Place
from registry_tui.wording.text import safe
from registry_tui.wording.words import parse_size

if TYPE_CHECKING:
    from registry_tui.schemas.canaries import Rollout
    from registry_tui.schemas.deployments import Deployment, EnvironmentVariable
    from registry_tui.schemas.scaling import AutoscalingChange

Value = TypeVar("Value")


class ChangeForm(ServingForm):
    """Changes a deployment: version, replicas, resources, environment, authentication."""

    OK = "Roll out"

    def __init__(self, deployment: Deployment, variables: list[EnvironmentVariable]) -> None:
        super().__init__()
        self.deployment, self.variables = deployment, variables

    @property
    def edits(self) -> bool:
        return True

    def title_text(self) -> str:
        return f"Change {self.deployment.name}"

    def compose_fields(self) -> Iterable[Widget]:
        found = self.deployment
        version = found.alias if found.follow_alias and found.alias else str(found.version)
        yield named_row("Version or alias", NameField(version, id="version", find=once(self._versions)))
        follow = Tick("roll to its version when it moves", found.follow_alias, id="follow")
        yield row("Follow the alias", follow)
        kept = found.follow_rollout
        now = kept.strategy.value if kept is not None else rollout_rows.AT_ONCE
        yield rollout_rows.strategy_row("Strategy", "strategy", rollout_rows.AT_ONCE)
        yield rollout_rows.strategy_row("On alias moves", "follow-strategy", now)
        yield from rollout_rows.detail_rows(kept)
        yield row("Description", Lines(found.description, id="description"))
        authentication = Tick("callers need an API key", found.authentication, id="authentication")
        yield row("Authentication", authentication)
        # Values that do not fit on one line stay unchanged: the variables are sent only if the text was edited.
        self.plain = "\n".join(f"{each.name}={each.value}" for each in self.variables if not each.secret)
        yield from self.serving_rows(
            self._replicas,
            found.cpu,
            size_text(found.memory_bytes),
            self.plain,
            found.batching.value,
            found.strict_json,
            found.autoscaling,
            found.gpus,
        )
        secrets = ", ".join(each.name for each in self.variables if each.secret)
        if secrets:
            yield Static(safe(f"secret now: {secrets}; they keep their values unless typed again", 300), classes="hint")
            yield row("Secrets to remove", Input(compact=True, id="removed", placeholder="TOKEN, PASSWORD"))

    @property
    def _replicas(self) -> int:
        """The number of replicas; with autoscaling the least."""
        found = self.deployment
        return found.replicas_wanted if found.autoscaling is None else found.autoscaling.min_replicas

    def on_mount(self) -> None:
        self._show_rollout()
        self.query_one("#version").focus()

    def _show_rollout(self) -> None:
        """A version is tried next to a serving one; an alias is followed if that is ticked."""
        following = self.query_one("#follow", Tick).value
        cluster_rows.show_rows(self, cluster=self.deployment.backend != "local")
        rollout_rows.show_rows(self, strategy=self.deployment.state == "deployed", following=following)

    async def _versions(self) -> list[Choice]:
        found = self.deployment
        return await version_choices(self.program.client, found.registry_id, found.model_name)

    def problem_of(self) -> str | None:
        typed = self.text("version")
        if not typed:
            return "type a version or an alias"
        if self.query_one("#follow", Tick).value and whole(typed) is not None:
            return f"untick Follow the alias to serve version {whole(typed)}, or type an alias"
        unknown = self._removed() - {each.name for each in self.variables if each.secret}
        if unknown:
            return f"secrets to remove: none is named {', '.join(sorted(unknown))}"
        return self.serving_problem() or rollout_rows.problem(self) or self._untried()

    def _untried(self) -> str | None:
        """Why the strategy has nothing to try; None if it has, or if the strategy tries nothing."""
        if rollout_rows.chosen(self, "strategy") not in rollout_rows.tries(self) or self._needs_new_replicas():
            return None
        return "nothing to try: change the version, the CPU, the environment, or how requests are answered"

    def _needs_new_replicas(self) -> bool:
        """Whether the typed changes need new replicas."""
        found, typed = self.deployment, self.text("version")
        return (
            typed not in (str(found.version), found.alias if found.follow_alias else None)
            or float(self.text("cpu") or "0") != found.cpu
            or cluster_rows.gpus(self) != found.gpus
            or self._variables_typed()
            or self.batching() != found.batching
            or self.query_one("#strict", Tick).value != found.strict_json
        )

    def _removed(self) -> set[str]:
        """Names of removed secret variables."""
        if not self.query("#removed"):
            return set()
        return {name for name in re.split(r"[,\s]+", self.text("removed")) if name}

    @on(Checkbox.Changed)
    @on(Select.Changed)
    @on(Input.Changed, "#max-disagreement")
    @on(Input.Changed, "#most")
    def _ticked(self) -> None:
        self._show_rollout()
        self.check()

    def _variables_typed(self) -> bool:
        """Whether the typed text changes the variables; a typed or removed secret one always does."""
        return bool(self.text("secrets")) or bool(self._removed()) or self.text("variables") != self.plain.strip()

    def _follow_rollout(self) -> Rollout | None:
        """The rollout of versions that the alias moves to, if it was changed."""
        from registry_tui.schemas.canaries import Rollout

        before = self.deployment.follow_rollout
        kept = Rollout() if before is None else Rollout.model_validate(before.model_dump())
        return _changed(rollout_rows.rollout(self, "follow-strategy"), kept)

    def _number(self) -> tuple[int | None, AutoscalingChange | None]:
        """The fixed number of replicas, or the autoscaling; None for both if unchanged."""
        from registry_tui.schemas.scaling import Autoscaling, AutoscalingChange

        before, wanted = self.deployment.autoscaling, cluster_rows.autoscaling(self)
        replicas = int(self.text("replicas"))
        if wanted is None:
            return (None if before is None and replicas == self._replicas else replicas), None
        kept = None if before is None else Autoscaling.model_validate(before.model_dump())
        return None, None if wanted == kept else AutoscalingChange(**wanted.model_dump())

    async def send(self) -> Place:
        from registry_tui.schemas.deployments import DeploymentUpdate, EnvironmentVariable
        from registry_tui.schemas.operations import Accepted

        found, typed = self.deployment, self.text("version")
        environment = self.environment()
        given, removed = {each.name for each in environment}, self._removed()
        kept = [
            EnvironmentVariable(name=each.name, secret=True)
            for each in self.variables
            if each.secret and each.name not in given | removed
        ]
        follow = self.query_one("#follow", Tick).value
        replicas, autoscaling = self._number()
        same_alias = typed == found.alias
        request = DeploymentUpdate(
            version=whole(typed) if whole(typed) != found.version else None,
            alias=None if whole(typed) is not None or same_alias else typed,
            follow_alias=None if follow == found.follow_alias else follow,
            follow_rollout=self._follow_rollout() if follow else None,
            rollout=rollout_rows.tried(rollout_rows.rollout(self, "strategy")),
            description=_changed(self.text("description"), found.description),
            authentication=_changed(self.query_one("#authentication", Tick).value, found.authentication),
            replicas=replicas,
            autoscaling=autoscaling,
            gpus=_changed(cluster_rows.gpus(self), found.gpus),
            cpu=_changed(float(self.text("cpu")), found.cpu),
            memory_bytes=_changed(parse_size(self.text("memory")), found.memory_bytes),
            batching=_changed(self.batching(), found.batching),
            strict_json=_changed(self.query_one("#strict", Tick).value, found.strict_json),
            environment=environment + kept if self._variables_typed() else None,
            comment=self.text("comment"),
        )
        answer = await self.program.client.update_deployment(found.id, request)
        if isinstance(answer, Accepted):
            await self.follow(answer.workflow, f"{found.name} was not changed")
        return Place("deployment", {"deployment": found.id})


def _changed(now: Value, before: Value) -> Value | None:
    return None if now == before else now
