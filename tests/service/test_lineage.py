"""Lineage of a version that is served: both ways, in pages, by its own people and by others, and after deletions."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import NotFound, ServiceProblem
from registry_tui.contracts.lineage_refs import reference
from registry_tui.schemas.deployments import ApiKey, ApiKeyCreate, Deployment
from registry_tui.schemas.lineage import DependentsAsked, Direction, LineageNode, LineageTree, NodeKind
from registry_tui.schemas.models import ModelUpdate, RegisterModel, Visibility
from registry_tui.schemas.people import UserChange
from registry_tui.schemas.places import CollaboratorChange, Role
from registry_tui.schemas.tracking import ExperimentsChosen, RunPurge, RunsChosen
from support.platforms import Platform, unique
from support.registered import mlflow_client
from support.served import ML_MODEL, Served, deploy, finish, register


@dataclass(frozen=True)
class Line:
    """A data set, the run that read it, versions 1 and 2, an alias, a deployment that follows it, and a key."""

    platform: Platform
    first: Served
    second: Served
    dataset: str
    deployment: Deployment
    key: ApiKey

    @property
    def run(self) -> str:
        run = self.second.version.origin.run_id
        assert run is not None
        return run

    def ref(self, kind: str, *names: str) -> str:
        version = self.second.version
        return reference(kind, *((version.registry_id, version.model_name, *names) if kind in _MODELS else names))

    def tree(self, ref: str, user: str | None = None, depth: int = 4) -> LineageTree:
        return self.platform.ask(lambda client: client.lineage(ref, depth=depth), user=user)


_MODELS = ("model", "version", "alias")


@pytest.fixture(scope="module")
def line(platform: Platform) -> Iterator[Line]:
    project = platform.new_project()
    first = register(platform, project, add=10)
    second = register(platform, project, first.version.model_name, add=20)
    dataset = unique("wine")
    credentials = platform.ask(lambda client: client.credentials(project.id))
    with mlflow_client(credentials) as http:
        told = {"name": dataset, "digest": "d1", "source_type": "local", "source": "wine.csv"}
        body = {"run_id": second.version.origin.run_id, "datasets": [{"dataset": told, "tags": []}]}
        http.post("/api/2.0/mlflow/runs/log-inputs", json=body).raise_for_status()
    version = second.version
    platform.call(RegistryClient.set_alias, version.registry_id, version.model_name, "champion", 2)
    deployment = deploy(
        platform, second, version=None, alias="champion", follow_alias=True, authentication=True, cpu=0.1
    )
    key = platform.ask(lambda client: client.create_key(ApiKeyCreate(name=unique("ci")))).api_key
    yield Line(platform, first, second, dataset, deployment, key)


def flat(trees: list[LineageTree]) -> list[LineageNode]:
    return [node for each in trees for node in (each.node, *flat([*each.origins, *each.dependents]))]


def named(trees: list[LineageTree]) -> set[tuple[str, str, str]]:
    return {(node.relation, node.kind.value, node.name) for node in flat(trees)}


def test_a_version_leads_to_its_data_and_to_its_callers(line: Line) -> None:
    found = line.tree(line.ref("version", "2"))
    assert found.node.name == f"{line.second.version.model_name} v2"
    project, model = line.second.project, line.second.version.model_name
    origins, dependents = named(found.origins), named(found.dependents)
    assert ("read data set", "dataset", line.dataset) in origins
    assert {("in project", "project", project.name), ("of model", "model", model)} <= origins
    assert {kind for _, kind, _ in origins} >= {"run", "experiment", "registry", "environment"}
    assert ("named by", "alias", "champion") in dependents
    assert {("served by", "deployment", line.deployment.name), ("followed by", "deployment", line.deployment.name)} & (
        dependents
    )
    assert ("may be called with", "key", line.key.name) in dependents


@pytest.mark.parametrize("start", ["run", "dataset", "experiment", "project", "model", "alias", "deployment", "key"])
def test_each_thing_leads_to_the_deployment_or_from_it(line: Line, start: str) -> None:
    project, version = line.second.project.id, line.second.version
    assert version.origin.experiment_id is not None
    refs = {
        "run": line.ref("run", project, line.run),
        "dataset": line.ref("dataset", project, line.dataset, ""),
        "experiment": line.ref("experiment", project, version.origin.experiment_id),
        "project": line.ref("project", project),
        "model": line.ref("model"),
        "alias": line.ref("alias", "champion"),
        "deployment": line.ref("deployment", line.deployment.name),
        "key": line.ref("key", line.key.id),
    }
    found = line.tree(refs[start], depth=6)
    everything = flat([found])
    assert line.deployment.name in {node.name for node in everything if node.kind is NodeKind.DEPLOYMENT}
    if start != "project":
        assert f"{version.model_name} v2" in {node.name for node in everything if node.kind is NodeKind.VERSION}
    assert not found.cut


def test_children_come_in_pages_that_hold_all_of_them_once(line: Line) -> None:
    ref = line.ref("model")

    async def names(client: RegistryClient, direction: Direction, size: int) -> list[str]:
        found, token = [], None
        while True:
            page = await client.neighbours(ref, direction, page_size=size, page_token=token)
            assert len(page.items) <= size
            found += [each.name for each in page.items]
            token = page.next_page_token
            if token is None:
                return found

    for direction in Direction:
        whole = line.platform.ask(lambda client, way=direction: names(client, way, 100))  # type: ignore[misc]
        single = line.platform.ask(lambda client, way=direction: names(client, way, 1))  # type: ignore[misc]
        assert single == whole and len(whole) >= 2
    tree = line.platform.ask(lambda client: client.lineage(ref, depth=1, each=1))
    assert len(tree.dependents) == 1 and tree.more_dependents is not None
    token = tree.more_dependents
    rest = line.platform.ask(lambda client: client.neighbours(ref, Direction.DEPENDENTS, page_token=token))
    assert [each.name for each in rest.items] == [line.first.version.model_name + " v1"]


def test_what_somebody_may_not_see_is_counted_and_never_named(line: Line) -> None:
    platform, version = line.platform, line.second.version
    stranger = unique("stranger")
    elsewhere = platform.new_project()
    platform.call(RegistryClient.put_user, stranger, UserChange())
    platform.call(RegistryClient.set_collaborator, elsewhere.id, stranger, CollaboratorChange(role=Role.CONTRIBUTOR))
    with pytest.raises(NotFound):
        line.tree(line.ref("model"), user=stranger)
    with pytest.raises(ServiceProblem):
        line.tree(line.ref("run", line.second.project.id, line.run), user=stranger)
    public = ModelUpdate(visibility=Visibility.PUBLIC)
    platform.call(RegistryClient.update_model, version.registry_id, version.model_name, public)
    found = line.tree(line.ref("version", "2"), user=stranger)
    told = found.model_dump_json()
    for secret in (line.deployment.name, line.deployment.id, line.dataset, line.run, line.key.name):
        assert secret not in told
    assert line.second.project.name not in told
    hidden = {(node.relation, node.name, node.count) for node in flat([found]) if node.kind is NodeKind.HIDDEN}
    assert ("came from", "1 run that you may not see", 1) in hidden
    assert ("served by", "1 deployment that you may not see", 1) in hidden
    private = ModelUpdate(visibility=Visibility.PRIVATE)
    platform.call(RegistryClient.update_model, version.registry_id, version.model_name, private)
    viewer = CollaboratorChange(role=Role.VIEWER)
    platform.call(RegistryClient.set_collaborator, line.second.project.id, stranger, viewer)
    from_run = line.tree(line.ref("run", line.second.project.id, line.run), user=stranger)
    # Others on the shared platform may have keys for every deployment.
    hidden_keys = [node.name for node in flat(from_run.dependents) if node.kind is NodeKind.HIDDEN]
    assert any("API key" in name for name in hidden_keys), hidden_keys
    assert line.key.name not in from_run.model_dump_json()


def test_commits_and_logged_models_lead_to_runs_and_versions_and_back(line: Line) -> None:
    platform, project = line.platform, line.second.project
    commit, experiment = uuid.uuid4().hex + "a" * 8, line.second.version.origin.experiment_id
    credentials = platform.ask(lambda client: client.credentials(project.id))
    with mlflow_client(credentials) as http:

        def post(path: str, **body: object) -> dict[str, Any]:
            answer: dict[str, Any] = http.post(f"/api/2.0/mlflow/{path}", json=body).raise_for_status().json()
            return answer

        tags = [{"key": "mlflow.source.git.commit", "value": commit}]
        trained, evaluated = (
            post("runs/create", experiment_id=experiment, run_name=name, tags=tags)["run"]["info"]
            for name in ("trained", "evaluated")
        )
        made = post("logged-models", experiment_id=experiment, name="booster", source_run_id=trained["run_id"])
        info = made["model"]["info"]
        id_ = info["model_id"]
        post("runs/outputs", run_id=trained["run_id"], models=[{"model_id": id_, "step": 0}])
        post("runs/log-inputs", run_id=evaluated["run_id"], models=[{"model_id": id_}])
        folder = info["artifact_uri"].removeprefix("mlflow-artifacts:/")
        files = {"MLmodel": ML_MODEL.format(module="none", uuid="none", streamable=""), "code/none.py": ""}
        for path, text in {**files, "python_env.yaml": "", "code/settings.json": "{}"}.items():
            url = f"/api/2.0/mlflow-artifacts/artifacts/{folder}/{path}"
            http.put(url, content=text.encode()).raise_for_status()
    name = unique("Boosted")
    request = RegisterModel(name=name, logged_model_id=id_)
    accepted = platform.ask(lambda client: client.register_model(project.id, request))
    finish(platform, accepted.workflow)

    from_commit = line.tree(line.ref("commit", project.id, commit))
    assert (from_commit.node.kind, from_commit.node.name) == (NodeKind.COMMIT, commit[:12])
    found = named(from_commit.dependents)
    assert {("executed by run", "run", "trained"), ("executed by run", "run", "evaluated")} <= found
    assert {("logged model", "logged-model", "booster"), ("registered as", "version", f"{name} v1")} <= found
    from_model = line.tree(line.ref("logged-model", project.id, id_))
    assert from_model.node.name == "booster"
    assert named(from_model.dependents) == {
        ("registered as", "version", f"{name} v1"),
        ("read by run", "run", "evaluated"),
    }
    assert ("logged by", "run", "trained") in named(from_model.origins)
    from_version = line.tree(reference("version", accepted.resource.registry_id, name, "1"))
    origins = named(from_version.origins)
    assert {("came from", "run", "trained"), ("packaged from", "logged-model", id_)} <= origins
    assert ("executed commit", "commit", commit[:12]) in origins
    from_run = line.tree(line.ref("run", project.id, evaluated["run_id"]), depth=2)
    assert ("read logged model", "logged-model", "booster") in named(from_run.origins)
    assert (
        "read logged model" in platform.command("runs", "lineage", evaluated["run_id"], "--project", project.id).stdout
    )
    graph = platform.command("commits", "lineage", commit, "--project", project.id, "--dot").stdout
    assert "git commit" in graph and "logged model booster" in graph and f"version {name} v1" in graph
    told = platform.command("logged-models", "lineage", id_, "--project", project.id, "--json").stdout
    assert LineageTree.model_validate_json(told).node.kind is NodeKind.LOGGED_MODEL
    # People without a role in the project see neither.
    stranger = unique("stranger")
    platform.call(RegistryClient.put_user, stranger, UserChange())
    for ref in (line.ref("commit", project.id, commit), line.ref("logged-model", project.id, id_)):
        with pytest.raises(ServiceProblem):
            line.tree(ref, user=stranger)
    public = ModelUpdate(visibility=Visibility.PUBLIC)
    platform.call(RegistryClient.update_model, accepted.resource.registry_id, name, public)
    elsewhere = platform.new_project()
    viewer = CollaboratorChange(role=Role.VIEWER)
    platform.call(RegistryClient.set_collaborator, elsewhere.id, stranger, viewer)
    seen = line.tree(reference("version", accepted.resource.registry_id, name, "1"), user=stranger)
    for secret in (commit, commit[:12], id_, trained["run_id"], project.name):
        assert secret not in seen.model_dump_json()


def test_a_deleted_experiment_and_person_stay_named(line: Line) -> None:
    platform, person = line.platform, unique("author")
    platform.call(RegistryClient.put_user, person, UserChange())
    extra = register(platform, line.second.project, add=1)
    model, experiment = extra.version.model_name, extra.version.origin.experiment_id
    assert experiment is not None
    contributor = CollaboratorChange(role=Role.CONTRIBUTOR)
    platform.call(RegistryClient.set_collaborator, extra.project.id, person, contributor)
    key = platform.ask(lambda client: client.create_key(ApiKeyCreate(name=unique("mine"))), user=person).api_key
    assert ("", "key", key.name) in named([line.tree(line.ref("key", key.id))])
    me = platform.ask(lambda client: client.whoami()).name
    platform.call(RegistryClient.delete_user, person, me)
    chosen = ExperimentsChosen(experiment_ids=[experiment])
    platform.ask(lambda client: client.delete_experiments(extra.project.id, chosen))
    tree = line.tree(reference("version", extra.registry, model, "1"))
    [origin] = [each for each in flat(tree.origins) if each.kind is NodeKind.EXPERIMENT]
    assert origin.name == extra.version.origin.experiment_name and "deleted" in origin.detail
    [run] = [each for each in flat(tree.origins) if each.kind is NodeKind.RUN]
    assert "deleted" in run.detail
    found = line.tree(line.ref("experiment", extra.project.id, experiment))
    assert found.node.name == extra.version.origin.experiment_name


def test_the_deleted_stay_named(line: Line) -> None:
    platform, version = line.platform, line.second.version
    extra = register(platform, line.second.project, add=1)
    run = extra.version.origin.run_id
    assert run is not None
    ref = reference("version", extra.registry, extra.version.model_name, "1")
    platform.ask(lambda client: client.delete_runs(extra.project.id, RunsChosen(run_ids=[run])))
    deleted = line.tree(ref)
    [experiment] = [node for node in flat(deleted.origins) if node.kind is NodeKind.EXPERIMENT]
    assert experiment.name == extra.version.origin.experiment_name
    [origin] = [node for node in flat(deleted.origins) if node.kind is NodeKind.RUN]
    name = extra.version.origin.run_name or run
    assert origin.name == name and "deleted" in origin.detail and not origin.gone
    assert version.model_name not in deleted.model_dump_json()
    purged = platform.ask(lambda client: client.purge_runs(extra.project.id, RunPurge(run_ids=[run])))
    finish(platform, purged.workflow)
    gone = [node for node in flat(line.tree(ref).origins) if node.kind is NodeKind.RUN]
    assert [(node.name, node.gone) for node in gone] == [(name, True)]


def test_what_breaks_if_it_is_deleted_is_said_with_counts_and_names(line: Line) -> None:
    version, name = line.second.version, line.deployment.name

    def told(ref: str) -> tuple[list[str], str]:
        found = line.platform.ask(lambda client: client.dependents(ref))
        return found.lines, found.refused

    serves = f"1 deployment serves it: {name}"
    refused = "It is not deleted while it is deployed: stop the deployment first"
    assert told(line.ref("version", "2")) == ([serves, "alias champion"], refused)
    assert told(line.ref("version", "1")) == ([], "")
    with pytest.raises(ServiceProblem, match="It is deployed"):
        line.platform.call(RegistryClient.delete_version, version.registry_id, version.model_name, 2)
    assert told(line.ref("model")) == (["2 versions of it", "alias champion", serves], refused)
    assert told(line.ref("alias", "champion"))[0] == [f"1 deployment follows it: {name}"]
    registered = f"1 version was registered from it and stays: {version.model_name} v2"
    from_run = [registered, f"1 deployment serves what came from it: {name}"]
    assert told(line.ref("run", line.second.project.id, line.run))[0] == from_run
    # Dependents of several things at once are counted once.
    first = line.first.version.origin.run_id
    assert first is not None
    both = DependentsAsked(nodes=[line.ref("run", line.second.project.id, run) for run in (line.run, first)])
    one, other = (f"{version.model_name} v{number}" for number in (2, 1))
    assert line.platform.call(RegistryClient.dependents_of_all, both).lines == [
        f"2 versions were registered from them and stay: {one}, {other}",
        f"1 deployment serves what came from them: {name}",
    ]
    assert version.origin.experiment_id is not None
    experiment = line.ref("experiment", line.second.project.id, version.origin.experiment_id)
    whole = told(experiment)[0]
    assert whole[0].endswith("in it") and f"1 deployment serves what came from it: {name}" in whole
    assert f"1 deployment is in it: {name}" in told(line.ref("project", line.second.project.id))[0]
    assert any("may call it" in each for each in told(line.ref("deployment", name))[0])
    assert any(name in each or "more" in each for each in told(line.ref("key", line.key.id))[0])
    assert told(line.ref("environment", "local"))[1] == "It is not deleted before it is empty"
    assert any(each.endswith(" in it") for each in told(line.ref("registry", version.registry_id))[0])
    assert any("API key" in each for each in told(f"user:{line.key.owner}")[0])
    # Things that end without being deleted.
    storage, refused = told(line.ref("storage-access", version.registry_id))
    assert "neither downloaded nor deployed without it" in storage[0] and not refused
    assert any("serve" in each for each in storage[1:])
    deleted = line.ref("deleted-runs", line.second.project.id, "30")
    assert told(deleted) == (["No run is deleted"], "")
    purge = ("runs", "purge", "--project", line.second.project.name, "--older-than", "30", "--dry-run")
    assert line.platform.command(*purge).stdout == "No run is deleted\n"


def test_what_is_no_reference_is_refused_with_examples(line: Line) -> None:
    for wrong in ("WineModel", "model:only-one", "version:a/b/three", "nothing:x"):
        with pytest.raises(ServiceProblem, match="names nothing that has a lineage"):
            line.tree(wrong)
    with pytest.raises(NotFound):
        line.tree(line.ref("version", "99"))


def test_the_command_line_prints_a_tree_a_graph_and_json(line: Line) -> None:
    model = line.second.version.model_name
    registry = line.second.version.registry_id
    tree = line.platform.command("models", "lineage", model, "2", "--registry", registry)
    assert tree.returncode == 0, tree.stderr
    assert f"version {model} v2" in tree.stdout and f"read data set: data set {line.dataset}" in tree.stdout
    graph = line.platform.command("deployments", "lineage", line.deployment.name, "--dot").stdout
    assert graph.startswith("digraph lineage {") and "->" in graph and line.deployment.name in graph
    told = line.platform.command(
        "datasets", "lineage", line.dataset, "--project", line.second.project.id, "--json"
    ).stdout
    assert LineageTree.model_validate_json(told).node.name == line.dataset
