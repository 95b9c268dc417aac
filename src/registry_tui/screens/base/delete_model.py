"""Deleting a registered model, from the list of models and from its registry's page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_tui.contracts.lineage_refs import reference
from registry_tui.screens.base.dialogs import Confirm

if TYPE_CHECKING:
    from registry_tui.schemas.models import RegisteredModel
    from registry_tui.screens.base.frame import FrameScreen


def confirm_delete_model(screen: FrameScreen, model: RegisteredModel) -> None:
    """Shows which data is deleted and which is kept; the name must be typed."""
    lines = (
        f"{model.name} and all its versions go, with their archives.",
        "Runs stay. Version numbers are never used again.",
    )

    def deleted(_: object) -> None:
        screen.flash(f"{model.name} is being deleted")
        screen.program.look_now()
        screen.refresh_data()

    def answered(confirmed: bool | None) -> None:
        if confirmed:
            client = screen.client
            screen.change(f"{model.name}: delete", lambda: client.delete_model(model.registry_id, model.id), deleted)

    about = reference("model", model.registry_id, model.name)
    question = Confirm("Delete registered model", lines, "Delete", model.name, danger=True, about=about)
    screen.app.push_screen(question, answered)
