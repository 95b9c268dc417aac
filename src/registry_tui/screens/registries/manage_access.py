"""Manage access: the one place where machine users get access to the storage of an environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_tui.terminal.commands import Place

if TYPE_CHECKING:
    from registry_tui.screens.base.frame import FrameScreen


def manage_access(screen: FrameScreen, environment: str, registry: str | None, *, raz_enabled: bool) -> None:
    """Opens the access settings of an environment: Ranger's policies, or IDBroker's mappings in a form.

    `registry`: the ID of its Model Registry.
    """
    if raz_enabled:
        screen.program.open(Place("policies", {"environment": environment}))
        return
    screen.opening(_mappings(screen, environment, registry), "manage_access")


async def _mappings(screen: FrameScreen, environment: str, registry: str | None) -> None:
    from registry_tui.screens.registries.idbroker import ManageAccess

    client = screen.client
    now = await client.idbroker_mappings(environment)
    status = await client.idbroker_sync_status(environment)
    machine_user = None if registry is None else (await client.registry(registry)).machine_user_crn

    def ended(result: str | None) -> None:
        if result is not None:
            screen.flash(result)
            screen.refresh_data()

    screen.app.push_screen(ManageAccess(environment, now, status, machine_user), ended)
