"""Calls about lineage."""

from __future__ import annotations

from typing import Any

from registry_tui.client.transport import Transport
from registry_tui.schemas.base import Page
from registry_tui.schemas.lineage import DEPTH, EACH, Dependents, DependentsAsked, Direction, LineageNode, LineageTree


class Lineage(Transport):
    """Calls about the origins and dependents of resources."""

    async def lineage(
        self, node: str, *, depth: int = DEPTH, each: int = EACH, direction: Direction | None = None
    ) -> LineageTree:
        """`node` as returned by `contracts.lineage_refs.reference`; both directions unless one is given."""
        params = {"node": node, "depth": depth, "each": each, "direction": direction}
        return await self._ask(LineageTree, "GET", "/lineage", params=params)

    async def neighbours(self, node: str, direction: Direction, **page: Any) -> Page[LineageNode]:
        """The direct origins or dependents of a node."""
        params = {"node": node, "direction": direction, **page}
        return await self._ask(Page[LineageNode], "GET", "/lineage/neighbours", params=params)

    async def dependents(self, node: str) -> Dependents:
        """The dependents that would break if it is deleted."""
        return await self._ask(Dependents, "GET", "/lineage/dependents", params={"node": node})

    async def dependents_of_all(self, request: DependentsAsked) -> Dependents:
        """The dependents that would break if several resources are deleted together."""
        return await self._ask(Dependents, "POST", "/lineage/dependents", body=request, reads=True)
