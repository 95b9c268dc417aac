"""`attach`, `detach` and `attached`: MLflow servers elsewhere that workspaces show."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import typer

from registry_tui.cli import asking, output, session
from registry_tui.cli.output import Column
from registry_tui.client.client import RegistryClient
from registry_tui.contracts.lineage_refs import reference
from registry_tui.schemas.attached import (
    AttachedImport,
    AttachedModel,
    AttachedServer,
    AttachedServerChange,
    AttachedServerCreate,
    AttachedVersion,
)

app = session.new_app("MLflow servers elsewhere; each is shown by a workspace with one project of the same name.")

COLUMNS = [
    Column[AttachedServer]("NAME", lambda each: each.name),
    Column[AttachedServer]("ENVIRONMENT", lambda each: each.environment_name),
    Column[AttachedServer]("URL", lambda each: each.url, flexible=True),
    Column[AttachedServer]("MLFLOW", lambda each: each.version or "unknown"),
    Column[AttachedServer]("USER", lambda each: each.user),
    Column[AttachedServer]("ATTACHED", lambda each: each.created_at),
]

MODEL_COLUMNS = [
    Column[AttachedModel]("NAME", lambda each: each.name, flexible=True),
    Column[AttachedModel]("LATEST", lambda each: each.latest_version, right=True),
    Column[AttachedModel]("ALIASES", lambda each: ", ".join(sorted(each.aliases))),
    Column[AttachedModel]("UPDATED", lambda each: each.updated_at),
]
VERSION_COLUMNS = [
    Column[AttachedVersion]("VERSION", lambda each: each.version, right=True),
    Column[AttachedVersion]("STATUS", lambda each: each.status),
    Column[AttachedVersion]("STAGE", lambda each: each.stage),
    Column[AttachedVersion]("ALIASES", lambda each: ", ".join(each.aliases)),
    Column[AttachedVersion]("RUN", lambda each: each.run_id),
    Column[AttachedVersion]("CREATED", lambda each: each.created_at),
]


async def _names(client: RegistryClient) -> list[str]:
    return [each.name for each in (await client.attached_servers()).items]


ServerArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="Name or ID of the server's workspace.", autocompletion=session.completes(_names)
    ),
]


_UserOption = Annotated[str | None, typer.Option("--user", "-u", help="The user to read as there, with a password.")]
_PasswordOption = Annotated[
    str | None,
    typer.Option("--password-file", metavar="FILE", help="Holds that user's password; - for standard input."),
]
_TokenOption = Annotated[
    str | None,
    typer.Option("--token", metavar="FILE", help="Holds a bearer token to read with; - for standard input."),
]
_CertificateOption = Annotated[
    str | None,
    typer.Option("--certificate", metavar="FILE", help="PEM certificates to trust instead of the usual ones."),
]
_ProxyOption = Annotated[str | None, typer.Option("--proxy", metavar="URL", help="The HTTP proxy on the way there.")]
_AwsOption = Annotated[
    bool, typer.Option("--aws-sigv4", help="Sign with an AWS profile of the account that runs the service.")
]
_AwsProfileOption = Annotated[str, typer.Option("--aws-profile", help="The profile, with --aws-sigv4.")]
_AwsRegionOption = Annotated[
    str | None, typer.Option("--aws-region", help="The server's region, needed with --aws-sigv4.")
]
_HttpOption = Annotated[bool, typer.Option("--allow-http", help="Send credentials to another machine without TLS.")]
_UrlArgument = Annotated[str, typer.Argument(metavar="URL", help="The server's tracking URI, with its path prefix.")]


def attach(
    name: Annotated[str, typer.Argument(help="2 to 40 lower-case letters, digits and dashes.")],
    url: _UrlArgument,
    environment: Annotated[
        str,
        typer.Option("--environment", "-e", help="Name or ID.", autocompletion=session.complete_environment),
    ] = "local",
    user: _UserOption = None,
    password_file: _PasswordOption = None,
    token: _TokenOption = None,
    certificate: _CertificateOption = None,
    proxy: _ProxyOption = None,
    aws_sigv4: _AwsOption = False,
    aws_profile: _AwsProfileOption = "default",
    aws_region: _AwsRegionOption = None,
    allow_http: _HttpOption = False,
    as_json: session.JsonOption = False,
) -> None:
    """Show a stock MLflow server, 2.9 or newer, as a workspace: its experiments and runs, as its user may read them.

    All collaborators of the project read with these credentials.

    Example: registry-tui attach lab https://mlflow.example.com --user ann --password-file -
    """
    profile = aws_profile if aws_sigv4 else None
    reached = {
        **_way(url, certificate, proxy, allow_http),
        **_signing(user, password_file, token, profile, aws_region),
    }
    request = session.build(AttachedServerCreate, name=name, environment=environment, **reached)
    _print(session.ask(lambda client: client.attach_server(request)), as_json)


@app.command()
def change(
    server: ServerArgument,
    url: _UrlArgument,
    user: _UserOption = None,
    password_file: _PasswordOption = None,
    token: _TokenOption = None,
    certificate: _CertificateOption = None,
    proxy: _ProxyOption = None,
    aws_sigv4: _AwsOption = False,
    aws_profile: _AwsProfileOption = "default",
    aws_region: _AwsRegionOption = None,
    allow_http: _HttpOption = False,
    without: Annotated[
        list[str] | None,
        typer.Option(
            "--without", metavar="WHAT", help="Go on without the credentials, the certificate or the proxy of before."
        ),
    ] = None,
    as_json: session.JsonOption = False,
) -> None:
    """Read an attached MLflow server that has moved at its new address, or with other credentials.

    Credentials, certificates and proxy stay as they are unless others are given. It has to be the same server: runs and
    versions are known by their IDs there, and earlier imports are not repeated.

    Example: registry-tui attached change lab https://mlflow.new.example.com
    """
    profile = aws_profile if aws_sigv4 else None
    reached = {
        **_way(url, certificate, proxy, allow_http),
        **_signing(user, password_file, token, profile, aws_region),
    }
    request = session.build(AttachedServerChange, without=without or [], **reached)
    _print(session.ask(lambda client: client.change_server(server, request)), as_json)


def detach(server: ServerArgument, yes: session.YesOption = False, dry_run: session.DryRunOption = False) -> None:
    """Forget an attached MLflow server with its workspace and project. Nothing changes on the server."""
    session.confirm_deletion(
        f"Detach the MLflow server {server}?", reference("server", server), yes=yes, dry_run=dry_run
    )
    session.ask(lambda client: client.detach_server(server))
    output.note(f"MLflow server {server} is detached")


@app.command("list")
def list_(limit: session.LimitOption = None, as_json: session.JsonOption = False) -> None:
    """List the attached MLflow servers. Their runs: `registry-tui runs list --project NAME`."""
    session.ask(lambda client: output.print_list(client.attached_servers, COLUMNS, as_json=as_json, limit=limit))


@app.command()
def show(server: ServerArgument, as_json: session.JsonOption = False) -> None:
    """Show one attached MLflow server, and whether it can be read now."""
    _print(session.ask(lambda client: client.attached_server(server)), as_json)


@app.command()
def models(
    server: ServerArgument,
    name: Annotated[str | None, typer.Option("--name", help="A part of the name.")] = None,
    limit: session.LimitOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """List the registered models of an attached MLflow server, by name."""
    session.ask(
        lambda client: output.print_list(
            partial(client.attached_models, server, name=name), MODEL_COLUMNS, as_json=as_json, limit=limit
        )
    )


@app.command()
def versions(
    server: ServerArgument,
    model: Annotated[str, typer.Argument(help="Name of a registered model there.")],
    limit: session.LimitOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """List the versions of a registered model of an attached MLflow server, the newest first."""
    session.ask(
        lambda client: output.print_list(
            partial(client.attached_versions, server, model), VERSION_COLUMNS, as_json=as_json, limit=limit
        )
    )


@app.command("import")
def import_(
    server: ServerArgument,
    models: Annotated[
        list[str] | None, typer.Argument(metavar="[MODEL]...", help="Names of registered models there; default: all.")
    ] = None,
    registry: Annotated[
        str | None,
        typer.Option("--registry", help="The Model Registry, which the workspace has to be synchronized with."),
    ] = None,
    wait: session.WaitOption = True,
) -> None:
    """Import registered models of an attached MLflow server: versions with numbers, aliases, tags, notes and stages.

    Every version gets an archive here. Earlier imports stay as they are: run the command again to import new
    versions. It reports everything that it leaves out, with the reason.

    Example: registry-tui attached import lab churn fraud
    """
    request = session.build(AttachedImport, models=models or [], registry=registry)

    async def run(client: RegistryClient) -> None:
        accepted = await client.import_attached(server, request)
        if not wait:
            output.note(f"Started: registry-tui workflows wait {accepted.workflow.id}")
            return
        try:
            await session.wait(client, accepted.workflow)
        finally:
            async for line in client.every(client.workflow_logs, accepted.workflow.id):
                output.note(line.text)

    session.ask(run)


def _signing(
    user: str | None, password_file: str | None, token: str | None, aws_profile: str | None, aws_region: str | None
) -> dict[str, str | None]:
    """The fields of a request with the credentials for the server. Raises BadParameter."""
    if token is not None and user is not None:
        raise typer.BadParameter("goes without --user", param_hint="--token")
    if user is None and password_file is not None:
        raise typer.BadParameter("goes with --user", param_hint="--password-file")
    if aws_profile is not None and aws_region is None:
        raise typer.BadParameter("is needed with --aws-sigv4", param_hint="--aws-region")
    secret = None
    if token is not None:
        # No token has white space, and files often end with some.
        secret = _secret(token, "--token").strip()
    elif user is not None:
        secret = _password(user, password_file)
    region = None if aws_profile is None else aws_region
    return {"user": user, "secret": secret, "aws_profile": aws_profile, "aws_region": region}


def _way(url: str, certificate: str | None, proxy: str | None, allow_http: bool) -> dict[str, Any]:
    """The connection fields of both requests: URL, certificate, proxy."""
    trusted = None if certificate is None else session.text_from(certificate, "--certificate")
    return {"url": url, "certificate": trusted, "proxy": proxy, "allow_http": allow_http}


def _password(user: str, file: str | None) -> str:
    option = "--password-file"
    return asking.secret(f"Password of {user}", option) if file is None else _secret(file, option)


def _secret(file: str, option: str) -> str:
    found = session.text_from(file, option).rstrip("\r\n")
    if not found.strip():
        raise typer.BadParameter("the file is empty", param_hint=option)
    return found


def _print(found: AttachedServer, as_json: bool) -> None:
    fields: dict[str, object] = {
        "name": found.name,
        "ID": found.id,
        "URL": found.url,
        "MLflow": found.version or "does not report its version",
        "user": found.user,
        "proxy": found.proxy,
        "AWS": found.aws_profile and f"profile {found.aws_profile}, {found.aws_region}",
        "environment": found.environment_name,
        "project": found.name,
        "attached": f"{output.cell(found.created_at)} by {found.creator}",
        "limits": "\n".join(found.limits) or "none",
        "readable": "yes" if found.problem is None else found.problem,
    }
    output.print_one(found, fields, as_json=as_json)
