"""The choices for a policy's conditions: users, and the machine user of the environment's Model Registry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from registry_tui.screens.base.name_field import Choice, Find, once
from registry_tui.screens.base.user_names import MOST_USERS

if TYPE_CHECKING:
    from registry_tui.schemas.ranger import RangerService
    from registry_tui.screens.base.form import Form


class MachineUsers:
    """The machine users of an environment by their full names; the last part of one identifies it too."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def whole(self, name: str) -> str:
        """The full name of a machine user; any other name unchanged."""
        return next((each for each in self.names if name == each.rpartition("_")[2]), name)


def people_of(form: Form[Any], service: RangerService, machine_users: MachineUsers) -> Find:
    """Machine users first, then all known users; requested when the field is first used."""
    environment = service.configs.get("environment")

    async def ask() -> Sequence[Choice]:
        client = form.program.client
        registries = (await client.registries(page_size=1000)).items
        machines = [
            Choice(each.machine_user_workload_name, f"machine user of {each.name}")
            for each in registries
            if each.environment_name == environment and each.machine_user_workload_name
        ]
        machine_users.names = [each.name for each in machines]
        return [*machines, *(Choice(user.name) for user in (await client.users(page_size=MOST_USERS)).items)]

    return once(ask)
