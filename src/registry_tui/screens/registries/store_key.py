"""The form that gives a registry its own key for its environment's store, or removes it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual import on
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Button, Input, Select, Static

from registry_tui.screens.base.form import Form, row
from registry_tui.screens.base.store_fields import StoreFields
from registry_tui.wording.text import safe

if TYPE_CHECKING:
    from registry_tui.schemas.registries import ModelRegistry

_GIVE, _FORGET = "give", "forget"


class ChangeStoreKey(Form["ModelRegistry"]):
    """Gives a registry a key, which is tried first, or removes the existing one; the secret is masked."""

    OK = "Give"
    WORK = "Changing the key"
    # The first field would complain before anything is typed.
    AUTO_FOCUS = ""

    def __init__(self, registry: ModelRegistry) -> None:
        super().__init__()
        self.registry = registry

    def title_text(self) -> str:
        return f"Key of {self.registry.name}"

    def compose_fields(self) -> Iterable[Widget]:
        registry = self.registry
        assert registry.store is not None
        yield Static(f"Access now: {safe(registry.archives_access, 600)}", id="way-now", classes="note", markup=False)
        yield row("Archives", Static(safe(registry.archives, 400), id="archives", markup=False))
        if registry.store_key is not None and registry.store_key.way == "given":
            choices = (("give another key", _GIVE), ("forget the key that was given", _FORGET))
            yield row("Do", Select(choices, value=_GIVE, allow_blank=False, compact=True, id="what"))
        with Vertical(id="key"):
            yield StoreFields(registry.store, key_only=True)
            if registry.store.kind == "s3":
                hint = "an ARN that the bucket's policy is to let in; or empty"
                yield row("Principal", Input(compact=True, id="principal", placeholder=hint))
            words = "It is tried among the archives first, and used from then on; a user that granting made goes."
            yield Static(words, classes="note", markup=False)
        words = "Its own user in the store takes its place, where it gets one, else the environment's credentials."
        yield Static(words, id="afterwards", classes="note", markup=False)

    def on_mount(self) -> None:
        self._show()
        chosen = self.query("#what")
        if chosen:
            chosen.first().focus()
        else:
            self.query_one(StoreFields).focus_first()

    @property
    def forgets(self) -> bool:
        """Whether the existing key is to be removed."""
        chosen = self.query("#what")
        return bool(chosen) and chosen.first(Select).value == _FORGET

    @on(Select.Changed, "#what")
    def _show(self) -> None:
        self.query_one("#key").display = not self.forgets
        self.query_one("#afterwards").display = self.forgets
        self.OK = "Forget" if self.forgets else "Give"
        self.query_one("#ok", Button).label = self.OK
        self.check()
        self.fit()

    def problem_of(self) -> str | None:
        if self.forgets:
            return None
        if (why := self.query_one(StoreFields).problem()) is not None:
            return why
        return None if _may_be_arn(self._principal) else "the principal is an ARN: arn:aws:iam::123456789012:user/ann"

    @property
    def _principal(self) -> str:
        found = self.query("#principal")
        return found.first(Input).value.strip() if found else ""

    async def send(self) -> ModelRegistry:
        from registry_tui.schemas.registries import StoreKeyGive

        client, registry = self.program.client, self.registry.id
        if self.forgets:
            return await client.forget_store_key(registry)
        store = await self.query_one(StoreFields).store()
        assert store is not None
        return await client.give_store_key(registry, StoreKeyGive(store=store, principal=self._principal))


def _may_be_arn(text: str) -> bool:
    from pydantic import ValidationError

    from registry_tui.schemas.registries import StoreKeyGive
    from registry_tui.schemas.stores import DirectoryAddress, DirectoryStore

    try:
        StoreKeyGive(store=DirectoryStore(address=DirectoryAddress(path="/")), principal=text)
    except ValidationError:
        return False
    return True


def key_said(registry: ModelRegistry) -> str:
    """The registry's access to its archives after the key was changed."""
    key = registry.store_key
    if key is None or key.way == "environment":
        return f"{registry.name} uses the environment's credentials"
    held = {"user": "its own user", "sas": "a SAS of the container"}.get(key.way, "the key that was given")
    return f"{registry.name} uses {held}"
