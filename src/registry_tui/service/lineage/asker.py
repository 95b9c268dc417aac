"""The person who requests a lineage, with a cache of reads: a request reads each model and project once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, TypeVar

from sqlalchemy import select

from registry_tui.contracts.counts import counted
from registry_tui.contracts.lineage_refs import parts_of, reference
from registry_tui.schemas.lineage import LineageNode, NodeKind
from registry_tui.schemas.models import RegisteredModel
from registry_tui.service.core import permissions
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.database.tables import ProjectRow
from registry_tui.service.errors import Missing, NotPermitted, ServiceError, WrongState
from registry_tui.service.models.registered import find_model
from registry_tui.service.registries.place import RegistryPlace, enter_registry
from registry_tui.service.tracking.project import ProjectPlace, enter_project

Answer = TypeVar("Answer")


class Asker:
    """A question of one person."""

    def __init__(self, service: Service, principal: Principal) -> None:
        self.service, self.principal = service, principal
        self._registries: dict[str, RegistryPlace | None] = {}
        self._models: dict[tuple[str, str], RegisteredModel | None] = {}
        self._projects: dict[str, ProjectPlace | None] = {}
        self._read: dict[Hashable, Any] = {}

    def once(self, key: Hashable, read: Callable[[], Answer]) -> Answer:
        """Returns the result of `read`, cached: both directions and several levels often need the same list."""
        if key not in self._read:
            self._read[key] = read()
        found: Answer = self._read[key]
        return found

    def registry(self, name_or_id: str) -> RegistryPlace | None:
        """A registry that the person may read and that is available; None for others."""
        if name_or_id not in self._registries:
            self._registries[name_or_id] = None
            with suppress(Missing, NotPermitted, WrongState):
                self._registries[name_or_id] = enter_registry(self.service, name_or_id, reader=self.principal)
        return self._registries[name_or_id]

    def model(self, registry: str, name: str) -> RegisteredModel | None:
        """A model that the person may see; None for others. Raises PartUnavailable."""
        if (registry, name) not in self._models:
            place = self.registry(registry)
            found = None
            if place is not None:
                with suppress(Missing):
                    found = find_model(self.service, self.principal, place, name)
            self._models[registry, name] = found
        return self._models[registry, name]

    def project(self, name_or_id: str) -> ProjectPlace | None:
        """A project that the person may read; None for others."""
        if name_or_id not in self._projects:
            self._projects[name_or_id] = None
            with suppress(ServiceError):
                self._projects[name_or_id] = enter_project(self.service, self.principal, name_or_id)
        return self._projects[name_or_id]

    @cached_property
    def own_projects(self) -> frozenset[str] | None:
        """The IDs of the projects that the person works in; None means all."""
        if self.principal.administrator:
            return None
        with self.service.database.reading() as session:
            return frozenset(session.scalars(permissions.own_projects(self.principal)))

    def works_in(self, project_id: str) -> bool:
        """Whether the person may read a project's things."""
        return self.own_projects is None or project_id in self.own_projects

    @cached_property
    def all_projects(self) -> Mapping[str, str]:
        """The names of all projects by ID, to distinguish deleted ones from those that the person may not see."""
        with self.service.database.reading() as session:
            rows = session.execute(select(ProjectRow.id, ProjectRow.name).where(ProjectRow.state == "ready")).all()
        return dict(row.tuple() for row in rows)


#: Finds the children of several nodes of one kind at once, by their refs: from the place `start` on, and one more than
#: `limit`, so that it shows whether there are more.
Source = Callable[[Asker, Sequence[LineageNode], int, int], dict[str, list[LineageNode]]]


def parts(node: LineageNode) -> dict[str, str]:
    """The parts of a node's reference."""
    return parts_of(node.ref)[1]


def node(
    kind: NodeKind, name: str, *names: str, relation: str = "", detail: str = "", gone: bool = False
) -> LineageNode:
    """A node; `names` are the parts of its reference. A deleted thing has no reference."""
    ref = reference(kind.value, *names) if names and not gone else ""
    return LineageNode(kind=kind, ref=ref, name=name, relation=relation, detail=detail, gone=gone)


def hidden(count: int, noun: str, relation: str) -> list[LineageNode]:
    """A node that represents so many things that the person may not see, or none."""
    if not count:
        return []
    name = f"{counted(count, noun)} that you may not see"
    return [LineageNode(kind=NodeKind.HIDDEN, ref="", name=name, relation=relation, count=count)]


def from_to(found: Sequence[LineageNode], start: int, limit: int) -> list[LineageNode]:
    """The requested part of a short list, with one more."""
    return list(found[start : start + limit + 1])
