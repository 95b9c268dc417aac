"""The version that served at a time, its deployer, and the versions before and after: also of deleted deployments."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, UnaryExpression, func, select
from sqlalchemy.orm import Session

from registry_tui.contracts.permissions import Action
from registry_tui.schemas.deployments import Served, ServedAt, ServedState
from registry_tui.service.core import permissions
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.database.tables import DeploymentRow, EventRow, ServedRow
from registry_tui.service.deployments import finding
from registry_tui.service.errors import InvalidInput, Missing, NotPermitted, ServiceError
from registry_tui.service.models.registered import alias_detail

#: Most deployments of one name that are distinguished.
_MOST = 200


def served_at(service: Service, principal: Principal, deployment: str, time: datetime) -> ServedAt:
    """The version that a deployment, by ID, name or `project/name`, served at a time; a time without a zone is UTC.

    Raises Missing, NotPermitted, InvalidInput when several deployments had the name then.
    """
    time = time if time.tzinfo else time.replace(tzinfo=UTC)
    with service.database.reading() as session:
        id_ = _chosen(session, principal, deployment, time)
        of = ServedRow.deployment_id == id_
        any_ = session.scalars(select(ServedRow).where(of).order_by(ServedRow.asked_at).limit(1)).one()
        there = (ServedRow.ended_at.is_(None)) | (ServedRow.ended_at > time)
        serving = _first(session, of & (ServedRow.began_at <= time) & there, ServedRow.began_at.desc())
        later = (ServedRow.began_at.is_(None)) | (ServedRow.began_at > time)
        rolling = _first(session, of & (ServedRow.asked_at <= time) & later & there, ServedRow.asked_at.desc())
        before = _first(session, of & (ServedRow.began_at <= time) & ~there, ServedRow.ended_at.desc())
        after = _first(session, of & (ServedRow.began_at > time), ServedRow.began_at.asc())
        name = session.scalar(select(DeploymentRow.name).where(DeploymentRow.id == id_))
        return ServedAt(
            deployment_id=id_,
            deployment_name=name or any_.deployment_name,
            project_name=any_.project_name,
            time=time,
            state=_state(any_, serving, rolling, time),
            serving=_schema(session, serving),
            rolling_out=_schema(session, rolling),
            before=_schema(session, before),
            after=_schema(session, after),
            deleted_at=any_.deleted_at,
            deleted_by=any_.deleted_by,
        )


def _state(any_: ServedRow, serving: ServedRow | None, rolling: ServedRow | None, time: datetime) -> ServedState:
    if any_.deleted_at is not None and any_.deleted_at <= time:
        return ServedState.DELETED
    if serving is not None:
        return ServedState.SERVING if rolling is None else ServedState.ROLLING_OUT
    if rolling is not None:
        return ServedState.ROLLING_OUT
    return ServedState.NOT_YET if any_.asked_at > time else ServedState.STOPPED


def _first(session: Session, where: ColumnElement[bool], order: UnaryExpression[Any]) -> ServedRow | None:
    return session.scalars(select(ServedRow).where(where).order_by(order, ServedRow.revision.desc()).limit(1)).first()


def _chosen(session: Session, principal: Principal, deployment: str, time: datetime) -> str:
    """The ID of the deployment with this name at that time; else of the one that has it now, or had it last."""
    present, refused = None, None
    try:
        present = finding.find(session, principal, deployment)
        permissions.check_project(session, principal, present.project, Action.DEPLOYMENT_READ)
    except InvalidInput:
        raise
    except (Missing, NotPermitted) as error:
        present, refused = None, error
    candidates = _of_name(session, principal, deployment)
    then = [each for each in candidates if each.first <= time and (each.gone is None or each.gone > time)]
    if present is not None and (not then or any(each.id == present.id for each in then)):
        return present.id
    if len(then) > 1:
        raise InvalidInput(
            f"Several deployments were named {deployment!r} then: {', '.join(each.id for each in then)}",
            action="Use an ID",
        )
    if then:
        return then[0].id
    if candidates:
        return max(candidates, key=lambda each: each.first).id
    raise _not_known(deployment) if refused is None else refused


class _Known(NamedTuple):
    """A deployment that has, or had, a name."""

    id: str
    first: datetime
    gone: datetime | None


def _of_name(session: Session, principal: Principal, deployment: str) -> list[_Known]:
    """Those of an ID or a name that the principal may read, with their first and last moments."""
    project, _, name = deployment.rpartition("/")
    where = (ServedRow.deployment_name == name) | (ServedRow.deployment_id == deployment)
    if project:
        named = project.rpartition("/")[2]
        where = where & ((ServedRow.project_name == named) | (ServedRow.project_id == project))
    if not principal.administrator:
        where = where & ServedRow.project_id.in_(permissions.own_projects(principal))
    query = (
        select(
            ServedRow.deployment_id.label("id"),
            func.min(ServedRow.asked_at).label("first"),
            func.max(ServedRow.deleted_at).label("gone"),
        )
        .where(where)
        .group_by(ServedRow.deployment_id)
        .limit(_MOST)
    )
    return [_Known(*row) for row in session.execute(query)]


def _not_known(deployment: str) -> ServiceError:
    return Missing(f"There is no deployment {deployment!r}", action="See `registry-tui deployments list`")


def _schema(session: Session, row: ServedRow | None) -> Served | None:
    if row is None:
        return None
    return Served(
        revision=row.revision,
        model_name=row.model_name,
        version=row.version,
        alias=row.alias,
        let_by=row.let_by,
        alias_moved_by=_mover(session, row),
        comment=row.comment,
        asked_at=row.asked_at,
        began_at=row.began_at,
        ended_at=row.ended_at,
        end=row.end,
        ended_by=row.ended_by,
    )


def _mover(session: Session, row: ServedRow) -> str | None:
    """The person who pointed the alias to the version, in the service or with an MLflow client."""
    if row.alias is None:
        return None
    query = (
        select(EventRow.actor)
        .where(
            EventRow.registry_id == row.registry_id,
            EventRow.action == "model.set-alias",
            EventRow.resource_name == row.model_name,
            EventRow.detail == alias_detail(row.alias, row.version),
        )
        .order_by(EventRow.id.desc())
        .limit(1)
    )
    return session.scalars(query).first()
