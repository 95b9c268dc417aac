"""The output of commands, and their parsing of options, without any service."""

from __future__ import annotations

import json
import math
import shlex
import subprocess
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer

from registry_tui.cli import output, reference, session
from registry_tui.cli.output import Column
from registry_tui.cli.projects import _fish_quote
from registry_tui.client.errors import RegistryError
from registry_tui.client.saving import place_below
from registry_tui.schemas.base import Page
from registry_tui.schemas.tracking import MetricPoint
from support.platforms import clean_environment

POINTS = [MetricPoint(value=float(step), step=step, timestamp=datetime(2026, 1, 1, tzinfo=UTC)) for step in range(5)]
COLUMNS = [
    Column[MetricPoint]("STEP", lambda each: each.step, right=True),
    Column[MetricPoint]("VALUE", lambda each: each.value),
]


def pages(size: int) -> Callable[..., Awaitable[Page[MetricPoint]]]:
    """A list of five points that gives at most `size` at a time."""

    async def fetch(*, page_size: int, page_token: str | None) -> Page[MetricPoint]:
        begin = int(page_token or 0)
        end = begin + min(size, page_size)
        return Page(items=POINTS[begin:end], next_page_token=str(end) if end < len(POINTS) else None)

    return fetch


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("limit", [None, 3, 5, 9])
async def test_json_lists_are_one_array_however_many_pages(
    size: int, limit: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    await output.print_list(pages(size), COLUMNS, as_json=True, limit=limit)
    printed = capsys.readouterr()
    assert [each["step"] for each in json.loads(printed.out)] == list(range(min(5, limit or 5)))
    assert ("There are more" in printed.err) == (limit == 3)


async def test_an_empty_list_is_an_empty_array_or_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    async def nothing(*, page_size: int, page_token: str | None) -> Page[MetricPoint]:
        return Page(items=[])

    await output.print_list(nothing, COLUMNS, as_json=True)
    assert json.loads(capsys.readouterr().out) == []
    await output.print_list(nothing, COLUMNS, as_json=False, empty="No points")
    assert capsys.readouterr() == ("", "No points\n")


async def test_a_table_in_a_pipe_is_aligned_and_plain(capsys: pytest.CaptureFixture[str]) -> None:
    await output.print_list(pages(2), COLUMNS, as_json=False)
    assert capsys.readouterr().out.splitlines() == ["STEP  VALUE", *(f"{step:>4}  {step}" for step in range(5))]


async def test_a_failure_on_the_first_page_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    async def fails(*, page_size: int, page_token: str | None) -> Page[MetricPoint]:
        raise RegistryError("no answer")

    with pytest.raises(RegistryError):
        await output.print_list(fails, COLUMNS, as_json=True)
    assert capsys.readouterr().out == ""


def test_text_from_outside_reaches_no_terminal_raw(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "a\x1b[2J\x07\u202eb\r\x9b31m"
    output.print_one(POINTS[0], {"name": hostile, "notes": f"{hostile}\n{hostile}"}, as_json=False)
    output.Table([Column[str]("T", str)]).print([hostile])
    output.note(hostile)
    printed = capsys.readouterr()
    assert not {"\x1b", "\x07", "\r", "\x9b", "\u202e"} & set(printed.out + printed.err)


def test_values_read_well() -> None:
    values: list[object] = [None, "", True, {}, [], math.nan, {"champion": 2}, "one\ntwo"]
    assert [output.cell(each) for each in values] == [
        "-",
        "-",
        "yes",
        "-",
        "-",
        "NaN",
        "champion=2",
        "one …",
    ]


def test_moments() -> None:
    assert session.moment(None) is None
    assert session.moment("2h") == timedelta(hours=2)
    assert session.moment("2026-11-22T13:00:00+00:00") == datetime(2026, 11, 22, 13, tzinfo=UTC)
    for wrong in ("yesterday", "9999999999w", ""):
        with pytest.raises(typer.BadParameter):
            session.moment(wrong)


def test_tags_hold_a_key_and_a_value() -> None:
    assert [(tag.key, tag.value) for tag in session.tags(["a=b=c", "d="])] == [("a", "b=c"), ("d", "")]
    for wrong in ("a", "=b"):
        with pytest.raises(typer.BadParameter):
            session.tags([wrong])


@pytest.mark.parametrize("value", ["plain", "it's $HOME `date`", "back\\slash'"])
def test_exports_survive_the_shell(value: str) -> None:
    code = f'export X={shlex.quote(value)}; printf %s "$X"'
    assert subprocess.run(["sh", "-c", code], capture_output=True, text=True, check=True).stdout == value
    assert _fish_quote(value) == "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def test_downloads_stay_in_their_folder(tmp_path: Path) -> None:
    assert place_below(tmp_path, "model/MLmodel") == tmp_path / "model/MLmodel"
    for wrong in ("../outside", "/etc/passwd", "a/../../b"):
        with pytest.raises(RegistryError):
            place_below(tmp_path, wrong)


def test_the_reference_page_is_what_the_commands_are() -> None:
    page = Path(__file__).parents[2] / "docs" / "cli.md"
    assert page.read_text() == reference.render(), "run: python -m registry_tui.cli.reference > docs/cli.md"


def run(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = clean_environment({"REGISTRY_TUI_HOME": str(home), **variables})
    command = [sys.executable, "-m", "registry_tui", *arguments]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300, check=False
    )


def test_without_a_service_commands_fail_in_words(short_path: Path) -> None:
    done = run(short_path, "projects", "list", "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert "registry-tui up" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["projects", "create"],
        ["nonsense"],
        ["projects", "create", "UPPER CASE", "--workspace", "w"],
        ["registries", "create", "e", "--nfs-protocol-version", "7"],
        ["models", "register", "-p", "x", "--name", "y", "--tag", "novalue"],
        ["environments", "delete", "e"],
        ["events", "list", "--since", "yesterday"],
        ["runs", "list"],
    ],
)
def test_wrong_usage_exits_with_2(short_path: Path, arguments: list[str]) -> None:
    done = run(short_path, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_name_the_command(short_path: Path, shell: str) -> None:
    done = run(short_path, "completion", shell)
    assert done.returncode == 0
    assert "_REGISTRY_TUI_COMPLETE" in done.stdout


def test_commands_and_verbs_complete_without_a_service(short_path: Path) -> None:
    words = {"COMP_WORDS": "registry-tui registries s", "COMP_CWORD": "2", "_REGISTRY_TUI_COMPLETE": "complete_bash"}
    code = (
        "import sys; sys.argv = ['registry-tui']; from registry_tui.cli.main import app; app(prog_name='registry-tui')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=clean_environment({"REGISTRY_TUI_HOME": str(short_path), **words}),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout.split() == ["show", "synchronize", "storage"], done.stderr


def test_a_list_imports_nothing_heavy(short_path: Path) -> None:
    code = """
import sys
sys.argv = ["registry-tui", "projects", "list"]
from registry_tui.cli import main
try:
    main()
except SystemExit as end:
    print(end.code)
heavy = {"mlflow", "boto3", "sqlalchemy", "textual", "fastapi", "dbos", "pandas", "sklearn", "click", "pygments"}
print(sorted(heavy & set(sys.modules)))
"""
    environment = clean_environment({"REGISTRY_TUI_HOME": str(short_path)})
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["1", "[]"]
