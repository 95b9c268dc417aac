"""`deployments manifest`: a deployment as manifests for Kubernetes."""

from __future__ import annotations

from typing import Annotated

import typer

from registry_tui.cli import output, session
from registry_tui.cli.deployment_options import DeploymentArgument
from registry_tui.client.client import RegistryClient
from registry_tui.contracts.counts import counted
from registry_tui.wording import kubernetes
from registry_tui.wording.kubernetes import Kind, Wanted


def manifest(
    deployment: DeploymentArgument,
    kind: Annotated[
        Kind, typer.Option(help="kserve: an InferenceService; plain: Deployment, Service and autoscaler.")
    ] = Kind.KSERVE,
    namespace: Annotated[str, typer.Option(help="The namespace in the cluster.")] = "",
    storage_uri: Annotated[str, typer.Option(help="Where the cluster finds the model's files; for kserve.")] = "",
    image: Annotated[str, typer.Option(help="An image that serves the model on port 8080; for plain.")] = "",
    max_replicas: Annotated[int | None, typer.Option(min=1, help="How many the cluster may run.")] = None,
    as_json: session.JsonOption = False,
) -> None:
    """Write Kubernetes manifests of a deployment, and list the parts that they leave out.

    Example: registry-tui deployments manifest wine-api | kubectl apply -f -
    """
    if image and kind is Kind.KSERVE:
        raise typer.BadParameter("An image is for `--kind plain`: KServe chooses one by the model's format")
    if storage_uri and kind is Kind.PLAIN:
        raise typer.BadParameter("A storage URI is for `--kind kserve`: the image of the other has the model in it")
    wanted = Wanted(kind, namespace, storage_uri, image, max_replicas)

    async def run(client: RegistryClient) -> kubernetes.Manifest:
        found = await client.deployment(deployment)
        revision = found.among(await client.revisions(found.id))
        if max_replicas is not None and max_replicas < revision.replicas:
            raise typer.BadParameter(f"{found.name} has {counted(revision.replicas, 'replica')}: it cannot have fewer")
        version = await client.version(found.registry_id, found.model_name, revision.version)
        return kubernetes.manifest(found, revision, version, wanted)

    made = session.ask(run)
    if as_json:
        output.print_json([dict(each) for each in made.documents])
    else:
        output.write(str(made))
    for sentence in made.left_out:
        output.note(sentence)
