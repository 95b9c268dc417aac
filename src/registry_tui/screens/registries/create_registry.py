"""The form that creates a Model Registry; environments that cannot have one show the reason."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual import on
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, OptionList, Select, Static
from textual.widgets.option_list import Option

from registry_tui.screens.base.form import Tick, row
from registry_tui.screens.base.names import name_problem
from registry_tui.screens.base.working_form import WorkingForm
from registry_tui.widgets.awaited import AwaitedList
from registry_tui.wording.text import padded, safe
from registry_tui.wording.words import CLOUDS

if TYPE_CHECKING:
    from registry_tui.schemas.places import Environment

#: The entitlement that the service requires of the account.
ENTITLEMENT = "ML_MODEL_REGISTRY"


class CreateRegistry(WorkingForm[str]):
    """Takes an environment; Azure ones need an existing NFS directory and its protocol version.

    The result is the name of the registry, once it is provisioned.
    """

    TITLE_TEXT = "Create Model Registry"
    OK = "Create"
    WORK = "Provisioning"

    def __init__(self) -> None:
        super().__init__()
        self.environments: list[Environment] = []
        #: Why no registry can be created now.
        self.refusal: str | None = None

    def compose_fields(self) -> Iterable[Widget]:
        yield row("Environment", AwaitedList(id="environment"))
        yield Static("", id="hint", classes="hint", markup=False)
        yield row("Name", Input(compact=True, id="name", max_length=49))
        nfs = row("Existing NFS", Input(compact=True, id="nfs", placeholder="host:/path"))
        yield nfs.add_class("-tight")
        yield Static("", id="nfs-hint", classes="hint -below", markup=False)
        versions = (("3", "3"), ("4.1", "4.1"))
        yield row("NFS protocol", Select(versions, value="4.1", allow_blank=False, compact=True, id="protocol"))
        yield row("Storage", Tick("grant the machine user access now", False, id="grant"))

    def on_mount(self) -> None:
        self.query_one("#environment").focus()
        self.work_on(self._learn(), "environments")

    async def _learn(self) -> None:
        client = self.program.client
        if ENTITLEMENT not in (await client.whoami()).entitlements:
            self.refusal = f"this account is not entitled to Model Registries: {ENTITLEMENT} is missing"
        self.environments = [each async for each in client.every(client.environments, page_size=1000)]
        choices = self.query_one("#environment", OptionList).clear_options()
        width = min(24, max((cell_len(safe(each.name, 40)) for each in self.environments), default=0))
        for each in self.environments:
            why = f"has {each.registry_name} already" if each.registry_name else ""
            text = Content.assemble(
                (padded(safe(each.name, 40), width), "$foreground-disabled" if why else ""),
                (f"  {CLOUDS.get(each.cloud, each.cloud):<6} {safe(why, 80)}", "$foreground-muted"),
            )
            choices.add_option(Option(text, id=each.id, disabled=bool(why)))
        free = [index for index, each in enumerate(self.environments) if not each.registry_name]
        choices.highlighted = free[0] if free else None
        hint = "" if free else "Every environment has its Model Registry; 5 Environments makes another one."
        self.query_one("#hint", Static).update(safe(self.refusal or hint))
        self._show_for_cloud()

    @property
    def chosen(self) -> Environment | None:
        highlighted = self.query_one("#environment", OptionList).highlighted
        if highlighted is None or highlighted >= len(self.environments):
            return None
        found = self.environments[highlighted]
        return None if found.registry_name else found

    @on(OptionList.OptionHighlighted, "#environment")
    def _moved(self) -> None:
        self._show_for_cloud()

    @on(OptionList.OptionSelected, "#environment")
    def _taken(self) -> None:
        self.focus_next()

    def _show_for_cloud(self) -> None:
        chosen = self.chosen
        azure = chosen is not None and chosen.cloud == "azure"
        for name in ("#nfs", "#protocol"):
            parent = self.query_one(name).parent
            assert isinstance(parent, Widget)
            parent.display = azure
        self.query_one("#nfs-hint").display = azure
        self.query_one("#name", Input).placeholder = f"registry-{chosen.name}" if chosen else ""
        self.check()

    def check(self) -> None:
        super().check()
        # Not while nothing is typed yet: that is not a mistake.
        typed = self.query_one("#nfs", Input).value.strip()
        wrong = self._nfs_problem() if typed else None
        hint = self.query_one("#nfs-hint", Static)
        hint.update(wrong or "exported already, e.g. 10.0.0.4:/exports/models")
        hint.set_class(wrong is not None, "-bad")

    def tell(self, problem: str | None) -> None:
        # The problem of the export is shown next to it.
        super().tell(None if problem == self._nfs_problem() else problem)

    def _nfs_problem(self) -> str | None:
        from registry_tui.schemas.registries import NFS_PATTERN

        typed = self.query_one("#nfs", Input).value.strip()
        return None if re.fullmatch(NFS_PATTERN, typed) else "an existing NFS directory is host:/path"

    def problem_of(self) -> str | None:
        chosen = self.chosen
        if self.under_way:
            return "it is being provisioned"
        if self.refusal is not None:
            return self.refusal
        if chosen is None:
            return "choose an environment"
        name = self.query_one("#name", Input).value.strip()
        if name and (wrong := name_problem(name, longest=49)):
            return wrong
        return self._nfs_problem() if chosen.cloud == "azure" else None

    async def send(self) -> str:
        from registry_tui.schemas.registries import RegistryCreate

        chosen = self.chosen
        assert chosen is not None
        azure = chosen.cloud == "azure"
        request = RegistryCreate.model_validate(
            {
                "environment": chosen.id,
                "name": self.query_one("#name", Input).value.strip() or None,
                "existing_nfs": self.query_one("#nfs", Input).value.strip() if azure else None,
                "nfs_protocol_version": str(self.query_one("#protocol", Select).value) if azure else None,
                "grant_storage_access": self.query_one("#grant", Tick).value,
            }
        )
        accepted = await self.program.client.create_registry(request)
        self.program.look_now()
        await self.follow(accepted.workflow, "The registry was not provisioned")
        return accepted.resource.name
