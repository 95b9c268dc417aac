"""Edges between versions: promoted versions and their copies, in both directions."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute

from registry_tui.schemas.lineage import LineageNode, NodeKind
from registry_tui.service.database.tables import RegistryRow, VersionCopyRow
from registry_tui.service.lineage.asker import Asker, hidden, node, parts

#: Most copies of one version, or originals of one copy, that are read.
_MOST = 1000


def originals_of_version(
    asker: Asker, nodes: Sequence[LineageNode], start: int, limit: int
) -> dict[str, list[LineageNode]]:
    """The versions of which each is a copy; a deleted one stays named."""
    found = {}
    for each, rows in _rows(asker, nodes, VersionCopyRow.model_id, VersionCopyRow.version).items():
        shown = [_original(asker, row) for row in rows]
        found[each] = _page(shown, "promoted from", start, limit)
    return found


def copies_of_version(
    asker: Asker, nodes: Sequence[LineageNode], start: int, limit: int
) -> dict[str, list[LineageNode]]:
    """The versions of other registries that are copies of each."""
    found = {}
    for each, rows in _rows(asker, nodes, VersionCopyRow.source_model_id, VersionCopyRow.source_version).items():
        shown = [_copy(asker, row) for row in rows]
        found[each] = _page(shown, "promoted to", start, limit)
    return found


def _rows(
    asker: Asker,
    nodes: Sequence[LineageNode],
    model_id: InstrumentedAttribute[str],
    number: InstrumentedAttribute[int],
) -> dict[str, list[VersionCopyRow]]:
    """The rows about each version, by its reference, oldest first: one query a model."""
    wanted: dict[str, dict[int, str]] = {}
    for each in nodes:
        named = parts(each)
        model = asker.model(named["registry"], named["model"])
        if model is not None:
            wanted.setdefault(model.id, {})[int(named["version"])] = each.ref
    found: dict[str, list[VersionCopyRow]] = {}
    with asker.service.database.reading() as session:
        for id_, refs in wanted.items():
            query = select(VersionCopyRow).where(model_id == id_, number.in_(sorted(refs)))
            ordered = query.order_by(VersionCopyRow.created_at, VersionCopyRow.version_id).limit(_MOST)
            for row in session.scalars(ordered):
                found.setdefault(refs[getattr(row, number.key)], []).append(row)
    return found


def _original(asker: Asker, row: VersionCopyRow) -> LineageNode | None:
    name = f"{row.source_model_name} v{row.source_version}"
    relation, detail = "promoted from", f"registry {row.source_registry_name}"
    place = asker.registry(row.source_registry_id)
    if place is None:
        with asker.service.database.reading() as session:
            there = session.get(RegistryRow, row.source_registry_id) is not None
        return None if there else node(NodeKind.VERSION, name, relation=relation, detail=detail, gone=True)
    model = asker.model(row.source_registry_id, row.source_model_id)
    if model is None:
        return None
    return node(
        NodeKind.VERSION,
        f"{model.name} v{row.source_version}",
        row.source_registry_id,
        model.name,
        str(row.source_version),
        relation=relation,
        detail=detail,
    )


def _copy(asker: Asker, row: VersionCopyRow) -> LineageNode | None:
    place, model = asker.registry(row.registry_id), asker.model(row.registry_id, row.model_id)
    if place is None or model is None:
        return None
    return node(
        NodeKind.VERSION,
        f"{model.name} v{row.version}",
        row.registry_id,
        model.name,
        str(row.version),
        relation="promoted to",
        detail=f"registry {place.name}",
    )


def _page(shown: Sequence[LineageNode | None], relation: str, start: int, limit: int) -> list[LineageNode]:
    seen = [each for each in shown if each is not None]
    return [*seen, *hidden(len(shown) - len(seen), "version", relation)][start : start + limit + 1]
