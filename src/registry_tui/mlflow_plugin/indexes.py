"""Our indexes on MLflow's tables: the first page of lists is found without reading all rows.

MLflow's own searches use them too. Nothing depends on them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import NoSuchTableError

_logger = logging.getLogger(__name__)

#: Name, table and columns of each: the newest runs of an experiment, and the newest version of a model in each stage.
INDEXES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "registry_tui_newest_runs": ("runs", ("experiment_id", "lifecycle_stage", "start_time DESC", "run_uuid")),
    "registry_tui_newest_versions": ("model_versions", ("workspace", "name", "current_stage", "version")),
}


def make(engine: Engine) -> None:
    """Makes those that are missing, on tables that have the columns. Raises SQLAlchemyError."""
    for name, (table, columns) in INDEXES.items():
        if {each.partition(" ")[0] for each in columns} <= _columns(engine, table):
            with engine.begin() as connection:
                connection.execute(text(f"CREATE INDEX IF NOT EXISTS {name} ON {table} ({', '.join(columns)})"))
        else:
            _logger.warning("MLflow's table %s has other columns than are known: it gets no index", table)


def _columns(engine: Engine, table: str) -> set[str]:
    try:
        return {str(each["name"]) for each in inspect(engine).get_columns(table)}
    except NoSuchTableError:
        return set()
