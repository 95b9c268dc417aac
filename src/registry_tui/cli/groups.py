"""`groups`: users who get roles in environments together."""

from __future__ import annotations

from typing import Annotated

import typer

from registry_tui.cli import output, session
from registry_tui.cli.output import Column
from registry_tui.contracts.lineage_refs import reference
from registry_tui.schemas.people import Group, GroupChange

app = session.new_app("Groups: users who get roles in environments together.")

COLUMNS = [
    Column[Group]("NAME", lambda each: each.name),
    Column[Group]("MEMBERS", lambda each: ", ".join((*each.members, *each.machine_users)) or None, flexible=True),
    Column[Group]("DESCRIPTION", lambda each: each.description or None, flexible=True),
    Column[Group]("CREATED", lambda each: each.created_at),
]

GroupArgument = Annotated[str, typer.Argument(help="Name of the group.")]
MemberArgument = Annotated[str, typer.Argument(help="Name of the user.", autocompletion=session.complete_user)]


def _print(found: Group, as_json: bool) -> None:
    fields = {
        "name": found.name,
        "description": found.description or None,
        "members": ", ".join(found.members) or None,
        "machine users": ", ".join(found.machine_users) or None,
        "CRN": found.crn,
        "created": f"{output.cell(found.created_at)} by {found.creator}",
    }
    output.print_one(found, fields, as_json=as_json)


@app.command("list")
def list_(limit: session.LimitOption = None, as_json: session.JsonOption = False) -> None:
    """List the groups with their members."""
    session.ask(
        lambda client: output.print_list(
            client.groups,
            COLUMNS,
            as_json=as_json,
            limit=limit,
            empty="No groups; `registry-tui groups create NAME` makes one",
        )
    )


@app.command()
def show(group: GroupArgument, as_json: session.JsonOption = False) -> None:
    """Show one group."""
    _print(session.ask(lambda client: client.group(group)), as_json)


@app.command()
def create(
    group: GroupArgument,
    description: Annotated[str | None, typer.Option(help="A description.")] = None,
    as_json: session.JsonOption = False,
) -> None:
    """Make a group, or change its description.

    Example: registry-tui groups create data-science
    """
    change = session.build(GroupChange, description=description)
    _print(session.ask(lambda client: client.put_group(group, change)), as_json)


@app.command()
def add(group: GroupArgument, user: MemberArgument) -> None:
    """Put a user into a group."""
    session.ask(lambda client: client.add_member(group, user))
    output.note(f"{user} is in {group}")


@app.command()
def remove(
    group: GroupArgument, user: MemberArgument, yes: session.YesOption = False, dry_run: session.DryRunOption = False
) -> None:
    """Take a user out of a group."""
    session.confirm_deletion(
        f"Take {user} out of the group {group}?", reference("member", group, user), yes=yes, dry_run=dry_run
    )
    session.ask(lambda client: client.remove_member(group, user))
    output.note(f"{user} is not in {group} any more")


@app.command()
def delete(group: GroupArgument, yes: session.YesOption = False, dry_run: session.DryRunOption = False) -> None:
    """Delete a group; its members lose the roles that they had by it."""
    question = f"Delete the group {group}? Its members lose the roles that they have by it."
    session.confirm_deletion(question, reference("group", group), yes=yes, dry_run=dry_run)
    session.ask(lambda client: client.delete_group(group))
    output.note(f"Group {group} is deleted")
