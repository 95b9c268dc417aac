"""The help of every command, wrong usage in plain words, and questions where nobody can answer."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

import registry_tui
from registry_tui.cli.main import app
from registry_tui.platform.errors import PlatformError


def _commands(command: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    yield path, command
    if hasattr(command, "list_commands"):
        for name in command.list_commands(None):
            yield from _commands(command.get_command(None, name), f"{path} {name}".strip())


def test_every_command_option_and_argument_says_what_it_is() -> None:
    silent = [
        f"{path} {each.name}"
        for path, command in _commands(get_command(app))
        for each in command.params
        if not getattr(each, "hidden", False) and each.name != "help" and not each.help
    ]
    assert not silent
    assert not [path for path, command in _commands(get_command(app)) if not command.help]


def test_lists_of_commands_are_not_cut_off() -> None:
    for noun in ("models", "deployments", "registries", "ranger"):
        said = CliRunner().invoke(app, [noun, "--help"], env={"COLUMNS": "80"}).stdout
        assert "..." not in said.partition("Commands:")[2]
        assert max(len(line) for line in said.splitlines()) <= 80


def test_help_says_which_numbers_are_taken() -> None:
    every = [each for _, command in _commands(get_command(app)) for each in getattr(command, "params", ())]
    assert not [each.name for each in every if getattr(each, "min", None) is not None]
    said = [CliRunner().invoke(app, [*path.split(), "--help"]).stdout for path in ("deployments update", "runs purge")]
    assert not re.search(r"range|x[<>]=|=x", "".join(said))
    assert re.search(r"--replicas <1 or more> +Processes that serve\.", said[0])
    assert "[0 or more]" in said[1]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("deploymets list", "There is no command 'deploymets': did you mean deployments?"),
        ("deployments creat", "There is no command 'creat': did you mean create?"),
        ("models zzz", "There is no command 'zzz'"),
        ("deployments scale api many", "'replicas': has to be a whole number"),
        ("deployments update api --replicas 0", "'--replicas': has to be 1 or more"),
        ("deployments update api --cpu x", "'--cpu': has to be a number"),
        ("models stage wine 3 Prod", "'Prod' is not one of 'None', 'Proposal'"),
        ("deployments update api --version 2 --strategy canary --steps 5,2", "Invalid value: steps are percentages"),
        ("deployments update api", "nothing would change"),
        ("deployments update api --comment why", "nothing would change"),
        ("models update wine", "nothing would change"),
        ("models update-version wine 3", "nothing would change"),
        ("webhooks change 3f", "nothing would change"),
        ("keys limit 0a1b", "give limits, or --none"),
        ("ranger policies update all", "give --file"),
        ("ranger roles update trainers", "give --file, or an option for each change"),
        ("environments create X_Y", "name: only a-z, 0-9 and -, beginning and ending with a letter or digit"),
        ("environments create a", "name: has to have 2 characters or more"),
    ],
)
def test_wrong_usage_is_told_in_plain_words(given: str, words: str) -> None:
    result = CliRunner().invoke(app, given.split())
    assert result.exit_code == 2
    said = " ".join(result.stderr.split())
    assert words in said
    assert not re.search(r"Input should|String should|Value error|value: :", said)


@pytest.mark.parametrize(
    "command", ["restore PLACE", "backups verify PLACE", "attach lab http://127.0.0.1:1 --user ann"]
)
def test_a_secret_is_asked_for_only_where_somebody_can_answer(command: str, tmp_path: Path) -> None:
    kept = tmp_path / "place" / "backups" / "20260101T000000Z-00000000.json.gz"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"")
    given = command.replace("PLACE", str(tmp_path / "place")).split()
    result = subprocess.run(
        [sys.executable, "-m", "registry_tui", "--data-dir", str(tmp_path / "home"), *given],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
    )
    assert (result.returncode, "Warning" in result.stderr) == (2, False)
    assert "nobody can be asked here: give it" in " ".join(result.stderr.split())


@pytest.mark.parametrize("command", ["restore PLACE", "backups verify PLACE", "restore PLACE --backup ID"])
def test_nobody_is_asked_for_the_passphrase_of_a_backup_that_is_not_there(command: str, tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    given = command.replace("PLACE", str(tmp_path / "place")).replace("ID", "20260101T000000Z-00000000")
    home = ["--data-dir", str(tmp_path / "home")]
    result = CliRunner().invoke(app, [*home, *given.split()])
    assert isinstance(result.exception, PlatformError) and "There is no backup" in result.exception.message


def test_only_one_module_asks() -> None:
    source = Path(registry_tui.__file__).parent / "cli"
    asking = {path.name for path in source.glob("*.py") if re.search(r"typer\.(prompt|confirm)\(", path.read_text())}
    assert asking == {"asking.py"}


def test_a_closed_output_is_no_fault(tmp_path: Path) -> None:
    run = f'"{sys.executable}" -m registry_tui --data-dir "{tmp_path}" contexts list'
    closed = subprocess.run(["sh", "-c", f"{run} >&-"], capture_output=True, text=True, check=False)
    assert (closed.returncode, closed.stderr) == (0, "")


@pytest.mark.parametrize(
    "command",
    [
        "signing keys rotate prod",
        "environments roles revoke prod MLUser --to ada",
        "environments roles revoke prod MLUser --to-group data",
        "webhooks rotate-secret ci",
    ],
)
def test_a_command_whose_page_asks_first_asks_too(command: str) -> None:
    result = CliRunner().invoke(app, command.split())
    assert result.exit_code == 2
    assert "nobody can be asked here: give --yes" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("command", "meant"),
    [("sign-in", "login"), ("stop", "down"), ("models rm", "delete"), ("webhooks ls", "list"), ("modles", "models")],
)
def test_a_command_by_another_name_is_named(command: str, meant: str) -> None:
    result = CliRunner().invoke(app, command.split())
    assert result.exit_code == 2 and f"did you mean {meant}?" in result.stderr
