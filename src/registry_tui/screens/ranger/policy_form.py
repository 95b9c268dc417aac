"""The form of a policy: all its fields in Ranger; those without a field in the form stay unchanged."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from textual import on
from textual.widget import Widget
from textual.widgets import Input, Static

from registry_tui.screens.base.form import Form, Lines, Tick, row
from registry_tui.screens.base.name_field import Choice, NameField, named_row, once
from registry_tui.screens.ranger.conditions import ConditionList
from registry_tui.terminal.keys import box_keys
from registry_tui.wording.policies import CONDITIONS, changed_parts, containers
from registry_tui.wording.text import safe

if TYPE_CHECKING:
    from registry_tui.schemas.base import FieldProblem
    from registry_tui.schemas.ranger import (
        PolicyItem,
        PolicyResource,
        RangerPolicy,
        RangerService,
        ServiceDefinition,
        ValiditySchedule,
    )


def texts_in(text: str) -> list[str]:
    """The typed texts, one a line; spaces around them and empty lines do not count."""
    return [line.strip() for line in text.split("\n") if line.strip()]


class PolicyForm(Form["RangerPolicy"]):
    """Creates a policy, or changes one. A concurrent change is noticed, and no input is lost."""

    OK = "Save"
    WORK = "Saving the policy"

    def __init__(self, service: RangerService, definition: ServiceDefinition, policy: RangerPolicy | None) -> None:
        """Without a policy the form creates a new one."""
        from registry_tui.schemas.ranger import RangerPolicy

        super().__init__()
        self.service, self.definition = service, definition
        self.policy = policy if policy is not None else RangerPolicy(service=service.name)
        self.new = policy is None
        #: The version that is replaced.
        self.version = self.policy.version

    @property
    def edits(self) -> bool:
        return not self.new

    def title_text(self) -> str:
        return f"New policy of {self.service.name}" if self.new else f"Policy {self.policy.name}"

    # -- fields -------------------------------------------------------------------------------------

    def compose_fields(self) -> Iterable[Widget]:
        policy = self.policy
        yield row("Policy name", Input(policy.name, compact=True, id="name"))
        yield _said("name")
        ticks = (
            Tick("enabled", policy.is_enabled, id="enabled"),
            Tick("override: before all normal ones", bool(policy.policy_priority), id="override"),
        )
        yield row("", *ticks)
        for number, (words, text) in enumerate(self._resource_texts()):
            yield row(words, Lines(text, id=f"values-{number}", placeholder="one a line; * stands for all"))
            yield _said(f"values-{number}")
            yield row("", *self._resource_ticks(number))
        if policy.additional_resources:
            more = f"{len(policy.additional_resources)} more sets of resources stay as they are"
            yield Static(more, classes="hint", markup=False)
        yield ConditionList(self.service, self.definition, policy, id="conditions")
        yield _said("conditions")
        keys = box_keys("conditions", self.program.preferences.preset, closes=False)
        yield Static(f"{keys}\n", classes="hint", markup=False)
        everything = "deny everything else at these resources"
        yield row("", Tick(everything, policy.is_deny_all_else, id="deny-all-else"))
        yield from self._period_rows()
        yield row("Labels", Input(self._labels_text, compact=True, id="labels", placeholder="with commas between"))
        yield row("Description", Lines(policy.description or "", id="description"))

    def _period_rows(self) -> Iterable[Widget]:
        first = self._first_schedule
        written = "2026/11/29 23:59:59, or empty"
        yield row("Valid from", Input(first.start_time or "", compact=True, id="start", placeholder=written))
        yield _said("start")
        yield row("Valid until", Input(first.end_time or "", compact=True, id="end", placeholder=written))
        yield _said("end")
        zone = NameField(first.time_zone or "", id="zone", find=once(_zones), placeholder="UTC")
        yield named_row("Time zone", zone)
        if len(self.policy.validity_schedules) > 1:
            more = f"{len(self.policy.validity_schedules) - 1} more periods stay as they are"
            yield Static(more, classes="hint", markup=False)

    def _resource_texts(self) -> Iterable[tuple[str, str]]:
        """Each level's words and values; a new policy starts with the environment's own resources."""
        own = containers(self.definition, self.service) if self.new else {}
        for level in self.definition.resources:
            found = self.policy.resources.get(level.name)
            values = found.values if found is not None else [own[level.name]] if level.name in own else []
            yield safe(level.label or level.name, 30), "\n".join(values)

    def _resource_ticks(self, number: int) -> Iterable[Widget]:
        level = self.definition.resources[number]
        found = self.policy.resources.get(level.name)
        if level.recursive_supported:
            recursive = found is None or found.is_recursive
            yield Tick("recursive: with what is below", recursive, id=f"recursive-{number}")
        yield Tick("all but these", found is not None and found.is_excludes, id=f"excludes-{number}")

    @property
    def _labels_text(self) -> str:
        return ", ".join(self.policy.policy_labels)

    @property
    def _first_schedule(self) -> ValiditySchedule:
        from registry_tui.schemas.ranger import ValiditySchedule

        return next(iter(self.policy.validity_schedules), ValiditySchedule())

    def on_mount(self) -> None:
        for each in self.query(".said"):
            each.display = False
        # Most changes of a policy are about its grantees.
        self.query_one("#name" if self.new else "#conditions").focus()

    # -- input --------------------------------------------------------------------------------------

    @on(ConditionList.Changed)
    def _conditions_changed(self) -> None:
        self.check()
        self.tell(None)

    def on_checkbox_changed(self) -> None:
        self.check()

    @property
    def _conditions(self) -> Mapping[str, Sequence[PolicyItem]]:
        return self.query_one("#conditions", ConditionList).items

    def values(self) -> tuple[object, ...]:
        conditions = {field: tuple(items) for field, items in self._conditions.items() if items}
        return (*super().values(), conditions)

    def _text(self, id: str) -> str:
        return self.query_one(f"#{id}", Input).value.strip()

    def _ticked(self, id: str) -> bool:
        found = self.query(f"#{id}").results(Tick)
        return any(tick.value for tick in found)

    def problem_of(self) -> str | None:
        if not self._text("name"):
            return "type the policy's name"
        for number, level in enumerate(self.definition.resources):
            if not texts_in(self.query_one(f"#values-{number}", Lines).text):
                return f"type what it is about: {safe(level.label or level.name, 40)}"
        if not any(self._conditions.values()) and not self._ticked("deny-all-else"):
            return "add a condition: n in their list"
        return None

    def _resources(self) -> dict[str, PolicyResource]:
        from registry_tui.schemas.ranger import PolicyResource

        found = {}
        for number, ((_, before), level) in enumerate(
            zip(self._resource_texts(), self.definition.resources, strict=True)
        ):
            text = self.query_one(f"#values-{number}", Lines).text
            there = self.policy.resources.get(level.name)
            # An unchanged value is kept verbatim, also where spaces belong to a name.
            kept = there is not None and text == before
            found[level.name] = PolicyResource(
                values=there.values if there is not None and kept else texts_in(text),
                is_excludes=self._ticked(f"excludes-{number}"),
                is_recursive=self._ticked(f"recursive-{number}"),
            )
        return found

    def _schedules(self) -> list[ValiditySchedule]:
        first = self._first_schedule
        typed = {"start_time": self._text("start"), "end_time": self._text("end"), "time_zone": self._text("zone")}
        rest = self.policy.validity_schedules[1:]
        if not typed["start_time"] and not typed["end_time"]:
            return rest
        return [first.model_copy(update={name: value or None for name, value in typed.items()}), *rest]

    def filled(self) -> RangerPolicy:
        """The policy from the fields."""
        labels = self.query_one("#labels", Input).value
        typed_labels = [each.strip() for each in labels.split(",") if each.strip()]
        return self.policy.model_copy(
            update={
                "name": self._text("name"),
                "is_enabled": self._ticked("enabled"),
                "policy_priority": int(self._ticked("override")),
                "description": self.query_one("#description", Lines).text or None,
                "resources": self._resources(),
                "is_deny_all_else": self._ticked("deny-all-else"),
                "validity_schedules": self._schedules(),
                "policy_labels": self.policy.policy_labels if labels == self._labels_text else typed_labels,
                **{field: list(items) for field, items in self._conditions.items()},
            }
        )

    async def send(self) -> RangerPolicy:
        client, policy = self.program.client, self.filled()
        if self.new:
            return await client.create_policy(policy)
        return await client.update_policy(self.policy.id or 0, policy, version=self.version)

    # -- the service's response ---------------------------------------------------------------------

    def failed(self, error: Exception) -> None:
        """Shows each problem next to its field, and keeps all input."""
        problems: Sequence[FieldProblem] = getattr(getattr(error, "problem", None), "errors", ())
        if any(each.field == "version" for each in problems):
            self.complain(f"{error}\nAsking for what it is now …")
            self.work_on(self._look_again(), "newest")
            return
        placed: dict[str, list[str]] = {}
        for each in problems:
            id_, words = self._place_of(each)
            placed.setdefault(id_, []).append(words)
        for widget in self.query(".said").results(Static):
            words = "\n".join(placed.get((widget.id or "").removeprefix("said-"), ()))
            widget.display = bool(words)
            widget.update(safe(words, 1000) if "\n" not in words else "\n".join(safe(one) for one in words.split("\n")))
        if placed and "" not in placed:
            self.complain("Not saved: what is wrong stands below its field")
            # Not while the fields are disabled, which they are until the request has ended.
            self.call_later(partial(self._go_to, next(iter(placed))))
        else:
            super().failed(error)

    def _go_to(self, id: str) -> None:
        self.query_one(f"#{id}").focus()
        self.query_one(f"#said-{id}").scroll_visible(animate=False)

    def _place_of(self, problem: FieldProblem) -> tuple[str, str]:
        """The field that a problem is about (empty if the form has none), and the message for it."""
        name, _, rest = problem.field.partition(".")
        levels = [level.name for level in self.definition.resources]
        if name == "name":
            return "name", problem.message
        if name == "resources" and rest in levels:
            return f"values-{levels.index(rest)}", problem.message
        words = {ranger: words for _, words, ranger in CONDITIONS}.get(name)
        if words is not None:
            number = rest.partition(".")[0]
            which = f"{words}, condition {int(number) + 1}: " if number.isdigit() else ""
            return "conditions", f"{which}{problem.message}"
        if name == "validitySchedules" and rest.partition(".")[0] in ("", "0"):
            return ("end" if rest.endswith("endTime") else "start"), problem.message
        return "", problem.message

    async def _look_again(self) -> None:
        """After a concurrent change: the next Save knowingly replaces the other user's version."""
        found = await self.program.client.policies(self.service.name)
        now = next((each for each in found if each.id == self.policy.id), None)
        if now is None:
            self.complain(f"Policy {self.policy.name} was deleted meanwhile; esc leaves")
            return
        self.version = now.version
        self.complain(
            f"{now.updated_by or 'Somebody'} changed the policy meanwhile; it has version {now.version} now.\n"
            f"{self._differences(now)}\n"
            "Save again puts what is here in its place; esc leaves theirs as it is."
        )

    def _differences(self, now: RangerPolicy) -> str:
        """The parts of the policy that changed since the form was opened."""
        changed = changed_parts(self.policy, now)
        return f"Changed: {', '.join(changed)}." if changed else "It says the same as when the form was opened."


def _said(field: str) -> Static:
    """The line below a field for the service's message about it."""
    return Static("", id=f"said-{field}", classes="hint said -bad", markup=False)


async def _zones() -> list[Choice]:
    from zoneinfo import available_timezones

    return [Choice(name) for name in sorted(await asyncio.to_thread(available_timezones))]
