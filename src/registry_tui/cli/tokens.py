"""`tokens`: the credentials of users of the service."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from registry_tui.cli import output, session
from registry_tui.cli.output import Column
from registry_tui.client.client import RegistryClient
from registry_tui.contracts.api_keys import id_of
from registry_tui.contracts.lineage_refs import reference
from registry_tui.schemas.people import NewUserToken, UserToken, UserTokenCreate

app = session.new_app("Tokens: with which people show the service who they are.")

COLUMNS = [
    Column[UserToken]("ID", lambda each: each.id),
    Column[UserToken]("NAME", lambda each: each.name, flexible=True),
    Column[UserToken]("BEGINS", lambda each: each.prefix),
    Column[UserToken]("CREATED", lambda each: each.created_at),
    Column[UserToken]("EXPIRES", lambda each: each.expires_at),
    Column[UserToken]("LAST USED", lambda each: each.last_used_at),
    Column[UserToken]("REVOKED", lambda each: each.revoked_at),
]

ForOption = Annotated[
    str | None, typer.Option("--for", metavar="USER", help="Another user's tokens, for administrators.")
]


async def _owner(client: RegistryClient, given: str | None) -> str:
    return given or (await client.whoami()).name


@app.command("list")
def list_(user: ForOption = None, limit: session.LimitOption = None, as_json: session.JsonOption = False) -> None:
    """List your tokens, newest first; never the tokens themselves."""

    async def show(client: RegistryClient) -> None:
        await output.print_list(
            partial(client.tokens, await _owner(client, user)),
            COLUMNS,
            as_json=as_json,
            limit=limit,
            empty="No tokens; `registry-tui tokens create NAME` makes one",
        )

    session.ask(show)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="The token's name, such as its purpose.")],
    expires: session.ExpiresOption = None,
    user: ForOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """Make a token. It is shown this once; only its hash is stored.

    Example: registry-tui tokens create laptop --expires 90
    """
    request = session.build(UserTokenCreate, name=name, **session.expiry(expires))

    async def make(client: RegistryClient) -> NewUserToken:
        return await client.create_token(await _owner(client, user), request)

    made = session.ask(make)
    if as_json:
        output.print_json(made)
        return
    token = made.user_token
    output.note(
        f"Token {token.name} of {token.user} ({token.id}), good until {output.cell(token.expires_at)}. "
        "It is shown only now:"
    )
    output.write(f"{made.token}\n")
    output.flush()


@app.command()
def revoke(
    token: Annotated[str, typer.Argument(help="ID of the token, how it begins, or the token.")],
    user: ForOption = None,
    yes: session.YesOption = False,
    dry_run: session.DryRunOption = False,
) -> None:
    """Make a token useless at once."""

    async def about(client: RegistryClient) -> str:
        return reference("token", await _owner(client, user), id_of(token))

    question = f"Revoke the token {id_of(token)}? It is refused from now on."
    session.confirm_deletion(question, about, yes=yes, dry_run=dry_run)

    async def end(client: RegistryClient) -> UserToken:
        return await client.revoke_token(await _owner(client, user), token)

    output.note(f"The token {session.ask(end).name} is revoked")
