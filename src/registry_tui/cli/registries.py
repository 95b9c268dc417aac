"""`registries`: each environment's Model Registry."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated, Any

import typer

from registry_tui.cli import approvals, asking, lineage, output, session, stores
from registry_tui.cli.output import Column
from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import RegistryError
from registry_tui.contracts.counts import counted
from registry_tui.contracts.lineage_refs import reference
from registry_tui.schemas.operations import Accepted
from registry_tui.schemas.registries import ModelRegistry, RegistryCreate, RegistryDelete, StoreKeyGive, WorkspaceSync
from registry_tui.schemas.storage import (
    MAX_CLEAN_UP,
    ArchiveState,
    ArchiveUsage,
    ModelUsage,
    StorageCleanUp,
    StorageUsage,
)
from registry_tui.wording import words
from registry_tui.wording.nfs import nfs_said, status_with_nfs
from registry_tui.wording.storage_access import access_word, registry_access_said, still_granted

app = session.new_app("Model Registries: an environment's shared store of registered models.")

COLUMNS = [
    Column[ModelRegistry]("NAME", lambda each: each.name),
    Column[ModelRegistry]("STATUS", lambda each: status_with_nfs(each.status.label, each.nfs)),
    Column[ModelRegistry]("ENVIRONMENT", lambda each: each.environment_name),
    Column[ModelRegistry]("CLOUD", lambda each: each.cloud),
    Column[ModelRegistry]("LOCATION", lambda each: each.location),
    Column[ModelRegistry]("STORAGE", access_word),
    Column[ModelRegistry]("OWNER", lambda each: each.owner),
    Column[ModelRegistry]("CREATED", lambda each: each.created_at),
]
WORKSPACES = [
    Column[WorkspaceSync]("WORKSPACE", lambda each: each.workspace_name),
    Column[WorkspaceSync]("SYNCHRONIZED", lambda each: each.state),
    Column[WorkspaceSync]("AT", lambda each: each.finished_at),
    Column[WorkspaceSync]("PROJECTS", lambda each: each.project_count, right=True),
    Column[WorkspaceSync]("ERROR", lambda each: each.error, flexible=True),
]


ARCHIVES = [
    Column[ArchiveUsage]("MODEL", lambda each: each.model_name or each.model_id, flexible=True),
    Column[ArchiveUsage]("VERSION", lambda each: each.version, right=True),
    Column[ArchiveUsage]("STATE", lambda each: each.state),
    Column[ArchiveUsage]("SIZE", lambda each: words.size(each.bytes), right=True),
    Column[ArchiveUsage]("OBJECTS", lambda each: each.objects, right=True),
    Column[ArchiveUsage]("CHANGED", lambda each: each.modified_at),
    Column[ArchiveUsage]("ARCHIVE", lambda each: each.id),
]
MODELS = [
    Column[ModelUsage]("MODEL", lambda each: each.model_name or each.model_id, flexible=True),
    Column[ModelUsage]("VERSIONS", lambda each: each.versions, right=True),
    Column[ModelUsage]("SIZE", lambda each: words.size(each.bytes), right=True),
    Column[ModelUsage]("OBJECTS", lambda each: each.objects, right=True),
    Column[ModelUsage]("ORPHANED", lambda each: each.orphaned, right=True),
]


def _access(found: ModelRegistry) -> str:
    """Whether the machine user may use its storage, and how to grant that."""
    return registry_access_said(found, f"`registry-tui registries grant-storage {found.name}` grants it")


def _print(found: ModelRegistry, as_json: bool) -> None:
    fields: dict[str, object] = {
        "name": found.name,
        "ID": found.id,
        "CRN": found.crn,
        "status": f"{found.status.label} ({found.status.value})",
        "environment": found.environment_name,
        "environment CRN": found.environment_crn,
        "cloud": found.cloud,
        "RAZ enabled": found.raz_enabled,
        "location": found.location,
        "owner": found.owner,
        "created": f"{output.cell(found.created_at)} by {found.creator}",
        "updated": found.updated_at,
        "machine user": found.machine_user_workload_name,
        "machine user CRN": found.machine_user_crn,
        "storage access": _access(found),
        "storage": found.archives.rstrip("/") + (f" at {found.archives_at}" if found.archives_at else ""),
        **({"access there": found.archives_access} if found.archives_access else {}),
        "MLflow workspace": found.mlflow_workspace,
        "version": found.version,
        "models": found.model_count,
    }
    if found.existing_nfs:
        fields["existing NFS"] = f"{found.existing_nfs} (protocol {found.nfs_protocol_version})"
    if found.nfs:
        fields["NFS here"] = nfs_said(found.nfs)
    if found.workflow_id:
        fields["workflow"] = found.workflow_id
    output.print_one(found, fields, as_json=as_json)
    if found.workspaces and not as_json:
        output.write("\n")
        output.Table(WORKSPACES).print(found.workspaces)


async def _finish(client: RegistryClient, accepted: Accepted[ModelRegistry], wait: bool, as_json: bool) -> None:
    """Waits if wanted, then prints the registry's current state; the ID of a started workflow goes to stderr."""
    if wait:
        await session.wait(client, accepted.workflow)
        _print(await client.registry(accepted.resource.id), as_json)
    else:
        output.note(f"Started: registry-tui workflows wait {accepted.workflow.id}")
        _print(accepted.resource, as_json)


@app.command("list")
def list_(
    name: Annotated[str | None, typer.Option(help="A part of the name.")] = None,
    status: Annotated[str | None, typer.Option(help="A status or its word: Available, Provisioning, …")] = None,
    environment: Annotated[str | None, typer.Option("--environment", "-e", help="A part of its name.")] = None,
    order_by: Annotated[
        str | None, typer.Option(help="name, environment, cloud, status, owner, created_at…; -FIELD descending.")
    ] = None,
    limit: session.LimitOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """List the Model Registries.

    Example: registry-tui registries list --status Available --order-by -created_at
    """
    session.ask(
        lambda client: output.print_list(
            partial(client.registries, name=name, status=status, environment=environment, order_by=order_by),
            COLUMNS,
            as_json=as_json,
            limit=limit,
            empty="No Model Registry found; `registry-tui registries create ENVIRONMENT` makes one",
        )
    )


@app.command()
def show(registry: session.RegistryArgument, as_json: session.JsonOption = False) -> None:
    """Show one Model Registry with the outcome of synchronizing each workspace."""
    _print(session.ask(lambda client: _tried(client, registry)), as_json)


async def _tried(client: RegistryClient, registry: str) -> ModelRegistry:
    """A registry after checking its machine user's access and NFS."""
    await client.storage_access(registry)
    return await client.registry(registry)


@app.command()
def create(
    environment: session.EnvironmentArgument,
    name: Annotated[str | None, typer.Option(help="Default: registry-ENVIRONMENT.")] = None,
    existing_nfs: Annotated[str | None, typer.Option(help="Azure only: host:/path of an existing NFS.")] = None,
    nfs_protocol_version: Annotated[str | None, typer.Option(help="Azure only: 3 or 4.1.")] = None,
    grant_storage: Annotated[
        bool, typer.Option("--grant-storage/--no-grant-storage", help="Grant access to its storage in the same step.")
    ] = False,
    wait: session.WaitOption = True,
    as_json: session.JsonOption = False,
) -> None:
    """Make an environment's Model Registry; one each.

    Example: registry-tui registries create lab-azure --existing-nfs 10.0.0.4:/models --nfs-protocol-version 4.1
    """
    request = session.build(
        RegistryCreate,
        environment=environment,
        name=name,
        existing_nfs=existing_nfs,
        nfs_protocol_version=nfs_protocol_version,
        grant_storage_access=grant_storage,
    )

    async def run(client: RegistryClient) -> None:
        await _finish(client, await client.create_registry(request), wait, as_json)

    session.ask(run)


@app.command()
def synchronize(
    registry: session.RegistryArgument, wait: session.WaitOption = True, as_json: session.JsonOption = False
) -> None:
    """Make the registry known in all workspaces of its environment, so that their projects can register."""

    async def run(client: RegistryClient) -> None:
        await _finish(client, await client.synchronize_registry(registry), wait, as_json)

    session.ask(run)


@app.command()
def delete(
    registry: session.RegistryArgument,
    force: Annotated[bool, typer.Option("--force", help="Go on over deployed versions and after errors.")] = False,
    archives: Annotated[
        bool | None,
        typer.Option(
            "--delete-archives/--keep-archives", help="Whether stored archives go too. Asked; with --yes they are kept."
        ),
    ] = None,
    yes: session.YesOption = False,
    dry_run: session.DryRunOption = False,
    wait: session.WaitOption = True,
) -> None:
    """Delete a Model Registry with its registered models.

    Example: registry-tui registries delete registry-local --delete-archives
    """

    async def describe(client: RegistryClient) -> ModelRegistry:
        return await client.registry(registry)

    found = session.ask(describe)
    held = "" if found.model_count is None else f" with {counted(found.model_count, 'registered model')}"
    question = f"Delete the Model Registry {found.name}{held}?"
    session.confirm_deletion(question, reference("registry", found.id), yes=yes, dry_run=dry_run)
    go_too = archives
    if go_too is None and not yes:
        question = f"Delete its stored archives in {found.archives.rstrip('/')} too?"
        go_too = asking.yes(question)
    request = session.build(RegistryDelete, force=force, delete_archives=bool(go_too))

    async def run(client: RegistryClient) -> None:
        accepted = await client.delete_registry(found.id, request)
        if wait:
            await session.wait(client, accepted.workflow)
            output.note(f"Model Registry {found.name} is deleted" + ("" if go_too else "; its archives are kept"))
        else:
            output.note(f"Started: registry-tui workflows wait {accepted.workflow.id}")

    session.ask(run)


def _storage(change: Any, registry: str, as_json: bool) -> ModelRegistry:
    found: ModelRegistry = session.ask(lambda client: change(client, registry))
    _print(found, as_json)
    return found


@app.command("grant-storage")
def grant_storage(registry: session.RegistryArgument, as_json: session.JsonOption = False) -> None:
    """Let the registry's machine user use its prefix in the object store."""
    _storage(RegistryClient.grant_storage_access, registry, as_json)


@app.command("revoke-storage")
def revoke_storage(registry: session.RegistryArgument, as_json: session.JsonOption = False) -> None:
    """Take that away: nothing can be registered until it is granted again."""
    if remark := still_granted(_storage(RegistryClient.revoke_storage_access, registry, as_json)):
        output.note(remark)


@app.command("give-key")
@stores.with_options
def give_key(
    registry: session.RegistryArgument,
    store: stores.StoreArgument,
    reached: stores.Reached,
    principal: Annotated[
        str,
        typer.Option("--principal", metavar="ARN", help="S3: whom the bucket's policy is to let into its folder."),
    ] = "",
    as_json: session.JsonOption = False,
) -> None:
    """Give the registry a key of its own for the store that its environment brought along; it is tried first.

    Where the store has no users that granting could make. STORE is the environment's own one, with other credentials.

    Example: registry-tui registries give-key registry-prod az://acme/models --sas --secret-file sas.txt
    """
    request = session.build(StoreKeyGive, store=reached(store), principal=principal)
    _print(session.ask(lambda client: client.give_store_key(registry, request)), as_json)


@app.command("forget-key")
def forget_key(registry: session.RegistryArgument, as_json: session.JsonOption = False) -> None:
    """Have the registry not use that key: a user of the store, or the environment's credentials, take its place."""
    _print(session.ask(lambda client: client.forget_store_key(registry)), as_json)


async def _measured(client: RegistryClient, registry: str, max_age: float | None) -> StorageUsage:
    """Waits until no measurement is running, with progress. Raises RegistryError when measuring failed."""
    status = output.Status()
    try:
        found = await client.storage(registry, max_age=max_age)
        while found.measuring:
            status.show(f"measuring: {counted(found.seen, 'object')}", key="measuring")
            await asyncio.sleep(0.3)
            found = await client.storage(registry)
    finally:
        status.close()
    if found.error and (max_age == 0 or found.measured_at is None):
        raise RegistryError(f"The storage could not be measured: {found.error}", action="Try again")
    return found


def _totals(found: StorageUsage) -> str:
    lines = [
        f"{counted(found.archives, 'archive')} of {counted(found.models, 'model')}: {words.size(found.bytes)} in "
        f"{counted(found.objects, 'object')}, measured {words.ago(found.measured_at)}"
    ]
    if found.orphaned or found.without_archive:
        lines.append(
            f"{counted(found.orphaned, 'archive')} without a version ({words.size(found.orphaned_bytes)}), "
            f"{counted(found.without_archive, 'version')} without an archive"
        )
    if found.other_objects:
        lines.append(f"{counted(found.other_objects, 'other object')} ({words.size(found.other_bytes)}) in no archive")
    return "\n".join(lines)


@app.command()
def storage(
    registry: session.RegistryArgument,
    by_model: Annotated[bool, typer.Option("--by-model", help="A line a model, not a version.")] = False,
    state: Annotated[ArchiveState | None, typer.Option(help="Only archives in this state.")] = None,
    model: Annotated[str | None, typer.Option(help="A part of the model's name, or its ID.")] = None,
    order_by: Annotated[
        str | None, typer.Option(help="bytes, objects, model, modified_at, state; -FIELD descending.")
    ] = None,
    refresh: Annotated[bool, typer.Option("--refresh", help="Measure again now.")] = False,
    limit: session.LimitOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """Show the sizes of a Model Registry's archives, largest first, and the orphaned ones.

    Example: registry-tui registries storage registry-local --state orphaned
    """

    async def run(client: RegistryClient) -> None:
        found = await _measured(client, registry, 0 if refresh else None)
        if by_model:
            fetch: Any = partial(client.storage_models, registry, model=model, order_by=order_by)
        else:
            fetch = partial(client.storage_archives, registry, state=state, model=model, order_by=order_by)
        columns: list[Column[Any]] = list(MODELS) if by_model else list(ARCHIVES)
        await output.print_list(fetch, columns, as_json=as_json, limit=limit, empty="No archive found")
        output.note(_totals(found))

    session.ask(run)


@app.command("clean-up")
def clean_up(
    registry: session.RegistryArgument,
    versions: Annotated[
        bool, typer.Option("--versions", help="Also remove versions that have no archive from their models.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the files to be removed.")] = False,
    yes: session.YesOption = False,
    wait: session.WaitOption = True,
) -> None:
    """Remove stored archives that no version has any more, e.g. because the SDK deleted it.

    Example: registry-tui registries clean-up registry-local --dry-run
    """

    async def chosen(client: RegistryClient) -> tuple[list[ArchiveUsage], list[ArchiveUsage]]:
        await _measured(client, registry, 0)
        page = await client.storage_archives(registry, state=ArchiveState.ORPHANED, page_size=MAX_CLEAN_UP)
        gone: list[ArchiveUsage] = []
        for state in (ArchiveState.MISSING, ArchiveState.FAILED) if versions else ():
            found = await client.storage_archives(registry, state=state, page_size=MAX_CLEAN_UP)
            gone += [each for each in found.items if not each.objects]
        return page.items, gone[:MAX_CLEAN_UP]

    orphaned, gone = session.ask(chosen)
    if not orphaned and not gone:
        output.note("There is nothing to clean up")
        return
    output.Table(ARCHIVES).print([*orphaned, *gone])
    if dry_run:
        return
    question = f"Remove {counted(len(orphaned), 'archive')} ({words.size(sum(each.bytes for each in orphaned))})"
    session.confirm(f"{question} and {counted(len(gone), 'version')} without one?" if gone else f"{question}?", yes=yes)
    request = StorageCleanUp(archives=[each.id for each in orphaned], versions=[each.id for each in gone])

    async def run(client: RegistryClient) -> None:
        accepted = await client.clean_up_storage(registry, request)
        if wait:
            await session.wait(client, accepted.workflow)
            async for line in client.every(client.workflow_logs, accepted.workflow.id):
                output.note(line.text)
        else:
            output.note(f"Started: registry-tui workflows wait {accepted.workflow.id}")

    session.ask(run)


app.command("lineage")(lineage.of_registry)
app.add_typer(approvals.rules, name="promotion")
