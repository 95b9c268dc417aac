"""One search over everything."""

from __future__ import annotations

from collections.abc import Sequence

from registry_tui.client.transport import Transport
from registry_tui.schemas.search import DEFAULT_LIMIT, FoundKind, SearchAnswer


class Search(Transport):
    """One search over everything."""

    async def search(
        self,
        text: str = "",
        *,
        kinds: Sequence[FoundKind] = (),
        project: str | None = None,
        registry: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> SearchAnswer:
        """Objects by letters of their name, in order, or the first letters of their ID; the best matches first.

        `kinds` are all by default, `limit` applies to each. `project` restricts deployments, experiments and runs to
        it, `registry` the models.
        """
        params = {
            "q": text,
            "kind": [kind.value for kind in kinds],
            "project": project,
            "registry": registry,
            "limit": limit,
        }
        return await self._ask(SearchAnswer, "GET", "/search", params=params)
