"""The part of an experiment's page that changes the marked runs, or the selected one, and shows deleted ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry_tui.screens.base.changing_items import chosen, unmark_changed
from registry_tui.screens.base.list_screen import ListScreen
from registry_tui.terminal.commands import Place

if TYPE_CHECKING:
    from registry_tui.schemas.tracking import ItemChanges


class RunListChanges(ListScreen):
    """A list of runs, of which those that are deleted can be shown instead."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        #: Whether the deleted runs are shown instead.
        self.deleted: bool = place.state.get("deleted", False)

    def leave(self) -> None:
        super().leave()
        self.place.state["deleted"] = self.deleted

    def row_why_not(self, action: str, row: Any) -> str | None:
        if action == "restore" and not self.deleted:
            return "H shows the deleted runs, which can be restored"
        if action in ("edit", "delete") and self.deleted:
            return "these runs are deleted; Z restores them"
        return super().row_why_not(action, row)

    def do_edit(self) -> None:
        from registry_tui.screens.tracking.changing_runs import edit_runs

        edit_runs(self, self.place.args["project"], chosen(self.table), self._runs_changed)

    def do_delete(self) -> None:
        from registry_tui.screens.tracking.changing_runs import delete_runs

        delete_runs(self, self.place.args["project"], chosen(self.table), self._runs_changed)

    def do_restore(self) -> None:
        from registry_tui.screens.tracking.changing_runs import restore_runs

        restore_runs(self, self.place.args["project"], chosen(self.table), self._runs_changed)

    def do_deleted(self) -> None:
        """Between the deleted runs and the others."""
        self.deleted = not self.deleted
        self.table.clear_marks()
        self.show_crumbs()
        self.restart()

    def _runs_changed(self, changes: ItemChanges) -> None:
        unmark_changed(self.table, changes)
        self.refresh_data()
