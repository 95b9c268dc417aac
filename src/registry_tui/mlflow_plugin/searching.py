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
from sqlalchemy import exists, or_

from registry_tui.schemas import mlflow_tags as tags_

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
    """Versions in a status (`mlflow_tags.STATUS`), or those that a `mlflow_tags.SEARCH` finds: by number, run ID,
    notes, creator, an alias or a tag."""
    if key == tags_.STATUS:
        return SqlModelVersion.status == value
    text, ours = _searched(value), SqlModelVersionTag.key.like(f"{tags_.PREFIX}%")

    def has(table: Any, *conditions: Any) -> Any:
        columns = ("workspace", "name", "version")
        return exists().where(
            *(getattr(table, each) == getattr(SqlModelVersion, each) for each in columns), *conditions
        )

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


def _searched(value: str) -> str:
    """The text of a `mlflow_tags.SEARCH`."""
    try:
        return bytes.fromhex(value).decode()
    except ValueError as error:
        raise MlflowException(
            "What is searched for must be UTF-8 in hexadecimal digits", error_code=INVALID_PARAMETER_VALUE
        ) from error


def _contains(column: Any, text: str) -> Any:
    """Whether a column contains a text in any case. SQLite knows the two cases of ASCII letters only."""
    ways = {text, text.lower(), text.upper(), text.title()}
    return or_(*(column.icontains(way, autoescape=True) for way in sorted(ways)))
