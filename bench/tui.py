"""The terminal program in a pseudo-terminal, compared with a bare Textual app, a DataTable, and an earlier revision.

`python bench/tui.py` (about ten minutes)   `--runs 50 10000 --models 1000 --idle 5` is quicker
`--only-start` measures the start alone; `--against REVISION` chooses the earlier revision, `none` leaves it out

All run on pseudo-terminals of 170 × 50, all sides in one go: starts take turns, and so does each key of the two
revisions. The bare app is one empty table of Textual's. The DataTable has its rows in memory; ours requests pages
from the service. The earlier revision uses the same service. Key to paint is the time from writing a key to the last
byte of the program's output for it; "work" is the processor time, also on a busy machine.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from revisions import BEFORE, variables_of
from servers import compile_project, environment, temporary_folder
from terminal import DOWN, PAGE_DOWN, PAGE_UP, UP, Keys, Program, Report, press, program

from registry_tui.platform.paths import ENVIRONMENT_VARIABLE, Home
from support.many_models import MANY, fill_models
from support.many_runs import fill
from support.platforms import Platform

BARE = """
from textual.app import App
from textual.widgets import DataTable
class Bare(App):
    def compose(self):
        yield DataTable()
    def on_mount(self):
        self.query_one(DataTable).add_columns("bare-app")
Bare().run()
"""
OURS = [sys.executable, "-m", "registry_tui"]
MOVES = [DOWN if number % 40 < 20 else UP for number in range(200)]
#: Two pages down and two up, within rows that are loaded: `pages.py` measures the server's time.
PAGES = [PAGE_DOWN if number % 4 < 2 else PAGE_UP for number in range(200)]


@dataclass(frozen=True)
class Listed:
    """The measurements with one list open: milliseconds, megabytes, and the effect of keys."""

    opened: float
    moves: Keys
    pages: Keys
    to_end: float
    to_start: float
    sorted: float
    filtered: float
    memory: float
    largest: int


def started(command: Sequence[str], variables: Mapping[str, str], first: bytes, data: bytes) -> dict[str, float]:
    """Starts a program once: milliseconds until it paints, the processor's for it, until data, and its megabytes."""
    began = time.perf_counter()
    with program(command, variables) as one:
        paint = one.wait_for(first) - began
        work = one.worked
        with_data = one.wait_for(data, since=0) - began
        one.settle(1.5)
        return {"paint": paint * 1000, "work": work, "data": with_data * 1000, "memory": one.memory}


def starts(sides: Sequence[Mapping[str, str]], repeat: int, report: Report) -> None:
    """Starts a bare app and each revision in turns."""
    bare = [sys.executable, "-c", BARE]
    rounds = []
    for _ in range(repeat + 1):
        found = [started(bare, sides[0], b"bare-app", b"bare-app")]
        found += [started(OURS, variables, b"Registries", b"registry-local") for variables in sides]
        rounds.append(found)
    # The first round warms up.
    other, ours, *before = [
        {name: statistics.median(each[name] for each in measured) for name in measured[0]}
        for measured in zip(*rounds[1:], strict=True)
    ]
    report.head("Start, beside a bare app")
    report.say("first paint", "ms", ours["paint"], other["paint"], budget="first paint")
    report.say("first paint: work", "ms", ours["work"], other["work"])
    report.say("first paint with data", "ms", ours["data"], other["paint"], budget="first paint")
    report.say("memory", "MB", ours["memory"], other["memory"], budget="memory")
    for earlier in before:
        report.head("Start, beside the revision before")
        report.say("first paint", "ms", ours["paint"], earlier["paint"], budget="time beside the revision before")
        report.say("first paint: work", "ms", ours["work"], earlier["work"], budget="work beside the revision before")
        report.say("first paint with data", "ms", ours["data"], earlier["data"])
        report.say("memory", "MB", ours["memory"], earlier["memory"], budget="memory beside the revision before")


def work_in_runs(sides: Sequence[Mapping[str, str]], project: str, experiment: int, runs: int) -> list[Listed]:
    """Opens an experiment's runs in each revision and works in them, by turns."""
    newest, oldest = f"run-{runs - 1} ".encode(), b"run-0 "
    with ExitStack() as stack:
        programs = [stack.enter_context(program(OURS, variables)) for variables in sides]
        for one in programs:
            one.wait_for(b"registry-local")
            one.settle(1.5)
        opened = [one.send(f":runs {project} {experiment}\r".encode(), newest) for one in programs]
        moves, pages = press(programs, MOVES), press(programs, PAGES, 0.1)
        found = []
        for number, one in enumerate(programs):
            to_end, to_start = one.send(b"G", oldest), one.send(b"g", newest)
            sorted_ = _jump(one, one.click("Run  "), oldest)
            memory = one.memory
            query = b'/attributes.run_name LIKE "run-_" AND attributes.run_name LIKE "%-7"\r'
            filtered = one.send(query, b"run-7 ")
            its_keys = moves[number], pages[number]
            found.append(Listed(opened[number], *its_keys, to_end, to_start, sorted_, filtered, memory, one.largest))
    return found


def data_table(runs: int, variables: Mapping[str, str]) -> Listed:
    """The same in Textual's DataTable, with rows at hand."""
    newest, oldest = f"run-{runs - 1} ".encode(), b"run-0 "
    with program([sys.executable, str(Path(__file__).with_name("data_table.py")), str(runs)], variables) as one:
        one.wait_for(b"Started")
        one.settle()
        opened = one.send(b"o", newest)
        (moves,), (pages,) = press([one], MOVES), press([one], PAGES, 0.1)
        to_end, to_start = _jump(one, b"\x1b[1;5F", oldest), _jump(one, b"\x1b[1;5H", newest)
        sorted_ = one.send(b"s", oldest)
        memory = one.memory
        filtered = one.send(b"f", b"run-7 ")
        return Listed(opened, moves, pages, to_end, to_start, sorted_, filtered, memory, one.largest)


def _jump(one: Program, key: bytes, text: bytes) -> float:
    """As `Program.send`, with a key of several bytes; a short list shows its end already."""
    began, since = time.perf_counter(), len(one.written)
    one.key(key)
    milliseconds = (time.perf_counter() - began) * 1000
    if text in one.written[since:]:
        return milliseconds
    one.wait_for(text, since=0)
    return milliseconds


def say_list(ours: Listed, other: Listed, most: str, report: Report) -> None:
    """Prints both sides of a list."""
    report.say("open the list", "ms", ours.opened, other.opened)
    for name, mine, its in (("move", ours.moves, other.moves), ("page", ours.pages, other.pages)):
        report.say(f"{name}: key to paint, p50", "ms", mine.p50, its.p50)
        report.say(f"{name}: key to paint, p99", "ms", mine.p99, its.p99, budget="key to paint, p99")
        report.say(f"{name}: work of a key", "ms", mine.work, its.work)
        report.say(
            f"{name}: bytes",
            "B",
            mine.bytes,
            its.bytes,
            budget="bytes of a cursor move" if name == "move" else "largest frame",
        )
    for what, mine_ms, its_ms in (
        ("to the end", ours.to_end, other.to_end),
        ("to the start", ours.to_start, other.to_start),
        ("sorted by another column", ours.sorted, other.sorted),
        ("filtered", ours.filtered, other.filtered),
    ):
        report.say(what, "ms", mine_ms, its_ms)
    report.say("largest frame", "B", ours.largest, other.largest, budget="largest frame")
    report.say("memory", "MB", ours.memory, other.memory, budget=most)


def say_before(ours: Listed, before: Listed, report: Report) -> None:
    """Prints both revisions of a list."""
    for name, mine, its in (("move", ours.moves, before.moves), ("page", ours.pages, before.pages)):
        report.say(f"{name}: key to paint, p50", "ms", mine.p50, its.p50, budget="time beside the revision before")
        report.say(f"{name}: key to paint, p99", "ms", mine.p99, its.p99)
        report.say(f"{name}: work of a key", "ms", mine.work, its.work, budget="work beside the revision before")
        report.say(f"{name}: bytes", "B", mine.bytes, its.bytes, budget="bytes beside the revision before")
    for what, mine_ms, its_ms in (
        ("open the list", ours.opened, before.opened),
        ("to the end", ours.to_end, before.to_end),
        ("to the start", ours.to_start, before.to_start),
        ("sorted by another column", ours.sorted, before.sorted),
        ("filtered", ours.filtered, before.filtered),
    ):
        report.say(what, "ms", mine_ms, its_ms)
    report.say("memory", "MB", ours.memory, before.memory, budget="memory beside the revision before")


def models(one: Program, count: int, versions: int, other: Listed, report: Report) -> None:
    """Registered models and the versions of one, beside the DataTable with as many rows."""
    first, second = b"model-000000", f"model-{count - 2:06d}".encode()
    report.head(f"{count} registered models, beside a DataTable of as many rows")
    report.say("open the list", "ms", one.send(b":models\r", first), other.opened)
    (moves,), (pages,) = press([one], MOVES), press([one], PAGES, 0.1)
    report.say("move: key to paint, p99", "ms", moves.p99, other.moves.p99, budget="key to paint, p99")
    report.say("page: key to paint, p99", "ms", pages.p99, other.pages.p99, budget="key to paint, p99")
    report.say("move: bytes", "B", moves.bytes, other.moves.bytes, budget="bytes of a cursor move")
    report.say("to the end", "ms", one.send(b"G", second), other.to_end)
    report.say("to the start", "ms", one.send(b"g", first), other.to_start)
    report.say("searched in names, owners, tags", "ms", one.send(b"/MODEL-MANY-VERSIONS IS FOR\r", MANY.encode()))
    report.head(f"One model with {versions} versions")
    report.say("open the list", "ms", one.send(f":model registry-local {MANY}\r".encode(), f"note {versions}".encode()))
    (moves,), (pages,) = press([one], MOVES), press([one], PAGES, 0.1)
    report.say("move: key to paint, p99", "ms", moves.p99, other.moves.p99, budget="key to paint, p99")
    report.say("page: key to paint, p99", "ms", pages.p99, other.pages.p99, budget="key to paint, p99")
    report.say("to the end", "ms", one.send(b"G", b"note 1 "), other.to_end)
    report.say("largest frame", "B", one.largest, budget="largest frame")
    report.say("memory", "MB", one.memory, budget="memory with 100 000 runs")


def idle(one: Program, seconds: float, report: Report) -> None:
    """The output while nobody does anything."""
    before, worked, until = len(one.written), one.worked, time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        one.read(left)
    report.head(f"{seconds:.0f} idle seconds")
    report.say("bytes written", "B", len(one.written) - before, budget="bytes while nobody does anything")
    report.say("work", "ms", one.worked - worked)


def measure(platform: Platform, before: Path, asked: argparse.Namespace) -> int:
    """Prints every measurement; returns the exit code. `before` is a folder for the earlier revision's sources."""
    variables = environment({ENVIRONMENT_VARIABLE: str(platform.home.root)})
    sides = [variables]
    if asked.against != "none":
        sides.append(variables_of(asked.against, before, variables))
    database = platform.home.mlflow_database
    report = Report("tui")
    starts(sides, asked.repeat, report)
    if asked.only_start:
        return report.end()
    project = platform.new_project()
    registry = platform.ask(lambda client: client.registry("registry-local"))
    experiments = {
        runs: fill(database, runs, workspace=project.mlflow_workspace, experiment=f"sweep-{runs}")
        for runs in asked.runs
    }
    fill_models(database, asked.models, asked.models, workspace=registry.mlflow_workspace)
    # MLflow analyses a database that has grown only from time to time, and at each start.
    platform.command("restart", "mlflow")
    for runs, experiment in experiments.items():
        ours, *earlier = work_in_runs(sides, project.name, experiment, runs)
        report.head(f"{runs} runs, beside a DataTable of as many rows")
        say_list(ours, data_table(runs, variables), "memory with 100 000 runs" if runs > 10_000 else "memory", report)
        for each in earlier:
            report.head(f"{runs} runs, beside the revision before")
            say_before(ours, each, report)
    other = data_table(asked.models, variables)
    with program(OURS, variables) as one:
        one.wait_for(b"registry-local")
        one.settle(1.5)
        models(one, asked.models, asked.models, other, report)
        idle(one, asked.idle, report)
    return report.end()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="+", default=[50, 10_000, 100_000])
    parser.add_argument("--models", type=int, default=10_000, help="models, and versions of one of them")
    parser.add_argument("--repeat", type=int, default=5, help="starts of each side")
    parser.add_argument("--against", default=BEFORE, help="the earlier revision, or none")
    parser.add_argument("--only-start", action="store_true", help="measure the start alone")
    parser.add_argument("--idle", type=float, default=30, help="seconds")
    asked = parser.parse_args()
    compile_project()
    with temporary_folder() as folder:
        platform = Platform(Home(folder / "h"))
        platform.command("up")
        try:
            return measure(platform, folder / "before", asked)
        finally:
            platform.command("down")


if __name__ == "__main__":
    sys.exit(main())
