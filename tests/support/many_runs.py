"""Fills MLflow's own SQLite schema with many runs, quicker than its REST API could."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

#: 2026-01-01 in milliseconds since 1970, MLflow's unit.
START = 1_767_225_600_000
BATCH = 20_000


def create_schema(path: Path) -> None:
    """Makes an MLflow tracking database by MLflow's own migrations, in WAL mode as the platform's is."""
    import sqlalchemy
    from mlflow.store.db import utils

    engine = sqlalchemy.create_engine(f"sqlite:///{path}")
    utils._initialize_tables(engine)
    engine.dispose()
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=WAL")


def fill(
    path: Path, runs: int, *, metrics: int = 10, params: int = 4, experiment: str = "sweep", workspace: str = "default"
) -> int:
    """Adds an experiment with finished runs; returns its ID. Metric `m0` is random, so that sorting has work to do.

    Other connections may read meanwhile, and write between batches.
    """
    with closing(sqlite3.connect(path, timeout=60)) as database:
        database.execute("PRAGMA foreign_keys = ON")
        with database:
            cursor = database.execute(
                "INSERT INTO experiments (name, artifact_location, lifecycle_stage, creation_time, last_update_time, "
                "workspace) VALUES (?, ?, 'active', ?, ?, ?)",
                (experiment, f"mlflow-artifacts:/{experiment}", START, START, workspace),
            )
            experiment_id = int(cursor.lastrowid or 0)
        for first in range(0, runs, BATCH):
            with database:
                _insert(database, experiment_id, range(first, min(first + BATCH, runs)), metrics, params)
    return experiment_id


def _insert(database: sqlite3.Connection, experiment: int, numbers: range, metrics: int, params: int) -> None:
    noise = random.Random(f"{experiment}-{numbers.start}")
    # UUID-like IDs: rows of one run do not lie beside each other in the indexes, as in real life.
    ids = {number: f"{noise.getrandbits(128):032x}" for number in numbers}

    def measured() -> Iterator[tuple[str, float, int, str]]:
        for number, run in ids.items():
            for metric in range(metrics):
                yield f"m{metric}", noise.random(), START + number, run

    database.executemany(
        "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time, "
        "end_time, source_version, lifecycle_stage, artifact_uri, experiment_id) "
        "VALUES (?, ?, 'UNKNOWN', '', '', 'ann', 'FINISHED', ?, ?, '', 'active', ?, ?)",
        (
            (run, f"run-{number}", START + number, START + number + 5000, f"mlflow-artifacts:/{run}", experiment)
            for number, run in ids.items()
        ),
    )
    rows = list(measured())
    for table in ("metrics", "latest_metrics"):
        database.executemany(
            f"INSERT INTO {table} (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, ?, 0, 0, ?)", rows
        )
    database.executemany(
        "INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)",
        ((f"p{param}", str(noise.randrange(100)), run) for run in ids.values() for param in range(params)),
    )
    database.executemany(
        "INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)",
        (
            (key, value, run)
            for number, run in ids.items()
            for key, value in (("mlflow.user", "ann"), ("mlflow.runName", f"run-{number}"))
        ),
    )
