"""Workflows of a process that is gone are taken over, also while the leading process waits for something else."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from registry_tui.service.errors import PartUnavailable
from registry_tui.service.loops import background
from registry_tui.service.loops.background import Background
from registry_tui.service.operations import rotating
from registry_tui.service.places import projects
from registry_tui.service.publishing import gateway
from registry_tui.service.publishing import mlflow as routing
from support.bare import bare_service
from support.platforms import PATIENCE, wait_for


def unavailable(_service: object) -> None:
    raise PartUnavailable("MLflow does not answer")


@pytest.mark.parametrize("waits_for", ["rotating secrets", "clearing up"])
def test_workflows_are_taken_over_while_a_part_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waits_for: str
) -> None:
    taken = threading.Event()
    workflows = SimpleNamespace(launched=False, launch=lambda: None, take_over=lambda _lives: taken.set())
    monkeypatch.setattr(background, "TAKE_OVER_EVERY", 0.01)
    monkeypatch.setattr(background, "SECRETS_EVERY", 3600.0)
    monkeypatch.setattr(routing, "publish", lambda _service: None)
    monkeypatch.setattr(gateway, "publish", lambda _service: None)
    module, name = (rotating, "resume") if waits_for == "rotating secrets" else (projects, "clean_up")
    monkeypatch.setattr(rotating, "resume", lambda _service: None)
    monkeypatch.setattr(module, name, unavailable)
    with bare_service(tmp_path, workflows=cast(Any, workflows)) as service:
        service.database.shared = True
        running = Background(service)
        running.start()
        try:
            assert taken.wait(PATIENCE)
            wait_for(lambda: waits_for in running.waiting_for, what="the start to say what it waits for")
            assert not running.ready.is_set()
        finally:
            running.stop()
