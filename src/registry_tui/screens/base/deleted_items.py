"""Lists of runs and of experiments that can show the deleted ones instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_tui.screens.base.changing_items import unmark_changed
from registry_tui.screens.base.list_screen import ListScreen
from registry_tui.terminal.commands import Place

if TYPE_CHECKING:
    from registry_tui.schemas.tracking import ItemChanges


class ShowsDeleted(ListScreen):
    """A list that shows either existing or deleted items; the choice is kept with its place."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        #: Whether deleted items are shown instead.
        self.deleted: bool = place.state.get("deleted", False)

    def leave(self) -> None:
        super().leave()
        self.place.state["deleted"] = self.deleted

    def do_deleted(self) -> None:
        """Switches between existing and deleted items."""
        self.deleted = not self.deleted
        self.table.clear_marks()
        self.show_crumbs()
        self.restart()

    def items_changed(self, changes: ItemChanges) -> None:
        """Unmarks the changed rows, and reloads the list."""
        unmark_changed(self.table, changes)
        self.refresh_data()
