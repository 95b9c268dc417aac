"""`oidc`: the OpenID provider for signing in, as configured by the administrator."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from registry_tui.cli import output, session
from registry_tui.schemas.sign_in import IssuerChange, IssuerSettings

app = session.new_app("The OpenID provider where people sign in; for administrators.")


@app.command()
def show(as_json: session.JsonOption = False) -> None:
    """Show where people sign in, and how they become users here."""
    _print(session.ask(lambda client: client.issuer()), as_json)


@app.command("set")
def set_issuer(
    issuer: Annotated[str, typer.Option("--issuer", metavar="URL", help="The provider's issuer URL.")],
    client_id: Annotated[str, typer.Option("--client-id", help="This service's ID there, of its own.")],
    client_secret_file: Annotated[
        str | None,
        typer.Option(
            "--client-secret-file",
            metavar="FILE",
            help="Holds the client's secret; - for standard input. Left out, the one that was given before stays.",
        ),
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="The client has no secret any more.")] = False,
    user_claim: Annotated[
        str, typer.Option("--user-claim", help="The claim of ID tokens that is the user's name here.")
    ] = "preferred_username",
    groups_claim: Annotated[
        str | None,
        typer.Option("--groups-claim", help="The claim that decides in which of the groups here a person is."),
    ] = None,
    scopes: Annotated[
        str, typer.Option("--scopes", help="The scopes to request, separated by spaces.")
    ] = "openid profile",
    create_users: Annotated[
        bool, typer.Option("--create-users/--known-users", help="Make users of people who are not known here yet.")
    ] = False,
    token_hours: Annotated[
        int, typer.Option("--token-hours", min=1, max=24 * 365, help="Hours that a sign-in lasts.")
    ] = 12,
    authority: Annotated[
        Path | None,
        typer.Option("--authority", metavar="FILE", help="The authority of a private issuer's certificate (PEM)."),
    ] = None,
    as_json: session.JsonOption = False,
) -> None:
    """Let people sign in at an OpenID provider with `registry-tui login URL --oidc`, from now on.

    The provider is tried first: it has to describe itself, show its keys, and give a device code (RFC 8628) to the
    client. Choose a claim that people cannot change by themselves: the first person to sign in with a user's name is
    that user from then on. A later holder of the name is refused (`users forget-sign-in` lets them in). The
    administrator of the installation signs in with a token only.

    A public client needs no secret, and people's own programs ask the provider. Where the provider wants a secret, the
    service keeps it and asks in their place: no other machine gets it, and nothing shows it. The provider makes it, so
    `secrets rotate` leaves it: make another one there, set that, then end the old one there.

    Register a client for each installation, and share it with no other service: the administrator of a service that
    has the same client gets ID tokens with which they can sign in here as your people.

    Example: registry-tui oidc set --issuer https://login.example.com/realms/team --client-id models-lab
    """
    if public and client_secret_file is not None:
        raise typer.BadParameter("either this or --client-secret-file", param_hint="--public")
    secret = "" if public else None
    if client_secret_file is not None:
        secret = session.secret_from(client_secret_file, "--client-secret-file")
    change = session.build(
        IssuerChange,
        url=issuer.strip(),
        client_id=client_id,
        client_secret=secret,
        user_claim=user_claim,
        groups_claim=groups_claim,
        scopes=scopes,
        create_users=create_users,
        token_hours=token_hours,
        authority="" if authority is None else _read(authority),
    )
    _print(session.ask(lambda client: client.set_issuer(change)), as_json)


@app.command()
def delete(yes: session.YesOption = False) -> None:
    """Let people sign in with tokens only. Tokens that they have stay good: `registry-tui tokens revoke` ends one."""
    session.confirm("Let nobody sign in at the issuer from now on?", yes=yes)
    session.ask(lambda client: client.delete_issuer())
    output.note("People sign in with tokens only")


def _read(file: Path) -> str:
    try:
        return file.expanduser().read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{file} cannot be read as PEM", param_hint="--authority") from error


def _print(settings: IssuerSettings, as_json: bool) -> None:
    fields: dict[str, object] = {
        "issuer": settings.url,
        "client ID": settings.client_id,
        "client secret": "known to the service alone" if settings.confidential else "none: a public client",
        "scopes": settings.scopes,
        "user's name": f"claim {settings.user_claim}",
        "groups": f"claim {settings.groups_claim}" if settings.groups_claim else "as they are here",
        "people not known here": "become users" if settings.create_users else "are refused",
        "a sign-in lasts": f"{settings.token_hours} h",
        "certificate": "signed by the authority that was given" if settings.authority else None,
    }
    output.print_one(settings, fields, as_json=as_json)
