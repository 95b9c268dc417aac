"""Edges between runs and their origins and results: experiments, data sets, git commits, logged models."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress

from registry_tui.contracts.run_origins import MOST_RUNS, OriginRow
from registry_tui.schemas.lineage import LineageNode, NodeKind
from registry_tui.schemas.models import Origin
from registry_tui.service.adapters.mlflow_words import quoted
from registry_tui.service.adapters.run_origins import origins_of_run
from registry_tui.service.errors import InvalidInput, Missing
from registry_tui.service.lineage import run_versions
from registry_tui.service.lineage.asker import Asker, from_to, node, parts
from registry_tui.service.lineage.of_runs import (
    EXPERIMENTS,
    experiment_node,
    experiments_in,
    registered_node,
    run_node,
    search_body,
)
from registry_tui.service.tracking.artifacts import get_logged_model
from registry_tui.service.tracking.project import ProjectPlace
from registry_tui.service.tracking.server import server_of

#: Characters of a commit that its name has.
_SHORT = 12


def origins_of(asker: Asker, place: ProjectPlace, run_ids: Sequence[str]) -> Mapping[str, OriginRow]:
    """The origins of runs, also of deleted ones, without purged ones: each is requested once."""
    known: dict[str, OriginRow | None] = asker.once(("origins", place.id), dict)
    wanted = [each for each in dict.fromkeys(run_ids) if each not in known]
    known |= dict.fromkeys(wanted)
    server = server_of(asker.service, place)
    if place.attached is not None and len(wanted) == 1:  # older servers find no runs by their IDs
        with suppress(Missing, InvalidInput):
            found = server.call("GET", "runs/get", params={"run_id": wanted[0]})["run"]
            known[wanted[0]] = origins_of_run(found)
        wanted = []
    for first in range(0, len(wanted), MOST_RUNS):
        part = wanted[first : first + MOST_RUNS]
        experiments = [one["experiment_id"] for one in experiments_in(asker, place, 0, EXPERIMENTS, "ALL")]
        filter_ = f"attributes.run_id IN ({', '.join(quoted(each) for each in part)})"
        body = {**search_body(experiments, filter_, 0, len(part)), "run_view_type": "ALL"}
        known |= {each.id: each for each in server.search_origins(body)}
    return {run_id: each for run_id in run_ids if (each := known[run_id]) is not None}


def by_project(nodes: Sequence[LineageNode]) -> dict[str, dict[str, LineageNode]]:
    """Runs by project and ID."""
    found: dict[str, dict[str, LineageNode]] = {}
    for each in nodes:
        named = parts(each)
        found.setdefault(named["project"], {})[named["run"]] = each
    return found


def above_runs(asker: Asker, nodes: Sequence[LineageNode], start: int, limit: int) -> dict[str, list[LineageNode]]:
    """The experiment, the data sets, the commit and the models that runs read: a few requests a project."""
    found: dict[str, list[LineageNode]] = {}
    for project, wanted in by_project(nodes).items():
        place = asker.project(project)
        if place is None:
            continue
        experiments = {
            one["experiment_id"]: experiment_node(place.id, one, "in experiment")
            for one in experiments_in(asker, place, 0, EXPERIMENTS, "ALL")
        }
        known = origins_of(asker, place, list(wanted))
        for run_id, each in wanted.items():
            origins = known.get(run_id)
            if origins is None:
                above = [node(NodeKind.RUN, each.name, relation="was run", detail=f"{run_id}, purged", gone=True)]
            else:
                experiment = experiments.get(origins.experiment_id)
                above = [*([] if experiment is None else [experiment]), *_above(place, origins)]
            found[each.ref] = from_to(above, start, limit)
    return found


def _above(place: ProjectPlace, origins: OriginRow) -> list[LineageNode]:
    above = [
        node(
            NodeKind.DATASET,
            name,
            place.id,
            name,
            digest,
            relation="read data set",
            detail=" ".join(word for word in (digest, source) if word),
        )
        for name, digest, source in origins.datasets
        if name
    ]
    if origins.commit:
        above.append(commit_node(place.id, origins.commit, "executed commit"))
    read = [logged_node(place.id, id_, name, "read logged model") for id_, name, read in origins.models if read]
    return above + read


def commit_node(project_id: str, commit: str, relation: str) -> LineageNode:
    """The node of a git commit of a project's runs."""
    return node(NodeKind.COMMIT, commit[:_SHORT], project_id, commit, relation=relation, detail=commit)


def logged_node(project_id: str, id_: str, name: str, relation: str) -> LineageNode:
    """A logged model of MLflow 3."""
    return node(NodeKind.LOGGED_MODEL, name or id_, project_id, id_, relation=relation, detail=id_)


def models_of_runs(asker: Asker, nodes: Sequence[LineageNode], start: int, limit: int) -> dict[str, list[LineageNode]]:
    """The models that runs logged."""
    found: dict[str, list[LineageNode]] = {}
    for project, wanted in by_project(nodes).items():
        place = asker.project(project)
        if place is None:
            continue
        known = origins_of(asker, place, list(wanted))
        for run_id, each in wanted.items():
            models = known[run_id].models if run_id in known else ()
            below = [logged_node(place.id, id_, name, "logged model") for id_, name, read in models if not read]
            found[each.ref] = from_to(below, start, limit)
    return found


def run_of_logged_model(
    asker: Asker, nodes: Sequence[LineageNode], start: int, limit: int
) -> dict[str, list[LineageNode]]:
    found: dict[str, list[LineageNode]] = {}
    for each in nodes:
        place, run_id = _run_of(asker, each)
        if place is None or not run_id:
            continue
        known = origins_of(asker, place, [run_id]).get(run_id)
        if known is None:
            above = node(NodeKind.RUN, run_id, relation="logged by", detail="purged", gone=True)
        else:
            fields = {"id": known.id, "name": known.name, "status": known.status, "lifecycle_stage": known.stage}
            above = run_node(place.id, fields, "logged by")
        found[each.ref] = from_to([above], start, limit)
    return found


def _run_of(asker: Asker, each: LineageNode) -> tuple[ProjectPlace | None, str]:
    """The project of a logged model, and the run that logged it; none if it is deleted."""
    named = parts(each)
    place = asker.project(named["project"])
    if place is None:
        return None, ""

    def read() -> str:
        with suppress(Missing):
            _, found = get_logged_model(asker.service, place, named["logged_model"])
            return str(found.get("info", {}).get("source_run_id", ""))
        return ""

    return place, asker.once(("logged model", each.ref), read)


def versions_of_logged_model(
    asker: Asker, nodes: Sequence[LineageNode], start: int, limit: int
) -> dict[str, list[LineageNode]]:
    """The versions that were registered from logged models, newest first."""
    found: dict[str, list[LineageNode]] = {}
    wanted: dict[str, list[tuple[LineageNode, str]]] = {}
    for each in nodes:
        place, run_id = _run_of(asker, each)
        if place is not None and run_id:
            wanted.setdefault(place.id, []).append((each, run_id))
    for project, ones in wanted.items():
        place = asker.project(project)
        if place is None:
            continue
        runs = list(dict.fromkeys(run_id for _, run_id in ones))
        seen = run_versions.with_artifacts(asker.service, asker.principal, place, runs)
        for each, run_id in ones:
            wanted_ = (run_id, parts(each)["logged_model"])
            below = [registered_node(one) for run, one, artifact in seen if (run, artifact) == wanted_]
            found[each.ref] = from_to(below, start, limit)
    return found


def readers_of_logged_model(
    asker: Asker, nodes: Sequence[LineageNode], start: int, limit: int
) -> dict[str, list[LineageNode]]:
    """The runs that read logged models, as MLflow 3 notes it, the newest first: one request a project for many models.

    Attached servers do not support that.
    """
    found: dict[str, list[LineageNode]] = {}
    wanted: dict[str, list[LineageNode]] = {}
    for each in nodes:
        wanted.setdefault(parts(each)["project"], []).append(each)
    for project, ones in wanted.items():
        place = asker.project(project)
        if place is None or place.attached is not None:
            continue
        several = _readers(asker, place, ones, 0, MOST_RUNS) if len(ones) > 1 else []
        if len(ones) > 1 and len(several) < MOST_RUNS:
            for each in ones:
                id_ = parts(each)["logged_model"]
                own = [run for run in several if any(read and model == id_ for model, _, read in run.models)]
                found[each.ref] = from_to([_reader(place, run) for run in own], start, limit)
            continue
        for each in ones:
            found[each.ref] = [_reader(place, run) for run in _readers(asker, place, [each], start, limit + 1)]
    return found


def _readers(
    asker: Asker, place: ProjectPlace, nodes: Sequence[LineageNode], start: int, most: int
) -> Sequence[OriginRow]:
    experiments = [one["experiment_id"] for one in experiments_in(asker, place, 0, EXPERIMENTS, "ALL")]
    if not experiments:
        return []
    read = {"readers_of": [parts(each)["logged_model"] for each in nodes], "start": start}
    body = {**search_body(experiments, "", 0, min(most, MOST_RUNS)), **read, "run_view_type": "ALL"}
    return server_of(asker.service, place).search_origins(body)


def _reader(place: ProjectPlace, run: OriginRow) -> LineageNode:
    fields = {"id": run.id, "name": run.name, "status": run.status, "lifecycle_stage": run.stage}
    return run_node(place.id, fields, "read by run")


def logged_model_of(asker: Asker, origin: Origin) -> list[LineageNode]:
    """The logged model that a version was registered from, of a project that the person may read."""
    id_, project = origin.artifact_path or "", origin.project_id
    if project is None or not re.fullmatch(LOGGED_MODEL_ID, id_):
        return []
    if project not in asker.all_projects or not asker.works_in(project):
        return []
    return [logged_node(project, id_, "", "packaged from")]


#: The format of logged models' IDs; other origins of versions are paths below a run's artifacts.
LOGGED_MODEL_ID = r"m-[0-9a-f]{32}"


def looked_up(asker: Asker, found: dict[str, list[LineageNode]]) -> dict[str, list[LineageNode]]:
    """The same nodes, with deleted and purged runs marked: a few queries a project, however many runs."""
    runs = [each for nodes in found.values() for each in nodes if each.kind is NodeKind.RUN and each.ref]
    stages: dict[str, str] = {}
    for project, wanted in by_project(runs).items():
        place = asker.project(project)
        if place is None or place.attached is not None:  # another server, which is queried when its run is opened
            continue
        known = origins_of(asker, place, list(wanted))
        for run_id, each in wanted.items():
            stages[each.ref] = known[run_id].stage if run_id in known else "purged"
    changed = {ref: stage for ref, stage in stages.items() if stage != "active"}
    if not changed:
        return found
    return {ref: [_with_stage(each, changed.get(each.ref)) for each in nodes] for ref, nodes in found.items()}


def _with_stage(each: LineageNode, stage: str | None) -> LineageNode:
    if stage is None or not each.ref:
        return each
    if stage == "purged":
        return each.model_copy(update={"gone": True, "ref": ""})
    return each.model_copy(update={"detail": f"deleted, can be restored; {each.detail}"})
