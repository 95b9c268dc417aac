"""`ranger roles`: Ranger's roles, which policies name in place of users and groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from registry_tui.cli import output, ranger_documents, session
from registry_tui.cli.output import Column
from registry_tui.client.client import RegistryClient
from registry_tui.contracts.lineage_refs import reference
from registry_tui.schemas.ranger import RangerRole, RoleMember
from registry_tui.wording.ranger_roles import members, with_members, without_members

app = session.new_app("Roles: users, groups and other roles that policies name by one name.")


async def _names(client: RegistryClient) -> list[str]:
    return [each.name for each in await client.ranger_roles()]


RoleArgument = Annotated[str, typer.Argument(help="Name or ID of a role.", autocompletion=session.completes(_names))]
FileOption = Annotated[
    str | None,
    typer.Option(
        "--file",
        "-f",
        metavar="FILE",
        help="The whole role as Ranger's JSON: a file, - for standard input, or the JSON itself.",
    ),
]
_USER = "A person, or a machine user by its name or its last part; repeatable."
COLUMNS = [
    Column[RangerRole]("ID", lambda each: each.id, right=True),
    Column[RangerRole]("NAME", lambda each: each.name, flexible=True),
    Column[RangerRole]("ENABLED", lambda each: each.is_enabled),
    Column[RangerRole]("USERS", lambda each: members(each.users), flexible=True),
    Column[RangerRole]("GROUPS", lambda each: members(each.groups), flexible=True),
    Column[RangerRole]("ROLES", lambda each: members(each.roles), flexible=True),
]


@app.command("list")
def list_(as_json: session.JsonOption = False) -> None:
    """List the roles."""
    found = session.ask(lambda client: client.ranger_roles())
    if as_json:
        output.print_json(found)
    elif found:
        output.Table(COLUMNS).print(found)
    else:
        output.note("No role found; `registry-tui ranger roles create NAME --user USER` makes one")


@app.command()
def show(role: RoleArgument, as_json: session.JsonOption = False) -> None:
    """Show one role."""
    _print(session.ask(lambda client: _found(client, role)), as_json)


@app.command()
def create(
    name: Annotated[str | None, typer.Argument(help="The role's name.")] = None,
    user: Annotated[list[str] | None, typer.Option("--user", "-u", help=_USER)] = None,
    group: Annotated[list[str] | None, typer.Option("--group", "-g", help="A group; repeatable.")] = None,
    role: Annotated[
        list[str] | None, typer.Option("--role", "-r", help="A role whose members also get it; repeatable.")
    ] = None,
    description: Annotated[str | None, typer.Option(help="A description.")] = None,
    file: FileOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """Add a role, by options or as Ranger's JSON.

    Example: registry-tui ranger roles create trainers --user ana --user 82a49
    """
    if file is not None:
        request = ranger_documents.read(file, RangerRole, "role")
    elif name:
        request = RangerRole(
            name=name,
            description=description,
            users=_members(user),
            groups=_members(group),
            roles=_members(role),
        )
    else:
        raise typer.BadParameter("give a name, or --file")
    _print(session.ask(lambda client: client.create_ranger_role(request)), as_json)


@app.command()
def update(
    role: RoleArgument,
    add_user: Annotated[list[str] | None, typer.Option("--add-user", help=_USER)] = None,
    remove_user: Annotated[list[str] | None, typer.Option("--remove-user", help=_USER)] = None,
    add_group: Annotated[list[str] | None, typer.Option("--add-group", help="A group; repeatable.")] = None,
    remove_group: Annotated[list[str] | None, typer.Option("--remove-group", help="A group; repeatable.")] = None,
    add_role: Annotated[list[str] | None, typer.Option("--add-role", help="A role; repeatable.")] = None,
    remove_role: Annotated[list[str] | None, typer.Option("--remove-role", help="A role; repeatable.")] = None,
    name: Annotated[str | None, typer.Option(help="The new name.")] = None,
    description: Annotated[str | None, typer.Option(help="A description.")] = None,
    enable: Annotated[bool | None, typer.Option("--enable/--disable", help="Whether the role applies.")] = None,
    file: FileOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """Replace a role by Ranger's JSON, or change some of it; the object store obeys at once.

    Example: registry-tui ranger roles update trainers --add-user 82a49 --remove-user ana
    """
    added = {"users": add_user or [], "groups": add_group or [], "roles": add_role or []}
    removed = {"users": remove_user or [], "groups": remove_group or [], "roles": remove_role or []}
    changed = {
        field: value
        for field, value in (("name", name), ("description", description), ("is_enabled", enable))
        if value is not None
    }
    if file is None and not changed and not any((*added.values(), *removed.values())):
        raise typer.BadParameter("give --file, or an option for each change")

    async def change(client: RegistryClient) -> RangerRole:
        before = await _found(client, role)
        after = (before if file is None else ranger_documents.read(file, RangerRole, "role")).model_copy(update=changed)
        for field in added:
            kept = without_members(getattr(after, field), removed[field])
            after = after.model_copy(update={field: with_members(kept, added[field])})
        return await client.update_ranger_role(before.id or 0, after)

    _print(session.ask(change), as_json)


@app.command()
def delete(role: RoleArgument, yes: session.YesOption = False, dry_run: session.DryRunOption = False) -> None:
    """Delete a role that no policy and no other role names."""
    session.confirm_deletion(
        f"Delete the role {role} of Ranger?", reference("ranger-role", role), yes=yes, dry_run=dry_run
    )

    async def gone(client: RegistryClient) -> None:
        found = await _found(client, role)
        await client.delete_ranger_role(found.id or 0)

    session.ask(gone)
    output.note(f"Role {role} is deleted")


# -- underneath -------------------------------------------------------------------------------------------


async def _found(client: RegistryClient, role: str) -> RangerRole:
    """A role by its name, else by its ID."""
    there = await client.ranger_roles() if role.isdigit() else []
    if not any(each.name == role for each in there):
        for each in there:
            if str(each.id) == role:
                return each
    return await client.ranger_role(role)


def _print(found: RangerRole, as_json: bool) -> None:
    fields: dict[str, object] = {
        "name": found.name,
        "ID": found.id,
        "enabled": found.is_enabled,
        "users": members(found.users),
        "groups": members(found.groups),
        "roles": members(found.roles),
        "description": found.description,
        "version": found.version,
    }
    output.print_one(found, fields, as_json=as_json)


def _members(names: Sequence[str] | None) -> list[RoleMember]:
    return with_members([], names or [])
