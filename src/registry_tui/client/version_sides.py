"""All facts about a version for a comparison with another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry_tui.client.errors import ServiceProblem

if TYPE_CHECKING:
    from registry_tui.client.client import RegistryClient
    from registry_tui.schemas.deployments import DeploymentSuggestion
    from registry_tui.schemas.models import Manifest, ModelVersion
    from registry_tui.schemas.tracking import RunDetails


@dataclass(frozen=True)
class Side:
    """One version with its facts; deleted or inaccessible facts are None, and listed in `unknown`."""

    version: ModelVersion
    manifest: Manifest | None
    described: DeploymentSuggestion | None
    run: RunDetails | None
    unknown: tuple[str, ...] = ()


async def read_side(client: RegistryClient, registry: str, model: str, number: int) -> Side:
    """A version with its manifest, signature, requirements and run. Raises RegistryError without the version itself."""
    version = await client.version(registry, model, number)
    manifest = described = run = None
    unknown = []
    try:
        manifest = await client.manifest(registry, model, number)
        described = await client.suggest_deployment(registry, model, number)
    except ServiceProblem as error:
        unknown.append(f"version {number}: {error.message}")
    origin = version.origin
    if origin.project_id is not None and origin.run_id is not None:
        try:
            run = await client.run(origin.project_id, origin.run_id)
        except ServiceProblem:
            unknown.append(f"version {number}: its run is not there any more, or not ours to see")
    return Side(version, manifest, described, run, tuple(unknown))
