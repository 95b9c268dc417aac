"""The column of the versions registered from runs. It is loaded in parallel with the pages of runs, which do not wait
for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from registry_tui.widgets.virtual_table import Column
from registry_tui.wording.words import NOTHING, Cell

if TYPE_CHECKING:
    from registry_tui.schemas.tracking import RegisteredAs, Run, RunVersions

#: The key that the column is chosen with.
REGISTERED = "attribute registered"
#: Runs in one request to the service.
AT_ONCE = 100
#: Maximum cached runs; when reached, the cache is cleared, so that long lists stay bounded.
REMEMBERED = 20_000


class Registered:
    """The versions that were registered from runs, as far as known."""

    def __init__(self, ask: Callable[[list[str]], Awaitable[RunVersions]], known: dict[str, str]) -> None:
        """`ask` takes at most `AT_ONCE` runs; `known` keeps the words of each run, also for coming back."""
        self._ask = ask
        self._words = known
        self._asked: set[str] = set()
        self._different = False
        self.column: Column[Any] = Column(REGISTERED, "Registered as", self._cell, 2, max_width=30, keeps_end=True)

    @property
    def any(self) -> bool:
        """Whether any run seen was registered."""
        return any(self._words.values())

    def ask_again(self) -> None:
        """Makes everything stale; the known values are shown until the response arrives."""
        self._asked.clear()

    def unknown(self, runs: Iterable[Run]) -> list[str]:
        """The IDs of runs that were not requested yet."""
        return [run.id for run in runs if run.id not in self._asked]

    async def learn(self, runs: Sequence[str]) -> bool:
        """Requests runs; returns whether something changed since the last call. Raises as the client does."""
        if len(self._words) > REMEMBERED:
            self._words.clear()
            self._asked.clear()
        for start in range(0, len(runs), AT_ONCE):
            some = list(runs[start : start + AT_ONCE])
            found = await self._ask(some)
            self._asked.update(some)
            for run in some:
                now = words(found.runs.get(run, ()))
                self._different = self._different or now != self._words.get(run, "")
                self._words[run] = now
        different, self._different = self._different, False
        return different

    def _cell(self, row: Run) -> str | Cell:
        known = self._words.get(row.id)
        return Cell(known, "accent") if known else NOTHING


def words(versions: Sequence[RegisteredAs]) -> str:
    """`wine-model v3`, and how many others there are."""
    if not versions:
        return ""
    more = f" +{len(versions) - 1}" if len(versions) > 1 else ""
    return f"{versions[0].model_name} v{versions[0].version}{more}"
