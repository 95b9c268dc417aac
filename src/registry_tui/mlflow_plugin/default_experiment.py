"""Experiment 0 in every project: the default of clients that chose none.

MLflow has one experiment 0, in its own workspace `default`. In every other workspace, 0 means the workspace's own
*Default*; responses show its real ID. Once chosen it stays, also when it is renamed or deleted, as MLflow's does.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl, urlencode

import anyio.to_thread
from graphql import GraphQLError, StringValueNode, Visitor, parse, print_ast, visit
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.dbmodels.models import SqlExperiment
from sqlalchemy import BigInteger, Column, Engine, Integer, MetaData, String, Table, and_, delete, select
from sqlalchemy.orm import Session
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

from registry_tui.contracts.mlflow_routes import RoutesFile
from registry_tui.mlflow_plugin.artifacts import load_routes
from registry_tui.mlflow_plugin.asked import DEFAULT_WORKSPACE, asked, read_body, replayed
from registry_tui.mlflow_plugin.dialects import insert_unless_there, take_turn
from registry_tui.mlflow_plugin.mlflow_private import make_default_experiment

_logger = logging.getLogger(__name__)

_metadata = MetaData()
_chosen = Table(
    "registry_tui_default_experiments",
    _metadata,
    Column("workspace", String(63), primary_key=True),
    Column("experiment_id", Integer, nullable=False),
    #: SQLite gives the ID of a purged experiment to another one, which was made at another time.
    Column("creation_time", BigInteger, nullable=False),
)

_CREATE_RUN = "/mlflow/runs/create"
_GRAPHQL = "/graphql"
#: Bodies below these are files, or name their experiment in a header only.
_NO_JSON = ("/mlflow-artifacts/", "/v1/", "/gateway/")
_HEADER = "x-mlflow-experiment-id"
_NAMES = frozenset({"experiment_id", "experimentId", "experiment_ids", "experimentIds"})
#: Objects that a message of MLflow's may hold an experiment's ID in. Tags and records of people are not among them.
_NESTED = frozenset(
    {"trace", "trace_info", "traceInfo", "trace_location", "traceLocation", "locations", "location"}
    | {"mlflow_experiment", "mlflowExperiment"}
)
_MAY_NAME = re.compile(rb"experiment_?ids?", re.IGNORECASE)


def create_table(engine: Engine) -> None:
    """Makes the table when it is missing. Raises SQLAlchemyError."""
    _metadata.create_all(engine)


class DefaultExperiments:
    """Which experiment is a workspace's *Default*. Threads may share it. `tracking` is MLflow's tracking store."""

    def __init__(self, tracking: Any, routes: RoutesFile) -> None:
        self._tracking = tracking
        self._routes = routes
        create_table(tracking.engine)

    def of(self, workspace: str) -> str | None:
        """Its ID; created when missing. None in MLflow's own workspace and for a workspace without a project."""
        if workspace == DEFAULT_WORKSPACE or workspace not in load_routes(self._routes).projects:
            return None
        with self._tracking.ManagedSessionMaker(read_only=False) as session:
            found = self._known(session, workspace)
            if found is None:
                take_turn(session, "default experiment", workspace)
                found = self._known(session, workspace)
            if found is None:
                make_default_experiment(self._tracking, session, workspace)
                experiment = session.execute(
                    select(SqlExperiment.experiment_id, SqlExperiment.creation_time).where(
                        SqlExperiment.workspace == workspace, SqlExperiment.name == Experiment.DEFAULT_EXPERIMENT_NAME
                    )
                ).one()
                session.execute(delete(_chosen).where(_chosen.c.workspace == workspace))
                values = {"experiment_id": experiment.experiment_id, "creation_time": experiment.creation_time}
                insert_unless_there(session, _chosen, {"workspace": workspace, **values})
                found = int(experiment.experiment_id)
            return str(found)

    def make_all(self) -> None:
        """Makes it in every project. One that cannot be made now is made on its first request."""
        for workspace in load_routes(self._routes).projects:
            try:
                self.of(workspace)
            except MlflowException as error:
                _logger.warning("The workspace %r has no default experiment yet: %s", workspace, error.message)

    @staticmethod
    def _known(session: Session, workspace: str) -> int | None:
        return session.scalar(
            select(SqlExperiment.experiment_id)
            .join(
                _chosen,
                and_(
                    _chosen.c.experiment_id == SqlExperiment.experiment_id,
                    _chosen.c.creation_time == SqlExperiment.creation_time,
                ),
            )
            .where(_chosen.c.workspace == workspace, SqlExperiment.workspace == workspace)
        )


class ExperimentZero:
    """Replaces experiment 0 in requests by the ID of the project's *Default*."""

    def __init__(self, app: ASGIApp, defaults: DefaultExperiments) -> None:
        self._app = app
        self._defaults = defaults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._replace_in_header(scope)
            await self._replace_in_query(scope)
            receive = await self._replace_in_body(scope, receive)
        await self._app(scope, receive, send)

    async def _replace_in_header(self, scope: Scope) -> None:
        headers = MutableHeaders(scope=scope)
        if _is_zero(headers.get(_HEADER)) and (default := await self._default()):
            headers[_HEADER] = default

    async def _replace_in_query(self, scope: Scope) -> None:
        if not _MAY_NAME.search(scope["query_string"]):
            return
        given = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if any(name in _NAMES and _is_zero(value) for name, value in given) and (default := await self._default()):
            replaced = [(name, default if name in _NAMES and _is_zero(value) else value) for name, value in given]
            scope["query_string"] = urlencode(replaced).encode()

    async def _replace_in_body(self, scope: Scope, receive: Receive) -> Receive:
        headers = MutableHeaders(scope=scope)
        has_body = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
        makes_run = scope["path"].endswith(_CREATE_RUN)
        if not (has_body or makes_run) or any(part in scope["path"] for part in _NO_JSON):
            return receive
        body = await read_body(receive)
        if makes_run or _MAY_NAME.search(body):
            try:
                message = json.loads(body or b"{}")
            except (ValueError, RecursionError):
                return replayed(body, receive)
            replaced = await anyio.to_thread.run_sync(self._replaced, scope["path"], message)
            if replaced is not None:
                body = json.dumps(replaced).encode()
                headers["content-length"] = str(len(body))
        return replayed(body, receive)

    def _replaced(self, path: str, message: Any) -> Any:
        """The message with the default's ID, or None when it does not refer to experiment 0."""
        if not isinstance(message, dict):
            return None
        default: list[str] = []

        def ask() -> str:
            if not default:
                default.append(self._default_now() or "0")
            return default[0]

        if path.endswith(_GRAPHQL):
            changed = _in_graphql(message, ask)
        else:
            changed = _in_message(message, ask)
            if path.endswith(_CREATE_RUN) and not any(message.get(name) for name in ("experiment_id", "experimentId")):
                # As in MLflow's store, which is called only after its auth app looked for the ID.
                changed, message["experiment_id"] = True, ask()
        return message if changed else None

    async def _default(self) -> str | None:
        return await anyio.to_thread.run_sync(self._default_now)

    def _default_now(self) -> str | None:
        request = asked()
        return None if request is None else self._defaults.of(request.workspace)


def _is_zero(value: Any) -> bool:
    """Whether MLflow reads this as the ID 0."""
    if isinstance(value, str):
        return re.fullmatch(r"\s*0+\s*", value) is not None
    return isinstance(value, int) and not isinstance(value, bool) and value == 0


def _in_message(message: dict[str, Any], default: Callable[[], str]) -> bool:
    """Replaces in an object and in those that it holds; returns whether anything changed."""
    changed = False
    for name, value in message.items():
        if name in _NAMES:
            new = [default() if _is_zero(each) else each for each in value] if isinstance(value, list) else value
            new = default() if _is_zero(new) else new
            changed = changed or new != value
            message[name] = new
        elif name in _NESTED:
            inner: Iterable[Any] = value if isinstance(value, list) else [value]
            for each in inner:
                changed = (isinstance(each, dict) and _in_message(each, default)) or changed
    return changed


def _in_graphql(message: dict[str, Any], default: Callable[[], str]) -> bool:
    """The same for a GraphQL request: in its variables, and as constants in its text."""
    changed = _in_variables(message.get("variables"), default)
    text = message.get("query")
    if isinstance(text, str) and _MAY_NAME.search(text.encode()):
        try:
            document = parse(text)
        except (GraphQLError, RecursionError):
            return changed
        constants = _Constants(default)
        replaced = visit(document, constants)
        if constants.changed:
            message["query"], changed = print_ast(replaced), True
    return changed


def _in_variables(value: Any, default: Callable[[], str]) -> bool:
    if isinstance(value, list):
        return _any_in_variables(value, default)
    if not isinstance(value, dict):
        return False
    changed = _in_message(value, default)
    return _any_in_variables((each for name, each in value.items() if name not in _NAMES), default) or changed


def _any_in_variables(values: Iterable[Any], default: Callable[[], str]) -> bool:
    changed = False
    for value in values:
        changed = _in_variables(value, default) or changed
    return changed


class _Constants(Visitor):
    """Replaces `experimentId: "0"` in a GraphQL document."""

    def __init__(self, default: Callable[[], str]) -> None:
        super().__init__()
        self._default = default
        self.changed = False

    def enter_object_field(self, node: Any, *_: Any) -> Any:
        """Called by graphql-core for each field of an input object."""
        if node.name.value not in _NAMES:
            return None
        return visit(node, _Zeros(self))

    def replacement(self) -> StringValueNode:
        """The constant in place of a zero."""
        self.changed = True
        return StringValueNode(value=self._default())


class _Zeros(Visitor):
    def __init__(self, constants: _Constants) -> None:
        super().__init__()
        self._constants = constants

    def enter_string_value(self, node: Any, *_: Any) -> Any:
        """Called by graphql-core for each constant text."""
        return self._constants.replacement() if _is_zero(node.value) else None

    enter_int_value = enter_string_value
