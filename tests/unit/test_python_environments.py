"""Running the commands that make an environment: each line is reported, and a silent command can be stopped."""

from __future__ import annotations

import os
import sys

import pytest

from registry_tui.service.deployments import python_environments


class NotWanted(Exception):
    """Somebody cancelled."""


def test_each_line_is_told_and_the_code_answered() -> None:
    told: list[str] = []
    said: list[str] = []
    code = python_environments._run(
        [sys.executable, "-c", "print('one\\n\\ntwo'); raise SystemExit(3)"], told.append, lambda: None, said
    )
    assert (code, told, said) == (3, ["one", "two"], ["one", "two"])


def test_what_says_nothing_is_stopped_when_it_is_not_wanted_any_more() -> None:
    told: list[str] = []
    looks = 0

    def check() -> None:
        nonlocal looks
        looks += bool(told)
        if looks > 1:  # behind the only line
            raise NotWanted

    program = "import os, time; print(os.getpid(), flush=True); time.sleep(3600)"
    with pytest.raises(NotWanted):
        python_environments._run([sys.executable, "-c", program], told.append, check, [])
    with pytest.raises(ProcessLookupError):
        os.kill(int(told[0]), 0)


def test_what_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_environments, "LONGEST", 0.0)
    said: list[str] = []
    code = python_environments._run([sys.executable, "-c", "import time; time.sleep(3600)"], print, lambda: None, said)
    assert code and "took more than" in said[0]
