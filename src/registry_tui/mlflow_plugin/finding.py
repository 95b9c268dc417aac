"""Models, experiments and runs found by name, over all workspaces at once, inside MLflow's server.

MLflow's own searches cover one workspace each, and need the IDs of the experiments whose runs are searched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, jsonify, request
from mlflow.entities import LifecycleStage
from mlflow.prompt.constants import IS_PROMPT_TAG_KEY
from mlflow.store.model_registry.dbmodels.models import SqlRegisteredModel, SqlRegisteredModelTag
from mlflow.store.tracking.dbmodels.models import SqlExperiment, SqlRun
from sqlalchemy import Select, and_, case, func, or_, select, tuple_
from sqlalchemy.orm import aliased

from registry_tui.contracts.matching import ESCAPE, LikePatterns, like_patterns
from registry_tui.mlflow_plugin import leftovers
from registry_tui.mlflow_plugin.dialects import by_bytes
from registry_tui.mlflow_plugin.identity import is_administrator
from registry_tui.mlflow_plugin.mlflow_private import registry_store, tracking_store
from registry_tui.mlflow_plugin.searching import model_has
from registry_tui.mlflow_plugin.visibility import seen, sight_of_request
from registry_tui.platform.databases import without_nul
from registry_tui.schemas import mlflow_tags as tags_

#: The service calls this path, below MLflow's own.
PATH = "/api/2.0/mlflow/registry-tui/find"
#: Characters of the searched text, and results of each kind in a response, at most.
MAX_TEXT, MAX_LIMIT = 200, 1000
#: An ID is found by its first letters, from so many on.
_ID_LETTERS = 6
#: Names to check first, for each requested model.
_FEW = 4


def install(app: Flask) -> None:
    """Adds the route, for the service's account only: it names the workspaces that the person may see."""
    app.add_url_rule(PATH, "registry_tui_find", _answer, methods=["POST"])


def _answer() -> Response | tuple[Response, int]:
    """The best matches of each requested kind, in the workspaces named for it.

    Models are those visible to the person on whose behalf the service calls (`visibility.py`).
    """
    if not is_administrator():
        return jsonify({"error_code": "PERMISSION_DENIED", "message": "Ask the service."}), HTTPStatus.FORBIDDEN
    given = request.get_json(silent=True)
    asked: dict[str, Any] = given if isinstance(given, dict) else {}
    text, limit, within = asked.get("text"), asked.get("limit"), asked.get("workspaces")
    if (
        not isinstance(text, str)
        or len(text) > MAX_TEXT
        or not isinstance(limit, int)
        or not 1 <= limit <= MAX_LIMIT
        or not isinstance(within, dict)
        or not all(kind in _FINDERS and _is_names(names) for kind, names in within.items())
    ):
        message = "text, limit and workspaces (lists of names by kind: models, experiments, runs) are needed"
        return jsonify({"error_code": "INVALID_PARAMETER_VALUE", "message": message}), HTTPStatus.BAD_REQUEST
    text = without_nul(text.strip())
    patterns = like_patterns(text)
    return jsonify({kind: _FINDERS[kind](text, patterns, names, limit) for kind, names in within.items()})


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _models(text: str, patterns: LikePatterns, workspaces: Sequence[str], limit: int) -> list[dict[str, Any]]:
    store, model, id_ = registry_store(), SqlRegisteredModel, aliased(SqlRegisteredModelTag)
    rows = [model.workspace, id_.value.label("id"), model.name, model.last_updated_time.label("updated")]
    visible = [
        ~model_has(
            SqlRegisteredModelTag,
            SqlRegisteredModelTag.key == IS_PROMPT_TAG_KEY,
            SqlRegisteredModelTag.value == "true",
        ),
        ~leftovers.is_left_behind(),
    ]
    sight = sight_of_request(store._routes())
    if not sight.everything:
        visible.append(seen(sight, model))
    named = _by_id(id_.value, text)
    by_id = None if named is None else model.name.in_(select(id_.name).where(id_.key == tags_.MODEL_ID, named))
    order = _Order(model.name, by_id, model.last_updated_time, patterns if text else None)

    def best(*conditions: Any) -> list[dict[str, Any]]:
        query = select(*rows).where(*conditions, *visible)
        query = query.join(
            id_, and_(id_.workspace == model.workspace, id_.name == model.name, id_.key == tags_.MODEL_ID)
        )
        return _rows(store, order.of(query).limit(limit))

    # Looking at one model's tags costs more than at its name: first at the best names only.
    few = order.of(select(model.workspace, model.name).where(model.workspace.in_(workspaces))).limit(_FEW * limit)
    keys = [(row["workspace"], row["name"]) for row in _rows(store, few)]
    found = best(tuple_(model.workspace, model.name).in_(keys)) if keys else []
    if len(found) < limit and len(keys) == _FEW * limit:
        return best(model.workspace.in_(workspaces))
    return found


def _experiments(text: str, patterns: LikePatterns, workspaces: Sequence[str], limit: int) -> list[dict[str, Any]]:
    table = SqlExperiment
    query = select(
        table.workspace, table.experiment_id.label("id"), table.name, table.last_update_time.label("updated")
    ).where(table.workspace.in_(workspaces), table.lifecycle_stage == LifecycleStage.ACTIVE)
    order = _Order(table.name, None, table.last_update_time, patterns if text else None)
    return _rows(tracking_store(), order.of(query).limit(limit))


def _runs(text: str, patterns: LikePatterns, workspaces: Sequence[str], limit: int) -> list[dict[str, Any]]:
    run, experiment = SqlRun, SqlExperiment
    query = (
        select(
            experiment.workspace,
            run.run_uuid.label("id"),
            run.name,
            run.start_time.label("updated"),
            experiment.experiment_id,
            experiment.name.label("experiment_name"),
        )
        .join(experiment, experiment.experiment_id == run.experiment_id)
        .where(
            experiment.workspace.in_(workspaces),
            experiment.lifecycle_stage == LifecycleStage.ACTIVE,
            run.lifecycle_stage == LifecycleStage.ACTIVE,
        )
    )
    order = _Order(run.name, _by_id(run.run_uuid, text), run.start_time, patterns if text else None)
    return _rows(tracking_store(), order.of(query).limit(limit))


_FINDERS: dict[str, Callable[[str, LikePatterns, Sequence[str], int], list[dict[str, Any]]]] = {
    "models": _models,
    "experiments": _experiments,
    "runs": _runs,
}


def _by_id(id_: Any, text: str) -> Any:
    """The condition that an ID begins with a text; None for a text that is too short."""
    begins = text.lower()
    if len(begins) < _ID_LETTERS:
        return None
    return and_(by_bytes(id_) >= begins, by_bytes(id_) < begins + "\U0010ffff")


@dataclass(frozen=True)
class _Order:
    """Rows whose name matches, or whose ID does: the best first, then the shortest names, then the newest rows."""

    name: Any
    by_id: Any
    newest: Any
    #: None when nothing is searched for.
    patterns: LikePatterns | None

    def of(self, query: Select[Any]) -> Select[Any]:
        if self.patterns is not None:
            ids = [] if self.by_id is None else [self.by_id]
            ranks = (
                or_(self._like(self.patterns.same), *ids),
                self._like(self.patterns.begins),
                self._like(self.patterns.within),
            )
            rank = case(*((each, number) for number, each in enumerate(ranks)), else_=len(ranks))
            # Names that are not ASCII may hold the text without matching the pattern of its letters.
            found = or_(self._like((self.patterns.spread, *self.patterns.within)), *ids)
            query = query.where(found).order_by(rank, func.length(self.name))
        return query.order_by(self.newest.desc())

    def _like(self, patterns: Sequence[str]) -> Any:
        return or_(*(self.name.ilike(pattern, escape=ESCAPE) for pattern in patterns))


def _rows(store: Any, query: Select[Any]) -> list[dict[str, Any]]:
    with store.ManagedSessionMaker() as session:
        return [dict(row._mapping) for row in session.execute(query)]
