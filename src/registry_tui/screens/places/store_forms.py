"""Forms with the store of an environment: one that can try the store, and the one that changes the access to it."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from typing import TYPE_CHECKING, Any

from textual import on
from textual.widget import Widget
from textual.widgets import Button, Static

from registry_tui.screens.base.form import Form, Told
from registry_tui.screens.base.store_fields import StoreFields
from registry_tui.wording.stores import report_lines
from registry_tui.wording.text import safe

if TYPE_CHECKING:
    from registry_tui.schemas.places import Environment
    from registry_tui.schemas.stores import StoreReport


class StoreForm(Form["Environment | StoreReport"]):
    """A form with the fields of a store, which can be tried before OK sends it."""

    #: Whether sending only tries the store.
    trying = False
    #: The fields' values at the time of the findings.
    _found_with: tuple[object, ...] = ()

    @property
    def store_fields(self) -> StoreFields:
        """The store's part of the form."""
        return self.query_one(StoreFields)

    def compose_progress(self) -> Iterable[Widget]:
        """The findings of trying the store, between the fields and the buttons."""
        found = Told("", id="found", classes="note", markup=False)
        found.display = False
        yield found

    @on(Button.Pressed, "#try")
    def _try(self) -> None:
        """Tries the store with the typed values; nothing is created or changed."""
        if self.busy:
            return
        if (why := self.store_fields.problem()) is not None:
            self.complain(why)
            return
        self.trying, self.SENDING, self.WORK = True, "Trying", "The trial"
        super().begin()

    def begin(self) -> None:
        self.trying, self.SENDING, self.WORK = False, type(self).SENDING, type(self).WORK
        super().begin()

    def work(self) -> Coroutine[Any, Any, Environment | StoreReport]:
        return self._report() if self.trying else self.send()

    async def _report(self) -> StoreReport:
        from registry_tui.schemas.stores import StoreCheck

        store = await self.store_fields.store()
        assert store is not None
        return await self.program.client.check_store(StoreCheck(store=store))

    def sent(self, result: Environment | StoreReport) -> None:
        if not self.trying:
            super().sent(result)
            return
        found = self.query_one("#found", Static)
        found.update("\n".join(_lines(result)))
        found.set_class(not getattr(result, "usable", True), "-bad")
        found.display = True
        self._found_with = self.values()
        self.fit()

    def check(self) -> None:
        """Hides the findings once the input changes."""
        super().check()
        found = self.query_one("#found")
        if found.display and self.values() != self._found_with:
            found.display = False
        self.fit()

    def answered_late(self, result: Environment | StoreReport) -> None:
        if self.trying:
            self.app.notify("\n".join(_lines(result)), markup=False)
        else:
            super().answered_late(result)


def _lines(result: Environment | StoreReport) -> list[str]:
    from registry_tui.schemas.stores import StoreReport

    return report_lines(result) if isinstance(result, StoreReport) else []


class ChangeStore(StoreForm):
    """Changes the access to an environment's own store; its content is not touched."""

    OK = "Change"
    WORK = "Changing the store"
    # The first field would complain before anything is typed.
    AUTO_FOCUS = ""

    def __init__(self, environment: Environment) -> None:
        super().__init__()
        self.environment = environment

    @property
    def edits(self) -> bool:
        return True

    def title_text(self) -> str:
        return f"Store of {self.environment.name}"

    def compose_fields(self) -> Iterable[Widget]:
        words = "It is reached in this way from now on, after it was tried so. Its files stay."
        yield Static(words, classes="note", markup=False)
        yield StoreFields(self.environment.store)

    def on_mount(self) -> None:
        self.store_fields.focus_first()

    def problem_of(self) -> str | None:
        return self.store_fields.problem()

    async def send(self) -> Environment:
        from registry_tui.schemas.stores import StoreChange

        store = await self.store_fields.store()
        assert store is not None
        request = StoreChange(store=store, artifacts=self.store_fields.changed_artifacts)
        return await self.program.client.change_store(self.environment.id, request)


def made_said(environment: Environment) -> str:
    """A message about a created environment, with the notes about its store."""
    notes = [] if environment.store is None else environment.store.notes
    return "\n".join([f"{environment.name} is there", *(safe(each.text, 300) for each in notes)])
