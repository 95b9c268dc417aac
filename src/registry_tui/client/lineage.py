"""Calls about lineage."""

from __future__ import annotations

from typing import Any

from registry_tui.client.transport import Transport
from registry_tui.schemas.base import Page
from registry_tui.schemas.lineage import DEPTH, EACH, Dependents, DependentsAsked, Direction, LineageNode, LineageTree


class Lineage(Transport):
    """Calls about what things came from and what depends on them."""

    async def lineage(
        self, node: str, *, depth: int = DEPTH, each: int = EACH, direction: Direction | None = None
    ) -> LineageTree:
        """`node` as `contracts.lineage_refs.reference` makes it; both ways unless a direction is given."""
        params = {"node": node, "depth": depth, "each": each, "direction": direction}
        return await self._ask(LineageTree, "GET", "/lineage", params=params)

    async def neighbours(self, node: str, direction: Direction, **page: Any) -> Page[LineageNode]:
        """What is directly before or behind a node."""
        params = {"node": node, "direction": direction, **page}
        return await self._ask(Page[LineageNode], "GET", "/lineage/neighbours", params=params)

    async def dependents(self, node: str) -> Dependents:
        """What breaks if it is deleted."""
        return await self._ask(Dependents, "GET", "/lineage/dependents", params={"node": node})

    async def dependents_of_all(self, request: DependentsAsked) -> Dependents:
        """What breaks if several things are deleted together."""
        return await self._ask(Dependents, "POST", "/lineage/dependents", body=request, reads=True)
