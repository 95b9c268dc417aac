"""Searches of models and versions that MLflow's filters have no words for, as clauses of its database queries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.store.model_registry.dbmodels.models import (
    SqlModelVersion,
    SqlModelVersionTag,
    SqlRegisteredModel,
    SqlRegisteredModelAlias,
    SqlRegisteredModelTag,
)
from sqlalchemy import and_, exists, or_

from registry_tui.schemas import mlflow_tags as tags_
from registry_tui.schemas.stages import EARLY, Stage, to_mlflow

#: Largest version number that MLflow's column holds.
_MAX_VERSION = 2**31 - 1


def split_filters(parsed: Iterable[Any], *keys: str) -> tuple[list[Any], list[Any]]:
    """Those of MLflow's parsed filters that are ours, and the others."""
    ours, others = list[Any](), list[Any]()
    for each in parsed:
        (ours if each["type"] == "tag" and each["key"] in keys else others).append(each)
    return ours, others


def model_has(table: Any, *conditions: Any) -> Any:
    """Whether a registered model has a row of a table."""
    same = (table.workspace == SqlRegisteredModel.workspace, table.name == SqlRegisteredModel.name)
    return exists().where(*same, *conditions)


def models_with(key: str, value: str) -> Any:
    """Models with the IDs of a `mlflow_tags.IDS`, or those that a `mlflow_tags.SEARCH` finds: by name, description,
    owner or a tag."""
    if key == tags_.IDS:
        ids = SqlRegisteredModelTag.value.in_(value.split(","))
        return model_has(SqlRegisteredModelTag, SqlRegisteredModelTag.key == tags_.MODEL_ID, ids)
    text, ours = _searched(value), SqlRegisteredModelTag.key.like(f"{tags_.PREFIX}%")
    return or_(
        _contains(SqlRegisteredModel.name, text),
        _contains(SqlRegisteredModel.description, text),
        model_has(SqlRegisteredModelTag, ~ours, _contains(SqlRegisteredModelTag.key, text)),
        model_has(
            SqlRegisteredModelTag,
            or_(~ours, SqlRegisteredModelTag.key == tags_.OWNER),
            _contains(SqlRegisteredModelTag.value, text),
        ),
    )


def versions_with(key: str, value: str) -> Any:
    """Versions in a status (`mlflow_tags.STATUS`) or a stage (`mlflow_tags.STAGE`), or those that a
    `mlflow_tags.SEARCH` finds: by number, run ID, notes, creator, an alias or a tag."""
    if key == tags_.STATUS:
        return SqlModelVersion.status == value
    if key == tags_.STAGE:
        return _in_stage(value)
    text, ours, has = _searched(value), SqlModelVersionTag.key.like(f"{tags_.PREFIX}%"), _version_has
    found = [
        SqlModelVersion.run_id == text,
        _contains(SqlModelVersion.description, text),
        has(SqlModelVersionTag, ~ours, _contains(SqlModelVersionTag.key, text)),
        has(
            SqlModelVersionTag,
            or_(~ours, SqlModelVersionTag.key == tags_.CREATOR),
            _contains(SqlModelVersionTag.value, text),
        ),
        has(SqlRegisteredModelAlias, _contains(SqlRegisteredModelAlias.alias, text)),
    ]
    number = text.strip().removeprefix("v")
    if number.isascii() and number.isdigit() and len(number) <= 10 and int(number) <= _MAX_VERSION:
        found.append(SqlModelVersion.version == int(number))
    return or_(*found)


def _version_has(table: Any, *conditions: Any) -> Any:
    """Whether a version has a row of a table."""
    columns = ("workspace", "name", "version")
    return exists().where(*(getattr(table, each) == getattr(SqlModelVersion, each) for each in columns), *conditions)


def _in_stage(value: str) -> Any:
    """Whether a version is in a stage of ours: by MLflow's own where it has one, else by the tag while both agree.

    The tag is the JSON of `service.promotion.stages.StoredStage`, which begins with the stage.
    """
    try:
        stage = Stage(value)
    except ValueError as error:
        raise MlflowException(f"'{value}' is not a stage.", error_code=INVALID_PARAMETER_VALUE) from error
    theirs = SqlModelVersion.current_stage == to_mlflow(stage)
    if to_mlflow(stage) != to_mlflow(Stage.NONE):
        return theirs

    def told(each: Stage) -> Any:
        begins = SqlModelVersionTag.value.like(f'{{"stage":"{each.value}"%')
        return _version_has(SqlModelVersionTag, SqlModelVersionTag.key == tags_.STAGE, begins)

    if stage is not Stage.NONE:
        return and_(theirs, told(stage))
    return and_(theirs, *(~told(each) for each in EARLY if each is not Stage.NONE))


def _searched(value: str) -> str:
    """The text of a `mlflow_tags.SEARCH`."""
    try:
        return bytes.fromhex(value).decode()
    except ValueError as error:
        raise MlflowException(
            "The searched text must be UTF-8 in hexadecimal digits", error_code=INVALID_PARAMETER_VALUE
        ) from error


def _contains(column: Any, text: str) -> Any:
    """Whether a column contains a text, ignoring case. SQLite folds the case of ASCII letters only."""
    ways = {text, text.lower(), text.upper(), text.title()}
    return or_(*(column.icontains(way, autoescape=True) for way in sorted(ways)))
