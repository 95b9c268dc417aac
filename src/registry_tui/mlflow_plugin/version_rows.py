"""Versions of a model for the service's lineage: only the columns that it shows.

MLflow's own search reads whole rows with all tags into objects, messages and JSON: half a second for 1 000 versions.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, jsonify, request
from mlflow.entities.model_registry.model_version_stages import STAGE_DELETED_INTERNAL
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion, SqlModelVersionTag
from pydantic_core import to_json
from sqlalchemy import and_, select

from registry_tui.contracts.version_rows import MOST, PATH, VersionRow
from registry_tui.mlflow_plugin.identity import is_administrator
from registry_tui.mlflow_plugin.mlflow_private import registry_store
from registry_tui.schemas import mlflow_tags as tags_

#: Tables instead of MLflow's classes: SQLAlchemy then makes no objects.
_VERSIONS, _TAGS = SqlModelVersion.__table__, SqlModelVersionTag.__table__


def install(app: Flask) -> None:
    """Adds the route, for the service's account only: the service first checks whether the caller may see the model."""
    app.add_url_rule(f"/api/2.0/mlflow/{PATH}", "registry_tui_versions", _answer, methods=["POST"])


def _answer() -> Response | tuple[Response, int]:
    """Versions of the model `name` in the request's workspace, newest first: `limit` after the first `start`.

    With `version` only that one.
    """
    if not is_administrator():
        return jsonify({"error_code": "PERMISSION_DENIED", "message": "Ask the service."}), HTTPStatus.FORBIDDEN
    given = request.get_json(silent=True)
    asked: dict[str, Any] = given if isinstance(given, dict) else {}
    name, start, limit, version = (asked.get(key) for key in ("name", "start", "limit", "version"))
    if (
        not isinstance(name, str)
        or type(start) is not int
        or type(limit) is not int
        or not (0 <= start < 1 << 31 and 1 <= limit <= MOST)
        or not (version is None or (type(version) is int and 0 < version < 1 << 31))
    ):
        message = f"name, start, limit (up to {MOST}) and perhaps version are needed"
        return jsonify({"error_code": "INVALID_PARAMETER_VALUE", "message": message}), HTTPStatus.BAD_REQUEST
    found = rows(registry_store(), name, start, limit, version)
    return Response(to_json({"versions": found}), mimetype="application/json")


def rows(store: Any, name: str, start: int, limit: int, version: int | None = None) -> Sequence[VersionRow]:
    """Versions of a model of the request's registry, newest first. Raises MlflowException."""
    here, tag = _VERSIONS.c, _TAGS.c
    same = (tag.workspace == here.workspace, tag.name == here.name, tag.version == here.version)
    query = (
        select(here.version, here.status, here.run_id, here.source, tag.value)
        .join(_TAGS, and_(*same, tag.key == tags_.ORIGIN), isouter=True)
        .where(
            here.workspace == store.registry_workspace(),
            here.name == name,
            here.current_stage != STAGE_DELETED_INTERNAL,
        )
        .order_by(here.version.desc())
        .offset(start)
        .limit(limit)
    )
    if version is not None:
        query = query.where(here.version == version)
    with store.ManagedSessionMaker() as session:
        return [
            VersionRow(number, status or "", run or "", source or "", origin or "")
            for number, status, run, source, origin in session.connection().execute(query).all()
        ]
