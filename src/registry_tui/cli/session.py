"""Shared parts of commands: one client for each command, options, waiting for workflows, confirming a deletion."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from pydantic import ValidationError

from registry_tui.cli import asking, output
from registry_tui.cli.grouping import CommandGroup
from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import Conflict, NotFound, RegistryError
from registry_tui.contracts import clocks
from registry_tui.contracts.moments import parse_moment
from registry_tui.platform.errors import PlatformError
from registry_tui.schemas.base import ChangeSchema
from registry_tui.schemas.lineage import MAX_ASKED, Dependents, DependentsAsked
from registry_tui.schemas.models import Tag
from registry_tui.schemas.operations import Workflow, WorkflowStatus
from registry_tui.wording import words
from registry_tui.wording.mistakes import mistakes

Answer = TypeVar("Answer")
Made = TypeVar("Made")
Change = TypeVar("Change", bound=ChangeSchema)


def new_app(help_text: str) -> typer.Typer:
    """A noun's application: `registry-tui NOUN VERB`."""
    app = typer.Typer(
        cls=CommandGroup,
        help=help_text,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    )

    @app.callback()
    def noun() -> None: ...

    noun.__doc__ = help_text
    return app


def ask(question: Callable[[RegistryClient], Coroutine[Any, Any, Answer]]) -> Answer:
    """Runs a coroutine with a client of the chosen service, whose clock is used from then on."""
    clocks.follow()

    async def answer() -> Answer:
        async with RegistryClient() as client:
            return await question(client)

    return asyncio.run(answer())


def build(make: Callable[..., Made], **fields: Any) -> Made:
    """A schema's object from a command's options. An invalid value is wrong usage, reported in the schema's words."""
    try:
        return make(**fields)
    except ValidationError as error:
        raise typer.BadParameter("; ".join(mistakes(error))) from error


def changes(make: Callable[..., Change], **fields: Any) -> Change:
    """As `build`, for a change: raises typer.BadParameter when nothing would change."""
    made = build(make, **fields)
    if made.changes_nothing:
        raise typer.BadParameter("nothing would change: give an option for the change; `--help` lists all of them")
    return made


def text_from(file: str, option: str) -> str:
    """A file's text, or with - from standard input."""
    try:
        return sys.stdin.read() if file == "-" else Path(file).expanduser().read_text(encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read: {error.strerror}", param_hint=option) from error
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{file} is not text in UTF-8", param_hint=option) from error


def secret_from(file: str, option: str) -> str:
    """A secret from a file, or with - from standard input, without its line end."""
    text = text_from(file, option)
    secret = text.removesuffix("\n").removesuffix("\r")
    if not secret:
        raise typer.BadParameter("it is empty", param_hint=option)
    return secret


# -- options ----------------------------------------------------------------------------------------


def completes(names: Callable[[RegistryClient], Awaitable[Iterable[str]]]) -> Callable[[str], list[str]]:
    """Completes names from the service; returns none when it does not respond."""

    def completion(incomplete: str) -> list[str]:
        async def found() -> list[str]:
            async with RegistryClient() as client:
                return [name for name in await asyncio.wait_for(names(client), 2) if name.startswith(incomplete)]

        try:
            return asyncio.run(found())
        except (RegistryError, PlatformError, TimeoutError, OSError):
            return []

    return completion


async def _environment_names(client: RegistryClient) -> list[str]:
    return [each.name for each in (await client.environments()).items]


async def _workspace_names(client: RegistryClient) -> list[str]:
    return [each.name for each in (await client.workspaces()).items]


async def _project_names(client: RegistryClient) -> list[str]:
    return [each.name for each in (await client.projects()).items]


async def _registry_names(client: RegistryClient) -> list[str]:
    return [each.name for each in (await client.registries()).items]


async def _model_names(client: RegistryClient) -> list[str]:
    return [each.name for name in await _registry_names(client) for each in (await client.models(name)).items]


async def _user_names(client: RegistryClient) -> list[str]:
    return [each.name for each in (await client.users()).items]


complete_environment = completes(_environment_names)
complete_workspace = completes(_workspace_names)
complete_project = completes(_project_names)
complete_registry = completes(_registry_names)
complete_model = completes(_model_names)
complete_user = completes(_user_names)

JsonOption = Annotated[bool, typer.Option("--json", help="JSON on stdout, for scripts.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; needed where there is no terminal.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print the items that depend on it, and do nothing.")]
WaitOption = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the work is done, or only start it.")]
LimitOption = Annotated[int | None, typer.Option("--limit", min=1, help="List at most this many; default: all.")]
FirstOption = Annotated[int, typer.Option("--limit", min=1, help="List at most this many.")]
AllOption = Annotated[bool, typer.Option("--all", help="List all, however many.")]
ProjectOption = Annotated[
    str,
    typer.Option(
        "--project",
        "-p",
        envvar="REGISTRY_TUI_PROJECT",
        help="Name, ID or WORKSPACE/NAME of the project.",
        autocompletion=complete_project,
    ),
]
RegistryOption = Annotated[
    str | None,
    typer.Option(
        "--registry",
        "-r",
        envvar="REGISTRY_TUI_REGISTRY",
        help="Name or ID of the Model Registry; default: the only one that fits.",
        autocompletion=complete_registry,
    ),
]
TagOption = Annotated[list[str] | None, typer.Option("--tag", metavar="KEY=VALUE", help="A tag; repeatable.")]
EnvironmentArgument = Annotated[
    str, typer.Argument(help="Name or ID of an environment.", autocompletion=complete_environment)
]
WorkspaceArgument = Annotated[
    str, typer.Argument(help="Name, ID or ENVIRONMENT/NAME of a workspace.", autocompletion=complete_workspace)
]
ProjectArgument = Annotated[
    str, typer.Argument(help="Name, ID or WORKSPACE/NAME of a project.", autocompletion=complete_project)
]
RegistryArgument = Annotated[
    str, typer.Argument(help="Name or ID of a Model Registry.", autocompletion=complete_registry)
]
ModelArgument = Annotated[str, typer.Argument(help="Name or ID of a registered model.", autocompletion=complete_model)]
VersionArgument = Annotated[int, typer.Argument(min=1, help="Number of the version.")]


def tags(given: list[str] | None) -> list[Tag]:
    """Tags from `key=value`s. A duplicate key is kept: the service refuses it."""
    found = []
    for each in given or []:
        key, equals, value = each.partition("=")
        if not key or not equals:
            raise typer.BadParameter(f"{each!r} is not KEY=VALUE", param_hint="--tag")
        found.append(build(Tag, key=key, value=value))
    return found


ExpiresOption = Annotated[
    str | None, typer.Option("--expires", metavar="DATE|DAYS", help="A date, or a number of days; default: one year.")
]


def expiry(given: str | None) -> dict[str, Any]:
    """The expiry of a key or token from `2027-01-31` or a number of days, as the fields of a request for one."""
    days = int(given[:6]) if given is not None and given.isdecimal() else None
    return {"expires_at": future(given) if days is None else None, "days": days}


def future(given: str | None) -> datetime | None:
    """A moment from `2027-01-31`."""
    if given is None:
        return None
    try:
        found = datetime.fromisoformat(given)
    except ValueError as error:
        raise typer.BadParameter(f"{given!r} is neither a date nor a number of days") from error
    return found.astimezone(UTC)


def moment(given: str | None) -> datetime | timedelta | None:
    """A moment from `2026-11-22` or `2026-11-22T13:00`, or how long ago from `2h`; see `by_the_service`."""
    try:
        return None if given is None else parse_moment(given)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


async def by_the_service(client: RegistryClient, given: datetime | timedelta | None) -> datetime | None:
    """The moment that `moment` read; a relative one by the service's clock."""
    if not isinstance(given, timedelta):
        return given
    if client.elsewhere and not client.clock.known:
        await client.whoami()
    return client.clock.now() - given


# -- references -------------------------------------------------------------------------------------


async def registry_for_model(client: RegistryClient, registry: str | None, model: str) -> str:
    """The registry to look for a model in: the given one, or the only one that has it."""
    if registry is not None:
        return registry
    held: list[tuple[str, str]] = []
    unknown: Conflict | None = None
    names: list[tuple[str, str]] = [(each.id, each.name) async for each in client.every(client.registries)]
    for id_, name in names:
        try:
            await client.model(id_, model)
        except NotFound:
            continue
        except Conflict as error:  # a registry that is being created or removed does not hide the model of another
            unknown = error
            continue
        held.append((id_, name))
    if len(held) > 1:
        raise typer.BadParameter(
            f"Several Model Registries hold a model {model!r}: {', '.join(name for _, name in held)}; say which one",
            param_hint="--registry",
        )
    if not held and unknown is not None:
        raise unknown
    if not held:
        raise RegistryError(
            f"There is no registered model {model!r}" + ("" if names else "; there is no Model Registry either"),
            action="`registry-tui models list` shows all",
        )
    return held[0][0]


# -- confirming and waiting -------------------------------------------------------------------------


#: References to the deleted objects (`contracts/lineage_refs.py`), or a function that finds one.
About = str | Sequence[str] | Callable[[RegistryClient], Awaitable[str]]


def confirm_deletion(question: str, about: About, *, yes: bool, dry_run: bool) -> None:
    """As `confirm`, after printing the dependents of the deleted objects; if they are unknown, prints that and asks
    anyway.

    With `dry_run` it prints that, and ends the command.
    """
    if not dry_run and (yes or not asking.possible()):
        return confirm(question, yes=yes)

    async def look(client: RegistryClient) -> Dependents:
        refs = [await about(client)] if callable(about) else [about] if isinstance(about, str) else about[:MAX_ASKED]
        try:
            if len(refs) == 1:
                return await client.dependents(refs[0])
            return await client.dependents_of_all(DependentsAsked(nodes=list(refs)))
        except NotFound:
            raise
        except RegistryError as error:
            if dry_run:
                raise
            return Dependents(lines=[f"The dependent items are not known: {error}"])

    status = output.Status()
    status.show("looking for dependent items …")
    try:
        found = ask(look)
    finally:
        status.close()
    lines = [*found.lines, *([found.refused] if found.refused else [])]
    if dry_run:
        for line in lines or ["Nothing depends on it."]:
            output.write(f"{output.cell(line)}\n")
        output.note("Nothing was changed")
        raise typer.Exit
    for line in lines:
        output.note(f"  {line}")
    return confirm(question, yes=yes)


def confirm(question: str, *, yes: bool) -> None:
    """Asks before data is lost. Without an interactive terminal, --yes is required."""
    if yes:
        return
    if not asking.possible():
        raise typer.BadParameter("this has to be confirmed, and nobody can be asked here: give --yes")
    if not asking.yes(question):
        output.note("Nothing was changed")
        raise typer.Exit(1)


async def wait(client: RegistryClient, workflow: Workflow) -> Workflow:
    """Waits for a workflow with progress on stderr. Raises RegistryError when it does not succeed."""
    status = output.Status()

    def show(now: Workflow) -> None:
        if not now.status.finished:
            status.show(progress_line(now), key=f"{now.step}")

    try:
        done = await client.wait_for_workflow(workflow.id, show)
    except asyncio.CancelledError:
        status.close()
        output.note(f"It goes on without you: registry-tui workflows wait {workflow.id}")
        raise
    finally:
        status.close()
    require_success(done)
    return done


def progress_line(workflow: Workflow) -> str:
    """A workflow's progress, in one line."""
    parts = [
        f"{workflow.kind.value} {workflow.resource_name}: {workflow.step or workflow.status.value}"
        f" ({min(workflow.steps_done + 1, len(workflow.steps))} of {len(workflow.steps)})"
    ]
    if total := workflow.progress.bytes_total:
        done = workflow.progress.bytes_done
        parts.append(f"{words.bar(done / total, 20)} {words.size(done)} of {words.size(total)}")
    return "  ".join(parts)


def require_success(workflow: Workflow) -> None:
    """Raises RegistryError unless the workflow succeeded."""
    if workflow.status is WorkflowStatus.SUCCEEDED:
        return
    what = f"{workflow.kind.value} of {workflow.resource_name} {workflow.status.value}"
    raise RegistryError(
        f"{what}: {workflow.error or 'no reason given'}",
        action=workflow.action or f"See `registry-tui workflows logs {workflow.id}`",
        request_id=workflow.request_id,
    )
