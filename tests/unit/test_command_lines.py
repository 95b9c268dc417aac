"""Command lines equivalent to requests: run by the command line, each sends the same request."""

from __future__ import annotations

import asyncio
import json
import shlex
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from registry_tui.cli.main import app
from registry_tui.client import RegistryClient
from registry_tui.client.outgoing import NotSent, Outgoing, rehearsal
from registry_tui.schemas.deployments import DeploymentUpdate, EnvironmentVariable
from registry_tui.schemas.models import Tag
from registry_tui.schemas.people import EnvironmentRole, RolesChange, UserChange
from registry_tui.schemas.ranger import RangerPolicy, RangerRole
from registry_tui.schemas.tracking import RunsUpdate
from registry_tui.terminal.commands import SCREENS
from registry_tui.wording.command_lines import as_typed, command_lines, quoted, remark, showing
from registry_tui.wording.command_parts import NoCommand
from support.asking_commands import ASKING
from support.command_requests import NASTY, POLICY, SAME, TAGS, TEXT, Ask


async def sent_by(ask: Ask) -> Outgoing:
    async with RegistryClient(base_url="http://nowhere.invalid") as client:
        with rehearsal(), pytest.raises(NotSent) as rehearsed:
            await ask(client)
    return rehearsed.value.request


def given_back(line: list[str]) -> Outgoing:
    with rehearsal():
        done = CliRunner().invoke(app, line)
    assert isinstance(done.exception, NotSent), f"{shlex.join(line)}: {done.output} {done.exception!r}"
    return done.exception.request


@pytest.mark.parametrize("name", SAME)
async def test_a_command_line_sends_the_same_request(name: str) -> None:
    request = await sent_by(SAME[name])
    (line,) = command_lines(request)
    # The command line runs a loop of its own.
    again = await asyncio.to_thread(given_back, line)
    assert (again.method, again.parts, again.query, again.body) == (
        request.method,
        request.parts,
        request.query,
        request.body,
    )


@pytest.mark.parametrize("name", ASKING)
async def test_a_command_line_that_asks_first_says_everything_that_was_chosen(name: str) -> None:
    ask, expected = ASKING[name]
    assert command_lines(await sent_by(ask)) == [expected.split()]


async def test_a_changed_name_of_a_user_is_given_as_the_whole_user() -> None:
    request = await sent_by(lambda c: c.change_user("ada", UserChange(full_name="Ada L", email="")))
    assert command_lines(request) == [["users", "create", "--full-name", "Ada L", "--email", "", "ada"]]


async def test_roles_are_granted_and_all_others_revoked() -> None:
    change = RolesChange(roles=[EnvironmentRole.ML_USER, EnvironmentRole.ENVIRONMENT_ADMIN])
    assert command_lines(await sent_by(lambda c: c.set_user_roles("lab", "ada", change))) == [
        ["environments", "roles", "grant", "--to", "ada", "lab", "EnvironmentAdmin", "MLUser"],
        ["environments", "roles", "revoke", "--to", "ada", "--yes", "lab", "EnvironmentUser", "MLAdmin"],
    ]
    assert command_lines(await sent_by(lambda c: c.set_group_roles("lab", "data", RolesChange(roles=[])))) == [
        ["environments", "roles", "revoke", "--to-group", "data", "--yes", "lab", *EnvironmentRole]
    ]


async def test_a_changed_policy_or_role_is_given_whole() -> None:
    (line,) = command_lines(await sent_by(lambda c: c.update_policy(7, POLICY, version=3)))
    assert line[:4] == ["ranger", "policies", "update", "--file"] and line[5:] == ["7"]
    assert RangerPolicy.model_validate_json(line[4]) == POLICY
    (line,) = command_lines(await sent_by(lambda c: c.update_ranger_role(7, RangerRole(name="r", is_enabled=False))))
    assert line == ["ranger", "roles", "update", "--file", '{"isEnabled":false,"name":"r"}', "7"]


async def test_several_changes_of_runs_are_several_commands() -> None:
    change = RunsUpdate(run_ids=["a"], name="n", note="x", set_tags=TAGS, delete_tags=["y"])
    lines = command_lines(await sent_by(lambda c: c.update_runs("p", change)))
    assert [line[1] for line in lines] == ["rename", "note", "tag", "untag"]
    assert as_typed(lines, {}).count(" && registry-tui runs ") == 3


async def test_secrets_are_read_from_files_and_what_cannot_be_said_is_refused() -> None:
    secret = [EnvironmentVariable(name="TOKEN", value="hush", secret=True), EnvironmentVariable(name="K", secret=True)]
    request = await sent_by(lambda c: c.update_deployment("d", DeploymentUpdate(environment=secret)))
    typed = as_typed(command_lines(request), {})
    assert "hush" not in typed and "--secret-env TOKEN=@TOKEN.secret" in typed and " K" not in typed
    assert "NAME.secret" in remark(request) and "--unset-env" in remark(request)
    tagged = RunsUpdate(run_ids=["a"], set_tags=[Tag(key="a=b", value="c")])
    with pytest.raises(NoCommand, match="tag's key"):
        command_lines(await sent_by(lambda c: c.update_runs("p", tagged)))
    with pytest.raises(NoCommand):
        command_lines(Outgoing("POST", ("deployments", "d", "test")))


def test_a_shell_reads_every_word_as_it_is() -> None:
    words = [NASTY, TEXT, "", "-x", "it's", "\x1b]0;t\x07", "\u202e", "\u2028 \x85", "!history", "$'x'"]
    code = "import sys, json; print(json.dumps(sys.argv[1:]))"
    command = " ".join(map(quoted, [sys.executable, "-c", code, *words]))
    assert command.isprintable()
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=300, check=True)
    assert json.loads(done.stdout) == words


def test_a_command_is_for_the_same_platform_and_user() -> None:
    environment = {"REGISTRY_TUI_HOME": "/tmp/a b", "REGISTRY_TUI_USER": "ada"}
    assert as_typed([["whoami"]], environment) == "registry-tui --data-dir '/tmp/a b' --user ada whoami"


@pytest.mark.parametrize("kind", SCREENS)
def test_what_shows_a_page_is_a_command_that_exists(kind: str) -> None:
    names = dict.fromkeys(
        (
            "registry",
            "project",
            "experiment",
            "run",
            "model",
            "deployment",
            "workflow",
            "environment",
            "user",
            "group",
            "webhook",
        ),
        "x",
    )
    line = showing(kind, {**names, "one": "1", "other": "2", "version": "3", "against": "2", "uses": "numpy<2; python"})
    if kind == "compare":  # runs are compared on the screen alone
        assert line is None
        return
    assert line is not None
    done = CliRunner().invoke(app, [*line, "--help"])
    assert done.exit_code == 0, done.output
    for option in (word for word in line if word.startswith("--")):
        assert option in done.output
