"""Tests can interrupt the programs they start, also where the run itself is a background job."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

#: Prints how a new process takes SIGINT.
ASK = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"


@pytest.mark.parametrize("inherited", ["signal.SIG_IGN", "signal.SIG_DFL"])
def test_an_interrupt_ends_what_tests_start(inherited: str, request: pytest.FixtureRequest) -> None:
    folder = request.config.rootpath / "tests"
    runner = f"""
import signal, subprocess, sys
sys.path.insert(0, {str(folder)!r})
import conftest
signal.signal(signal.SIGINT, {inherited})
conftest.let_children_be_interrupted()
subprocess.run([sys.executable, "-c", {ASK!r}], check=True)
"""
    done = subprocess.run([sys.executable, "-c", runner], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"]


def test_an_interrupt_ends_what_this_run_starts() -> None:
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"]
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
