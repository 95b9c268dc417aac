"""The dependents of something about to be deleted, below the question: requested when it opens, without blocking it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from textual.widgets import Static

from registry_tui.screens.base.program import Program
from registry_tui.widgets.awaited import LOADING
from registry_tui.wording.text import safe

#: The text until the service has returned the dependents.
LOOKING = f"Dependent items: {LOADING}"


def depends_words(lines: Sequence[str]) -> str:
    """The dependents of something, as lines of a question."""
    return "\n".join(f"• {safe(line, 300)}" for line in lines) if lines else "Nothing depends on it."


class DependsOn(Static):
    """Shows the dependents of these references (`contracts/lineage_refs.py`) once the service has returned them.

    Shows when they are unknown: the question can be answered anyway. Hidden without references.
    """

    def __init__(self, refs: Sequence[str]) -> None:
        super().__init__(classes="note", id="dependents", markup=False)
        self.refs = tuple(refs)

    def on_mount(self) -> None:
        self._ask()

    def about(self, refs: Sequence[str]) -> None:
        """Requests the dependents of other references, replacing the earlier ones."""
        if tuple(refs) != self.refs:
            self.refs = tuple(refs)
            self._ask()

    def _ask(self) -> None:
        self.display = bool(self.refs)
        if self.refs:
            self.update(LOOKING)
            self.run_worker(self._look(self.refs), group="dependents", exclusive=True, exit_on_error=False)

    async def _look(self, refs: tuple[str, ...]) -> None:
        from registry_tui.client.errors import RegistryError
        from registry_tui.schemas.lineage import MAX_ASKED, DependentsAsked

        client, asked = cast(Program, self.app).client, refs[:MAX_ASKED]
        try:
            if len(asked) == 1:
                found = await client.dependents(asked[0])
            else:
                found = await client.dependents_of_all(DependentsAsked(nodes=list(asked)))
        except RegistryError as error:
            self.update(safe(f"What depends on it is not known: {error}", 400))
            return
        lines = [*found.lines, found.refused] if found.refused else list(found.lines)
        if len(asked) < len(refs):
            lines.append(f"Only the first {len(asked)} were looked at")
        self.update(depends_words(lines))
