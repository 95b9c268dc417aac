"""The form that changes a deployment: what is typed otherwise is rolled out, the rest stays."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from textual import on
from textual.widget import Widget
from textual.widgets import Checkbox, Input, Static

from registry_tui.screens.base.form import Lines, Tick, row, whole
from registry_tui.screens.base.name_field import Choice, NameField, named_row, once
from registry_tui.screens.deployments.deploy import ServingForm, size_text
from registry_tui.screens.deployments.version_names import version_choices
from registry_tui.terminal.commands import Place
from registry_tui.wording.text import safe
from registry_tui.wording.words import parse_size

if TYPE_CHECKING:
    from registry_tui.schemas.deployments import Deployment, EnvironmentVariable

Value = TypeVar("Value")


class ChangeForm(ServingForm):
    """Changes a deployment: version, replicas, resources, environment, authentication."""

    OK = "Roll out"

    def __init__(self, deployment: Deployment, variables: list[EnvironmentVariable]) -> None:
        super().__init__()
        self.deployment, self.variables = deployment, variables

    def title_text(self) -> str:
        return f"Change {self.deployment.name}"

    def compose_fields(self) -> Iterable[Widget]:
        found = self.deployment
        version = found.alias if found.follow_alias and found.alias else str(found.version)
        yield named_row("Version or alias", NameField(version, id="version", find=once(self._versions)))
        follow = Tick("roll to its version when it moves", found.follow_alias, id="follow")
        yield row("Follow the alias", follow)
        yield row("Description", Lines(found.description, id="description"))
        authentication = Tick("callers need an API key", found.authentication, id="authentication")
        yield row("Authentication", authentication)
        # What cannot be typed on a line stays as it is: nothing is sent unless something was typed.
        self.plain = "\n".join(f"{each.name}={each.value}" for each in self.variables if not each.secret)
        yield from self.serving_rows(
            found.replicas_wanted,
            found.cpu,
            size_text(found.memory_bytes),
            self.plain,
            found.batching.value,
            found.strict_json,
        )
        secrets = ", ".join(each.name for each in self.variables if each.secret)
        if secrets:
            yield Static(safe(f"secret now: {secrets}; they keep their values unless typed again", 300), classes="hint")
            yield row("Secrets to remove", Input(compact=True, id="removed", placeholder="TOKEN, PASSWORD"))

    def on_mount(self) -> None:
        self.query_one("#version").focus()

    async def _versions(self) -> list[Choice]:
        found = self.deployment
        return await version_choices(self.program.client, found.registry_id, found.model_name)

    def problem_of(self) -> str | None:
        typed = self.text("version")
        if not typed:
            return "type a version or an alias"
        if self.query_one("#follow", Tick).value and whole(typed) is not None:
            return "to follow an alias, type the alias instead of a number"
        unknown = self._removed() - {each.name for each in self.variables if each.secret}
        if unknown:
            return f"secrets to remove: none is named {', '.join(sorted(unknown))}"
        return self.serving_problem()

    def _removed(self) -> set[str]:
        """Names of secret variables that are taken away."""
        if not self.query("#removed"):
            return set()
        return {name for name in re.split(r"[,\s]+", self.text("removed")) if name}

    @on(Checkbox.Changed)
    def _ticked(self) -> None:
        self.check()

    def _variables_typed(self) -> bool:
        """Whether what was typed changes the variables; a secret one that is typed or removed always does."""
        return bool(self.text("secrets")) or bool(self._removed()) or self.text("variables") != self.plain.strip()

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
        same_alias = typed == found.alias
        request = DeploymentUpdate(
            version=whole(typed) if whole(typed) != found.version else None,
            alias=None if whole(typed) is not None or same_alias else typed,
            follow_alias=None if follow == found.follow_alias else follow,
            description=_changed(self.text("description"), found.description),
            authentication=_changed(self.query_one("#authentication", Tick).value, found.authentication),
            replicas=_changed(int(self.text("replicas")), found.replicas_wanted),
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
