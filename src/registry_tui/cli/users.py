"""`users`: the users of this installation."""

from __future__ import annotations

from typing import Annotated

import typer

from registry_tui.cli import output, session
from registry_tui.cli.output import Column
from registry_tui.contracts.lineage_refs import reference
from registry_tui.schemas.people import User, UserChange, UserState
from registry_tui.wording.people import roles_held, roles_of

app = session.new_app("Users: the people of this installation.")


COLUMNS = [
    Column[User]("NAME", lambda each: each.name),
    Column[User]("FULL NAME", lambda each: each.full_name or None),
    Column[User]("STATE", lambda each: each.state),
    Column[User]("GROUPS", lambda each: ", ".join(each.groups) or None, flexible=True),
    Column[User]("ROLES", lambda each: roles_of(each) or None, flexible=True),
    Column[User]("TOKEN USED", lambda each: each.last_used_at),
    Column[User]("CREATED", lambda each: each.created_at),
]

UserArgument = Annotated[str, typer.Argument(help="Name of the user.", autocompletion=session.complete_user)]
FullNameOption = Annotated[str | None, typer.Option(help="The person's whole name.")]
EmailOption = Annotated[str | None, typer.Option(help="An e-mail address.")]


def held(user: User) -> dict[str, object]:
    """A user's rights, groups, roles and projects, as rows of `output.print_one`."""
    return {
        "administrator": user.administrator,
        "groups": ", ".join(user.groups) or None,
        "roles": roles_held(user.roles) or None,
        "projects": ", ".join(f"{each.project_name} ({each.role.value})" for each in user.projects) or None,
    }


def _print(found: User, as_json: bool) -> None:
    fields = {
        "name": found.name,
        "full name": found.full_name or None,
        "e-mail": found.email or None,
        "state": found.state,
        "CRN": found.crn,
        **held(found),
        "token used": found.last_used_at,
        "created": found.created_at,
    }
    output.print_one(found, fields, as_json=as_json)


@app.command("list")
def list_(limit: session.LimitOption = None, as_json: session.JsonOption = False) -> None:
    """List the users; if you are not an administrator, those that share a project with you."""
    session.ask(lambda client: output.print_list(client.users, COLUMNS, as_json=as_json, limit=limit))


@app.command()
def show(user: UserArgument, as_json: session.JsonOption = False) -> None:
    """Show one user, with groups and roles."""
    _print(session.ask(lambda client: client.user(user)), as_json)


@app.command()
def create(
    user: Annotated[str, typer.Argument(help="1 to 64 letters, digits and . _ @ + -.")],
    full_name: FullNameOption = None,
    email: EmailOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """Make a user known, or change the name and e-mail of one.

    Example: registry-tui users create ada --full-name "Ada Lovelace"
    """
    change = session.build(UserChange, full_name=full_name, email=email)
    _print(session.ask(lambda client: client.put_user(user, change)), as_json)


@app.command()
def suspend(user: UserArgument, yes: session.YesOption = False, dry_run: session.DryRunOption = False) -> None:
    """Refuse a user at every door from now on; nothing of theirs is deleted."""
    question = f"Suspend {user}? Every call with their tokens, keys and passwords is refused."
    session.confirm_deletion(question, reference("user", user), yes=yes, dry_run=dry_run)
    session.ask(lambda client: client.change_user(user, UserChange(state=UserState.SUSPENDED)))
    output.note(f"{user} is suspended")


@app.command()
def delete(
    user: UserArgument,
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="USER", help="The new owner of their objects.", autocompletion=session.complete_user
        ),
    ],
    yes: session.YesOption = False,
    dry_run: session.DryRunOption = False,
) -> None:
    """Delete a user: models, projects and deployments go to somebody else; tokens, API keys and roles end.

    Example: registry-tui users delete bob --to ada
    """
    question = f"Delete {user}, and give their possessions to {to}? This cannot be undone."
    session.confirm_deletion(question, reference("user", user), yes=yes, dry_run=dry_run)
    session.ask(lambda client: client.delete_user(user, to))
    output.note(f"{user} is deleted; {to} owns their possessions")


@app.command()
def resume(user: UserArgument) -> None:
    """Let a suspended user in again."""
    session.ask(lambda client: client.change_user(user, UserChange(state=UserState.ACTIVE)))
    output.note(f"{user} is active")


@app.command("forget-sign-in")
def forget_sign_in(user: UserArgument, yes: session.YesOption = False) -> None:
    """Let another person at the OpenID provider sign in as a user, after an account was made again there.

    The next person to sign in with the user's name is the user from then on, with all that is theirs.
    """
    session.confirm(f"Accept the next person who signs in as {user} as that user, with all possessions?", yes=yes)
    session.ask(lambda client: client.change_user(user, UserChange(forget_sign_in=True)))
    output.note(f"The next person who signs in as {user} is that user")
