"""The lineage of a thing: its origins and its dependents, in pages or as a tree.

A further kind of edge is one more function in `ORIGINS` or `DEPENDENTS`. Each finds the children of many nodes at once,
so that a tree costs a few queries a level, not a few a node. Things that a person may not read are counted, never
named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from registry_tui.contracts.lineage_refs import PARTS, parts_of
from registry_tui.schemas.base import DEFAULT_PAGE_SIZE, FieldProblem, Page
from registry_tui.schemas.lineage import DEPTH, EACH, Direction, LineageNode, LineageTree, NodeKind
from registry_tui.service.core import paging
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.errors import InvalidInput
from registry_tui.service.lineage import of_copies, of_deployments, of_models, of_origins, of_runs, roots
from registry_tui.service.lineage.asker import Asker, Source

#: Nodes of a tree at most.
MOST = 10_000

ORIGINS: Mapping[NodeKind, tuple[Source, ...]] = {
    NodeKind.REGISTRY: (of_models.environment_of_registry,),
    NodeKind.PROJECT: (of_runs.environment_of_project,),
    NodeKind.EXPERIMENT: (of_runs.project_of_experiment,),
    NodeKind.RUN: (of_origins.above_runs,),
    NodeKind.LOGGED_MODEL: (of_origins.run_of_logged_model,),
    NodeKind.MODEL: (of_models.registry_of_model, of_models.runs_of_model),
    NodeKind.VERSION: (of_copies.originals_of_version, of_models.run_of_version, of_models.model_of_version),
    NodeKind.ALIAS: (of_models.version_of_alias,),
    NodeKind.DEPLOYMENT: (of_deployments.above_deployments,),
    NodeKind.KEY: (of_deployments.deployments_of_key,),
}
DEPENDENTS: Mapping[NodeKind, tuple[Source, ...]] = {
    NodeKind.ENVIRONMENT: (of_runs.below_environment,),
    NodeKind.REGISTRY: (of_models.models_of_registry,),
    NodeKind.PROJECT: (of_deployments.deployments_of_project, of_runs.experiments_of_project),
    NodeKind.EXPERIMENT: (of_runs.runs_of_experiment,),
    NodeKind.RUN: (of_origins.models_of_runs, of_runs.versions_of_runs),
    NodeKind.LOGGED_MODEL: (of_origins.versions_of_logged_model, of_origins.readers_of_logged_model),
    NodeKind.DATASET: (of_runs.runs_of_dataset,),
    NodeKind.COMMIT: (of_runs.runs_of_commit,),
    NodeKind.MODEL: (of_models.versions_of_model,),
    NodeKind.VERSION: (
        of_models.aliases_of_version,
        of_deployments.deployments_of_versions,
        of_copies.copies_of_version,
    ),
    NodeKind.ALIAS: (of_deployments.followers_of_alias,),
    NodeKind.DEPLOYMENT: (of_deployments.keys_of_deployment,),
}
_EDGES = {Direction.ORIGINS: ORIGINS, Direction.DEPENDENTS: DEPENDENTS}


def checked(ref: str, kinds: Mapping[str, tuple[str, ...]] = PARTS) -> tuple[str, dict[str, str]]:
    """The kind and the parts of a reference. Raises InvalidInput."""
    try:
        kind, named = parts_of(ref, kinds)
        if kind == "version" and not (named["version"].isascii() and named["version"].isdigit()):
            raise ValueError("must end with the number of a version")
    except ValueError as error:
        raise InvalidInput(
            f"{ref[:200]!r} names nothing that has a lineage: it {error}",
            action="For example: model:REGISTRY/MODEL, run:PROJECT/RUN, deployment:NAME",
            errors=[FieldProblem(field="node", message=str(error))],
        ) from error
    return kind, named


def list_neighbours(
    service: Service,
    principal: Principal,
    ref: str,
    direction: Direction,
    *,
    page_size: int = DEFAULT_PAGE_SIZE,
    page_token: str | None = None,
) -> Page[LineageNode]:
    """The direct origins or the direct dependents of a thing. Raises Missing, NotPermitted, InvalidInput."""
    paging.check_page_size(page_size)
    asker = Asker(service, principal)
    node = roots.find(asker, *checked(ref))
    return _page(asker, node, direction, page_size, page_token)


def _page(
    asker: Asker, node: LineageNode, direction: Direction, page_size: int, page_token: str | None
) -> Page[LineageNode]:
    scope = f"lineage:{asker.principal.name}:{node.ref}:{direction.value}"
    index, start = paging.decode_token(scope, page_token, int, int) if page_token else (0, 0)
    sources = _EDGES[direction].get(node.kind, ())
    if index < 0 or start < 0:
        raise paging.wrong_token()
    items: list[LineageNode] = []
    while index < len(sources):
        room = page_size - len(items)
        found = sources[index](asker, [node], start, room).get(node.ref, [])
        items += found[:room]
        if len(found) > room:
            return Page(items=items, next_page_token=paging.encode_token(scope, index, start + room))
        index, start = index + 1, 0
        if len(items) == page_size and index < len(sources):
            return Page(items=items, next_page_token=paging.encode_token(scope, index, 0))
    return Page(items=items)


@dataclass
class _Growing:
    """A node of a tree that is being made."""

    node: LineageNode
    below: list[_Growing] = field(default_factory=list)
    more: str | None = None


def get_tree(
    service: Service,
    principal: Principal,
    ref: str,
    *,
    depth: int = DEPTH,
    each: int = EACH,
    direction: Direction | None = None,
) -> LineageTree:
    """The origins and dependents of a thing, `depth` levels each way, at most `each` children of a node.

    `direction`: only that way. Raises Missing, NotPermitted, InvalidInput, PartUnavailable.
    """
    asker = Asker(service, principal)
    root = roots.find(asker, *checked(ref))
    wanted = (direction,) if direction is not None else tuple(Direction)
    grown, cut = {}, False
    for way in wanted:
        grown[way] = _Growing(root)
        cut = _grow(asker, grown[way], way, depth, each, MOST // len(wanted)) or cut
    origins, dependents = grown.get(Direction.ORIGINS), grown.get(Direction.DEPENDENTS)
    return LineageTree(
        node=root,
        origins=[] if origins is None else [_origin_tree(one) for one in origins.below],
        dependents=[] if dependents is None else [_dependent_tree(one) for one in dependents.below],
        more_origins=None if origins is None else origins.more,
        more_dependents=None if dependents is None else dependents.more,
        cut=cut,
    )


def _grow(asker: Asker, root: _Growing, way: Direction, depth: int, each: int, most: int) -> bool:
    """Adds level after level; nodes seen before are not expanded again. Returns whether something was left out."""
    level, met, count = [root], {root.node.ref}, 1
    for _ in range(depth):
        by_kind: dict[NodeKind, list[_Growing]] = {}
        for one in level:
            by_kind.setdefault(one.node.kind, []).append(one)
        following: list[_Growing] = []
        for kind, ones in by_kind.items():
            _open(asker, kind, ones, way, each)
            for one in ones:
                if count + len(one.below) > most:
                    one.below = one.below[: most - count]
                    return True
                count += len(one.below)
                for below in one.below:
                    if below.node.ref and below.node.ref not in met:
                        met.add(below.node.ref)
                        following.append(below)
        level = following
        if not level:
            break
    return False


def _open(asker: Asker, kind: NodeKind, ones: Sequence[_Growing], way: Direction, each: int) -> None:
    for index, source in enumerate(_EDGES[way].get(kind, ())):
        # A node whose list is full already continues by its token.
        open_ = [one for one in ones if one.more is None]
        if not open_:
            return
        found = source(asker, [one.node for one in open_], 0, each)
        for one in open_:
            children, room = found.get(one.node.ref, []), each - len(one.below)
            one.below += [_Growing(child) for child in children[:room]]
            if len(children) > room:
                scope = f"lineage:{asker.principal.name}:{one.node.ref}:{way.value}"
                one.more = paging.encode_token(scope, index, max(0, room))


def _origin_tree(grown: _Growing) -> LineageTree:
    return LineageTree(node=grown.node, origins=[_origin_tree(one) for one in grown.below], more_origins=grown.more)


def _dependent_tree(grown: _Growing) -> LineageTree:
    return LineageTree(
        node=grown.node, dependents=[_dependent_tree(one) for one in grown.below], more_dependents=grown.more
    )
