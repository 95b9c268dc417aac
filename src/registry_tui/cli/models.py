"""`models`: registered models, their versions, aliases and archives."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from registry_tui.cli import (
    approvals,
    archives,
    bundles,
    cards,
    drift,
    evidence,
    lineage,
    output,
    promoting,
    rules,
    session,
    signing,
)
from registry_tui.cli.output import Column
from registry_tui.cli.version_view import print_version
from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import Conflict, NotFound
from registry_tui.contracts.lineage_refs import reference
from registry_tui.schemas.base import Page
from registry_tui.schemas.models import (
    ModelUpdate,
    ModelVersion,
    RegisteredModel,
    RegisterModel,
    VersionStatus,
    VersionUpdate,
    Visibility,
)
from registry_tui.schemas.stages import Stage
from registry_tui.wording import words

app = session.new_app("Registered models: their versions, aliases and archives.")
alias = session.new_app("Aliases: names such as `champion` for one version of a model.")
app.add_typer(alias, name="alias")

UntagOption = Annotated[list[str] | None, typer.Option("--untag", metavar="KEY", help="A tag to remove; repeatable.")]
AliasArgument = Annotated[str, typer.Argument(help="The alias.")]
VERSIONS = [
    Column[ModelVersion]("VERSION", lambda each: each.version, right=True),
    Column[ModelVersion]("STATUS", lambda each: each.status),
    Column[ModelVersion]("ALIASES", lambda each: each.aliases),
    Column[ModelVersion]("CREATOR", lambda each: each.creator),
    Column[ModelVersion]("CREATED", lambda each: each.created_at),
    Column[ModelVersion]("PROJECT", lambda each: each.origin.project_name),
    Column[ModelVersion]("RUN", lambda each: each.origin.run_id),
    Column[ModelVersion]("SIZE", lambda each: words.size(each.archive_bytes), right=True),
    Column[ModelVersion]("NOTES", lambda each: each.notes, flexible=True),
]


def _columns(registries: dict[str, str]) -> list[Column[RegisteredModel]]:
    several = [Column[RegisteredModel]("REGISTRY", lambda each: registries[each.registry_id])]
    return [
        Column[RegisteredModel]("NAME", lambda each: each.name),
        *(several if len(registries) > 1 else []),
        Column[RegisteredModel]("LATEST", lambda each: each.latest_version, right=True),
        Column[RegisteredModel]("STATUS", lambda each: each.latest_status),
        Column[RegisteredModel]("ALIASES", lambda each: [f"{name}: {number}" for name, number in each.aliases.items()]),
        Column[RegisteredModel]("OWNER", lambda each: each.owner),
        Column[RegisteredModel]("VISIBILITY", lambda each: each.visibility),
        Column[RegisteredModel]("LOCATION", lambda each: each.location),
        Column[RegisteredModel]("UPDATED", lambda each: each.updated_at),
        Column[RegisteredModel]("DESCRIPTION", lambda each: each.description, flexible=True),
    ]


def _print_model(found: RegisteredModel, as_json: bool) -> None:
    fields = {
        "name": found.name,
        "ID": found.id,
        "description": found.description,
        "owner": found.owner,
        "visibility": found.visibility,
        "location": found.location,
        "latest version": found.latest_version,
        "latest status": found.latest_status,
        "aliases": found.aliases,
        "tags": found.tags,
        "created": found.created_at,
        "updated": found.updated_at,
    }
    output.print_one(found, fields, as_json=as_json)


@app.command("list")
def list_(
    registry: session.RegistryOption = None,
    search: Annotated[str | None, typer.Option(help="A text in names, descriptions, owners and tags.")] = None,
    owner: Annotated[str | None, typer.Option(help="Only models of this owner.")] = None,
    order_by: Annotated[
        str | None, typer.Option(help="name, updated_at, created_at, owner…; -FIELD descending.")
    ] = None,
    limit: session.LimitOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """List the registered models that you may see, of one Model Registry or of all, one after the other.

    Example: registry-tui models list --search wine --order-by -updated_at
    """

    async def run(client: RegistryClient) -> None:
        found = (
            [await client.registry(registry)] if registry else [each async for each in client.every(client.registries)]
        )
        ids = [each.id for each in found]

        async def fetch(*, page_size: int, page_token: str | None) -> Page[RegisteredModel]:
            """Pages of one registry after the other; a token is the registry's index and its own token."""
            index, _, token = (page_token or "0:").partition(":")
            at, items = int(index), list[RegisteredModel]()
            while at < len(ids) and len(items) < page_size:
                try:
                    page = await client.models(
                        ids[at],
                        search=search,
                        owner=owner,
                        order_by=order_by,
                        page_size=page_size - len(items),
                        page_token=token or None,
                    )
                except (Conflict, NotFound) as error:
                    if registry:
                        raise
                    # A registry that is being created or removed does not hide the models of others.
                    output.note(f"{error.message}; its models are left out")
                    page = Page(items=[])
                items += page.items
                token = page.next_page_token or ""
                at += not token
            return Page(items=items, next_page_token=f"{at}:{token}" if at < len(ids) else None)

        columns = _columns({each.id: each.name for each in found})
        await output.print_list(fetch, columns, as_json=as_json, limit=limit, empty="No registered model found")

    session.ask(run)


@app.command()
def show(
    model: session.ModelArgument, registry: session.RegistryOption = None, as_json: session.JsonOption = False
) -> None:
    """Show one registered model."""

    async def run(client: RegistryClient) -> RegisteredModel:
        return await client.model(await session.registry_for_model(client, registry, model), model)

    _print_model(session.ask(run), as_json)


@app.command()
def register(
    project: session.ProjectOption,
    name: Annotated[str, typer.Option(help="Name of the model: a new one, or a known one for a further version.")],
    run: Annotated[str | None, typer.Option(help="ID of the run that logged it.")] = None,
    path: Annotated[
        str | None, typer.Option(help="Path of the model below the run's artifacts, `.` for their root; or its name.")
    ] = None,
    logged_model: Annotated[str | None, typer.Option(help="ID of an MLflow logged model, instead of --run.")] = None,
    source: Annotated[
        str | None,
        typer.Option(help="runs:/RUN/PATH, runs:/RUN or models:/MODEL_ID, instead of --run and --logged-model."),
    ] = None,
    description: Annotated[str, typer.Option(help="Description of the model.")] = "",
    notes: Annotated[str, typer.Option(help="Notes on this version.")] = "",
    tag: session.TagOption = None,
    content: Annotated[
        str | None, typer.Option(metavar="SHA256", help="The expected digest of the files, a manifest's content.")
    ] = None,
    visibility: Annotated[
        Visibility | None, typer.Option(help="Visibility of the model; a new one is private.")
    ] = None,
    stage: Annotated[Stage | None, typer.Option(help="Stage of this version, as with `models stage`.")] = None,
    wait: session.WaitOption = True,
    as_json: session.JsonOption = False,
) -> None:
    """Register a model that a run logged. Ready when its archive is stored and verified.

    Example: registry-tui models register --project default --run RUN --path model --name WineModel --notes "first"
    """
    request = session.build(
        RegisterModel,
        name=name,
        run_id=run,
        artifact_path=path,
        logged_model_id=logged_model,
        source=source,
        description=description,
        notes=notes,
        tags=session.tags(tag),
        content=content,
        visibility=visibility,
        stage=stage,
    )

    async def do(client: RegistryClient) -> ModelVersion:
        accepted = await client.register_model(project, request)
        made = accepted.resource
        output.note(f"{made.model_name} version {made.version}")
        if not wait:
            output.note(f"Started: registry-tui workflows wait {accepted.workflow.id}")
            return made
        await session.wait(client, accepted.workflow)
        return await client.version(made.registry_id, made.model_id, made.version)

    print_version(session.ask(do), as_json)


@app.command()
def versions(
    model: session.ModelArgument,
    registry: session.RegistryOption = None,
    search: Annotated[
        str | None, typer.Option(help="A number, or a text in notes, creators, aliases and tags.")
    ] = None,
    status: Annotated[VersionStatus | None, typer.Option(help="Only versions in this status.")] = None,
    stage: Annotated[Stage | None, typer.Option(help="Only versions in this stage.")] = None,
    order_by: Annotated[str | None, typer.Option(help="version or created_at…; -FIELD descending.")] = None,
    limit: session.LimitOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """List a model's versions, newest first."""

    async def run(client: RegistryClient) -> None:
        found = await session.registry_for_model(client, registry, model)
        fetch = partial(client.versions, found, model, search=search, status=status, stage=stage, order_by=order_by)
        empty = "No version matches" if search or status or stage else "It has no version"
        await output.print_list(fetch, VERSIONS, as_json=as_json, limit=limit, empty=empty)

    session.ask(run)


@app.command()
def version(
    model: session.ModelArgument,
    number: session.VersionArgument,
    registry: session.RegistryOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """Show one version: where it came from, its notes, its archive."""

    async def run(client: RegistryClient) -> ModelVersion:
        return await client.version(await session.registry_for_model(client, registry, model), model, number)

    print_version(session.ask(run), as_json)


@app.command()
def update(
    model: session.ModelArgument,
    registry: session.RegistryOption = None,
    description: Annotated[str | None, typer.Option(help="The new description.")] = None,
    visibility: Annotated[
        Visibility | None,
        typer.Option(help="private: its owner, administrators, teams that registered it. public: everybody."),
    ] = None,
    owner: Annotated[str | None, typer.Option(help="The new owner.")] = None,
    tag: session.TagOption = None,
    untag: UntagOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """Change a model's description, visibility, owner or tags; the rest stays as it is."""
    request = session.changes(
        ModelUpdate,
        description=description,
        visibility=visibility,
        owner=owner,
        set_tags=session.tags(tag),
        delete_tags=untag or [],
    )

    async def run(client: RegistryClient) -> RegisteredModel:
        return await client.update_model(await session.registry_for_model(client, registry, model), model, request)

    _print_model(session.ask(run), as_json)


@app.command("update-version")
def update_version(
    model: session.ModelArgument,
    number: session.VersionArgument,
    registry: session.RegistryOption = None,
    notes: Annotated[str | None, typer.Option(help="The new notes.")] = None,
    tag: session.TagOption = None,
    untag: UntagOption = None,
    as_json: session.JsonOption = False,
) -> None:
    """Change a version's notes or tags; the rest stays as it is."""
    request = session.changes(VersionUpdate, notes=notes, set_tags=session.tags(tag), delete_tags=untag or [])

    async def run(client: RegistryClient) -> ModelVersion:
        found = await session.registry_for_model(client, registry, model)
        return await client.update_version(found, model, number, request)

    print_version(session.ask(run), as_json)


@app.command()
def delete(
    model: session.ModelArgument,
    number: Annotated[int | None, typer.Argument(min=1, help="Only this version; default: the whole model.")] = None,
    registry: session.RegistryOption = None,
    keep_archives: Annotated[
        bool, typer.Option("--keep-archives", help="Leave the files in the object store.")
    ] = False,
    yes: session.YesOption = False,
    dry_run: session.DryRunOption = False,
) -> None:
    """Delete a model with all its versions, or one version. Its number is not given out again."""
    what = f"the model {model} with all its versions" if number is None else f"version {number} of {model}"

    async def about(client: RegistryClient) -> str:
        found = await session.registry_for_model(client, registry, model)
        return reference("model", found, model) if number is None else reference("version", found, model, str(number))

    session.confirm_deletion(
        f"Delete {what}{'' if keep_archives else ' with its archives'}?", about, yes=yes, dry_run=dry_run
    )

    async def run(client: RegistryClient) -> None:
        found = await session.registry_for_model(client, registry, model)
        if number is None:
            await client.delete_model(found, model, keep_archives=keep_archives)
        else:
            await client.delete_version(found, model, number, keep_archive=keep_archives)

    session.ask(run)
    output.note(f"Deleted {what}")


@alias.command("set")
def set_alias(
    model: session.ModelArgument,
    name: AliasArgument,
    number: session.VersionArgument,
    registry: session.RegistryOption = None,
) -> None:
    """Let an alias name a version; it leaves the version that had it.

    Example: registry-tui models alias set WineModel champion 2
    """

    async def run(client: RegistryClient) -> None:
        await client.set_alias(await session.registry_for_model(client, registry, model), model, name, number)

    session.ask(run)
    output.note(f"{name} is version {number} of {model}")


@alias.command("delete")
def delete_alias(
    model: session.ModelArgument,
    name: AliasArgument,
    registry: session.RegistryOption = None,
    yes: session.YesOption = False,
    dry_run: session.DryRunOption = False,
) -> None:
    """Take an alias away."""

    async def about(client: RegistryClient) -> str:
        return reference("alias", await session.registry_for_model(client, registry, model), model, name)

    session.confirm_deletion(f"Take the alias {name} from {model}?", about, yes=yes, dry_run=dry_run)

    async def run(client: RegistryClient) -> None:
        await client.delete_alias(await session.registry_for_model(client, registry, model), model, name)

    session.ask(run)
    output.note(f"{model} has no alias {name} any more")


for command in (
    archives.manifest,
    archives.verify,
    archives.scan,
    archives.bom,
    cards.card,
    drift.profile,
    evidence.evidence,
    archives.search,
    archives.diff,
    archives.download,
    rules.check,
    signing.signature,
    signing.sign,
):
    app.command()(command)
app.command("export")(bundles.export)
app.command("import")(bundles.import_)
app.command("promote")(promoting.promote)
app.command("stage")(approvals.stage)
app.command("stages")(approvals.stages)
app.command("wait-approved")(approvals.wait_approved)
app.command("lineage")(lineage.of_model)
