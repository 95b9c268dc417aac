"""The form that creates a Model Registry: environments that cannot have one say why."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual import on
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Checkbox, Input, OptionList, Select, Static
from textual.widgets.option_list import Option

from registry_tui.screens.form import Form, row
from registry_tui.widgets.text import safe

if TYPE_CHECKING:
    from registry_tui.schemas.places import Environment

_NFS = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?:/\S*")


class CreateRegistry(Form[bool]):
    """Chooses an environment; Azure ones need an existing NFS directory and its protocol version."""

    TITLE_TEXT = "Create Model Registry"
    OK = "Create"

    def __init__(self) -> None:
        super().__init__()
        self.environments: list[Environment] = []

    def compose_fields(self) -> Iterable[Widget]:
        yield row("Environment", OptionList(id="environment", compact=True))
        yield Static("reading environments …", id="hint", classes="hint", markup=False)
        yield row("Existing NFS", Input(compact=True, id="nfs", placeholder="host:/path"))
        versions = (("3", "3"), ("4.1", "4.1"))
        yield row("NFS protocol", Select(versions, value="4.1", allow_blank=False, compact=True, id="protocol"))
        yield row("Storage", Checkbox("let the machine user use its prefix now", value=True, compact=True, id="grant"))

    def on_mount(self) -> None:
        self.query_one("#environment").focus()
        self.work_on(self._learn(), "environments")

    async def _learn(self) -> None:
        self.environments = (await self.program.client.environments(page_size=1000)).items
        choices = self.query_one("#environment", OptionList)
        for each in self.environments:
            why = f"has {each.registry_name} already" if each.registry_name else ""
            cloud = {"aws": "AWS", "azure": "Azure"}.get(each.cloud, each.cloud)
            text = Content.assemble(
                (safe(each.name, 40), "$foreground-disabled" if why else ""),
                (f"  {cloud}  {safe(why, 80)}", "$foreground-muted"),
            )
            choices.add_option(Option(text, id=each.id, disabled=bool(why)))
        free = [index for index, each in enumerate(self.environments) if not each.registry_name]
        choices.highlighted = free[0] if free else None
        hint = "" if free else "Every environment has its Model Registry; 5 Environments makes another one."
        self.query_one("#hint", Static).update(hint)
        self._show_nfs()

    @property
    def chosen(self) -> Environment | None:
        highlighted = self.query_one("#environment", OptionList).highlighted
        if highlighted is None or highlighted >= len(self.environments):
            return None
        found = self.environments[highlighted]
        return None if found.registry_name else found

    @on(OptionList.OptionHighlighted, "#environment")
    def _moved(self) -> None:
        self._show_nfs()

    @on(OptionList.OptionSelected, "#environment")
    def _taken(self) -> None:
        self.focus_next()

    def _show_nfs(self) -> None:
        azure = self.chosen is not None and self.chosen.cloud == "azure"
        for name in ("#nfs", "#protocol"):
            parent = self.query_one(name).parent
            assert isinstance(parent, Widget)
            parent.display = azure
        self.check()

    def problem_of(self) -> str | None:
        chosen = self.chosen
        if chosen is None:
            return "choose an environment"
        if chosen.cloud == "azure" and not _NFS.fullmatch(self.query_one("#nfs", Input).value.strip()):
            return "an existing NFS directory is host:/path"
        return None

    async def send(self) -> bool:
        from registry_tui.schemas.registries import RegistryCreate

        chosen = self.chosen
        assert chosen is not None
        azure = chosen.cloud == "azure"
        request = RegistryCreate.model_validate(
            {
                "environment": chosen.id,
                "existing_nfs": self.query_one("#nfs", Input).value.strip() if azure else None,
                "nfs_protocol_version": str(self.query_one("#protocol", Select).value) if azure else None,
                "grant_storage_access": self.query_one("#grant", Checkbox).value,
            }
        )
        await self.program.client.create_registry(request)
        return True
