"""Fixtures with real parts; tests/README.md describes their use."""

from __future__ import annotations

import gc
import os
import shutil
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from registry_tui.client.client import RegistryClient
from registry_tui.contracts import clocks
from registry_tui.platform.paths import Home
from registry_tui.schemas.places import Project
from support import forked_platforms, secret_search, served
from support.memory import MEMORY_GOAL, MEMORY_LIMIT, NAMED, peak_memory, return_freed_memory
from support.platforms import Platform, run_python, running_platform, short_folder, temporary_folder
from support.postgres import PostgresServer, running_postgres

#: The folder of the run's shared platform. Set it to keep that platform between runs while developing.
SHARED = "REGISTRY_TUI_TEST_PLATFORM"
_made_here = pytest.StashKey[Path]()
#: The most memory that each worker used, in MiB, as the controlling process learns it.
_peaks = pytest.StashKey[dict[str, int]]()
#: MiB by which each module's tests raised the peak, and the peak after the last of them.
_raised = pytest.StashKey[dict[str, int]]()
_last_peak = pytest.StashKey[int]()
#: The secrets of the shared platform that are where they should not be when all tests are done.
_out_of_place = pytest.StashKey[list[str]]()
#: The fixtures that start a platform.
PLATFORMS = {"platform", "own_platform", "fresh_platform"}


def pytest_configure(config: pytest.Config) -> None:
    """Chooses the shared platform's home before any worker starts; they inherit the variable."""
    let_children_be_interrupted()
    return_freed_memory()
    if os.environ.get(forked_platforms.WANTED):
        forked_platforms.use()
    # The same examples in each run, without a deadline: durations depend on the load of the machine.
    settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
    if not config.getoption("--hypothesis-profile", None):
        settings.load_profile("steady")
    config.stash[_peaks] = {}
    config.stash[_raised] = {}
    config.stash[_last_peak] = peak_memory()
    config.stash[_out_of_place] = []
    os.environ.pop("REGISTRY_TUI_HOME", None)
    os.environ.pop("REGISTRY_TUI_USER", None)
    if SHARED not in os.environ and not hasattr(config, "workerinput"):
        config.stash[_made_here] = short_folder()
        os.environ[SHARED] = str(config.stash[_made_here] / "h")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Ends the shared platform once all workers are done, however they ended."""
    if (folder := config.stash.get(_made_here, None)) is not None:
        os.environ.pop(SHARED, None)
        Platform(Home(folder / "h")).down()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Disables garbage collection while tests are collected, and exempts the imported objects for good."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()
        note_peak(session.config, "collecting")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests that need a platform, by the fixtures that they use, and sorts the modules.

    Modules with platforms of their own wait most and take longest, so that they begin, each beside one that computes.
    The shortest end, so that no worker is left alone with a long one.
    """
    urgency: dict[Path, int] = {}
    for item in items:
        needed = PLATFORMS.intersection(getattr(item, "fixturenames", ()))
        if needed:
            item.add_marker("platform")
        own = 2 if needed - {"platform"} or item.get_closest_marker("long") else len(needed)
        urgency[item.path] = max(urgency.get(item.path, 0), own)
    tests = Counter(item.path for item in items)
    modules = sorted(tests, key=lambda path: (-urgency[path], -tests[path], path))
    waiting = [path for path in modules if urgency[path] == 2]
    computing = modules[len(waiting) :]
    places = {path: 2 * place for place, path in enumerate(waiting)}
    places |= {path: 2 * place + 1 for place, path in enumerate(computing)}
    items.sort(key=lambda item: places[item.path])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Reads a worker's memory use from its last output."""
    output: dict[str, Any] = getattr(node, "workeroutput", {})
    if peak := output.get("peak_memory"):
        node.config.stash[_peaks][node.gateway.id] = peak
        raised: dict[str, int] = node.config.stash[_raised]
        raised.update(output.get("raised_by", {}))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Notes how far a module's tests raised the peak of this process."""
    module = item.nodeid.partition("::")[0]
    if nextitem is None or nextitem.nodeid.partition("::")[0] != module:
        note_peak(item.config, module)


def note_peak(config: pytest.Config, by: str) -> None:
    """Keeps how far this process's peak has risen since it was noted last."""
    raised, peak = config.stash[_raised], peak_memory()
    raised[by] = raised.get(by, 0) + peak - config.stash[_last_peak]
    config.stash[_last_peak] = peak


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fails the run when one of its processes needed more memory than tests may need, or secrets are out of place."""
    config, peak = session.config, peak_memory()
    if hasattr(config, "workeroutput"):
        config.workeroutput["peak_memory"] = peak
        config.workeroutput["raised_by"] = config.stash[_raised]
        return
    config.stash[_peaks].setdefault("this process", peak)
    if max(config.stash[_peaks].values()) > MEMORY_LIMIT and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    shared = Platform(Home(Path(os.environ[SHARED])))
    if found := secret_search.out_of_place(shared):
        config.stash[_out_of_place] = found
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the most memory that each process used, with the limit when one is over it, and secrets out of place."""
    for each in terminalreporter.config.stash[_out_of_place]:
        terminalreporter.write_line(f"a secret is where it should not be: {each}", red=True)
    peaks = terminalreporter.config.stash[_peaks]
    used = ", ".join(f"{name} {peak} MiB" for name, peak in sorted(peaks.items()))
    over = any(peak > MEMORY_GOAL for peak in peaks.values())
    words = f"peak memory: {used}" + (f"; a test process should use {MEMORY_GOAL} MiB" if over else "")
    terminalreporter.write_line(words, red=over)
    raised = sorted(terminalreporter.config.stash[_raised].items(), key=lambda each: -each[1])[:NAMED]
    if over and raised:
        terminalreporter.write_line(f"raised most by: {', '.join(f'{name} {by} MiB' for name, by in raised)}")


def let_children_be_interrupted() -> None:
    """Lets processes that tests start end by SIGINT where this one ignores it, as background jobs do.

    A program inherits that a signal is ignored, but not a handler.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda number, frame: None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Adds the ends of the parts' logs to the report of a test that failed on a platform."""
    report = yield
    if report.failed:
        for used in getattr(item, "funcargs", {}).values():
            if isinstance(used, Platform):
                report.sections.extend((f"log of {part}", text) for part, text in used.log_tails().items() if text)
    return report


@pytest.fixture(scope="session")
def platform() -> Platform:
    """The run's one platform, shared by all tests and workers: work in projects of your own, break nothing."""
    shared = Platform(Home(Path(os.environ[SHARED])))
    shared.up()
    return shared


@pytest.fixture(scope="module")
def own_platform() -> Iterator[Platform]:
    """A platform that only this module's tests use: they may break it, and leave it up."""
    with running_platform() as started:
        yield started
        secret_search.require_none_out_of_place(started)


@pytest.fixture
def fresh_platform() -> Iterator[Platform]:
    """A platform for one test alone. Takes ten seconds: prefer `platform` or `own_platform`."""
    with running_platform() as started:
        yield started
        secret_search.require_none_out_of_place(started)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of this process; make databases of your own in it."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A temporary folder whose name is short enough for unix sockets inside; `tmp_path` is not."""
    with temporary_folder() as folder:
        yield folder


@pytest.fixture
async def client(platform: Platform) -> AsyncIterator[RegistryClient]:
    """A client of the shared platform's service, acting as its owner."""
    async with platform.patient_client() as connected:
        yield connected


@pytest.fixture
def project(platform: Platform) -> Project:
    """A new project of the shared platform, in a synchronized workspace, with a name of its own."""
    return platform.new_project()


@pytest.fixture
def sdk(platform: Platform, project: Project) -> Callable[..., str]:
    """Runs Python code as a data scientist would, in another process with the project's exports.

    `sdk(code, *arguments)` returns the code's output, and fails when it fails.
    """
    exports = platform.exports(project.id)

    def run(code: str, *arguments: str, check: bool = True) -> str:
        return run_python(code, exports, *arguments, check=check)

    return run


@pytest.fixture(autouse=True)
def this_machines_clock() -> None:
    """A program or a command of an earlier test leaves no service's clock behind."""
    clocks.follow_none()


@pytest.fixture(autouse=True)
def room_for_the_next() -> Iterator[None]:
    """Removes the deployments made by a test; those made before, for the whole module, stay."""
    before = len(served.DEPLOYED)
    yield
    served.take_away(served.DEPLOYED[before:])
    del served.DEPLOYED[before:]
