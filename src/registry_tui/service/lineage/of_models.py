"""Edges around registries: environments, models, versions, aliases, and the runs that versions came from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from registry_tui.contracts.version_rows import MOST, PATH, VersionRow
from registry_tui.schemas.lineage import LineageNode, NodeKind
from registry_tui.schemas.models import ModelVersion, Origin, RegisteredModel, VersionStatus
from registry_tui.service.database.tables import EnvironmentRow, RegistryRow
from registry_tui.service.lineage.asker import Asker, from_to, hidden, node, parts
from registry_tui.service.lineage.of_origins import logged_model_of, looked_up
from registry_tui.service.models import registered as models
from registry_tui.service.models.versions import origin_of


@dataclass(frozen=True)
class LineageVersion:
    """The facts of a version in a lineage."""

    version: int
    status: VersionStatus
    origin: Origin


def versions_of(
    asker: Asker, model: RegisteredModel, start: int, limit: int, only: Sequence[int] = ()
) -> list[LineageVersion]:
    """Versions of a model, newest first, from a place on and one more than `limit`; one request to MLflow per thousand.

    `model` is one that the person may see by MLflow; that is not checked again for each version.
    """
    place = asker.registry(model.registry_id)
    if place is None:
        return []
    number, workspace = only[0] if len(only) == 1 else None, place.workspace

    def read() -> list[LineageVersion]:
        listed = islice(_read(asker, workspace, model.name, number, start, min(limit + 1, MOST)), limit + 1)
        return [
            LineageVersion(
                row.version, VersionStatus(row.status or VersionStatus.READY), origin_of(row.origin, row._asdict())
            )
            for row in listed
        ]

    return asker.once(("versions", workspace, model.name, number, start, limit), read)


def _read(asker: Asker, workspace: str, name: str, number: int | None, start: int, batch: int) -> Iterator[VersionRow]:
    while True:
        body = {"name": name, "start": start, "limit": batch, "version": number}
        answer = asker.service.mlflow.call("POST", PATH, workspace=workspace, json=body)
        listed = [VersionRow(*each) for each in answer["versions"]]
        yield from listed
        start += len(listed)
        if len(listed) < batch or number is not None:
            return


def version_node(model: RegisteredModel, version: LineageVersion | ModelVersion, relation: str) -> LineageNode:
    """A node of a version; its detail is the status unless READY."""
    detail = "" if version.status is VersionStatus.READY else version.status.value.lower().replace("_", " ")
    name = f"{model.name} v{version.version}"
    return node(
        NodeKind.VERSION, name, model.registry_id, model.name, str(version.version), relation=relation, detail=detail
    )


def model_node(model: RegisteredModel, relation: str) -> LineageNode:
    return node(
        NodeKind.MODEL, model.name, model.registry_id, model.name, relation=relation, detail=model.visibility.value
    )


# -- registries --------------------------------------------------------------------------------------------


def environment_of_registry(
    asker: Asker, nodes: Sequence[LineageNode], start: int, limit: int
) -> dict[str, list[LineageNode]]:
    found: dict[str, list[LineageNode]] = {}
    with asker.service.database.reading() as session:
        for each in nodes:
            place = asker.registry(parts(each)["registry"])
            row = None if place is None else session.get(EnvironmentRow, place.environment_id)
            if row is not None:
                above = node(NodeKind.ENVIRONMENT, row.name, row.id, relation="of environment")
                found[each.ref] = from_to([above], start, limit)
    return found


def models_of_registry(
    asker: Asker, nodes: Sequence[LineageNode], start: int, limit: int
) -> dict[str, list[LineageNode]]:
    """The models that the person may see; MLflow's server does not count the others."""
    found = {}
    for each in nodes:
        place = asker.registry(parts(each)["registry"])
        if place is not None:
            listed = models.scan(asker.service, place, start=start, batch=limit + 1, seen_by=asker.principal.sight)
            found[each.ref] = [model_node(model, "holds model") for _, model in islice(listed, limit + 1)]
    return found


def registry_of_model(
    asker: Asker, nodes: Sequence[LineageNode], start: int, limit: int
) -> dict[str, list[LineageNode]]:
    found = {}
    with asker.service.database.reading() as session:
        for each in nodes:
            place = asker.registry(parts(each)["registry"])
            row = None if place is None else session.get(RegistryRow, place.id)
            if row is not None:
                above = node(NodeKind.REGISTRY, row.name, row.id, relation="in registry")
                found[each.ref] = from_to([above], start, limit)
    return found


# -- models and versions -----------------------------------------------------------------------------------


def versions_of_model(
    asker: Asker, nodes: Sequence[LineageNode], start: int, limit: int
) -> dict[str, list[LineageNode]]:
    found = {}
    for each in nodes:
        model = asker.model(parts(each)["registry"], parts(each)["model"])
        if model is not None:
            listed = versions_of(asker, model, start, limit)
            found[each.ref] = [version_node(model, version, "has version") for version in listed]
    return found


def runs_of_model(asker: Asker, nodes: Sequence[LineageNode], start: int, limit: int) -> dict[str, list[LineageNode]]:
    """The origin run of each version that has one, the newest version's first; not for lineages of a version."""
    found: dict[str, list[LineageNode]] = {}
    for each in nodes:
        model = asker.model(parts(each)["registry"], parts(each)["model"])
        if model is not None and not each.relation:
            listed = versions_of(asker, model, start, limit)
            found[each.ref] = [_origin(asker, version, f"v{version.version} came from") for version in listed]
    return looked_up(asker, found)


def model_of_version(
    asker: Asker, nodes: Sequence[LineageNode], start: int, limit: int
) -> dict[str, list[LineageNode]]:
    found = {}
    for each in nodes:
        model = asker.model(parts(each)["registry"], parts(each)["model"])
        if model is not None:
            found[each.ref] = from_to([model_node(model, "of model")], start, limit)
    return found


def run_of_version(asker: Asker, nodes: Sequence[LineageNode], start: int, limit: int) -> dict[str, list[LineageNode]]:
    """The run and the logged model that each version came from: one query a model, however many versions."""
    found: dict[str, list[LineageNode]] = {}
    by_model: dict[tuple[str, str], dict[int, LineageNode]] = {}
    for each in nodes:
        named = parts(each)
        by_model.setdefault((named["registry"], named["model"]), {})[int(named["version"])] = each
    for (registry, name), wanted in by_model.items():
        model = asker.model(registry, name)
        if model is None:
            continue
        numbers = sorted(wanted)
        only = numbers if len(numbers) == 1 else ()
        for version in versions_of(asker, model, 0, MOST, only):
            if version.version in wanted:
                above = [_origin(asker, version, "came from"), *logged_model_of(asker, version.origin)]
                found[wanted[version.version].ref] = from_to(above, start, limit)
    return looked_up(asker, found)


def _origin(asker: Asker, version: LineageVersion, relation: str) -> LineageNode:
    """The run of a version; for a deleted project, the names that the version kept."""
    origin = version.origin
    if origin.run_id is None:
        return node(NodeKind.RUN, "no run", relation=relation, detail=origin.source[:200], gone=False)
    name = origin.run_name or origin.run_id
    where = f"experiment {origin.experiment_name or origin.experiment_id or '–'}, project {origin.project_name or '–'}"
    if origin.project_id is None:
        return node(NodeKind.RUN, name, relation=relation, detail="its project is not known")
    if origin.project_id not in asker.all_projects:
        return node(NodeKind.RUN, name, relation=relation, detail=where, gone=True)
    if not asker.works_in(origin.project_id):
        return hidden(1, "run", relation)[0]
    return node(NodeKind.RUN, name, origin.project_id, origin.run_id, relation=relation, detail=where)


def aliases_of_version(
    asker: Asker, nodes: Sequence[LineageNode], start: int, limit: int
) -> dict[str, list[LineageNode]]:
    found = {}
    for each in nodes:
        named = parts(each)
        model = asker.model(named["registry"], named["model"])
        if model is not None:
            own = [alias for alias, number in sorted(model.aliases.items()) if str(number) == named["version"]]
            aliases = [
                node(NodeKind.ALIAS, alias, model.registry_id, model.name, alias, relation="named by") for alias in own
            ]
            found[each.ref] = from_to(aliases, start, limit)
    return found


def version_of_alias(
    asker: Asker, nodes: Sequence[LineageNode], start: int, limit: int
) -> dict[str, list[LineageNode]]:
    found = {}
    for each in nodes:
        named = parts(each)
        model = asker.model(named["registry"], named["model"])
        number = None if model is None else model.aliases.get(named["alias"])
        if model is not None and number is not None:
            listed = versions_of(asker, model, 0, 1, (number,))
            found[each.ref] = from_to([version_node(model, version, "names") for version in listed], start, limit)
    return found
