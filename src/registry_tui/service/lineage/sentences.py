"""Sentences about dependents: counts, and the first names of those that the person may see."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import ColumnElement, select

from registry_tui.contracts.counts import counted
from registry_tui.schemas.lineage import Dependents, LineageNode, NodeKind
from registry_tui.service.database.tables import DeploymentRow
from registry_tui.service.lineage import of_deployments
from registry_tui.service.lineage.asker import Asker

#: Names in a sentence; things of one kind that are looked up at most.
NAMED, MOST = 3, 1000
#: Nouns whose plural is not the noun and an s.
_SEVERAL = {"Model Registry": "Model Registries", "person": "people", "policy": "policies"}
#: Returns the dependents of a thing that is named by the parts of its reference.
Rule = Callable[[Asker, Mapping[str, str]], Dependents]


def first_names(names: Sequence[str], number: int | None = None) -> str:
    """`wine, wine-eu, fraud and 2 more`; `number`: how many there are, with those that are not named."""
    shown = ", ".join(names[:NAMED])
    others = (len(names) if number is None else number) - len(names[:NAMED])
    return f"{shown} and {others} more" if shown and others else shown or "none that you may see"


def about(names: Sequence[str], noun: str, verb: str, verbs: str, hidden: int = 0) -> list[str]:
    """`2 deployments serve it: wine, wine-eu`; none for none. `hidden` are counted, and not named."""
    number = len(names) + hidden
    if not number:
        return []
    count = counted(number, noun, _SEVERAL.get(noun))
    return [f"{count} {verb if number == 1 else verbs}: {first_names(names, number)}"]


def sentence(nodes: Sequence[LineageNode], noun: str, verb: str, verbs: str) -> list[str]:
    """The same for nodes; a hidden node represents several."""
    names = [each.name for each in nodes if each.kind is not NodeKind.HIDDEN]
    return about(names, noun, verb, verbs, sum(each.count for each in nodes if each.kind is NodeKind.HIDDEN))


def deployments(asker: Asker, where: ColumnElement[bool]) -> list[tuple[DeploymentRow, LineageNode]]:
    """Deployments by name, also those that the person may not see."""
    query = select(DeploymentRow).where(where).order_by(DeploymentRow.name, DeploymentRow.id).limit(MOST)
    with asker.service.database.reading() as session:
        rows = session.scalars(query).all()
    return [(row, of_deployments.deployment_node(row, "")) for row in rows]


def serving(asker: Asker, where: ColumnElement[bool], verb: str = "serves it", verbs: str = "serve it") -> list[str]:
    """A sentence about deployments."""
    found = deployments(asker, where)
    return sentence(of_deployments.or_hidden(asker, found, ""), "deployment", verb, verbs)
