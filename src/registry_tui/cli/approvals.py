"""`approvals`: requests to approve versions; and `models stage`, `models stages`, `models wait-approved`."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Annotated

import typer

from registry_tui.cli import output, session
from registry_tui.cli.output import Column
from registry_tui.client.client import RegistryClient
from registry_tui.schemas.models import ModelVersion
from registry_tui.schemas.promotion import (
    Approval,
    ApprovalAsk,
    ApprovalDecision,
    ApprovalState,
    Decision,
    PromotionRules,
    ProtectedAlias,
    StageChange,
    StageEntry,
)
from registry_tui.schemas.stages import Stage, StageStatus, purpose_of

app = session.new_app("Approvals: whether a version may enter a stage. Who asks, who decides, and with which words.")
rules = session.new_app("Rules of promotion: protected aliases, stages that need an approval.")

#: Exit codes of `models wait-approved`, in addition to 1 for failures and 2 for wrong usage.
REJECTED = 3
TIMED_OUT = 4
WITHDRAWN = 5
_PAUSE_SECONDS = 1.0

CommentOption = Annotated[
    str, typer.Option("--comment", "-m", help="The reason; kept, and shown to everybody concerned.")
]
ApprovalArgument = Annotated[str, typer.Argument(help="ID of the approval.")]
PurposeOption = Annotated[
    str, typer.Option("--purpose", help="`stage:STAGE`; or a word that begins with deploy or promote.")
]

_APPROVALS = [
    Column[Approval]("ID", lambda each: each.id),
    Column[Approval]("STATE", lambda each: each.state),
    Column[Approval]("MODEL", lambda each: each.model_name),
    Column[Approval]("VERSION", lambda each: each.version, right=True),
    Column[Approval]("PURPOSE", lambda each: each.purpose),
    Column[Approval]("ASKED BY", lambda each: each.asked_by),
    Column[Approval]("ASKED", lambda each: each.asked_at),
    Column[Approval]("DECIDED BY", lambda each: each.decided_by),
    Column[Approval]("COMMENT", lambda each: each.answer or each.question, flexible=True),
]
_STAGES = [
    Column[StageEntry]("AT", lambda each: each.at),
    Column[StageEntry]("WHO", lambda each: each.user),
    Column[StageEntry]("FROM", lambda each: each.from_stage),
    Column[StageEntry]("TO", lambda each: each.to_stage),
    Column[StageEntry]("STATUS", lambda each: each.status),
    Column[StageEntry]("COMMENT", lambda each: each.comment, flexible=True),
]


@app.command("list")
def list_(
    registry: session.RegistryOption = None,
    state: Annotated[ApprovalState | None, typer.Option(help="Only requests in this state.")] = None,
    waiting: Annotated[bool, typer.Option("--waiting", help="Only requests that wait for your decision.")] = False,
    limit: session.LimitOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """List the approvals that you asked for or may decide, newest first.

    Example: registry-tui approvals list --state pending
    """

    async def run(client: RegistryClient) -> None:
        fetch = partial(client.approvals, state=state, registry=registry, waiting=waiting or None)
        await output.print_list(fetch, _APPROVALS, as_json=as_json, limit=limit, empty="No approval found")

    session.ask(run)


@app.command()
def ask(
    model: session.ModelArgument,
    number: session.VersionArgument,
    purpose: PurposeOption = purpose_of(Stage.PRODUCTION),
    comment: CommentOption = "",
    registry: session.RegistryOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """Ask for an approval. When it was asked for before, that question is shown.

    Example: registry-tui approvals ask WineModel 2 --purpose stage:Production -m "better on all slices"
    """
    request = session.build(ApprovalAsk, comment=comment)

    async def run(client: RegistryClient) -> Approval:
        found = await session.registry_for_model(client, registry, model)
        return await client.ask_approval(found, model, number, purpose, request)

    _print(session.ask(run), as_json)


@app.command()
def approve(approval: ApprovalArgument, comment: CommentOption = "", as_json: session.JsonOption = False) -> None:
    """Approve a request. Needs MLAdmin; a registry may require somebody other than the requester."""
    _decide(approval, Decision.APPROVE, comment, as_json)


@app.command()
def reject(approval: ApprovalArgument, comment: CommentOption = "", as_json: session.JsonOption = False) -> None:
    """Reject; for MLAdmins."""
    _decide(approval, Decision.REJECT, comment, as_json)


@app.command()
def withdraw(approval: ApprovalArgument, comment: CommentOption = "", as_json: session.JsonOption = False) -> None:
    """Take your own question back."""
    _decide(approval, Decision.WITHDRAW, comment, as_json)


def _decide(approval: str, decision: Decision, comment: str, as_json: bool) -> None:
    request = session.build(ApprovalDecision, decision=decision, comment=comment)

    async def run(client: RegistryClient) -> Approval:
        return await client.decide_approval(approval, request)

    _print(session.ask(run), as_json)


def _print(found: Approval, as_json: bool) -> None:
    fields = {
        "ID": found.id,
        "state": found.state,
        "model": found.model_name,
        "version": found.version,
        "purpose": found.purpose,
        "asked": f"{output.cell(found.asked_at)} by {found.asked_by}",
        "question": found.question,
        "decided": f"{output.cell(found.decided_at)} by {found.decided_by}" if found.decided_by else None,
        "answer": found.answer,
    }
    output.print_one(found, fields, as_json=as_json)


# -- models … ------------------------------------------------------------------------------------------


def stage(
    model: session.ModelArgument,
    number: session.VersionArgument,
    to: Annotated[Stage, typer.Argument(help="The stage.")],
    status: Annotated[StageStatus | None, typer.Option(help="The version's status in the stage.")] = None,
    description: Annotated[str, typer.Option(help="A description of the version's state in the stage.")] = "",
    comment: CommentOption = "",
    registry: session.RegistryOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """Move a version to a stage. Where the registry asks for an approval, it has to be there.

    Example: registry-tui models stage WineModel 2 Production -m "released"
    """
    request = session.build(StageChange, stage=to, status=status, description=description, comment=comment)

    async def run(client: RegistryClient) -> ModelVersion:
        return await client.set_stage(await session.registry_for_model(client, registry, model), model, number, request)

    found = session.ask(run)
    fields = {
        "model": found.model_name,
        "version": found.version,
        "stage": found.stage,
        "stage status": found.stage_status,
        "description": found.stage_description,
    }
    output.print_one(found, fields, as_json=as_json)


def stages(
    model: session.ModelArgument,
    number: session.VersionArgument,
    registry: session.RegistryOption = None,
    limit: session.LimitOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """List the changes of a version's stage, newest first."""

    async def run(client: RegistryClient) -> None:
        fetch = partial(client.stages, await session.registry_for_model(client, registry, model), model, number)
        await output.print_list(fetch, _STAGES, as_json=as_json, limit=limit, empty="Its stage was never changed")

    session.ask(run)


def wait_approved(
    model: session.ModelArgument,
    number: session.VersionArgument,
    purpose: PurposeOption = purpose_of(Stage.PRODUCTION),
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait.")] = 3600.0,
    registry: session.RegistryOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """Wait until the newest approval that you asked for or may decide is answered.

    Exit codes: 0 approved, 3 rejected, 4 not answered in time, 5 withdrawn; 1 when nobody asked, and for failures.

    Example: registry-tui models wait-approved WineModel 2 --timeout 600
    """

    async def run(client: RegistryClient) -> Approval | None:
        found = await session.registry_for_model(client, registry, model)
        version = await client.version(found, model, number)
        until = time.monotonic() + timeout
        while True:
            page = await client.approvals(version_id=version.id, page_size=200)
            newest = next((each for each in page.items if each.purpose == purpose), None)
            left = until - time.monotonic()
            if newest is None or newest.state is not ApprovalState.PENDING or left <= 0:
                return newest
            await asyncio.sleep(min(_PAUSE_SECONDS, left))

    newest = session.ask(run)
    if newest is None:
        output.note(f"Nobody asked whether version {number} of {model} may go on: registry-tui approvals ask")
        raise typer.Exit(1)
    _print(newest, as_json)
    codes = {
        ApprovalState.APPROVED: 0,
        ApprovalState.REJECTED: REJECTED,
        ApprovalState.WITHDRAWN: WITHDRAWN,
        ApprovalState.PENDING: TIMED_OUT,
    }
    raise typer.Exit(codes[newest.state])


# -- registries promotion … ----------------------------------------------------------------------------


@rules.command("show")
def show_rules(registry: session.RegistryArgument, as_json: session.JsonOption = False) -> None:
    """Show a registry's requirements for giving a version an alias or a stage."""

    async def run(client: RegistryClient) -> PromotionRules:
        return await client.promotion_rules(registry)

    _print_rules(session.ask(run), as_json)


@rules.command("protect")
def protect(
    registry: session.RegistryArgument,
    alias: Annotated[str, typer.Argument(help="The alias.")],
    user: Annotated[list[str] | None, typer.Option("--user", help="A user who may move it; repeatable.")] = None,
    group: Annotated[list[str] | None, typer.Option("--group", help="A group that may move it; repeatable.")] = None,
    as_json: session.JsonOption = False,
) -> None:
    """Protect an alias: only these people, these groups and the administrator may move it.

    Example: registry-tui registries promotion protect prod champion --user ann --group releasers
    """
    protected = session.build(ProtectedAlias, alias=alias, users=user or [], groups=group or [])

    async def run(client: RegistryClient) -> PromotionRules:
        before = await client.promotion_rules(registry)
        aliases = [*(each for each in before.protected_aliases if each.alias != alias), protected]
        return await client.set_promotion_rules(registry, before.model_copy(update={"protected_aliases": aliases}))

    _print_rules(session.ask(run), as_json)


@rules.command("unprotect")
def unprotect(
    registry: session.RegistryArgument,
    alias: Annotated[str, typer.Argument(help="The alias.")],
    as_json: session.JsonOption = False,
) -> None:
    """Leave an alias to the models' owners again."""

    async def run(client: RegistryClient) -> PromotionRules:
        before = await client.promotion_rules(registry)
        aliases = [each for each in before.protected_aliases if each.alias != alias]
        return await client.set_promotion_rules(registry, before.model_copy(update={"protected_aliases": aliases}))

    _print_rules(session.ask(run), as_json)


@rules.command("approvals")
def approved_stages(
    registry: session.RegistryArgument,
    stage: Annotated[
        list[Stage] | None, typer.Argument(help="Stages that need an approval; none: no stage does.")
    ] = None,
    four_eyes: Annotated[
        bool, typer.Option("--four-eyes/--two-eyes", help="Whether somebody other than the requester has to decide.")
    ] = True,
    as_json: session.JsonOption = False,
) -> None:
    """Set which stages need an approval, and whether somebody else has to decide.

    Example: registry-tui registries promotion approvals prod Production --four-eyes
    """

    async def run(client: RegistryClient) -> PromotionRules:
        before = await client.promotion_rules(registry)
        changes = {"approved_stages": list(stage or []), "four_eyes": four_eyes}
        return await client.set_promotion_rules(registry, before.model_copy(update=changes))

    _print_rules(session.ask(run), as_json)


def _print_rules(found: PromotionRules, as_json: bool) -> None:
    aliases = [
        f"{each.alias}: {', '.join([*each.users, *(f'group {name}' for name in each.groups)]) or 'administrator'}"
        for each in found.protected_aliases
    ]
    fields = {
        "protected aliases": aliases,
        "stages with approval": [each.value for each in found.approved_stages],
        "four eyes": found.four_eyes,
    }
    output.print_one(found, fields, as_json=as_json)
