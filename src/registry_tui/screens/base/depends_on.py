"""What breaks if something is deleted, below the question before it: asked when it opens, waited for by nobody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from textual.widgets import Static

from registry_tui.screens.base.program import Program
from registry_tui.widgets.awaited import LOADING
from registry_tui.wording.text import safe

#: What a question says until the service has said what depends on what goes.
LOOKING = f"What depends on it: {LOADING}"


def depends_words(lines: Sequence[str]) -> str:
    """What depends on something, as lines of a question."""
    return "\n".join(f"• {safe(line, 300)}" for line in lines) if lines else "Nothing depends on it."


class DependsOn(Static):
    """Says what depends on what these references name (`contracts/lineage_refs.py`), as soon as the service does.

    When that is not known it says so: the question can be answered all the same. Without references it is not shown.
    """

    def __init__(self, refs: Sequence[str]) -> None:
        super().__init__(classes="note", id="dependents", markup=False)
        self.refs = tuple(refs)

    def on_mount(self) -> None:
        self._ask()

    def about(self, refs: Sequence[str]) -> None:
        """Asks about other things, in place of those of before."""
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
