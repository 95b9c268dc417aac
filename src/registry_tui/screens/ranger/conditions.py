"""The conditions of a policy's form: a list whose entries open a small form each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from textual import on
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from registry_tui.screens.base.form import Form, Tick, row
from registry_tui.screens.base.several_names import Names
from registry_tui.screens.ranger.people import MachineUsers, people_of
from registry_tui.terminal.keys import box_bindings, box_keys
from registry_tui.widgets.facts import beside
from registry_tui.wording.policies import CONDITIONS, people, permissions

if TYPE_CHECKING:
    from registry_tui.schemas.ranger import PolicyItem, PolicyItemAccess, RangerPolicy, RangerService, ServiceDefinition

#: Cells before the users of a condition.
_INDENT = 20


class ConditionList(OptionList):
    """Every condition in a line or more, by kind; enter changes one, or adds one where there are none."""

    BINDINGS = box_bindings("conditions")

    class Changed(Message):
        """A condition was added, changed or removed."""

    def __init__(self, service: RangerService, definition: ServiceDefinition, policy: RangerPolicy, *, id: str) -> None:
        super().__init__(id=id, compact=True, markup=False)
        self._service, self._definition = service, definition
        self.items: dict[str, list[PolicyItem]] = {field: list(getattr(policy, field)) for field, *_ in CONDITIONS}
        #: The list and the position of each line's condition; None for a line without one.
        self._places: list[tuple[str, int | None]] = []
        self._room = 56

    def on_mount(self) -> None:
        self._fill()

    def on_resize(self) -> None:
        if self.size.width and self.size.width != self._room:
            self._room = self.size.width
            self.call_later(self._fill)

    def _fill(self) -> None:
        at = self.highlighted
        self.clear_options()
        self._places = []
        for field, words, _ in CONDITIONS:
            items = self.items[field]
            for position, item in enumerate(items):
                self._places.append((field, position))
                self.add_option(Option(self._drawn("" if position else words, item)))
            if not items:
                self._places.append((field, None))
                nobody = Content.assemble((f"{words:<{_INDENT}}", "$foreground-muted"), ("–", "$foreground-muted"))
                self.add_option(Option(nobody))
        self.highlighted = min(at or 0, self.option_count - 1)

    def _drawn(self, words: str, item: PolicyItem) -> Content:
        text = beside(f"{people(item)}: {permissions(item)}", self._room - _INDENT - 1, _INDENT)
        return Content.assemble((f"{words:<{_INDENT}}", "$foreground-muted"), text)

    @property
    def _chosen(self) -> tuple[str, int | None]:
        return self._places[self.highlighted or 0]

    @on(OptionList.OptionSelected)
    def _taken(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.action_change()

    def action_add(self) -> None:
        """Opens an empty condition of the selected kind."""
        self._open(self._chosen[0], None)

    def action_change(self) -> None:
        """Opens the selected condition, or an empty one of its kind."""
        self._open(*self._chosen)

    def action_remove(self) -> None:
        """Removes the selected condition; the policy is changed only when the form is sent."""
        field, position = self._chosen
        if position is not None:
            del self.items[field][position]
            self._shown_again()

    def _open(self, field: str, position: int | None) -> None:
        words = next(words for known, words, _ in CONDITIONS if known == field)
        item = None if position is None else self.items[field][position]
        form = ConditionForm(words, self._service, self._definition, item)
        self.app.push_screen(form, partial(self._given, field, position))

    def _given(self, field: str, position: int | None, item: PolicyItem | None) -> None:
        if item is None:
            return
        if position is None:
            self.items[field].append(item)
        else:
            self.items[field][position] = item
        self._shown_again()

    def _shown_again(self) -> None:
        self._fill()
        self.post_message(self.Changed())


class ConditionForm(Form["PolicyItem"]):
    """The grantees of a condition, and its permissions."""

    SENDS = False

    def __init__(
        self, words: str, service: RangerService, definition: ServiceDefinition, item: PolicyItem | None
    ) -> None:
        super().__init__()
        self.words, self.service, self.definition, self.item = words, service, definition, item
        self.machine_users = MachineUsers()

    def title_text(self) -> str:
        return f"{self.words}: condition"

    def compose_fields(self) -> Iterable[Widget]:
        item = self.item
        yield Names(
            "Select User",
            item.users if item is not None else (),
            id="users",
            find=people_of(self, self.service, self.machine_users),
            whole=self.machine_users.whole,
            placeholder="a person, or a machine user by its last part",
        )
        yield Names(
            "Groups",
            item.groups if item is not None else (),
            id="groups",
            placeholder="groups; public is everybody",
        )
        yield Names("Roles", item.roles if item is not None else (), id="roles", placeholder="roles of Ranger")
        has = {access.type for access in self._before if access.is_allowed is not False}
        ticks = [
            Tick((access.label or access.name).lower(), access.name in has, id=f"access-{number}")
            for number, access in enumerate(self.definition.access_types)
        ]
        yield row("Permissions", *ticks)
        delegates = item is not None and item.delegate_admin
        yield row("", Tick("delegate admin (kept; administrators decide)", delegates, id="delegate"))
        keys = box_keys("names", self.program.preferences.preset, closes=False)
        yield Static(f"in a list of names: {keys}", classes="hint", markup=False)

    def on_mount(self) -> None:
        self.query_one("#users", Names).focus_field()

    def on_checkbox_changed(self) -> None:
        self.check()
        self.tell(None)

    @on(Names.Changed)
    def _named(self) -> None:
        self.check()
        self.tell(None)

    def _names(self, id: str) -> Sequence[str]:
        return self.query_one(f"#{id}", Names).given

    @property
    def _before(self) -> Sequence[PolicyItemAccess]:
        return () if self.item is None else self.item.accesses

    def _accesses(self) -> list[PolicyItemAccess]:
        """The ticked permissions; others stay, in their order."""
        from registry_tui.schemas.ranger import PolicyItemAccess

        known = [access.name for access in self.definition.access_types]
        ticked = [name for number, name in enumerate(known) if self.query_one(f"#access-{number}", Tick).value]
        kept = [
            each
            for each in self._before
            if each.type not in known or (each.type in ticked) is (each.is_allowed is not False)
        ]
        there = {each.type for each in kept}
        return [*kept, *(PolicyItemAccess(type=name) for name in ticked if name not in there)]

    def problem_of(self) -> str | None:
        for names in self.query(Names):
            if names.left_over:
                return f"enter adds {names.left_over}; or clear the field"
        if not any(self._names(each) for each in ("users", "groups", "roles")):
            return "choose a user, or type a group or a role"
        if not self._accesses() and not self.query_one("#delegate", Tick).value:
            return "tick a permission"
        return None

    async def send(self) -> PolicyItem:
        from registry_tui.schemas.ranger import PolicyItem

        before = self.item or PolicyItem()
        return before.model_copy(
            update={
                "users": list(self._names("users")),
                "groups": list(self._names("groups")),
                "roles": list(self._names("roles")),
                "accesses": self._accesses(),
                "delegate_admin": self.query_one("#delegate", Tick).value,
            }
        )
