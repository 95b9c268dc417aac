"""The part of an experiment's page that changes the marked runs, or the selected one, and shows deleted ones."""

from __future__ import annotations

from typing import Any

from registry_tui.screens.base.changing_items import chosen
from registry_tui.screens.base.deleted_items import ShowsDeleted


class RunListChanges(ShowsDeleted):
    """A list of runs that can show the deleted ones instead."""

    def row_why_not(self, action: str, row: Any) -> str | None:
        if action == "restore" and not self.deleted:
            return "H shows the deleted runs, which can be restored"
        if action in ("edit", "delete") and self.deleted:
            return "these runs are deleted; Z restores them"
        return super().row_why_not(action, row)

    def do_edit(self) -> None:
        from registry_tui.screens.tracking.changing_runs import edit_runs

        edit_runs(self, self.place.args["project"], chosen(self.table), self.items_changed)

    def do_delete(self) -> None:
        from registry_tui.screens.tracking.changing_runs import delete_runs

        delete_runs(self, self.place.args["project"], chosen(self.table), self.items_changed)

    def do_restore(self) -> None:
        from registry_tui.screens.tracking.changing_runs import restore_runs

        restore_runs(self, self.place.args["project"], chosen(self.table), self.items_changed)
