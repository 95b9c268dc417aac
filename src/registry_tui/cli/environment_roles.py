"""`environments roles`: the roles of users and groups in an environment."""

from __future__ import annotations

from typing import Annotated

import typer

from registry_tui.cli import output, session
from registry_tui.cli.output import Column
from registry_tui.client.client import RegistryClient
from registry_tui.contracts.lineage_refs import reference
from registry_tui.schemas.people import EnvironmentRole, RoleAssignment, RolesChange

app = session.new_app("Roles: what users and groups may do in an environment.")

COLUMNS = [
    Column[RoleAssignment]("USER", lambda each: each.user),
    Column[RoleAssignment]("GROUP", lambda each: each.group),
    Column[RoleAssignment]("ROLES", lambda each: ", ".join(each.roles) or None, flexible=True),
]

RolesArgument = Annotated[list[EnvironmentRole], typer.Argument(metavar="ROLE...", help="One or more roles.")]
UserOption = Annotated[
    str | None, typer.Option("--to", metavar="USER", help="A user.", autocompletion=session.complete_user)
]
GroupOption = Annotated[str | None, typer.Option("--to-group", metavar="GROUP", help="A group.")]


@app.command("list")
def list_(environment: session.EnvironmentArgument, as_json: session.JsonOption = False) -> None:
    """List the roles that were given in an environment."""
    session.ask(
        lambda client: output.print_list(
            lambda **_: client.environment_roles(environment),
            COLUMNS,
            as_json=as_json,
            limit=None,
            empty="No roles; `registry-tui environments roles grant` gives one",
        )
    )


@app.command()
def grant(
    environment: session.EnvironmentArgument, roles: RolesArgument, user: UserOption = None, group: GroupOption = None
) -> None:
    """Give a user or a group more roles in an environment.

    Example: registry-tui environments roles grant local EnvironmentUser MLUser --to ada
    """
    _change(environment, user, group, add=roles)


@app.command()
def revoke(
    environment: session.EnvironmentArgument,
    roles: RolesArgument,
    user: UserOption = None,
    group: GroupOption = None,
    yes: session.YesOption = False,
    dry_run: session.DryRunOption = False,
) -> None:
    """Take roles in an environment away from a user or a group, from the next request on."""
    kind, holder = _holder(user, group)
    question = f"Take {', '.join(roles)} in {environment} from {holder}?"
    session.confirm_deletion(question, reference("roles", environment, kind, holder), yes=yes, dry_run=dry_run)
    _change(environment, user, group, remove=roles)


def _holder(user: str | None, group: str | None) -> tuple[str, str]:
    if user is not None and group is None:
        return "user", user
    if group is not None and user is None:
        return "group", group
    raise typer.BadParameter("give either --to or --to-group")


def _change(
    environment: str,
    user: str | None,
    group: str | None,
    *,
    add: list[EnvironmentRole] | None = None,
    remove: list[EnvironmentRole] | None = None,
) -> None:
    _, holder = _holder(user, group)

    async def change(client: RegistryClient) -> RoleAssignment:
        given = (await client.environment_roles(environment)).items
        held = next((each.roles for each in given if (each.user, each.group) == (user, group)), [])
        wanted = RolesChange(roles=[role for role in EnvironmentRole if role in (*held, *(add or ()))])
        wanted = RolesChange(roles=[role for role in wanted.roles if role not in (remove or ())])
        if user is not None:
            return await client.set_user_roles(environment, user, wanted)
        return await client.set_group_roles(environment, holder, wanted)

    found = session.ask(change)
    output.note(f"{holder} has in {found.environment_name}: {', '.join(found.roles) or 'no role'}")
