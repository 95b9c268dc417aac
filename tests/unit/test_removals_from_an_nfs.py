"""What is still to be removed from an NFS: it holds up no start, and one removal holds up no other."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import cast

import pytest

from registry_tui.service.core.context import Service
from registry_tui.service.deployments import shared_files
from registry_tui.service.loops import background
from registry_tui.service.loops.background import Background
from support.platforms import PATIENCE


def test_the_start_waits_for_no_removal_from_an_nfs_and_a_thread_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    removed = threading.Event()
    monkeypatch.setattr(background.projects, "clean_up", lambda _service: done.append("projects"))
    monkeypatch.setattr(background.environments, "clean_up", lambda _service: done.append("environments"))
    monkeypatch.setattr(shared_files, "remove_pending", lambda _service: removed.set())
    work = Background.__new__(Background)
    locks = SimpleNamespace(keep=lambda _name: True)
    workflows = SimpleNamespace(launched=True)
    work._service = cast(Service, SimpleNamespace(workflows=workflows, locks=locks))
    work._process, work._uploads_at, work._stopping = "service", float("inf"), threading.Event()
    work._clean_up()
    assert done == ["projects", "environments"] and not removed.is_set()

    monkeypatch.setattr(background, "CLEAN_UP_EVERY", 0.01)
    thread = threading.Thread(target=work._remove_from_nfs)
    thread.start()
    assert removed.wait(PATIENCE)
    work._stopping.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()
