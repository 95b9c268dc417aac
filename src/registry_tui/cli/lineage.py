"""`lineage` of each noun: its origins and its dependents, as a tree, as JSON, or as a graph for Graphviz."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from registry_tui.cli import output, session
from registry_tui.cli.deployment_options import DeploymentArgument
from registry_tui.client.client import RegistryClient
from registry_tui.contracts.lineage_refs import reference
from registry_tui.schemas.lineage import DEPTH, EACH, MAX_DEPTH, MAX_EACH
from registry_tui.wording import lineage as words

DepthOption = Annotated[int, typer.Option("--depth", min=1, max=MAX_DEPTH, help="Levels, each way.")]
EachOption = Annotated[int, typer.Option("--each", min=1, max=MAX_EACH, help="Children that are listed of each node.")]
DotOption = Annotated[bool, typer.Option("--dot", help="A graph in the DOT language, for Graphviz.")]

datasets = session.new_app("Data sets that runs of a project read.")
commits = session.new_app("Git commits that runs of a project executed.")
logged_models = session.new_app("Models that runs of a project logged.")


def print_lineage(
    ref: Callable[[RegistryClient], Awaitable[str]], depth: int, each: int, as_json: bool, as_dot: bool
) -> None:
    """Requests the lineage of the reference that `ref` returns, and prints it."""
    if as_json and as_dot:
        raise typer.BadParameter("give one of --json and --dot")

    async def run(client: RegistryClient) -> None:
        found = await client.lineage(await ref(client), depth=depth, each=each)
        if as_json:
            output.print_json(found)
            return
        output.write(f"{words.dot(found)}\n" if as_dot else "".join(f"{line}\n" for line in words.tree_lines(found)))
        output.flush()

    session.ask(run)


def named(kind: str, *parts: str) -> Callable[[RegistryClient], Awaitable[str]]:
    """A reference that needs no request."""

    async def ref(client: RegistryClient) -> str:
        return reference(kind, *parts)

    return ref


def of_model(
    model: session.ModelArgument,
    version: Annotated[int | None, typer.Argument(min=1, help="A version; default: the whole model.")] = None,
    alias: Annotated[str | None, typer.Option(help="The version that this alias names.")] = None,
    registry: session.RegistryOption = None,
    depth: DepthOption = DEPTH,
    each: EachOption = EACH,
    as_json: session.JsonOption = False,
    as_dot: DotOption = False,
) -> None:
    """Show the sources of a model, a version or an alias, and its dependents.

    Example: registry-tui models lineage WineModel 3 --dot
    """
    if version is not None and alias is not None:
        raise typer.BadParameter("give a version or an alias, not both")

    async def ref(client: RegistryClient) -> str:
        found = await session.registry_for_model(client, registry, model)
        if alias is not None:
            return reference("alias", found, model, alias)
        return reference("model", found, model) if version is None else reference("version", found, model, str(version))

    print_lineage(ref, depth, each, as_json, as_dot)


def of_run(
    run: Annotated[str, typer.Argument(help="ID of the run.")],
    project: session.ProjectOption,
    depth: DepthOption = DEPTH,
    each: EachOption = EACH,
    as_json: session.JsonOption = False,
    as_dot: DotOption = False,
) -> None:
    """Show a run's inputs, and the versions and deployments that came from it."""
    print_lineage(named("run", project, run), depth, each, as_json, as_dot)


def of_experiment(
    experiment: Annotated[str, typer.Argument(help="Name or ID of the experiment.")],
    project: session.ProjectOption,
    depth: DepthOption = DEPTH,
    each: EachOption = EACH,
    as_json: session.JsonOption = False,
    as_dot: DotOption = False,
) -> None:
    """Show which versions and deployments came from an experiment's runs."""
    print_lineage(named("experiment", project, experiment), depth, each, as_json, as_dot)


@datasets.command("lineage")
def of_dataset(
    name: Annotated[str, typer.Argument(help="Name of the data set, as runs logged it.")],
    project: session.ProjectOption,
    digest: Annotated[str, typer.Option(help="Only the data set with this digest; default: any.")] = "",
    depth: DepthOption = DEPTH,
    each: EachOption = EACH,
    as_json: session.JsonOption = False,
    as_dot: DotOption = False,
) -> None:
    """Show the runs that read a data set, and everything derived from them.

    Example: registry-tui datasets lineage wine-white --project wine-quality
    """
    print_lineage(named("dataset", project, name, digest), depth, each, as_json, as_dot)


@commits.command("lineage")
def of_commit(
    commit: Annotated[str, typer.Argument(help="The whole hash of the git commit, as runs logged it.")],
    project: session.ProjectOption,
    depth: DepthOption = DEPTH,
    each: EachOption = EACH,
    as_json: session.JsonOption = False,
    as_dot: DotOption = False,
) -> None:
    """Show the runs that executed the code of a git commit, and everything derived from them."""
    print_lineage(named("commit", project, commit), depth, each, as_json, as_dot)


@logged_models.command("lineage")
def of_logged_model(
    logged_model: Annotated[str, typer.Argument(help="ID of the logged model: m-….")],
    project: session.ProjectOption,
    depth: DepthOption = DEPTH,
    each: EachOption = EACH,
    as_json: session.JsonOption = False,
    as_dot: DotOption = False,
) -> None:
    """Show the run that logged a model, and the versions that were registered from it."""
    print_lineage(named("logged-model", project, logged_model), depth, each, as_json, as_dot)


def of_deployment(
    deployment: DeploymentArgument,
    depth: DepthOption = DEPTH,
    each: EachOption = EACH,
    as_json: session.JsonOption = False,
    as_dot: DotOption = False,
) -> None:
    """Show a deployment's versions, now and before, their sources, and the API keys that may call it."""
    print_lineage(named("deployment", deployment), depth, each, as_json, as_dot)


def of_key(
    key: Annotated[str, typer.Argument(help="ID of the API key.")],
    depth: DepthOption = DEPTH,
    each: EachOption = EACH,
    as_json: session.JsonOption = False,
    as_dot: DotOption = False,
) -> None:
    """Show the deployments that an API key may call, and their versions."""
    print_lineage(named("key", key), depth, each, as_json, as_dot)


def of_project(
    project: session.ProjectArgument,
    depth: DepthOption = DEPTH,
    each: EachOption = EACH,
    as_json: session.JsonOption = False,
    as_dot: DotOption = False,
) -> None:
    """Show a project's deployments and experiments, and everything derived from them."""
    print_lineage(named("project", project), depth, each, as_json, as_dot)


def of_registry(
    registry: session.RegistryArgument,
    depth: DepthOption = DEPTH,
    each: EachOption = EACH,
    as_json: session.JsonOption = False,
    as_dot: DotOption = False,
) -> None:
    """Show a registry's models, their versions, and the deployments that serve them."""
    print_lineage(named("registry", registry), depth, each, as_json, as_dot)


def of_environment(
    environment: session.EnvironmentArgument,
    depth: DepthOption = DEPTH,
    each: EachOption = EACH,
    as_json: session.JsonOption = False,
    as_dot: DotOption = False,
) -> None:
    """Show an environment's registry and projects, and their contents."""
    print_lineage(named("environment", environment), depth, each, as_json, as_dot)
