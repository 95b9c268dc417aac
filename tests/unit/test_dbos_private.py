"""DBOS's private names work as the engine uses them."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from dbos import DBOS

from registry_tui.service.engine.dbos_private import background_stops


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[DBOS]:
    made = DBOS(config={"name": "unit", "system_database_url": f"sqlite:///{tmp_path}/dbos.db"})
    yield made
    DBOS.destroy(destroy_registry=True)


def test_the_installed_dbos_has_the_names(instance: DBOS) -> None:
    event = instance._background_jobs_stop_event
    assert isinstance(event, threading.Event) and event in background_stops(instance)
    assert list(inspect.signature(instance._recover_pending_workflows).parameters) == ["executor_ids"]
    assert isinstance(instance.background_thread_stop_events, list)


def test_without_the_names_nothing_is_ended() -> None:
    assert list(background_stops(object())) == []
