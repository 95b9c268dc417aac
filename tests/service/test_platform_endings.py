"""A part that cannot work reports the reason and the remedy, in `up`, `status` and the service's own API."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from registry_tui.platform.paths import Home
from registry_tui.platform.probes import platform_status
from registry_tui.schemas.operations import PartState, PartStatus
from support.platforms import PATIENCE, Platform, wait_for


@contextmanager
def replaced(path: Path, damage: Callable[[Path], None]) -> Iterator[None]:
    """A database of a stopped platform, with something else in its place; put back afterwards."""
    beside = [path, *path.parent.glob(f"{path.name}-*")]
    kept = {each: each.read_bytes() for each in beside if each.exists()}
    for each in kept:
        each.unlink()
    try:
        damage(path)
        yield
    finally:
        shutil.rmtree(path, ignore_errors=True)
        for each in path.parent.glob(f"{path.name}*"):
            if each.is_file():
                each.unlink()
        for each, content in kept.items():
            each.write_bytes(content)


def garbage(path: Path) -> None:
    path.write_bytes(b"this is not SQLite " * 500)


def folder(path: Path) -> None:
    path.mkdir()


def status_of(home: Home, part: str) -> PartStatus:
    return next(each for each in platform_status(home).parts if each.name == part)


@pytest.fixture(scope="module")
def stopped(own_platform: Platform) -> Iterator[Platform]:
    yield own_platform
    own_platform.up()


@pytest.mark.parametrize(
    ("part", "database", "damage", "words"),
    [
        ("service", "service_database", garbage, "is damaged"),
        ("service", "service_database", folder, "cannot be opened"),
        ("service", "workflows_database", garbage, "is damaged"),
        ("mlflow", "mlflow_database", garbage, "is damaged"),
        ("mlflow", "mlflow_auth_database", garbage, "is damaged"),
    ],
)
def test_a_damaged_database_is_named_with_what_to_do(
    stopped: Platform, part: str, database: str, damage: Callable[[Path], None], words: str
) -> None:
    stopped.down()
    path: Path = getattr(stopped.home, database)
    with replaced(path, damage):
        failed = stopped.command("up", "--json", check=False, timeout=2 * PATIENCE)
        assert failed.returncode == 1
        last = json.loads(failed.stdout.splitlines()[-1])
        assert f"The part {part}" in last["error"] and str(path) in last["error"] and words in last["error"]
        assert "Traceback" not in last["error"] and "registry-tui up" in last["action"]
        found = wait_for(lambda: _failed(stopped, part), what=f"{part} to be shown as failed")
        assert str(path) in found.detail and found.action
        shown = stopped.command("status", check=False)
        assert shown.returncode == 1 and words in shown.stdout and found.action in shown.stdout
        stopped.down()
    stopped.up()
    wait_for(lambda: status_of(stopped.home, part).state is PartState.HEALTHY, what=f"{part} to be well again")


def _failed(platform: Platform, part: str) -> PartStatus | None:
    found = status_of(platform.home, part)
    return found if found.state is PartState.FAILED else None


def test_a_part_that_ends_again_and_again_is_not_starting_for_ever(stopped: Platform) -> None:
    stopped.up()
    marker = stopped.home.object_store
    stopped.down()
    kept = marker.with_name("kept-aside")
    marker.rename(kept)
    marker.write_text("a file where a folder has to be", encoding="utf-8")
    try:
        failed = stopped.command("up", "--json", check=False, timeout=2 * PATIENCE)
        assert failed.returncode == 1
        last = json.loads(failed.stdout.splitlines()[-1])
        assert last["healthy"] is False and "object-store" in last["error"] + last["action"]
    finally:
        stopped.down()
        marker.unlink()
        kept.rename(marker)
    stopped.up()


def test_too_few_open_files_are_refused_in_words(stopped: Platform) -> None:
    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))

    stopped.down()
    done = subprocess.run(
        [sys.executable, "-m", "registry_tui", "up"],
        env=stopped.environment(),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        preexec_fn=few,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1
    assert "limits the open files of a process to 256" in done.stderr and "ulimit" in done.stderr
    assert "minfds" not in done.stderr and "Traceback" not in done.stderr
