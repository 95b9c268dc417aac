"""The IDBroker mappings of an environment without RAZ: its roles, their members, save and synchronize."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.widget import Widget
from textual.widgets import Input, Static

from registry_tui.screens.base.form import Form, Lines, Tick, row
from registry_tui.wording.idbroker import as_lines, parsed, synchronized
from registry_tui.wording.text import safe

if TYPE_CHECKING:
    from registry_tui.schemas.idbroker import IdBrokerMappings, IdBrokerSyncStatus


class ManageAccess(Form[str]):
    """Overwrites the mappings, and synchronizes them unless that is unticked; the result is a sentence about the
    outcome."""

    OK = "Save and Sync"
    WORK = "The synchronization"

    def __init__(
        self, environment: str, now: IdBrokerMappings, status: IdBrokerSyncStatus, machine_user: str | None
    ) -> None:
        """`machine_user`: the CRN of the machine user of the environment's Model Registry."""
        super().__init__()
        self.environment, self.now, self.status, self.machine_user = environment, now, status, machine_user
        #: The version that is replaced.
        self.version = now.mappings_version

    def title_text(self) -> str:
        return f"IDBroker mappings of {self.environment}"

    def compose_fields(self) -> Iterable[Widget]:
        yield row("Data Access Role", Input(self.now.data_access_role, compact=True, id="access"))
        yield row("Ranger Audit Role", Input(self.now.ranger_audit_role, compact=True, id="audit"))
        mappings = Lines(as_lines(self.now), id="mappings", placeholder="CRN, or CRN = role; one a line")
        yield row("Mappings", mappings)
        yield Static(self._hint(), classes="hint", markup=False)
        without = row("Without mappings", Tick("remove all", id="empty"))
        without.id = "without"
        yield without
        yield row("Synchronize", Tick("now; they have no effect before", True, id="sync"))

    def _hint(self) -> str:
        lines = ["A CRN alone has the Data Access Role."]
        if self.machine_user in [each.accessor_crn for each in self.now.mappings]:
            lines.append("The Model Registry's machine user is mapped.")
        elif self.machine_user:
            lines.append(f"The Model Registry's machine user is not mapped: {safe(self.machine_user)}")
        lines.append(synchronized(self.status))
        return "\n".join(lines)

    def on_mount(self) -> None:
        self.query_one("#mappings").focus()

    def on_checkbox_changed(self) -> None:
        self.check()
        self.tell(self.problem_of())

    def check(self) -> None:
        # 24 lines only fit the essential parts.
        self.query_one("#without").display = self._mapped() == ""
        super().check()

    def problem_of(self) -> str | None:
        if not self._entered("#access") or not self._entered("#audit"):
            return "type the Data Access Role and the Ranger Audit Role"
        if not self._mapped() and not self.query_one("#empty", Tick).value:
            return "type a mapping, or tick “remove all”"
        return None

    async def send(self) -> str:
        from registry_tui.client import Intent, RegistryError
        from registry_tui.schemas.idbroker import SetIdBrokerMappings, SyncStatus

        client, access = self.program.client, self._entered("#access")
        request = SetIdBrokerMappings(
            environment_name=self.environment,
            data_access_role=access,
            ranger_audit_role=self._entered("#audit"),
            ranger_cloud_access_authorizer_role=self.now.ranger_cloud_access_authorizer_role,
            baseline_role=self.now.baseline_role,
            mappings=parsed(self._mapped(), access),
            set_empty_mappings=not self._mapped() or None,
        )
        saved = await client.set_idbroker_mappings(request, version=self.version)
        self.version = saved.mappings_version
        if self.query_one("#sync", Tick).value:
            # A new intent: a repeated request synchronizes again.
            with Intent():
                await client.sync_idbroker_mappings(self.environment)
        status = await client.idbroker_sync_status(self.environment)
        if status.global_status is SyncStatus.FAILED and self.query_one("#sync", Tick).value:
            raise RegistryError(f"The mappings are saved. {synchronized(status)}", action="Choose Save and Sync again")
        return synchronized(status)

    def failed(self, error: Exception) -> None:
        """Another user's concurrent change of the mappings is not overwritten unseen."""
        problems = getattr(getattr(error, "problem", None), "errors", ())
        if any(each.field == "mappingsVersion" for each in problems):
            self.complain(f"{error}\nAsking for what they are now …")
            self.work_on(self._look_again(), "newest")
        else:
            super().failed(error)

    async def _look_again(self) -> None:
        self.now = now = await self.program.client.idbroker_mappings(self.environment)
        self.version = now.mappings_version
        people = "\n".join(each.accessor_crn for each in now.mappings) or "nobody"
        self.complain(
            f"Not saved: somebody changed the mappings meanwhile. Mapped now:\n{people}\n"
            f"Data Access Role {now.data_access_role}, Ranger Audit Role {now.ranger_audit_role}\n"
            "Save and Sync again puts what is here in their place; esc leaves theirs."
        )

    def _mapped(self) -> str:
        return self.query_one("#mappings", Lines).text.strip()

    def _entered(self, field: str) -> str:
        return self.query_one(field, Input).value.strip()
