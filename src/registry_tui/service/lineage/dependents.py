"""The effects of deleting something: shared by the confirmations of the terminal program and of commands.

It counts dependents, and names the first few that the person may see; others are only counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from sqlalchemy import ColumnElement, func, select

from registry_tui.contracts.counts import counted
from registry_tui.contracts.lineage_refs import DEPENDED_ON, PARTS, reference
from registry_tui.contracts.permissions import Action
from registry_tui.schemas.lineage import Dependents, LineageNode, NodeKind
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.database.tables import (
    CollaboratorRow,
    DeploymentRow,
    ProjectRow,
    RegistryRow,
    RevisionRow,
    WorkspaceRow,
)
from registry_tui.service.errors import InvalidInput, Missing, NotPermitted, WrongState
from registry_tui.service.lineage import (
    dependents_of_people,
    dependents_of_places,
    dependents_of_rights,
    of_copies,
    of_deployments,
    of_models,
    of_runs,
    roots,
)
from registry_tui.service.lineage.asker import Asker, parts
from registry_tui.service.lineage.graph import checked
from registry_tui.service.lineage.sentences import MOST, Rule, deployments, first_names, sentence, serving
from registry_tui.service.models.deleting import NOT_DEPLOYED
from registry_tui.service.operations.workflows import get_workflow
from registry_tui.service.registries.lifecycle import deployed_versions
from registry_tui.service.registries.views import count_models
from registry_tui.service.tracking.project import enter_project
from registry_tui.service.tracking.purging import deleted_runs

#: The rules for things without a lineage.
_OTHERS: Mapping[str, Rule] = {
    **dependents_of_people.RULES,
    **dependents_of_places.RULES,
    **dependents_of_rights.RULES,
}

#: Most things of different kinds that are checked one by one.
_EACH_ALONE = 50


def get_dependents(service: Service, principal: Principal, refs: Sequence[str]) -> Dependents:
    """The dependents of things that are deleted together. Raises Missing, NotPermitted, InvalidInput, PartUnavailable.

    Dependents of several runs, or of several experiments, are counted once.
    """
    asker = Asker(service, principal)
    asked = [checked(ref, {**PARTS, **DEPENDED_ON}) for ref in dict.fromkeys(refs)]
    if len(asked) > 1 and all(kind == "run" for kind, _ in asked):
        return Dependents(lines=_of_runs(asker, [_run(asker, named) for _, named in asked], "them"))
    if len(asked) > 1 and all(kind == "experiment" for kind, _ in asked):
        return _of_experiments(asker, [_experiment(asker, named) for _, named in asked], "them")
    if len(asked) == 1:
        return _of_one(asker, *asked[0])
    found = [(named, _of_one(asker, kind, named)) for kind, named in asked[:_EACH_ALONE]]
    # Prefixed with the last part of its reference: its name or its ID.
    lines = [f"{list(named.values())[-1]}: {line}" for named, one in found for line in one.lines]
    if len(asked) > _EACH_ALONE:
        lines.append(f"{len(asked) - _EACH_ALONE} more were not looked at")
    return Dependents(lines=lines, refused=next((one.refused for _, one in found if one.refused), ""))


def _of_one(asker: Asker, kind: str, named: Mapping[str, str]) -> Dependents:
    if kind in _WITH_LINEAGE:
        return _WITH_LINEAGE[kind](asker, named)
    if rule := _OTHERS.get(kind):
        return rule(asker, named)
    found = roots.find(asker, kind, named)
    return _RULES.get(found.kind, _of_nothing)(asker, found)


def _run(asker: Asker, named: Mapping[str, str]) -> LineageNode:
    """A run of a project that the person may read; its existence is not checked, since there may be many."""
    place = _project(asker, named)
    return LineageNode(kind=NodeKind.RUN, ref=reference("run", place, named["run"]), name=named["run"])


def _experiment(asker: Asker, named: Mapping[str, str]) -> LineageNode:
    place, id_ = _project(asker, named), named["experiment"]
    return LineageNode(kind=NodeKind.EXPERIMENT, ref=reference("experiment", place, id_), name=id_)


def _project(asker: Asker, named: Mapping[str, str]) -> str:
    return parts(asker.once(("project", named["project"]), lambda: roots.find(asker, "project", named)))["project"]


def _refused(asker: Asker, where: ColumnElement[bool]) -> str:
    """Why a model or a version is not deleted now; `models/deleting.py` decides it by the same states."""
    live = [row for row, _ in deployments(asker, where) if row.state not in NOT_DEPLOYED]
    return "It is not deleted while it is deployed: stop the deployment first" if live else ""


def _of_nothing(asker: Asker, node: LineageNode) -> Dependents:
    return Dependents(lines=[])


def _of_model(asker: Asker, node: LineageNode) -> Dependents:
    model = asker.model(parts(node)["registry"], parts(node)["model"])
    if model is None:
        return Dependents(lines=[])
    versions = of_models.versions_of(asker, model, 0, MOST)
    where = (DeploymentRow.registry_id == model.registry_id) & (DeploymentRow.model_id == model.id)
    more = "more than " if len(versions) > MOST else ""
    lines = [f"{more}{counted(min(len(versions), MOST), 'version')} of it"] if versions else []
    lines += _aliases(sorted(model.aliases)) + serving(asker, where)
    return Dependents(lines=lines, refused=_refused(asker, where))


def _aliases(names: Sequence[str]) -> list[str]:
    if not names:
        return []
    return [f"{'alias' if len(names) == 1 else 'aliases'} {first_names(names)}"]


def _of_version(asker: Asker, node: LineageNode) -> Dependents:
    named = parts(node)
    model = asker.model(named["registry"], named["model"])
    if model is None:
        return Dependents(lines=[])
    number = int(named["version"])
    of_it = (DeploymentRow.registry_id == model.registry_id) & (DeploymentRow.model_id == model.id)
    serves = of_it & (DeploymentRow.version == number)
    had = select(RevisionRow.deployment_id).where(RevisionRow.version == number)
    before = of_it & (DeploymentRow.version != number) & DeploymentRow.id.in_(had)
    lines = serving(asker, serves)
    lines += _aliases([alias for alias, version in sorted(model.aliases.items()) if version == number])
    copies = of_copies.copies_of_version(asker, [node], 0, MOST).get(node.ref, [])
    lines += sentence(copies, "version", "was promoted from it and stays", "were promoted from it and stay")
    lines += serving(asker, before, "can go back to it", "can go back to it")
    return Dependents(lines=lines, refused=_refused(asker, serves))


def _of_alias(asker: Asker, node: LineageNode) -> Dependents:
    found = of_deployments.followers_of_alias(asker, [node], 0, MOST).get(node.ref, [])
    return Dependents(lines=sentence(found, "deployment", "follows it", "follow it"))


def _of_runs(asker: Asker, runs: Sequence[LineageNode], them: str = "it") -> list[str]:
    found = of_runs.versions_of_runs(asker, runs, 0, MOST)
    versions = [version for each in runs for version in found.get(each.ref, [])]
    stay = f"registered from {them} and"
    lines = sentence(versions, "version", f"was {stay} stays", f"were {stay} stay")
    served = of_deployments.deployments_of_versions(asker, versions, 0, MOST)
    once = {each.ref or each.name: each for nodes in served.values() for each in nodes if each.relation == "served by"}
    came = f"what came from {them}"
    return lines + sentence(list(once.values()), "deployment", f"serves {came}", f"serve {came}")


def _of_run(asker: Asker, node: LineageNode) -> Dependents:
    return Dependents(lines=_of_runs(asker, [node]))


def _of_experiment(asker: Asker, node: LineageNode) -> Dependents:
    return _of_experiments(asker, [node], "it")


def _of_experiments(asker: Asker, nodes: Sequence[LineageNode], them: str) -> Dependents:
    """The runs of the first experiments, up to the limit."""
    runs: list[LineageNode] = []
    for each in nodes:
        if len(runs) <= MOST:
            runs += of_runs.runs_of_experiment(asker, [each], 0, MOST - len(runs)).get(each.ref, [])
    number = f"more than {MOST}" if len(runs) > MOST else f"{len(runs)}"
    lines = [f"{number} {'run' if len(runs) == 1 else 'runs'} in {them}"] if runs else []
    return Dependents(lines=lines + _of_runs(asker, runs[:MOST], them))


def _of_project(asker: Asker, node: LineageNode) -> Dependents:
    project = parts(node)["project"]
    experiments = of_runs.experiments_of_project(asker, [node], 0, MOST).get(node.ref, [])
    with asker.service.database.reading() as session:
        members = session.scalar(
            select(func.count()).select_from(CollaboratorRow).where(CollaboratorRow.project_id == project)
        )
    lines = serving(asker, DeploymentRow.project_id == project, "is in it", "are in it")
    lines += sentence(experiments, "experiment", "is in it", "are in it")
    return Dependents(lines=[*lines, f"{counted(members or 0, 'person', 'people')} may enter it"])


def _of_registry(asker: Asker, node: LineageNode) -> Dependents:
    with asker.service.database.reading() as session:
        row = session.get(RegistryRow, parts(node)["registry"])
        live = [] if row is None else deployed_versions(session, row.id)
    refused = "It is not deleted while versions are deployed: stop these first, or force it" if live else ""
    models = None if row is None else count_models(asker.service, row.mlflow_workspace)
    lines = [f"{counted(models, 'registered model')} in it"] if models else []
    lines += serving(asker, DeploymentRow.registry_id == parts(node)["registry"])
    return Dependents(lines=lines, refused=refused)


def _of_environment(asker: Asker, node: LineageNode) -> Dependents:
    below = of_runs.below_environment(asker, [node], 0, MOST).get(node.ref, [])
    registries = [each for each in below if each.kind is NodeKind.REGISTRY]
    projects = [each for each in below if each.kind is not NodeKind.REGISTRY]
    in_it = select(ProjectRow.id).join(WorkspaceRow).where(WorkspaceRow.environment_id == parts(node)["environment"])
    lines = sentence(registries, "Model Registry", "is in it", "are in it")
    lines += sentence(projects, "project", "is in it", "are in it")
    lines += serving(asker, DeploymentRow.project_id.in_(in_it), "runs in it", "run in it")
    refused = "It is not deleted before it is empty" if below else ""
    return Dependents(lines=lines, refused=refused)


def _of_deployment(asker: Asker, node: LineageNode) -> Dependents:
    keys = of_deployments.keys_of_deployment(asker, [node], 0, MOST).get(node.ref, [])
    return Dependents(lines=sentence(keys, "API key", "may call it", "may call it"))


def _of_key(asker: Asker, node: LineageNode) -> Dependents:
    found = of_deployments.deployments_of_key(asker, [node], 0, MOST).get(node.ref, [])
    return Dependents(lines=sentence(found, "deployment", "may be called with it", "may be called with it"))


def _of_deleted_runs(asker: Asker, named: Mapping[str, str]) -> Dependents:
    """The dependents of a project's deleted runs. Raises Missing, NotPermitted, InvalidInput, PartUnavailable."""
    try:
        days = max(0.0, float(named["days"]))
    except ValueError as error:
        raise InvalidInput(f"{named['days']!r} is not a number of days") from error
    place = enter_project(asker.service, asker.principal, named["project"], Action.RUNS_PURGE)
    found = deleted_runs(asker.service, place.workspace, days)
    lines = [f"{counted(len(found), 'deleted run')}" if found else "No run is deleted"]
    runs = [_run(asker, {"project": place.id, "run": each}) for each in found[:MOST]]
    return Dependents(lines=lines + _of_runs(asker, runs, "them"))


def _of_workflow(asker: Asker, named: Mapping[str, str]) -> Dependents:
    """The dependents of a workflow's resource, which is left as it was. Raises Missing, NotPermitted."""
    work = get_workflow(asker.service, asker.principal, named["workflow"])
    if work.status.finished:
        return Dependents(lines=[], refused=f"It has {work.status.value} already")
    if work.resource_type == "version":
        return Dependents(lines=serving(asker, DeploymentRow.version_id == work.resource_id))
    if work.resource_type not in PARTS:
        return Dependents(lines=[])
    # The person who began it may no longer see it, and a registry that is being made or deleted is not served.
    with suppress(Missing, NotPermitted, WrongState):
        found = roots.find(asker, work.resource_type, {work.resource_type: work.resource_id})
        # Nothing of it is refused: it is not deleted.
        return Dependents(lines=_RULES.get(found.kind, _of_nothing)(asker, found).lines)
    return Dependents(lines=[])


_WITH_LINEAGE: Mapping[str, Rule] = {"workflow": _of_workflow, "deleted-runs": _of_deleted_runs}

_RULES: Mapping[NodeKind, Callable[[Asker, LineageNode], Dependents]] = {
    NodeKind.MODEL: _of_model,
    NodeKind.VERSION: _of_version,
    NodeKind.ALIAS: _of_alias,
    NodeKind.RUN: _of_run,
    NodeKind.EXPERIMENT: _of_experiment,
    NodeKind.PROJECT: _of_project,
    NodeKind.REGISTRY: _of_registry,
    NodeKind.ENVIRONMENT: _of_environment,
    NodeKind.DEPLOYMENT: _of_deployment,
    NodeKind.KEY: _of_key,
}
