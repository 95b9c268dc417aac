"""DBOS's private names: the installed DBOS has each, and they are used in one module only."""

from __future__ import annotations

import ast
import inspect
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from dbos import DBOS

from registry_tui.service.engine import dbos_private
from registry_tui.service.engine.dbos_private import USED, background_stops

HERE = Path(dbos_private.__file__).resolve()
FILES = sorted(path for path in HERE.parents[1].rglob("*.py") if path != HERE)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[DBOS]:
    made = DBOS(config={"name": "unit", "system_database_url": f"sqlite:///{tmp_path}/dbos.db"})
    yield made
    DBOS.destroy(destroy_registry=True)


def test_the_installed_dbos_has_the_names(instance: DBOS) -> None:
    event, recover = (getattr(instance, name) for name in USED)
    assert isinstance(event, threading.Event) and event in background_stops(instance)
    assert list(inspect.signature(recover).parameters) == ["executor_ids"]
    assert isinstance(instance.background_thread_stop_events, list)


def test_without_the_names_nothing_is_ended() -> None:
    assert list(background_stops(object())) == []


def test_no_other_module_of_the_service_uses_a_private_name_of_dbos() -> None:
    used = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in USED:
                used.append(f"{path.name}: {node.attr}")
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dbos."):
                used.append(f"{path.name}: {node.module}")
    assert used == []
