"""What breaks if something is deleted: the one rule that questions of the terminal program and of commands ask.

It counts, and names the first few of what the person may see; what they may not see is only counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import ColumnElement, false, func, select

from registry_tui.contracts.counts import counted
from registry_tui.schemas.lineage import Dependents, LineageNode, NodeKind
from registry_tui.service.access import people
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.database.tables import (
    ApiKeyRow,
    CollaboratorRow,
    DeploymentRow,
    ProjectRow,
    RegistryRow,
    RevisionRow,
    WorkspaceRow,
    now,
)
from registry_tui.service.lineage import of_copies, of_deployments, of_models, of_runs, roots
from registry_tui.service.lineage.asker import Asker, parts
from registry_tui.service.lineage.graph import checked
from registry_tui.service.models.deleting import NOT_DEPLOYED
from registry_tui.service.registries.views import count_models

#: Names in a sentence; what is looked at of one kind at most.
NAMED, MOST = 3, 1000


def get_dependents(service: Service, principal: Principal, ref: str) -> Dependents:
    """What depends on a thing, in sentences. Raises Missing, NotPermitted, InvalidInput, PartUnavailable."""
    asker = Asker(service, principal)
    kind, _, name = ref.partition(":")
    if kind == "user":
        return _of_user(asker, name)
    node = roots.find(asker, *checked(ref))
    return _RULES.get(node.kind, _of_nothing)(asker, node)


def _sentence(nodes: Sequence[LineageNode], noun: str, verb: str, verbs: str) -> list[str]:
    """`2 deployments serve it: wine, wine-eu` of nodes, of which hidden ones stand for several; none for none."""
    names = [each.name for each in nodes if each.kind is not NodeKind.HIDDEN]
    number = len(names) + sum(each.count for each in nodes if each.kind is NodeKind.HIDDEN)
    if not number:
        return []
    shown = ", ".join(names[:NAMED])
    others = number - len(names[:NAMED])
    also = f"{shown} and {others} more" if shown and others else shown or "none that you may see"
    return [f"{counted(number, noun)} {verb if number == 1 else verbs}: {also}"]


def _deployments(asker: Asker, where: ColumnElement[bool]) -> list[tuple[DeploymentRow, LineageNode]]:
    query = select(DeploymentRow).where(where).order_by(DeploymentRow.name, DeploymentRow.id).limit(MOST)
    with asker.service.database.reading() as session:
        rows = session.scalars(query).all()
    return [(row, of_deployments.deployment_node(row, "")) for row in rows]


def _serving(asker: Asker, where: ColumnElement[bool], verb: str = "serves it", verbs: str = "serve it") -> list[str]:
    found = _deployments(asker, where)
    return _sentence(of_deployments.or_hidden(asker, found, ""), "deployment", verb, verbs)


def _refused(asker: Asker, where: ColumnElement[bool]) -> str:
    """Why a model or a version is not deleted now; `models/deleting.py` decides it by the same states."""
    live = [row for row, _ in _deployments(asker, where) if row.state not in NOT_DEPLOYED]
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
    lines += _aliases(sorted(model.aliases)) + _serving(asker, where)
    return Dependents(lines=lines, refused=_refused(asker, where))


def _aliases(names: Sequence[str]) -> list[str]:
    if not names:
        return []
    shown = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
    return [f"{'alias' if len(names) == 1 else 'aliases'} {shown}"]


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
    lines = _serving(asker, serves)
    lines += _aliases([alias for alias, version in sorted(model.aliases.items()) if version == number])
    copies = of_copies.copies_of_version(asker, [node], 0, MOST).get(node.ref, [])
    lines += _sentence(copies, "version", "was promoted from it and stays", "were promoted from it and stay")
    lines += _serving(asker, before, "can go back to it", "can go back to it")
    return Dependents(lines=lines, refused=_refused(asker, serves))


def _of_alias(asker: Asker, node: LineageNode) -> Dependents:
    found = of_deployments.followers_of_alias(asker, [node], 0, MOST).get(node.ref, [])
    return Dependents(lines=_sentence(found, "deployment", "follows it", "follow it"))


def _of_runs(asker: Asker, runs: Sequence[LineageNode]) -> list[str]:
    found = of_runs.versions_of_runs(asker, runs, 0, MOST)
    versions = [version for each in runs for version in found.get(each.ref, [])]
    lines = _sentence(versions, "version", "was registered from it and stays", "were registered from it and stay")
    serving = of_deployments.deployments_of_versions(asker, versions, 0, MOST)
    once = {each.ref or each.name: each for nodes in serving.values() for each in nodes if each.relation == "served by"}
    return lines + _sentence(list(once.values()), "deployment", "serves what came from it", "serve what came from it")


def _of_run(asker: Asker, node: LineageNode) -> Dependents:
    return Dependents(lines=_of_runs(asker, [node]))


def _of_experiment(asker: Asker, node: LineageNode) -> Dependents:
    runs = of_runs.runs_of_experiment(asker, [node], 0, MOST).get(node.ref, [])
    number = f"more than {MOST}" if len(runs) > MOST else f"{len(runs)}"
    lines = [f"{number} {'run' if len(runs) == 1 else 'runs'} in it"] if runs else []
    return Dependents(lines=lines + _of_runs(asker, runs[:MOST]))


def _of_project(asker: Asker, node: LineageNode) -> Dependents:
    project = parts(node)["project"]
    experiments = of_runs.experiments_of_project(asker, [node], 0, MOST).get(node.ref, [])
    with asker.service.database.reading() as session:
        members = session.scalar(
            select(func.count()).select_from(CollaboratorRow).where(CollaboratorRow.project_id == project)
        )
    lines = _serving(asker, DeploymentRow.project_id == project, "is in it", "are in it")
    lines += _sentence(experiments, "experiment", "is in it", "are in it")
    return Dependents(lines=[*lines, f"{counted(members or 0, 'person')} may enter it"])


def _of_registry(asker: Asker, node: LineageNode) -> Dependents:
    with asker.service.database.reading() as session:
        row = session.get(RegistryRow, parts(node)["registry"])
    models = None if row is None else count_models(asker.service, row.mlflow_workspace)
    lines = [f"{counted(models, 'registered model')} in it"] if models else []
    return Dependents(lines=lines + _serving(asker, DeploymentRow.registry_id == parts(node)["registry"]))


def _of_environment(asker: Asker, node: LineageNode) -> Dependents:
    below = of_runs.below_environment(asker, [node], 0, MOST).get(node.ref, [])
    registries = [each for each in below if each.kind is NodeKind.REGISTRY]
    projects = [each for each in below if each.kind is not NodeKind.REGISTRY]
    in_it = select(ProjectRow.id).join(WorkspaceRow).where(WorkspaceRow.environment_id == parts(node)["environment"])
    lines = _sentence(registries, "Model Registry", "is in it", "are in it")
    lines += _sentence(projects, "project", "is in it", "are in it")
    lines += _serving(asker, DeploymentRow.project_id.in_(in_it), "runs in it", "run in it")
    refused = "It is not deleted before it is empty" if below else ""
    return Dependents(lines=lines, refused=refused)


def _of_deployment(asker: Asker, node: LineageNode) -> Dependents:
    keys = of_deployments.keys_of_deployment(asker, [node], 0, MOST).get(node.ref, [])
    return Dependents(lines=_sentence(keys, "API key", "may call it", "may call it"))


def _of_key(asker: Asker, node: LineageNode) -> Dependents:
    found = of_deployments.deployments_of_key(asker, [node], 0, MOST).get(node.ref, [])
    return Dependents(lines=_sentence(found, "deployment", "may be called with it", "may be called with it"))


def _of_user(asker: Asker, name: str) -> Dependents:
    """What a person has, as far as the administrator, or the person, may ask. Raises Missing, NotPermitted."""
    user = people.get_user(asker.service, asker.principal, name)
    if not (asker.principal.administrator or asker.principal.name == user.name):
        return Dependents(lines=[])
    keys = (ApiKeyRow.user == user.name) & ApiKeyRow.revoked_at.is_(None) & (ApiKeyRow.expires_at > now())
    with asker.service.database.reading() as session:
        good = session.scalars(select(ApiKeyRow).where(keys).order_by(ApiKeyRow.name).limit(MOST)).all()
        works_in = session.scalars(
            select(ProjectRow)
            .join(CollaboratorRow, CollaboratorRow.project_id == ProjectRow.id)
            .where(CollaboratorRow.user == user.name, ProjectRow.state == "ready")
            .order_by(ProjectRow.name)
            .limit(MOST)
        ).all()
        registries = session.scalars(select(RegistryRow).where(RegistryRow.owner == user.name).limit(MOST)).all()
    of_keys = [of_deployments.key_node(row, "") for row in good]
    lines = _sentence(of_keys, "API key", "ends", "end")
    for noun, rows, one, several in (
        ("project", works_in, "loses this person", "lose this person"),
        ("Model Registry", registries, "belongs to this person", "belong to this person"),
    ):
        nodes = [LineageNode(kind=NodeKind.PROJECT, ref="", name=row.name) for row in rows]
        lines += _sentence(nodes, noun, one, several)
    made = DeploymentRow.creator == user.name if user.name else false()
    return Dependents(lines=lines + _serving(asker, made, "was made by this person", "were made by this person"))


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
