"""`rules`: the conditions that a version must meet before it is deployed, promoted or given an alias."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from registry_tui.cli import output, session
from registry_tui.cli.output import Column
from registry_tui.client.client import RegistryClient
from registry_tui.contracts.counts import counted
from registry_tui.contracts.lineage_refs import reference
from registry_tui.schemas.admission import (
    EnvironmentRules,
    ExceptionChange,
    Finding,
    Purpose,
    RuleException,
    RulesChange,
    RulesCheck,
)
from registry_tui.schemas.models import ModelVersion, VersionStatus
from registry_tui.wording.admission import check_summary

app = session.new_app("Admission rules of environments: the conditions for deployment, promotion and aliases.")
exceptions = session.new_app("Exceptions: an administrator lets one version through one rule.")
app.add_typer(exceptions, name="exceptions")

RuleArgument = Annotated[str, typer.Argument(help="The rule's name.")]
HISTORY = [
    Column[EnvironmentRules]("NUMBER", lambda each: each.number, right=True),
    Column[EnvironmentRules]("SET", lambda each: each.created_at),
    Column[EnvironmentRules]("BY", lambda each: each.creator),
    Column[EnvironmentRules]("RULES", lambda each: len(each.rules), right=True),
    Column[EnvironmentRules]("COMMENT", lambda each: each.comment, flexible=True),
]
EXCEPTIONS = [
    Column[RuleException]("MODEL", lambda each: each.model_name),
    Column[RuleException]("VERSION", lambda each: each.version, right=True),
    Column[RuleException]("RULE", lambda each: each.rule),
    Column[RuleException]("BY", lambda each: each.creator),
    Column[RuleException]("MADE", lambda each: each.created_at),
    Column[RuleException]("ENDS", lambda each: each.expires_at),
    Column[RuleException]("REASON", lambda each: each.reason, flexible=True),
]
FINDINGS = [
    Column[Finding]("RULE", lambda each: each.rule),
    Column[Finding]("FOR", lambda each: ", ".join(each.purposes)),
    Column[Finding]("VERDICT", lambda each: each.verdict),
    Column[Finding]("REASON", lambda each: each.reason, flexible=True),
]


@app.command()
def show(
    environment: session.EnvironmentArgument,
    number: Annotated[int | None, typer.Option(min=0, help="Number of earlier rules, as in `rules history`.")] = None,
    as_json: session.JsonOption = False,
) -> None:
    """Print an environment's rules as the YAML document that they were set with."""
    found = session.ask(lambda client: client.rules(environment, number))
    if as_json:
        output.print_one(found, {}, as_json=True)
    elif not found.rules:
        output.note(f"{found.environment_name} has no rules: every version is admitted")
    else:
        output.note(f"Rules number {found.number}, set by {found.creator} at {output.cell(found.created_at)}")
        output.write(found.text if found.text.endswith("\n") else f"{found.text}\n")
        output.flush()


@app.command("set")
def set_(
    environment: session.EnvironmentArgument,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A YAML document, a file with one, or - for standard input.")
    ],
    comment: Annotated[str, typer.Option(help="Why they change; it is kept with them.")] = "",
    instead_of: Annotated[
        int | None,
        typer.Option(min=0, help="The number of the rules that these replace; refused when they changed meanwhile."),
    ] = None,
    as_json: session.JsonOption = False,
) -> None:
    """Replace an environment's rules. `rules: []` takes all away.

    Example: registry-tui rules set prod rules.yaml --comment "numpy 1 is out"
    """
    request = session.build(RulesChange, text=_read(file), comment=comment, instead_of=instead_of)
    found = session.ask(lambda client: client.set_rules(environment, request))
    if as_json:
        output.print_one(found, {}, as_json=True)
    else:
        output.note(f"{found.environment_name} has {counted(len(found.rules), 'rule')} now, as number {found.number}")


@app.command()
def history(
    environment: session.EnvironmentArgument, limit: session.LimitOption = None, as_json: session.JsonOption = False
) -> None:
    """List all rules that an environment ever had, newest first."""
    session.ask(
        lambda client: output.print_list(
            lambda **page: client.rules_history(environment, **page), HISTORY, as_json=as_json, limit=limit
        )
    )


@exceptions.command("list")
def list_exceptions(
    registry: session.RegistryArgument, limit: session.LimitOption = None, as_json: session.JsonOption = False
) -> None:
    """List the exceptions of a registry's versions, newest first."""
    session.ask(
        lambda client: output.print_list(
            lambda **page: client.exceptions(registry, **page), EXCEPTIONS, as_json=as_json, limit=limit
        )
    )


@exceptions.command("set")
def set_exception(
    model: session.ModelArgument,
    number: session.VersionArgument,
    rule: RuleArgument,
    reason: Annotated[str, typer.Option(help="Why the version may pass; the event has it.")],
    expires_at: Annotated[
        datetime | None,
        typer.Option("--until", formats=["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d"], help="When it ends; default: never."),
    ] = None,
    registry: session.RegistryOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """Let one version through one rule.

    Example: registry-tui rules exceptions set WineModel 3 signed --reason "known author, ticket 4711"
    """
    until = expires_at if expires_at is None or expires_at.tzinfo is not None else expires_at.astimezone()
    request = session.build(ExceptionChange, reason=reason, expires_at=until)

    async def run(client: RegistryClient) -> RuleException:
        place = await session.registry_for_model(client, registry, model)
        return await client.set_exception(place, model, number, rule, request)

    found = session.ask(run)
    if as_json:
        output.print_one(found, {}, as_json=True)
    else:
        output.note(f"{model} v{number} passes the rule {found.rule} from now on")


@exceptions.command("delete")
def delete_exception(
    model: session.ModelArgument,
    number: session.VersionArgument,
    rule: RuleArgument,
    registry: session.RegistryOption = None,
    yes: session.YesOption = False,
    dry_run: session.DryRunOption = False,
) -> None:
    """Take an exception back."""

    async def about(client: RegistryClient) -> str:
        place = await session.registry_for_model(client, registry, model)
        return reference("exception", place, model, str(number), rule)

    session.confirm_deletion(f"Let the rule {rule} count for {model} v{number} again?", about, yes=yes, dry_run=dry_run)

    async def run(client: RegistryClient) -> None:
        place = await session.registry_for_model(client, registry, model)
        await client.delete_exception(place, model, number, rule)

    session.ask(run)
    output.note(f"The rule {rule} counts for {model} v{number} again")


def check(
    model: session.ModelArgument,
    number: session.VersionArgument,
    registry: session.RegistryOption = None,
    rules: Annotated[bool, typer.Option("--rules", help="Ask the environment's admission rules too.")] = False,
    purpose: Annotated[
        Purpose | None, typer.Option("--for", help="Only the rules that are asked for it; default: all.")
    ] = None,
    alias: Annotated[str | None, typer.Option(help="With --for alias: the alias that it is to get.")] = None,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="REGISTRY", help="With --for promote: the rules of that registry's environment."),
    ] = None,
    as_json: session.JsonOption = False,
) -> None:
    """Check whether a version could be deployed now; with --rules, promoted or given an alias. Exits with 1 when not.

    Example: registry-tui models check WineModel 3 --rules --for deploy
    """
    for given, option in ((purpose, "--for"), (alias, "--alias"), (to, "--to")):
        if given is not None and not rules:
            raise typer.BadParameter("needs --rules", param_hint=option)

    async def ask(client: RegistryClient) -> tuple[ModelVersion, RulesCheck | None]:
        place = await session.registry_for_model(client, registry, model)
        version = await client.version(place, model, number)
        if not rules:
            return version, None
        return version, await client.check_rules(place, model, number, purpose=purpose, alias=alias, to=to)

    version, found = session.ask(ask)
    problems = _problems(version)
    if as_json:
        listed = [] if found is None else [each.model_dump(mode="json") for each in found.findings]
        output.print_json({"problems": problems, "findings": listed})
    else:
        for problem in problems:
            output.note(problem)
        if found is not None:
            _print_findings(found)
        elif not problems:
            output.note(f"{model} v{number} is ready, sound and can be served")
    if problems or (found is not None and found.refused):
        raise typer.Exit(1)


def _problems(version: ModelVersion) -> list[str]:
    """Why a version could not be deployed, regardless of the rules."""
    named = f"{version.model_name} v{version.version}"
    if version.status is not VersionStatus.READY:
        return [f"{named} is {version.status.value}: {version.status_message or 'its archive is not stored yet'}"]
    damaged = [f"The archive of {named} is damaged: {version.archive_damage}"] if version.archive_damage else []
    unserved = [f"{named} cannot be served: {version.not_servable_reason}"] if not version.servable else []
    return damaged + unserved


def _print_findings(found: RulesCheck) -> None:
    if found.findings:
        output.Table(FINDINGS).print(found.findings)
    for each in found.refused:
        if each.next_step:
            output.note(f"{each.rule}: {each.next_step}")
    output.note(check_summary(found))


def _read(file: str) -> str:
    if "\n" in file or file.lstrip().startswith(("{", "rules:")):
        return file
    return session.text_from(file, "FILE")
