"""Manage access: the one place where machine users get access to the storage of an environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry_tui.screens.base.frame import FrameScreen


def why_not_manage(raz_enabled: bool) -> str | None:
    """Why that place cannot be shown, or None."""
    if raz_enabled:
        return "it is RAZ-enabled, Ranger's policies decide: `registry-tui ranger policies list`"
    return None


def manage_access(screen: FrameScreen, environment: str, registry: str | None) -> None:
    """Leads to the place of an environment; `registry`: the ID of its Model Registry."""
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
