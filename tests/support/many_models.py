"""Fills MLflow's own SQLite schema with many registered models and versions, as our plugin writes them."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from registry_tui.schemas import mlflow_tags
from registry_tui.schemas.stages import Stage, to_mlflow
from support.many_runs import BATCH, START

#: The model with many versions.
MANY = "model-many-versions"
#: One of so many versions is in QA.
RARE = 100


def fill_models(path: Path, models: int, versions: int, *, workspace: str, many: str = MANY) -> None:
    """Adds public models of one version each, and one named `many` with `versions`, to a registry's MLflow workspace.

    Other connections may read meanwhile, and write between batches.
    """
    names = [f"model-{number:06d}" for number in range(models - 1)] + [many]
    of_versions = [(name, 1) for name in names[:-1]] + [(many, number) for number in range(1, versions + 1)]
    with closing(sqlite3.connect(path, timeout=60)) as database:
        database.execute("PRAGMA foreign_keys = ON")
        for first in range(0, len(names), BATCH):
            with database:
                _insert_models(database, names[first : first + BATCH], workspace)
        for first in range(0, len(of_versions), BATCH):
            with database:
                _insert_versions(database, of_versions[first : first + BATCH], workspace)


def put_in_stages(path: Path, many: str = MANY) -> None:
    """Gives every version of the model a stage, as the plugin writes it: one of `RARE` in QA, the others released."""
    with closing(sqlite3.connect(path, timeout=60)) as rows, rows:
        numbers = rows.execute("SELECT version, workspace FROM model_versions WHERE name = ?", (many,)).fetchall()
        for number, workspace in numbers:
            stage = Stage.QA if not number % RARE else Stage.PRODUCTION if number % 2 else Stage.ARCHIVED
            tag = json.dumps({"stage": stage.value, "status": "InProgress", "description": ""}, separators=(",", ":"))
            here = (many, number, workspace)
            change = "UPDATE model_versions SET current_stage = ? WHERE name = ? AND version = ? AND workspace = ?"
            rows.execute(change, (to_mlflow(stage), *here))
            add = "INSERT INTO model_version_tags (key, value, name, version, workspace) VALUES (?, ?, ?, ?, ?)"
            rows.execute(add, (mlflow_tags.STAGE, tag, *here))


def _insert_models(database: sqlite3.Connection, names: list[str], workspace: str) -> None:
    database.executemany(
        "INSERT INTO registered_models (name, creation_time, last_updated_time, description, workspace) "
        "VALUES (?, ?, ?, ?, ?)",
        ((name, START + number, START + number, f"what {name} is for", workspace) for number, name in enumerate(names)),
    )

    def tags(name: str) -> Iterator[tuple[str, str]]:
        yield mlflow_tags.MODEL_ID, _id(name)
        yield mlflow_tags.OWNER, "ann"
        yield mlflow_tags.VISIBILITY, "public"
        yield mlflow_tags.LOCATION, "default"
        yield "team", f"team-{len(name) % 7}"

    database.executemany(
        "INSERT INTO registered_model_tags (key, value, name, workspace) VALUES (?, ?, ?, ?)",
        ((key, value, name, workspace) for name in names for key, value in tags(name)),
    )


def _insert_versions(database: sqlite3.Connection, versions: list[tuple[str, int]], workspace: str) -> None:
    database.executemany(
        "INSERT INTO model_versions (name, version, creation_time, last_updated_time, description, user_id, "
        "current_stage, source, status, storage_location, workspace) VALUES (?, ?, ?, ?, ?, 'ann', 'None', ?, 'READY', "
        "?, ?)",
        (
            (name, version, START + version, START + version, f"note {version}", f"models:/{name}", "", workspace)
            for name, version in versions
        ),
    )

    def tags(name: str, version: int) -> Iterator[tuple[str, str]]:
        id_ = _id(f"{name}/{version}")
        archive = {"uri": f"s3://none/{_id(name)}/{id_}/", "bytes": 1000 + version, "files": 3}
        yield mlflow_tags.VERSION_ID, id_
        yield mlflow_tags.CREATOR, "ann"
        yield mlflow_tags.ORIGIN, json.dumps({"environment_name": "local", "workspace_name": "default"})
        yield mlflow_tags.ARCHIVE, json.dumps({**archive, "verified_at": "2026-01-01T00:00:00Z"})

    database.executemany(
        "INSERT INTO model_version_tags (key, value, name, version, workspace) VALUES (?, ?, ?, ?, ?)",
        ((key, value, name, version, workspace) for name, version in versions for key, value in tags(name, version)),
    )


def _id(name: str) -> str:
    """An ID of the form that the service gives, always the same for a name."""
    letters = random.Random(name).choices("0123456789abcdefghijklmnopqrstuvwxyz", k=16)
    return "-".join("".join(letters[first : first + 4]) for first in range(0, 16, 4))
