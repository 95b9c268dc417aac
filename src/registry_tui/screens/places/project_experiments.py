"""The part of a project's page that creates, renames, deletes and restores experiments, and shows deleted ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry_tui.screens.base.changing_items import chosen
from registry_tui.screens.base.deleted_items import ShowsDeleted
from registry_tui.widgets.page_cache import Fetch
from registry_tui.widgets.virtual_table import Empty

if TYPE_CHECKING:
    from registry_tui.schemas.tracking import Experiment


class ExperimentActions(ShowsDeleted):
    """A list of experiments that can show the deleted ones instead."""

    @property
    def nothing(self) -> Empty:
        """The text of the list when it is empty without a filter."""
        return Empty("No deleted experiments", ("H shows the others.",)) if self.deleted else super().nothing

    def experiments_why_not(self, action: str) -> str | None:
        """Why an action on experiments is not possible now, or None."""
        if action in ("create", "deleted"):
            return None
        if self.current is None:
            return "nothing is selected"
        if action == "restore" and not self.deleted:
            return "H shows the deleted experiments, which can be restored"
        if action in ("change", "delete") and self.deleted:
            return "it is deleted; Z restores it"
        return None

    def create_experiment(self) -> None:
        """Opens the form for a new experiment."""
        from registry_tui.screens.base.changing_experiments import CreateExperiment, open_form

        open_form(self, CreateExperiment(self.place.args["project"]), "Created", self._show_it)

    def rename_experiment(self) -> None:
        """Opens the form for the selected experiment's name."""
        from registry_tui.screens.base.changing_experiments import RenameExperiment, open_form

        open_form(self, RenameExperiment(self.place.args["project"], self.current), "Renamed to", self._show_it)

    def delete_experiments(self) -> None:
        """Asks, then deletes the marked experiments, or the selected one."""
        from registry_tui.screens.base.changing_experiments import delete_experiments

        delete_experiments(self, self.place.args["project"], chosen(self.table), self.items_changed)

    def do_restore(self) -> None:
        from registry_tui.screens.base.changing_experiments import restore_experiments

        restore_experiments(self, self.place.args["project"], chosen(self.table), self.items_changed)

    def _show_it(self, experiment: Experiment) -> None:
        """Puts the cursor on a new or renamed experiment."""
        self.deleted = False
        self.show_crumbs()
        self.table.set_source(self.new_source(), (0, experiment.id))

    def fetch_experiments(self, name: str | None, order: str | None) -> Fetch[Any]:
        """A function that fetches pages of the displayed experiments."""
        client, project, deleted = self.client, self.place.args["project"], self.deleted

        async def fetch(token: str | None, backwards: bool) -> Any:
            return await client.experiments(project, name=name, order_by=order, deleted=deleted, page_token=token)

        return fetch
