"""`models promote`: copying a version into another registry."""

from __future__ import annotations

from typing import Annotated

import typer

from registry_tui.cli import output, session
from registry_tui.cli.version_view import print_version
from registry_tui.client.client import RegistryClient
from registry_tui.schemas.models import ModelVersion, Visibility
from registry_tui.schemas.promotion import VersionPromotion


def promote(
    model: session.ModelArgument,
    number: session.VersionArgument,
    to: Annotated[str, typer.Option("--to", metavar="REGISTRY", help="The Model Registry that gets a copy.")],
    registry: session.RegistryOption = None,
    name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="The model's name there; default: as it is here.")
    ] = None,
    visibility: Annotated[
        Visibility | None, typer.Option(help="Visibility of a model that is new there; default: private.")
    ] = None,
    wait: session.WaitOption = True,
    as_json: session.JsonOption = False,
) -> None:
    """Copy a version into another Model Registry, with signature and origin. The same content is one version there.

    Rules of both environments about promoting are asked first: `models check --rules --for promote --to REGISTRY`.

    Example: registry-tui models promote WineModel 3 --to production
    """
    request = session.build(VersionPromotion, to=to, name=name, visibility=visibility)

    async def run(client: RegistryClient) -> ModelVersion:
        here = await session.registry_for_model(client, registry, model)
        accepted = await client.promote_version(here, model, number, request)
        made = accepted.resource
        output.note(f"{made.model_name} version {made.version} of {to}")
        if not wait:
            output.note(f"Started: registry-tui workflows wait {accepted.workflow.id}")
            return made
        await session.wait(client, accepted.workflow)
        return await client.version(made.registry_id, made.model_id, made.version)

    print_version(session.ask(run), as_json)
