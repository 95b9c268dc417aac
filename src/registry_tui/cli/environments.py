"""`environments`: parts of clouds, each with its object store, its workspaces and at most one Model Registry."""

from __future__ import annotations

from typing import Annotated

import typer

from registry_tui.cli import environment_roles, lineage, output, session, stores
from registry_tui.cli.output import Column
from registry_tui.client.client import RegistryClient
from registry_tui.contracts.lineage_refs import reference
from registry_tui.schemas.places import BackendChange, BackendKind, Cloud, Environment, EnvironmentCreate
from registry_tui.schemas.registries import ModelRegistry
from registry_tui.schemas.store_access import access_held
from registry_tui.schemas.stores import StoreChange
from registry_tui.wording.backends import backend_said
from registry_tui.wording.storage_access import registry_access_said
from registry_tui.wording.stores import checked_said

app = session.new_app("Environments: a cloud account's corner, with its object store and workspaces.")

COLUMNS = [
    Column[Environment]("NAME", lambda each: each.name),
    Column[Environment]("CLOUD", lambda each: each.cloud),
    Column[Environment]("RAZ", lambda each: each.raz_enabled),
    Column[Environment]("WORKSPACES", lambda each: each.workspace_count, right=True),
    Column[Environment]("MODEL REGISTRY", lambda each: each.registry_name),
    Column[Environment]("BUCKET", lambda each: each.bucket, flexible=True),
    Column[Environment]("CREATED", lambda each: each.created_at),
]


def _print(found: Environment, as_json: bool, registry: ModelRegistry | None = None) -> None:
    fields = {
        "name": found.name,
        "ID": found.id,
        "CRN": found.crn,
        "cloud": found.cloud,
        "RAZ enabled": found.raz_enabled,
        "workspaces": found.workspace_count,
        "Model Registry": found.registry_name,
        "bucket": found.bucket,
        "endpoint": found.endpoint,
        **_own_store(found),
        "deployments run": backend_said(found.backend),
        "created": f"{output.cell(found.created_at)} by {found.creator}",
    }
    if registry is not None:
        next_step = f"`registry-tui registries grant-storage {registry.name}` grants it"
        fields["storage access"] = registry_access_said(registry, next_step)
    output.print_one(found, fields, as_json=as_json)


def _own_store(found: Environment) -> dict[str, object]:
    if found.store is None:
        return {}
    fields: dict[str, object] = {
        "archives": found.store.uri,
        "archives' endpoint": found.store.endpoint or None,
        "archives' credentials": found.store.credentials,
        "access there": access_held(found.store),
        "run artifacts of new projects": "there too" if found.store.artifacts else "in the embedded store",
        "archives' store": checked_said(found.store).partition(": ")[0],
    }
    return fields | stores.found_there(found.store.notes)


@app.command("list")
def list_(limit: session.LimitOption = None, as_json: session.JsonOption = False) -> None:
    """List the environments."""
    session.ask(lambda client: output.print_list(client.environments, COLUMNS, as_json=as_json, limit=limit))


@app.command()
def show(environment: session.EnvironmentArgument, as_json: session.JsonOption = False) -> None:
    """Show one environment, and whether its registry's machine user has access to the storage."""

    async def ask(client: RegistryClient) -> tuple[Environment, ModelRegistry | None]:
        found = await client.environment(environment)
        if found.registry_id is None:
            return found, None
        await client.storage_access(found.registry_id)
        return found, await client.registry(found.registry_id)

    found, registry = session.ask(ask)
    _print(found, as_json, registry)


@app.command()
@stores.with_options
def create(
    name: Annotated[str, typer.Argument(help="2 to 40 lower-case letters, digits and dashes.")],
    reached: stores.Reached,
    cloud: Annotated[Cloud, typer.Option(help="The cloud of the environment.")] = Cloud.AWS,
    raz: Annotated[bool, typer.Option("--raz/--no-raz", help="Whether it is RAZ-enabled.")] = True,
    bucket: Annotated[
        str | None,
        typer.Option(
            "--bucket",
            metavar="STORE",
            help="A store of its own for archives and run artifacts: s3://BUCKET/PREFIX, "
            "az://ACCOUNT/CONTAINER/PREFIX, gs://BUCKET/PREFIX, or a directory of the service's machine. "
            "It is tried first.",
        ),
    ] = None,
    artifacts: Annotated[
        bool,
        typer.Option(
            "--artifacts/--no-artifacts",
            help="Whether the run artifacts of its projects lie in that store too, or in the embedded one.",
        ),
    ] = True,
    as_json: session.JsonOption = False,
) -> None:
    """Make an environment with its bucket.

    With --bucket the archives of its Model Registry and the run artifacts of its projects lie in that store.

    Example: registry-tui environments create prod --bucket s3://acme-models/registry --region eu-west-1 --profile acme
    """
    store = None
    if bucket is not None:
        store = reached(bucket)
    request = session.build(
        EnvironmentCreate, name=name, cloud=cloud, raz_enabled=raz, store=store, store_artifacts=artifacts
    )
    _print(session.ask(lambda client: client.create_environment(request)), as_json)


@app.command("change-store")
@stores.with_options
def change_store(
    environment: session.EnvironmentArgument,
    bucket: stores.StoreArgument,
    reached: stores.Reached,
    artifacts: Annotated[
        bool | None,
        typer.Option(
            "--artifacts/--no-artifacts",
            help="Whether the run artifacts of new projects lie there; the others keep their place.",
        ),
    ] = None,
    as_json: session.JsonOption = False,
) -> None:
    """Reach an environment's own store with other credentials, or at another address; it is tried first.

    Example: registry-tui environments change-store prod s3://acme-models/registry --region eu-west-1 --profile new
    """
    request = StoreChange(store=reached(bucket), artifacts=artifacts)
    _print(session.ask(lambda client: client.change_store(environment, request)), as_json)


@app.command("set-backend")
def set_backend(
    environment: session.EnvironmentArgument,
    backend: Annotated[BackendKind, typer.Argument(help="local for this machine, or ray.")],
    address: Annotated[
        str, typer.Option("--address", help="The address of the cluster's dashboard, http://HOST:8265.")
    ] = "",
    token_file: Annotated[
        str | None,
        typer.Option("--token-file", help="A file with the cluster's token, or - for stdin; kept where none is given."),
    ] = None,
    http_port: Annotated[
        int, typer.Option("--http-port", min=1, max=65535, help="The port at which the cluster answers calls.")
    ] = 8000,
    as_json: session.JsonOption = False,
) -> None:
    """Have the deployments of an environment run on this machine, or in a Ray cluster, which is tried first.

    Example: registry-tui environments set-backend prod ray --address http://127.0.0.1:8265 --token-file ray.token
    """
    token = "" if token_file is None else session.secret_from(token_file, "--token-file")
    request = session.build(BackendChange, kind=backend, address=address, token=token, http_port=http_port)
    _print(session.ask(lambda client: client.change_backend(environment, request)), as_json)


app.command("check-store")(stores.check_store)
app.command("store-access")(stores.store_access)

app.add_typer(environment_roles.app, name="roles")


@app.command()
def delete(
    environment: session.EnvironmentArgument, yes: session.YesOption = False, dry_run: session.DryRunOption = False
) -> None:
    """Delete an environment that holds nothing, and its bucket."""
    about = reference("environment", environment)
    session.confirm_deletion(f"Delete the environment {environment} and its bucket?", about, yes=yes, dry_run=dry_run)
    session.ask(lambda client: client.delete_environment(environment))
    output.note(f"Environment {environment} is deleted")


app.command("lineage")(lineage.of_environment)
