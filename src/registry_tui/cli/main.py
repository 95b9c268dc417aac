"""The command line's root: global options, and the table of nouns, each loaded when it is used.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.

Functions import their dependencies, so that a command starts quickly.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.main import get_command

import registry_tui
from registry_tui.cli.grouping import CommandGroup, bounded
from registry_tui.platform.paths import ENVIRONMENT_VARIABLE

if TYPE_CHECKING:
    from registry_tui.schemas.base import FieldProblem

#: If set to any value, an unexpected error shows its traceback.
DEBUG_VARIABLE = "REGISTRY_TUI_DEBUG"

#: Noun or verb, and the module and attribute of its typer application or command function.
COMMANDS = {
    "up": "platform:up",
    "serve": "serve:serve",
    "down": "platform:down",
    "status": "platform:status",
    "logs": "platform:logs",
    "restart": "platform:restart",
    "environments": "environments:app",
    "workspaces": "workspaces:app",
    "projects": "projects:app",
    "attach": "attached:attach",
    "detach": "attached:detach",
    "attached": "attached:app",
    "registries": "registries:app",
    "experiments": "experiments:app",
    "runs": "runs:app",
    "models": "models:app",
    "rules": "rules:app",
    "approvals": "approvals:app",
    "deployments": "deployments:app",
    "datasets": "lineage:datasets",
    "commits": "lineage:commits",
    "logged-models": "lineage:logged_models",
    "keys": "keys:app",
    "users": "users:app",
    "groups": "groups:app",
    "tokens": "tokens:app",
    "oidc": "oidc:app",
    "database": "database:app",
    "backup": "backups:backup",
    "backups": "backups:app",
    "restore": "backups:restore",
    "upgrade": "backups:upgrade",
    "secrets": "secrets:app",
    "platform": "cleaning:app",
    "signing": "signing:app",
    "ranger": "ranger:app",
    "idbroker": "idbroker:app",
    "search": "search:search",
    "events": "events:app",
    "webhooks": "webhooks:app",
    "workflows": "workflows:app",
    "env": "projects:env",
    "login": "signing_in:login",
    "logout": "signing_in:logout",
    "whoami": "misc:whoami",
    "contexts": "signing_in:app",
    "demo": "demo:demo",
    "completion": "misc:completion",
}


_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 120}


class LazyGroup(CommandGroup):
    """Imports a command's module when that command is used, so that each starts with little."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        found = getattr(importlib.import_module(f"registry_tui.cli.{module}"), attribute)
        if not isinstance(found, typer.Typer):
            single = typer.Typer(
                rich_markup_mode=None,
                pretty_exceptions_enable=False,
                add_completion=False,
                context_settings=_SETTINGS,
            )
            single.command(cmd_name)(found)
            found = single
        command = get_command(found)
        command.name = cmd_name
        return bounded(command)


app = typer.Typer(
    cls=LazyGroup,
    name="registry-tui",
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=True,
    context_settings=_SETTINGS,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"registry-tui {registry_tui.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    data_dir: Annotated[
        str | None, typer.Option("--data-dir", help="The platform's home; also REGISTRY_TUI_HOME.", metavar="FOLDER")
    ] = None,
    user: Annotated[
        str | None, typer.Option("--user", help="Act as another user of this installation; also REGISTRY_TUI_USER.")
    ] = None,
    context_name: Annotated[
        str | None,
        typer.Option("--context", metavar="NAME", help="A service that you signed in to; also REGISTRY_TUI_CONTEXT."),
    ] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="The terminal program without drawing characters; also REGISTRY_TUI_PLAIN.")
    ] = False,
    idempotency_key: Annotated[
        str | None,
        typer.Option(
            "--idempotency-key",
            metavar="KEY",
            help="The same command with the same key is carried out once within a day, however often it is started.",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """An open Model Registry driven from the terminal. Without a command, opens the terminal program."""
    if data_dir:
        os.environ[ENVIRONMENT_VARIABLE] = os.path.abspath(os.path.expanduser(data_dir))  # noqa: PTH100, PTH111 not resolved
    if data_dir:
        # Typed options override exported variables.
        os.environ.pop("REGISTRY_TUI_CONTEXT", None)
    if context_name:
        os.environ["REGISTRY_TUI_CONTEXT"] = context_name
    if user:
        os.environ["REGISTRY_TUI_USER"] = user
    if plain:
        os.environ["REGISTRY_TUI_PLAIN"] = "true"
    if idempotency_key is not None:
        _use_key(idempotency_key)
    if context.invoked_subcommand is None:
        from registry_tui.app.opening import open_terminal_program

        raise typer.Exit(open_terminal_program())


def _use_key(key: str) -> None:
    if not re.fullmatch(r"[\x21-\x7e]{1,200}", key):
        raise typer.BadParameter("1 to 200 letters, digits and signs without a space", param_hint="--idempotency-key")
    from registry_tui.client import intents

    intents.current.set(intents.Intent(key))


def run() -> None:
    """Runs the command line and turns every failure into a message and an exit code."""
    from registry_tui.platform.errors import PlatformError
    from registry_tui.platform.extras import missing_of

    _open_closed_outputs()

    try:
        app()
    except PlatformError as error:
        fail(error.message, error.action)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader closed the pipe, so there is nothing to report.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        fail(f"{error.filename or 'The system'}: {error.strerror or error}")
    except Exception as error:
        from registry_tui.client.errors import RegistryError
        from registry_tui.wording.mistakes import unexpected

        if isinstance(error, ModuleNotFoundError) and (missing := missing_of(error)):
            fail(missing.message, missing.action)
        if isinstance(error, RegistryError):
            fields = [f"{each.field}: {each.message}" for each in _problems(error) if each.message not in error.message]
            fail("\n  ".join([error.message, *fields]), error.action, error.request_id)
        if os.environ.get(DEBUG_VARIABLE):
            raise
        fail(
            f"something unexpected went wrong: {unexpected(error)}",
            f"This is a fault of registry-tui: report it with the output of the same command with {DEBUG_VARIABLE}=1",
        )


def _open_closed_outputs() -> None:
    """Opens descriptors closed by the shell (`>&-`) to the null device: the next file or socket would get the
    output."""
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))


def _problems(error: Exception) -> list[FieldProblem]:
    """The fields of a request that the service found invalid."""
    from registry_tui.client.errors import ServiceProblem

    return error.problem.errors if isinstance(error, ServiceProblem) else []


def fail(message: str, action: str | None = None, request_id: str | None = None) -> None:
    """Prints the error and how to fix it on stderr, and exits with 1."""
    from registry_tui.wording.text import safe_lines

    print(f"registry-tui: {safe_lines(message)}", file=sys.stderr)
    if action:
        print(f"  what to do: {action}", file=sys.stderr)
    if request_id:
        print(f"  request ID: {request_id}", file=sys.stderr)
    sys.exit(1)
