"""`projects` and their collaborators; `env`, which configures stock MLflow code for a project."""

from __future__ import annotations

import os
import shlex
from enum import StrEnum
from functools import partial
from typing import Annotated
from urllib.parse import urlsplit

import typer

from registry_tui.cli import lineage, output, session
from registry_tui.cli.output import Column
from registry_tui.client.client import RegistryClient
from registry_tui.contracts.lineage_refs import reference
from registry_tui.platform.children import without_proxy
from registry_tui.schemas.places import Collaborator, CollaboratorChange, Project, ProjectCreate, Role

app = session.new_app("Projects: they hold experiments; each is one MLflow workspace.")
collaborators = session.new_app("Who works in a project, in which role.")
app.add_typer(collaborators, name="collaborators")

COLUMNS = [
    Column[Project]("NAME", lambda each: each.name),
    Column[Project]("WORKSPACE", lambda each: each.workspace_name),
    Column[Project]("ENVIRONMENT", lambda each: each.environment_name),
    Column[Project]("REGISTERS INTO", lambda each: each.registry_name),
    Column[Project]("CREATED", lambda each: each.created_at),
    Column[Project]("DESCRIPTION", lambda each: each.description, flexible=True),
]
COLLABORATORS = [
    Column[Collaborator]("USER", lambda each: each.user),
    Column[Collaborator]("ROLE", lambda each: each.role),
]
#: Variables that would redirect MLflow's client, or change its authentication, despite the exports.
ELSEWHERE = frozenset(
    {
        "MLFLOW_REGISTRY_URI",
        "MLFLOW_RUN_ID",
        "MLFLOW_S3_ENDPOINT_URL",
        "MLFLOW_TRACKING_AUTH",
        "MLFLOW_TRACKING_AWS_SIGV4",
        "MLFLOW_TRACKING_CLIENT_CERT_PATH",
        "MLFLOW_TRACKING_INSECURE_TLS",
        "MLFLOW_TRACKING_PASSWORD",
        "MLFLOW_TRACKING_SERVER_CERT_PATH",
        "MLFLOW_TRACKING_TOKEN",
        "MLFLOW_TRACKING_USERNAME",
    }
)
UserArgument = Annotated[str, typer.Argument(help="The user's name.")]


class Shell(StrEnum):
    """The shell that reads the exports."""

    SH = "sh"
    FISH = "fish"


def _print(found: Project, as_json: bool) -> None:
    fields = {
        "name": found.name,
        "ID": found.id,
        "description": found.description,
        "workspace": found.workspace_name,
        "environment": found.environment_name,
        "registers into": found.registry_name or "nothing: its workspace is not synchronized with a Model Registry",
        "MLflow workspace": found.mlflow_workspace if found.attached_url is None else f"shows {found.attached_url}",
        "run artifacts": found.artifacts_uri or None,
        "created": f"{output.cell(found.created_at)} by {found.creator}",
    }
    output.print_one(found, fields, as_json=as_json)


@app.command("list")
def list_(
    workspace: Annotated[
        str | None,
        typer.Option(
            "--workspace", "-w", help="Only projects of this workspace.", autocompletion=session.complete_workspace
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="A part of the name.")] = None,
    environment: Annotated[
        str | None, typer.Option("--environment", "-e", help="Only projects of this environment.")
    ] = None,
    order_by: Annotated[str | None, typer.Option(help="name, creator, created_at; -FIELD descending.")] = None,
    limit: session.LimitOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """List the projects that you may enter, of all workspaces or of one."""
    session.ask(
        lambda client: output.print_list(
            partial(client.projects, workspace, name=name, environment=environment, order_by=order_by),
            COLUMNS,
            as_json=as_json,
            limit=limit,
        )
    )


@app.command()
def show(project: session.ProjectArgument, as_json: session.JsonOption = False) -> None:
    """Show one project."""
    _print(session.ask(lambda client: client.project(project)), as_json)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="2 to 40 lower-case letters, digits and dashes.")],
    workspace: Annotated[
        str, typer.Option("--workspace", "-w", help="Name or ID.", autocompletion=session.complete_workspace)
    ],
    description: Annotated[str, typer.Option(help="A description.")] = "",
    as_json: session.JsonOption = False,
) -> None:
    """Make a project with its MLflow workspace. You become its administrator.

    Example: registry-tui projects create churn --workspace default --description "Who leaves, and why"
    """
    request = session.build(ProjectCreate, name=name, workspace=workspace, description=description)
    _print(session.ask(lambda client: client.create_project(request)), as_json)


@app.command()
def delete(
    project: session.ProjectArgument,
    force: Annotated[bool, typer.Option("--force", help="Delete it even if it has experiments.")] = False,
    yes: session.YesOption = False,
    dry_run: session.DryRunOption = False,
) -> None:
    """Delete a project, its experiments and its run artifacts. Registered versions and their archives stay."""
    question = f"Delete the project {project}{' with its experiments and artifacts' if force else ''}?"
    session.confirm_deletion(question, reference("project", project), yes=yes, dry_run=dry_run)
    session.ask(lambda client: client.delete_project(project, force=force))
    output.note(f"Project {project} is deleted")


@collaborators.command("list")
def list_collaborators(project: session.ProjectArgument, as_json: session.JsonOption = False) -> None:
    """List the collaborators of a project."""

    async def run(client: RegistryClient) -> None:
        items = (await client.collaborators(project)).items
        if as_json:
            output.print_json(items)
        else:
            output.Table(COLLABORATORS).print(items)

    session.ask(run)


@collaborators.command("set")
def set_collaborator(
    project: session.ProjectArgument,
    user: UserArgument,
    role: Annotated[Role, typer.Argument(help="The user's role in the project.")] = Role.CONTRIBUTOR,
) -> None:
    """Give a user a role in a project; a new user becomes known by the administrator.

    Example: registry-tui projects collaborators set default ada contributor
    """
    change = session.build(CollaboratorChange, role=role)
    session.ask(lambda client: client.set_collaborator(project, user, change))
    output.note(f"{user} is {role.value} of project {project}")


@collaborators.command("remove")
def remove_collaborator(
    project: session.ProjectArgument,
    user: UserArgument,
    yes: session.YesOption = False,
    dry_run: session.DryRunOption = False,
) -> None:
    """Take a user out of a project."""
    session.confirm_deletion(
        f"Take {user} out of project {project}?", reference("collaborator", project, user), yes=yes, dry_run=dry_run
    )
    session.ask(lambda client: client.remove_collaborator(project, user))
    output.note(f"{user} has left project {project}")


def env(
    project: session.ProjectOption,
    shell: Annotated[Shell, typer.Option(help="The shell that reads the exports.")] = Shell.SH,
    as_json: session.JsonOption = False,
) -> None:
    """Print the exports that let stock MLflow code work in a project, as you. They hold a password or your token.

    Variables of your shell that would lead it elsewhere are unset; a proxy of yours is not asked for this machine.

    Example: eval "$(registry-tui env --project default)" && python train.py
    """
    credentials = session.ask(lambda client: client.credentials(project))
    address = urlsplit(credentials.tracking_uri)
    # A proxy reads unencrypted traffic, including the password or token.
    readable = [address.hostname] if address.scheme == "http" and address.hostname else []
    exports = {**without_proxy(besides=readable), **credentials.as_exports()}
    if as_json:
        output.print_json(exports)
        return
    for name in sorted((ELSEWHERE & os.environ.keys()) - exports.keys()):
        output.write(f"unset {name}\n" if shell is Shell.SH else f"set -e {name}\n")
    for name, value in exports.items():
        output.write(
            f"export {name}={shlex.quote(value)}\n" if shell is Shell.SH else f"set -gx {name} {_fish_quote(value)}\n"
        )
    output.flush()


def _fish_quote(value: str) -> str:
    """In fish, single quotes keep everything but the backslash and themselves (fish's documentation, Quotes)."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


app.command("lineage")(lineage.of_project)
