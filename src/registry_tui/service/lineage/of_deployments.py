"""Edges around deployments: the versions that they serve or served, their aliases, and the people who may call them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session, selectinload

from registry_tui.contracts.permissions import Action
from registry_tui.schemas.lineage import LineageNode, NodeKind
from registry_tui.service.core import identity, permissions
from registry_tui.service.database.tables import (
    ApiKeyRow,
    CollaboratorRow,
    DeploymentRow,
    RevisionRow,
    now,
)
from registry_tui.service.lineage.asker import Asker, from_to, hidden, node, parts
from registry_tui.service.lineage.of_models import versions_of
from registry_tui.service.models.registered import fetch_model

#: Most deployments of a model, and keys, that are read for one node.
_MOST = 5000


def deployment_node(row: DeploymentRow, relation: str, detail: str = "") -> LineageNode:
    """A deployment with its state."""
    detail = f"{detail}, {row.state}" if detail else row.state
    return node(NodeKind.DEPLOYMENT, row.name, row.id, relation=relation, detail=detail)


def or_hidden(asker: Asker, found: Sequence[tuple[DeploymentRow, LineageNode]], relation: str) -> list[LineageNode]:
    """The nodes of deployments that the person may read, and one for the others."""
    own = [each for row, each in found if asker.works_in(row.project_id)]
    return own + hidden(len(found) - len(own), "deployment", relation)


def deployments_of_versions(
    asker: Asker, nodes: Sequence[LineageNode], start: int, limit: int
) -> dict[str, list[LineageNode]]:
    """Deployments that serve a version, then those that served it: one query a model, however many versions."""
    found: dict[str, list[LineageNode]] = {}
    by_model: dict[tuple[str, str], dict[int, LineageNode]] = {}
    for each in nodes:
        named = parts(each)
        by_model.setdefault((named["registry"], named["model"]), {})[int(named["version"])] = each
    for (registry, name), wanted in by_model.items():
        model = asker.model(registry, name)
        if model is None:
            continue
        query = (
            select(RevisionRow, DeploymentRow)
            .join(DeploymentRow, RevisionRow.deployment_id == DeploymentRow.id)
            .where(DeploymentRow.registry_id == model.registry_id, DeploymentRow.model_id == model.id)
            .order_by(DeploymentRow.name, DeploymentRow.id, RevisionRow.number.desc())
            .limit(_MOST)
        )
        with asker.service.database.reading() as session:
            rows = session.execute(query).all()
        newest: dict[int, dict[str, tuple[RevisionRow, DeploymentRow]]] = {}
        for revision, row in rows:
            serving = revision.number == row.revision
            of_version = newest.setdefault(revision.version, {})
            if serving or row.id not in of_version:
                of_version[row.id] = (revision, row)
        for number, each in wanted.items():
            now_, before = [], []
            for revision, row in newest.get(number, {}).values():
                if revision.number == row.revision or row.version == number:
                    now_.append((row, deployment_node(row, "served by", f"revision {revision.number}")))
                else:
                    detail = f"revision {revision.number} {revision.state}; now v{row.version}"
                    before.append((row, deployment_node(row, "revision of", detail)))
            below = or_hidden(asker, now_, "served by") + or_hidden(asker, before, "revision of")
            found[each.ref] = from_to(below, start, limit)
    return found


def followers_of_alias(
    asker: Asker, nodes: Sequence[LineageNode], start: int, limit: int
) -> dict[str, list[LineageNode]]:
    found = {}
    with asker.service.database.reading() as session:
        for each in nodes:
            named = parts(each)
            model = asker.model(named["registry"], named["model"])
            if model is None:
                continue
            rows = session.scalars(
                select(DeploymentRow)
                .where(
                    DeploymentRow.registry_id == model.registry_id,
                    DeploymentRow.model_id == model.id,
                    DeploymentRow.alias == named["alias"],
                    DeploymentRow.follow_alias,
                )
                .order_by(DeploymentRow.name, DeploymentRow.id)
                .limit(_MOST)
            ).all()
            below = or_hidden(asker, [(row, deployment_node(row, "followed by")) for row in rows], "followed by")
            found[each.ref] = from_to(below, start, limit)
    return found


def deployments_of_project(
    asker: Asker, nodes: Sequence[LineageNode], start: int, limit: int
) -> dict[str, list[LineageNode]]:
    found = {}
    with asker.service.database.reading() as session:
        for each in nodes:
            place = asker.project(parts(each)["project"])
            if place is None:
                continue
            rows = session.scalars(
                select(DeploymentRow)
                .where(DeploymentRow.project_id == place.id)
                .order_by(DeploymentRow.name, DeploymentRow.id)
                .offset(start)
                .limit(limit + 1)
            ).all()
            found[each.ref] = [deployment_node(row, "deploys", f"{row.model_name} v{row.version}") for row in rows]
    return found


def above_deployments(
    asker: Asker, nodes: Sequence[LineageNode], start: int, limit: int
) -> dict[str, list[LineageNode]]:
    """The version that serves, those of other revisions, the alias that is followed, and the project."""
    found = {}
    for each in nodes:
        with asker.service.database.reading() as session:
            row = session.get(
                DeploymentRow,
                parts(each)["deployment"],
                options=(selectinload(DeploymentRow.revisions), selectinload(DeploymentRow.project)),
            )
        if row is None or not asker.works_in(row.project_id):
            continue
        above: list[LineageNode] = []
        seen: set[int] = set()
        model = asker.model(row.registry_id, row.model_id)
        active = [one for one in row.revisions if one.number == row.revision]
        for revision in active + [one for one in reversed(row.revisions) if one not in active]:
            if revision.version in seen:
                continue
            seen.add(revision.version)
            serves = "serves" if revision.number == row.revision else "revision of"
            detail = f"revision {revision.number} {revision.state}"
            names = () if model is None else (row.registry_id, model.name, str(revision.version))
            name = f"{row.model_name} v{revision.version}"
            above.append(node(NodeKind.VERSION, name, *names, relation=serves, detail=detail, gone=False))
        if row.follow_alias and row.alias is not None:
            names = () if model is None else (row.registry_id, model.name, row.alias)
            above.insert(1, node(NodeKind.ALIAS, row.alias, *names, relation="follows alias"))
        above.append(node(NodeKind.PROJECT, row.project.name, row.project_id, relation="in project"))
        found[each.ref] = from_to(_marked_gone(asker, row, above), start, limit)
    return found


def _marked_gone(asker: Asker, row: DeploymentRow, above: list[LineageNode]) -> list[LineageNode]:
    """Marks deleted versions, which keep their names: one query for all of a deployment's versions."""
    model = asker.model(row.registry_id, row.model_id)
    if model is None:
        place = asker.registry(row.registry_id)
        gone = place is None or _model_gone(asker, row)
        return [
            each.model_copy(update={"gone": True, "detail": f"{each.detail}; its model was deleted"})
            if gone and each.kind is NodeKind.VERSION
            else each
            for each in above
        ]
    wanted = {parts(each)["version"] for each in above if each.kind is NodeKind.VERSION}
    only = tuple(map(int, wanted)) if len(wanted) == 1 else ()
    there = {str(version.version) for version in versions_of(asker, model, 0, 1000, only)}
    return [
        each.model_copy(update={"gone": True, "ref": ""})
        if each.kind is NodeKind.VERSION and parts(each)["version"] not in there
        else each
        for each in above
    ]


def _model_gone(asker: Asker, row: DeploymentRow) -> bool:
    """Whether the model is deleted, as opposed to one that the person may not see."""
    place = asker.registry(row.registry_id)
    return place is not None and fetch_model(asker.service, place, row.model_id) is None


# -- API keys ----------------------------------------------------------------------------------------------


def keys_of_deployment(
    asker: Asker, nodes: Sequence[LineageNode], start: int, limit: int
) -> dict[str, list[LineageNode]]:
    """The valid API keys that may call: those of collaborators and of the administrator."""
    found = {}
    with asker.service.database.reading() as session:
        for each in nodes:
            row = session.get(DeploymentRow, parts(each)["deployment"])
            if row is None or not asker.works_in(row.project_id) or not row.authentication:
                continue
            keys = session.scalars(_good_keys(asker, session, row).order_by(ApiKeyRow.name, ApiKeyRow.id)).all()
            own = [key for key in keys if permissions.may_for(asker.principal, Action.KEYS, key.user)]
            below = [key_node(key, "may be called with") for key in own]
            below += hidden(len(keys) - len(own), "API key", "may be called with")
            found[each.ref] = from_to(below, start, limit)
    return found


def _good_keys(asker: Asker, session: Session, row: DeploymentRow) -> Select[ApiKeyRow]:
    members = select(CollaboratorRow.user).where(CollaboratorRow.project_id == row.project_id)
    return (
        select(ApiKeyRow)
        .where(
            or_(ApiKeyRow.user.in_(members), ApiKeyRow.user == identity.owner_name(asker.service)),
            ApiKeyRow.revoked_at.is_(None),
            ApiKeyRow.expires_at > now(),
            ApiKeyRow.user.not_in(identity.suspended(session)),
        )
        .limit(_MOST)
    )


def key_node(row: ApiKeyRow, relation: str) -> LineageNode:
    return node(NodeKind.KEY, row.name, row.id, relation=relation, detail=f"of {row.user}")


def deployments_of_key(
    asker: Asker, nodes: Sequence[LineageNode], start: int, limit: int
) -> dict[str, list[LineageNode]]:
    """The deployments that a key may call: those of the projects in which its owner works."""
    found = {}
    with asker.service.database.reading() as session:
        for each in nodes:
            key = session.get(ApiKeyRow, parts(each)["key"])
            if key is None or not permissions.may_for(asker.principal, Action.KEYS, key.user):
                continue
            query = select(DeploymentRow).order_by(DeploymentRow.name, DeploymentRow.id)
            if key.user != identity.owner_name(asker.service):
                projects = select(CollaboratorRow.project_id).where(CollaboratorRow.user == key.user)
                query = query.where(DeploymentRow.project_id.in_(projects))
            rows = session.scalars(query.offset(start).limit(limit + 1)).all()
            found[each.ref] = [deployment_node(row, "may call", f"{row.model_name} v{row.version}") for row in rows]
    return found
