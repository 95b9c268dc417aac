"""Lists of runs and of experiments, of which those that are deleted can be shown instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_tui.screens.base.changing_items import unmark_changed
from registry_tui.screens.base.list_screen import ListScreen
from registry_tui.terminal.commands import Place

if TYPE_CHECKING:
    from registry_tui.schemas.tracking import ItemChanges


class ShowsDeleted(ListScreen):
    """A list that shows either what is there or what is deleted, kept with its place."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        #: Whether what is deleted is shown instead.
        self.deleted: bool = place.state.get("deleted", False)

    def leave(self) -> None:
        super().leave()
        self.place.state["deleted"] = self.deleted

    def do_deleted(self) -> None:
        """Between what is deleted and what is not."""
        self.deleted = not self.deleted
        self.table.clear_marks()
        self.show_crumbs()
        self.restart()

    def items_changed(self, changes: ItemChanges) -> None:
        """Takes the marks from what was changed, and asks for the list again."""
        unmark_changed(self.table, changes)
        self.refresh_data()
