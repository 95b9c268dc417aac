"""Keeps the periods in which each deployment served a version: written together with the change, never edited later."""

from __future__ import annotations

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from registry_tui.service.database.tables import DeploymentRow, ProjectRow, RevisionRow, ServedRow, now


def asked(session: Session, row: DeploymentRow, revision: RevisionRow) -> None:
    """Records that a rollout of a revision was requested."""
    session.flush()  # the revision gets its time
    project = session.get(ProjectRow, row.project_id)
    session.add(
        ServedRow(
            deployment_id=row.id,
            deployment_name=row.name,
            project_id=row.project_id,
            project_name="" if project is None else project.name,
            registry_id=row.registry_id,
            model_name=row.model_name,
            version=revision.version,
            revision=revision.number,
            alias=revision.alias,
            let_by=revision.creator,
            comment=revision.comment,
            asked_at=revision.created_at,
        )
    )


def began(session: Session, deployment_id: str, number: int) -> None:
    """Callers reach a revision from now on, and no other."""
    moment = now()
    for each in session.scalars(select(ServedRow).where(ServedRow.deployment_id == deployment_id, _open())):
        if each.revision == number:
            each.began_at = each.began_at or moment
        elif each.began_at is not None:
            each.ended_at, each.end = moment, f"replaced by revision {number}"


def went_back(session: Session, deployment_id: str, number: int, to: int | None) -> None:
    """Records that callers reach the previous revision again instead of this one."""
    _close(session, deployment_id, number, "rolled back", "")
    if to is not None:
        of = (ServedRow.deployment_id == deployment_id) & (ServedRow.revision == to)
        session.execute(update(ServedRow).where(of).values(ended_at=None, end="", ended_by=""))


def came_to_nothing(session: Session, deployment_id: str, number: int, why: str) -> None:
    """Records that a revision never served."""
    _close(session, deployment_id, number, why[:500], "")


def stopped(session: Session, deployment_id: str, who: str) -> None:
    """Records that callers reach no revision any more."""
    _close(session, deployment_id, None, "stopped", who)


def deleted(session: Session, deployment_id: str, who: str) -> None:
    """Records that a deployment was deleted; `who` is empty where it was deleted with its project."""
    _close(session, deployment_id, None, "deleted", who)
    of = ServedRow.deployment_id == deployment_id
    session.execute(update(ServedRow).where(of).values(deleted_at=now(), deleted_by=who))


def _open() -> ColumnElement[bool]:
    return ServedRow.ended_at.is_(None)


def _close(session: Session, deployment_id: str, number: int | None, end: str, who: str) -> None:
    of = (ServedRow.deployment_id == deployment_id) & _open()
    if number is not None:
        of = of & (ServedRow.revision == number)
    session.execute(update(ServedRow).where(of).values(ended_at=now(), end=end, ended_by=who))
