"""Models that a refused registration left behind.

Clients make a model, look for the files to register, and make the first version. When that is refused, or the client
finds nothing to register, the model stays and can be used by its name as on any MLflow server, but it is marked: lists
leave it out while it is unused, and creating a model of that name replaces it by a new one.
"""

from __future__ import annotations

from typing import Any

from mlflow.store.model_registry.dbmodels.models import (
    SqlModelVersion,
    SqlRegisteredModel,
    SqlRegisteredModelAlias,
    SqlRegisteredModelTag,
)
from mlflow.utils.time import get_current_time_millis
from sqlalchemy import and_, delete, or_, select, update
from sqlalchemy.orm import Session

from registry_tui.mlflow_plugin.searching import model_has
from registry_tui.schemas import mlflow_tags as tags_

#: Clients send both calls one after the other; a model that is older was made for its own sake.
_MADE_WITHIN_MILLISECONDS = 60_000


def is_bare() -> Any:
    """Models without any version so far, and without description, tag or alias."""
    return and_(
        ~model_has(SqlModelVersion),
        or_(SqlRegisteredModel.description.is_(None), SqlRegisteredModel.description == ""),
        ~model_has(SqlRegisteredModelTag, ~SqlRegisteredModelTag.key.like(f"{tags_.PREFIX}%")),
        ~model_has(SqlRegisteredModelAlias),
    )


def is_left_behind() -> Any:
    """Models that a refused registration left behind, and with which nothing was done since."""
    return and_(model_has(SqlRegisteredModelTag, SqlRegisteredModelTag.key == tags_.LEFT_BEHIND), is_bare())


def mark(session: Session, workspace: str, user: str, name: str | None) -> None:
    """Marks a bare model that a user made moments ago: the one of a name, else the newest."""
    since = get_current_time_millis() - _MADE_WITHIN_MILLISECONDS
    owner = and_(SqlRegisteredModelTag.key == tags_.OWNER, SqlRegisteredModelTag.value == user)
    made_now = and_(
        is_bare(),
        model_has(SqlRegisteredModelTag, owner),
        SqlRegisteredModel.creation_time > since,
        SqlRegisteredModel.last_updated_time == SqlRegisteredModel.creation_time,
    )
    if name is None:
        newest = select(SqlRegisteredModel.name).where(SqlRegisteredModel.workspace == workspace, made_now)
        name = session.scalar(newest.order_by(SqlRegisteredModel.creation_time.desc()).limit(1))
    if name is not None and _hold(session, workspace, name, made_now):
        session.merge(SqlRegisteredModelTag(workspace=workspace, name=name, key=tags_.LEFT_BEHIND, value="true"))


def clear(session: Session, workspace: str, name: str) -> None:
    """Removes a model that was left behind, because somebody makes one of its name."""
    if _hold(session, workspace, name, is_left_behind()):
        session.delete(session.get(SqlRegisteredModel, (workspace, name)))


def keep(session: Session, workspace: str, name: str) -> None:
    """Removes the mark: the model is used."""
    session.execute(
        delete(SqlRegisteredModelTag).where(
            SqlRegisteredModelTag.workspace == workspace,
            SqlRegisteredModelTag.name == name,
            SqlRegisteredModelTag.key == tags_.LEFT_BEHIND,
        )
    )


def withdraw(session: Session, workspace: str, name: str, model_id: str) -> None:
    """Deletes the model of an ID when it has never had a version: the service made it for one that was refused."""
    same = and_(SqlRegisteredModelTag.key == tags_.MODEL_ID, SqlRegisteredModelTag.value == model_id)
    if _hold(session, workspace, name, and_(~model_has(SqlModelVersion), model_has(SqlRegisteredModelTag, same))):
        session.delete(session.get(SqlRegisteredModel, (workspace, name)))


def _hold(session: Session, workspace: str, name: str, condition: Any) -> bool:
    """Whether a model meets a condition; holds it then, so that no version arrives before the session ends."""
    held = session.scalar(
        update(SqlRegisteredModel)
        .where(SqlRegisteredModel.workspace == workspace, SqlRegisteredModel.name == name, condition)
        .values(last_updated_time=SqlRegisteredModel.last_updated_time)
        .returning(SqlRegisteredModel.name)
        .execution_options(synchronize_session=False)
    )
    return held is not None
