"""`login`, `logout`, `contexts`: remote services, and the user's account there."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from registry_tui.cli import asking, device_sign_in, output, session
from registry_tui.cli.output import Column
from registry_tui.contracts import clocks
from registry_tui.platform import contexts, listening
from registry_tui.platform.contexts import LOCAL, Context
from registry_tui.platform.secrets import write_private
from registry_tui.schemas.base import Schema

app = session.new_app("Contexts: services that you signed in to, and this machine's own.")

#: The variable with the token for `login`, without an interactive terminal.
TOKEN_VARIABLE = "REGISTRY_TUI_TOKEN"


class Row(Schema):
    """A context without its token."""

    name: str
    url: str
    user: str
    current: bool
    signed_in: bool


COLUMNS = [
    Column[Row]("", lambda each: "*" if each.current else ""),
    Column[Row]("NAME", lambda each: each.name),
    Column[Row]("USER", lambda each: each.user),
    Column[Row]("ADDRESS", lambda each: each.url),
    Column[Row]("SIGNED IN", lambda each: each.signed_in),
]


def login(
    url: Annotated[str, typer.Argument(metavar="URL", help="The service's address, e.g. https://models.lab:8443.")],
    name: Annotated[str | None, typer.Option("--name", help="The context's name; default: its host and port.")] = None,
    fingerprint: Annotated[
        str | None, typer.Option("--fingerprint", help="The certificate's SHA-256, where nobody can be asked.")
    ] = None,
    authority: Annotated[
        Path | None, typer.Option("--authority", metavar="FILE", help="Trust certificates signed by this one (PEM).")
    ] = None,
    token_stdin: Annotated[
        bool, typer.Option("--token-stdin", help="Read the token from standard input; also REGISTRY_TUI_TOKEN.")
    ] = False,
    oidc: Annotated[
        bool, typer.Option("--oidc", help="Sign in at the service's OpenID provider, with a code and a browser.")
    ] = False,
) -> None:
    """Sign in to a service elsewhere; commands and the terminal program work there from then on.

    Shows the certificate's fingerprint and asks, unless this machine trusts it; then asks for your token. An
    administrator makes one with `registry-tui tokens create`. With --oidc, or when you choose it, you sign in at the
    service's OpenID provider instead: open the address in a browser on any machine, and type the code. Commands that
    start and stop a platform, `logs` and `demo` stay with this machine's own.

    Example: registry-tui login https://models.lab:8443
    """
    if oidc and token_stdin:
        raise typer.BadParameter("either this or --token-stdin", param_hint="--oidc")
    url = _address(url)
    parts = urlsplit(url)
    name = name or contexts.default_name(url)
    if name == LOCAL or not contexts.NAME.fullmatch(name):
        raise typer.BadParameter(f"1 to 64 letters, digits and . _ : -, and not {LOCAL}", param_hint="--name")
    trusted, pinned = _trust(url, fingerprint, authority) if parts.scheme == "https" else ("", "")
    # A token on the command line is used without questions. Before one is typed, the certificate is confirmed.
    typed = not (oidc or token_stdin or TOKEN_VARIABLE in os.environ)
    token = "" if oidc or typed else _token(token_stdin)
    if pinned:
        # Replaces the file of a context of this name only after a successful sign-in.
        into = contexts.private_folder() / f".{contexts.pinned_file(name).name}.new"
        write_private(into, pinned)
        trusted = str(into)
    context = Context(name, url, token=token, trusted=trusted)
    try:
        if not token:
            context = replace(context, token=_sign_in(context, oidc))
        user, difference = asyncio.run(_who(context))
        if pinned:
            kept = contexts.pinned_file(name)
            Path(trusted).replace(kept)
            context = replace(context, trusted=str(kept))
    finally:
        if pinned:
            Path(trusted).unlink(missing_ok=True)
    contexts.keep(replace(context, user=user))
    output.note(f"Signed in to {url} as {user}; the context is {name}")
    if difference:
        output.note(clocks.sentence(difference))


async def _who(context: Context) -> tuple[str, str]:
    """The token's user, and how this machine's clock differs from the service's."""
    from registry_tui.client.client import RegistryClient

    async with RegistryClient(context=context) as client:
        return (await client.whoami()).name, client.clock.difference


def _address(given: str) -> str:
    """The URL without a path. HTTP is allowed for this machine only."""
    url = given if "://" in given else f"https://{given}"
    parts = urlsplit(url)
    try:
        valid = bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if parts.scheme not in ("https", "http") or not valid or parts.username or parts.password:
        raise typer.BadParameter("an address such as https://models.lab:8443", param_hint="URL")
    if parts.scheme == "http" and not listening.is_loopback(parts.hostname or ""):
        raise typer.BadParameter("without TLS others could read your token: use https://", param_hint="URL")
    return f"{parts.scheme}://{parts.netloc}"


def _trust(url: str, fingerprint: str | None, authority: Path | None) -> tuple[str, str]:
    """The file to verify the certificate with, and the certificate (PEM) to pin; both empty: this machine's trust
    store.

    Raises UntrustedCertificate, ServiceUnavailable, OSError.
    """
    import ssl

    from registry_tui.client import tls
    from registry_tui.client.errors import CertificateOfAnotherTime, UntrustedCertificate

    if authority is not None:
        trusted = str(authority.expanduser().absolute())
        tls.check(url, trusted)
        return trusted, ""
    certificate = tls.certificate_of(url)
    shown = tls.fingerprint(certificate)
    if fingerprint is not None:
        if not tls.same_fingerprint(fingerprint, shown):
            raise UntrustedCertificate(
                f"The certificate of {url} has another fingerprint: {shown}",
                action="Nothing was sent. Ask the administrator of the service for the right address and fingerprint",
            )
    else:
        try:
            tls.check(url)
        except CertificateOfAnotherTime:
            # Its signer is trusted: comparing fingerprints would not help.
            raise
        except UntrustedCertificate:
            _ask_about(url, shown)
        else:
            return "", ""
    return "", ssl.DER_cert_to_PEM_cert(certificate)


def _ask_about(url: str, shown: str) -> None:
    output.note(f"The certificate of {url} is not one that this machine trusts by itself.")
    output.note(f"Its SHA-256 fingerprint: {shown}")
    output.note("Compare it with the one that `registry-tui up --listen` showed on the service's machine.")
    if not asking.possible():
        raise typer.BadParameter("nobody can be asked here: give it", param_hint="--fingerprint")
    if not asking.yes("Is it the same?"):
        output.note("Nothing was sent and nothing was kept")
        raise typer.Exit(1)


def _sign_in(context: Context, oidc: bool) -> str:
    """The token from a sign-in at the service's issuer, or typed, if the user prefers that."""
    issuer = device_sign_in.issuer_of(context) if oidc or asking.possible() else None
    if oidc and issuer is None:
        raise device_sign_in.no_issuer(context.url)
    if issuer is not None and (oidc or asking.yes(f"Sign in at {issuer.url}, with a code?", default=True)):
        return device_sign_in.token_of(context, issuer)
    return _token(from_stdin=False)


def _token(from_stdin: bool) -> str:
    """The token: never an argument, which others on this machine could read."""
    if from_stdin:
        token = sys.stdin.readline()
    elif TOKEN_VARIABLE in os.environ:
        token = os.environ[TOKEN_VARIABLE]
    else:
        token = asking.secret("Your token", "--token-stdin", f", or {TOKEN_VARIABLE}, or sign in with --oidc")
    token = token.strip()
    if not re.fullmatch(r"[\x21-\x7e]{1,500}", token):
        raise typer.BadParameter("a token is one word, as `registry-tui tokens create` showed it", param_hint="token")
    return token


def logout(
    name: Annotated[str | None, typer.Argument(metavar="[CONTEXT]", help="Default: the current one.")] = None,
) -> None:
    """Forget the token of a context on this machine. `registry-tui tokens revoke` makes it useless everywhere."""
    found = contexts.sign_out(name or os.environ.get(contexts.VARIABLE) or contexts.load().current)
    output.note(f"Signed out of {found.name}; sign in again with: {found.login}")


@app.command("list")
def list_(as_json: session.JsonOption = False) -> None:
    """List the services that you signed in to; * marks the one that commands use."""
    known = contexts.load()
    chosen = contexts.chosen()
    current = LOCAL if chosen is None else chosen.name
    rows = [Row(name=LOCAL, url="this machine's platform", user="", current=current == LOCAL, signed_in=True)]
    rows += [
        Row(name=each.name, url=each.url, user=each.user, current=each.name == current, signed_in=bool(each.token))
        for each in known.known.values()
    ]
    if as_json:
        output.print_json(rows)
    else:
        output.Table(COLUMNS).print(rows)


@app.command()
def use(name: Annotated[str, typer.Argument(metavar="CONTEXT", help=f"A context's name, or {LOCAL}.")]) -> None:
    """Work in another context from now on.

    Example: registry-tui contexts use local
    """
    contexts.use(name)
    output.note(f"The context is {name}")


@app.command()
def delete(
    name: Annotated[str, typer.Argument(metavar="CONTEXT", help="A context's name.")],
    yes: session.YesOption = False,
) -> None:
    """Forget a context with its token and its certificate."""
    session.confirm(f"Forget the context {name}?", yes=yes)
    contexts.delete(name)
    output.note(f"Context {name} is forgotten")
