"""MLflow stays closed: every route of its server, and every method of its client, asked about one project's things."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest
from mlflow.server.graphql.graphql_schema_extensions import schema
from mlflow.version import VERSION as mlflow_version
from packaging.version import Version

from registry_tui.platform.secrets import mlflow_password
from support import sdk_calls
from support.apart import other_process
from support.mlflow_doors import MAY, in_order, plain, routes_of, table
from support.platforms import PATIENCE, Platform, unique
from support.sealed_project import INSIDERS, MAKER, OUTSIDERS, PROMPT, Sealed, assessment, sealed_project, spans, trace

#: Status codes of a refusal; any other one admits the caller.
REFUSED = (401, 403)
#: Rules of endpoints open to people elsewhere too: names of models and prompts are shared by the projects of a
#: registry.
OWN = ("open", "signed in", "search")


@pytest.fixture(scope="module")
def sealed(own_platform: Platform) -> Iterator[Sealed]:
    with sealed_project(own_platform) as made:
        yield made


@pytest.fixture(scope="module")
def doors(own_platform: Platform) -> list[tuple[str, str]]:
    """Every route of the running server's application."""
    with other_process() as process:
        return process.submit(routes_of, own_platform.home.root).result(timeout=600)


def test_every_route_of_mlflow_has_a_rule(doors: list[tuple[str, str]]) -> None:
    assert {(method, plain(path)) for method, path in doors} == set(table())
    assert any(path.startswith("/ajax-api/") for _, path in doors)


def tells(sealed: Sealed, answer: httpx.Response, method: str, path: str) -> bool:
    """Whether an answer has something of the sealed project's that was not asked with."""
    asked = f"{answer.request.url} {sealed.body(method, path)}"
    found = {each for each in sealed.told(answer.text) if each not in asked}
    return bool(found)


def test_nobody_from_outside_reads_changes_or_finds_anything(sealed: Sealed, doors: list[tuple[str, str]]) -> None:
    rules, rows, files = table(), sealed.rows(), sealed.files()
    theirs = sealed.elsewhere.mlflow_workspace
    wrong: list[str] = []
    for person, workspace in (
        ("nobody", sealed.workspace),
        ("stranger", sealed.workspace),
        ("stranger", None),
        ("elsewhere", sealed.workspace),
        ("elsewhere", theirs),
        ("elsewhere", None),
        ("elsewhere", "mr-local"),
    ):
        # The routes for the web page are the same functions; their own check is asked once for each person.
        some = doors if workspace == sealed.workspace else sorted(rules)
        for method, path in some:
            rule = rules[method, plain(path)]
            answer = sealed.call(person, method, path, workspace=workspace)
            refused = answer.status_code in (*REFUSED, 404)
            expected = rule in OWN and person in MAY[rule]
            # In a project of their own, people make anything they like; other people's things are missing there.
            if (not refused and not expected and workspace != theirs) or tells(sealed, answer, method, path):
                wrong.append(f"{person} in {workspace}: {method} {path}: {answer.status_code} {answer.text[:200]}")
    assert not wrong, "\n".join(wrong)
    after = sealed.rows()
    assert not rows - after, "something of somebody's is gone or changed"
    added = [row for row in after - rows if sealed.is_about(row) and theirs not in row]
    assert not added, "something was added to the sealed project"
    assert sealed.files() == files


def test_a_viewer_looks_and_changes_nothing(sealed: Sealed) -> None:
    rules, rows, files = table(), sealed.rows(), sealed.files()
    for method, path in sorted(rules):
        answer = sealed.call("viewer", method, path)
        may = "viewer" in MAY[rules[method, path]]
        assert (answer.status_code not in REFUSED) == may, (method, path, answer.text)
    assert not rows - sealed.rows() and sealed.files() == files
    # MLflow makes a question for reviews when somebody lists them.
    added = [row for row in sealed.rows() - rows if sealed.is_about(row) and not row.startswith("label_schemas")]
    assert not added


@pytest.mark.parametrize("person", [each for each in INSIDERS if each != "viewer"])
def test_people_of_the_project_may_do_what_the_rule_says(
    own_platform: Platform, doors: list[tuple[str, str]], person: str
) -> None:
    rules, changing, done = table(), 0, 0
    with sealed_project(own_platform) as sealed:
        for method, path in in_order({(method, plain(path)) for method, path in doors}):
            answer = sealed.call(person, method, path)
            may = person in MAY[rules[method, path]]
            assert (answer.status_code not in REFUSED) == may, (method, path, answer.text)
            if rules[method, path] in ("change", "owned", "maker") and method != "GET" and may:
                changing, done = changing + 1, done + answer.is_success
    # Most refusals above are of calls that would have changed something.
    assert done > 0.6 * changing, (done, changing)


def by_the_client(sealed: Sealed, *people: str) -> list[sdk_calls.Outcome]:
    """The outcome of every method of MLflow's client, called by these people in the sealed project."""
    variables = {}
    for person in people:
        exports = sealed.platform.exports(sealed.project.id)
        user = sealed.people.get(person)
        for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
            del exports[name]
        if user is not None:
            exports["MLFLOW_TRACKING_USERNAME"] = user
            exports["MLFLOW_TRACKING_PASSWORD"] = mlflow_password(sealed.platform.secrets, user)
        variables[person] = exports
    with other_process() as process:
        return process.submit(sdk_calls.walk, variables, sealed.values, sealed.word).result(timeout=900)


def test_every_method_of_mlflows_client_has_a_rule() -> None:
    assert sdk_calls.methods() == set(sdk_calls.rules())


def test_nobody_from_outside_and_no_viewer_changes_anything_by_mlflows_client(sealed: Sealed) -> None:
    rules, rows, files, wrong = sdk_calls.rules(), sealed.rows(), sealed.files(), list[str]()
    outcomes = by_the_client(sealed, *OUTSIDERS, "viewer")
    for each in outcomes:
        may, viewer = each.person in MAY[rules[each.method]], each.person == "viewer"
        done = set(each.statuses).isdisjoint(REFUSED if viewer else (*REFUSED, 404))
        sees = viewer or (may and rules[each.method] != "search")
        learnt = set() if sees else sealed.told(each.learnt) - sealed.told(each.sent)
        if not each.statuses or max(each.statuses) >= 500 or learnt or (done is not may and (viewer or done)):
            wrong.append(f"{each.person}: {each.method}: {each.statuses} {each.learnt[:200]}")
    assert not wrong, "\n".join(wrong)
    assert len(outcomes) == len(sdk_calls.called()) * len((*OUTSIDERS, "viewer"))
    assert not rows - sealed.rows() and sealed.files() == files
    assert not [row for row in sealed.rows() - rows if sealed.is_about(row) and not row.startswith("label_schemas")]


def test_people_of_the_project_may_do_by_mlflows_client_what_the_rule_says(own_platform: Platform) -> None:
    rules, wrong, changing, done = sdk_calls.rules(), list[str](), 0, 0
    with sealed_project(own_platform) as sealed:
        # People who are refused come before those who delete the thing.
        outcomes = by_the_client(sealed, "owner", "administrator", MAKER)
    for each in outcomes:
        may = each.person in MAY[rules[each.method]]
        if not each.statuses or max(each.statuses) >= 500 or set(each.statuses).isdisjoint(REFUSED) is not may:
            wrong.append(f"{each.person}: {each.method}: {each.statuses} {each.learnt[:200]}")
        if may and rules[each.method] in ("change", "owned", "maker"):
            changing, done = changing + 1, done + (max(each.statuses) < 400)
    assert not wrong, "\n".join(wrong)
    # Most refusals above are of calls that would have changed something.
    assert done > 0.6 * changing, (done, changing)


# -- things of one's own that name somebody else's -----------------------------------------------------


@dataclass(frozen=True)
class Mine:
    """An experiment of the person elsewhere, and its content."""

    experiment: str
    run: str
    artifacts: str
    trace: str
    dataset: str
    queue: str
    model: str


def made_elsewhere(sealed: Sealed, *, spans_kept: bool = False) -> Mine:
    """Things of one's own. From MLflow 3.18 on, whole traces are read of those only whose spans the server keeps."""

    def make(path: str, body: Any, version: str = "3.0") -> Any:
        answer = ask(sealed, "POST", f"/api/{version}/mlflow/{path}", body)
        return answer.raise_for_status().json()

    experiment = make("experiments/create", {"name": unique("mine")}, "2.0")["experiment_id"]
    run = make("runs/create", {"experiment_id": experiment}, "2.0")["run"]["info"]
    trace_id, model = f"tr-{uuid.uuid4().hex}", unique("mine")
    make("traces", trace(trace_id, experiment, "mine"))
    if spans_kept:
        headers = {"x-mlflow-experiment-id": experiment, "content-type": "application/x-protobuf"}
        ask(sealed, "POST", "/v1/traces", content=spans(trace_id), headers=headers).raise_for_status()
    dataset = make("datasets/create", {"name": unique("mine"), "experiment_ids": [experiment]})["dataset"]
    queue = {"experiment_id": experiment, "name": unique("mine"), "queue_type": "CUSTOM"}
    queue_id = make("review-queues/create", queue)["review_queue"]["queue_id"]
    make("registered-models/create", {"name": model}, "2.0")
    return Mine(experiment, run["run_id"], run["artifact_uri"], trace_id, dataset["dataset_id"], queue_id, model)


def ask(sealed: Sealed, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
    return sealed.ask("elsewhere", method, path, body, workspace=sealed.elsewhere.mlflow_workspace, **more)


def naming_others(sealed: Sealed, mine: Mine) -> Iterator[tuple[str, str, Any]]:
    """Calls about a thing of one's own that name one of the sealed project's."""
    theirs, old, new = sealed.values, "/api/2.0/mlflow", "/api/3.0/mlflow"
    both = [mine.experiment, theirs["experiment_id"]]
    places = [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": each}} for each in both]
    metric = {"key": "loss", "value": 1, "timestamp": 1, "step": 1, "model_id": theirs["model_id"]}
    yield "POST", f"{new}/traces", trace(theirs["trace_id"], mine.experiment, "evil")
    yield "POST", f"{new}/traces", trace(f"tr-{uuid.uuid4().hex}", theirs["experiment_id"], "evil")
    yield "POST", f"{old}/traces/link-to-run", {"trace_ids": [theirs["trace_id"]], "run_id": mine.run}
    yield "POST", f"{new}/traces/batchGetInfos", {"trace_ids": [mine.trace, theirs["trace_id"]]}
    yield "GET", f"{new}/traces/batchGet", {"trace_ids": [mine.trace, theirs["trace_id"]]}
    yield "POST", f"{new}/traces/search", {"locations": places}
    yield "POST", f"{new}/traces/search", {"locations": places[:1], "filter": f"run_id = '{theirs['run_id']}'"}
    for version in (old, new):
        body = {"experiment_id": mine.experiment, "request_ids": [theirs["trace_id"]]}
        yield "POST", f"{version}/traces/delete-traces", body
    assessments = f"{new}/traces/{mine.trace}/assessments"
    yield "POST", assessments, {"assessment": assessment(theirs["trace_id"], "evil")}
    overriding = {**assessment(mine.trace, "evil"), "overrides": theirs["assessment_id"]}
    yield "POST", assessments, {"assessment": overriding}
    for method in ("GET", "PATCH", "DELETE"):
        patch = {"assessment": assessment(theirs["trace_id"], "evil"), "update_mask": "feedback"}
        yield method, f"{assessments}/{theirs['assessment_id']}", patch if method == "PATCH" else None
    yield "POST", f"{new}/datasets/{mine.dataset}/add-experiments", {"experiment_ids": both}
    yield "POST", f"{new}/datasets/{theirs['dataset_id']}/add-experiments", {"experiment_ids": [mine.experiment]}
    yield "POST", f"{new}/datasets/create", {"name": unique("both"), "experiment_ids": both}
    yield "POST", f"{new}/datasets/search", {"experiment_ids": both}
    items = {"item_type": "TRACE", "item_ids": [theirs["trace_id"]]}
    yield "POST", f"{new}/review-queues/items/add", {"queue_id": mine.queue, **items}
    schemas = {"update_schema_ids": True, "schema_ids": [theirs["schema_id"]]}
    yield "POST", f"{new}/review-queues/update", {"queue_id": mine.queue, **schemas}
    logged = {"experiment_id": mine.experiment, "name": "mine", "source_run_id": theirs["run_id"]}
    yield "POST", f"{old}/logged-models", logged
    yield "POST", f"{old}/logged-models/search", {"experiment_ids": both}
    yield "POST", f"{old}/runs/log-batch", {"run_id": mine.run, "metrics": [metric]}
    yield "POST", f"{old}/runs/log-metric", {"run_id": mine.run, **metric}
    yield "POST", f"{old}/runs/log-inputs", {"run_id": mine.run, "models": [{"model_id": theirs["model_id"]}]}
    yield "POST", f"{old}/runs/outputs", {"run_id": mine.run, "models": [{"model_id": theirs["model_id"], "step": 1}]}
    yield "POST", f"{old}/runs/search", {"experiment_ids": both}
    yield (
        "GET",
        f"{old}/metrics/get-history-bulk-interval",
        {"run_ids": [mine.run, theirs["run_id"]], "metric_key": "loss"},
    )
    yield "POST", "/ajax-api/2.0/mlflow/experiments/search-datasets", {"experiment_ids": both}
    definition = {"name": unique("mine"), "secret_id": theirs["secret_id"], "provider": "openai", "model_name": "x"}
    yield "POST", f"{new}/gateway/model-definitions/create", definition
    config = {"model_definition_id": theirs["model_definition_id"], "linkage_type": "PRIMARY", "weight": 1.0}
    yield "POST", f"{new}/gateway/endpoints/create", {"name": unique("mine"), "model_configs": [config]}
    scored = {"experiment_id": mine.experiment, "serialized_scorer": "{}", "trace_ids": [theirs["trace_id"]]}
    yield "POST", "/ajax-api/3.0/mlflow/scorer/invoke", scored
    yield "POST", f"{old}/experiments/create", {"name": unique("mine"), "artifact_location": theirs["source"]}
    folder = theirs["source"].removeprefix("mlflow-artifacts:/")
    proxy = "/api/2.0/mlflow-artifacts"
    for address in (folder, folder.replace(sealed.workspace, sealed.elsewhere.mlflow_workspace)):
        for method in ("GET", "DELETE"):
            yield method, f"{proxy}/artifacts/{address}/MLmodel", None
        yield "GET", f"{proxy}/presigned/{address}/MLmodel", None
        yield "GET", f"{proxy}/artifacts", {"path": address}
    # They read this prompt, and must not change it.
    prompt = {"name": theirs["prompt"]}
    text = [*PROMPT, {"key": "mlflow.prompt.text", "value": "evil"}]
    yield "POST", f"{old}/model-versions/create", {**prompt, "source": "prompt-template", "tags": text}
    yield "POST", f"{old}/registered-models/set-tag", {**prompt, "key": "evil", "value": "x"}
    yield "POST", f"{old}/registered-models/alias", {**prompt, "alias": "evil", "version": "1"}
    yield "PATCH", f"{old}/registered-models/update", {**prompt, "description": "evil"}
    yield "POST", f"{old}/registered-models/rename", {**prompt, "new_name": unique("mine")}
    yield "POST", f"{old}/model-versions/set-tag", {**prompt, "version": "1", "key": "evil", "value": "x"}
    yield "DELETE", f"{old}/model-versions/delete", {**prompt, "version": "1"}
    yield "DELETE", f"{old}/registered-models/delete", prompt
    for source, more in (
        (f"runs:/{theirs['run_id']}/model", {}),
        (f"models:/{theirs['model_id']}", {}),
        (f"models:/{theirs['name']}/1", {}),
        (f"models:/{theirs['prompt']}/1", {}),
        (theirs["source"], {}),
        (theirs["source"], {"run_id": theirs["run_id"]}),
        (theirs["source"], {"run_id": mine.run}),
        (f"{mine.artifacts}/model", {"run_id": theirs["run_id"]}),
        (f"{mine.artifacts}/model", {"model_id": theirs["model_id"]}),
        ("file:///etc", {"run_id": mine.run}),
        (f"s3://local/workspaces/{sealed.workspace}", {}),
    ):
        yield "POST", f"{old}/model-versions/create", {"name": mine.model, "source": source, **more}


def test_a_thing_of_ones_own_is_no_way_to_somebody_elses(sealed: Sealed) -> None:
    mine = made_elsewhere(sealed, spans_kept=True)
    rows, files, wrong = sealed.rows(), sealed.files(), list[str]()
    for method, path, body in naming_others(sealed, mine):
        answer = ask(sealed, method, path, body)
        asked = f"{answer.request.url} {body}"
        if answer.status_code >= 500 or [each for each in sealed.told(answer.text) if each not in asked]:
            wrong.append(f"{method} {path} {body}: {answer.status_code} {answer.text[:200]}")
        if path.endswith("model-versions/create"):
            assert not answer.is_success, (body, answer.text)
    for experiment in (mine.experiment, sealed.values["experiment_id"]):
        headers = {"x-mlflow-experiment-id": experiment, "content-type": "application/x-protobuf"}
        ask(sealed, "POST", "/v1/traces", content=spans(sealed.values["trace_id"]), headers=headers)
    assert not wrong, "\n".join(wrong)
    gone = [row for row in rows - sealed.rows() if sealed.is_about(row)]
    added = [row for row in sealed.rows() - rows if sealed.is_about(row) and mine.model not in row]
    assert not gone and not added and sealed.files() == files


def test_every_field_of_graphql_keeps_to_what_the_asker_may_see(sealed: Sealed) -> None:
    known = sealed.values
    fields = {
        "mlflowGetExperiment": (f'experimentId: "{known["experiment_id"]}"', "experiment { name }"),
        "mlflowGetRun": (f'runId: "{known["run_id"]}"', "run { info { runName } experiment { name } }"),
        "mlflowListArtifacts": (f'runId: "{known["run_id"]}"', "rootUri files { path }"),
        "mlflowGetMetricHistoryBulkInterval": (
            f'runIds: ["{known["run_id"]}"], metricKey: "loss"',
            "metrics { runId }",
        ),
        "mlflowSearchModelVersions": (f"filter: \"name = '{known['name']}'\"", "modelVersions { name }"),
    }
    lists = {
        "mlflowSearchRuns": (f'experimentIds: ["{known["experiment_id"]}"]', "runs { info { runName runUuid } }"),
        "mlflowSearchDatasets": (
            f'experimentIds: ["{known["experiment_id"]}"]', "datasetSummaries { name experimentId }",
        ),
    }  # fmt: skip
    every = {name for kind in schema.graphql_schema.type_map.values() if str(kind) in ("Query", "Mutation")
             for name in getattr(kind, "fields", {})}  # fmt: skip
    assert every - {"test", "testMutation"} == {*fields, *lists}
    for name, (arguments, wanted) in (fields | lists).items():
        operation = "mutation" if name == "mlflowSearchDatasets" or name == "mlflowSearchRuns" else "query"
        body = {"query": f"{operation} {{ {name}(input: {{{arguments}}}) {{ {wanted} }} }}"}
        marks = (sealed.word, known["run_id"], "MLmodel", sealed.workspace)
        for person, workspace in (
            ("stranger", sealed.workspace),
            ("elsewhere", sealed.workspace),
            ("elsewhere", sealed.elsewhere.mlflow_workspace),
        ):
            answer = sealed.ask(person, "POST", "/graphql", body, workspace=workspace)
            assert not [mark for mark in marks if mark in answer.text], (person, name, answer.text)
            assert sealed.ask("nobody", "POST", "/graphql", body, workspace=workspace).status_code == 401
        told = sealed.ask("viewer", "POST", "/graphql", body).text
        assert name == "mlflowSearchDatasets" or any(mark in told for mark in marks), (name, told)


# -- addresses outside the projects --------------------------------------------------------------------


def test_the_server_opens_no_address_that_somebody_set_as_a_tag(sealed: Sealed, tmp_path: Path) -> None:
    attachment = str(uuid.uuid4())
    (tmp_path / "attachments").mkdir()
    for file in (tmp_path / "traces.json", tmp_path / "attachments" / attachment):
        file.write_text('{"spans": [], "secret": "of this machine"}')
    mine = made_elsewhere(sealed)
    for address in (tmp_path.as_uri(), str(tmp_path), "s3://bucket/x"):
        tag = {"key": "mlflow.artifactLocation", "value": address}
        tagged = ask(sealed, "PATCH", f"/api/3.0/mlflow/traces/{mine.trace}/tags", tag)
        if Version(mlflow_version) >= Version("3.18"):  # nobody sets this tag any more
            assert tagged.status_code == 400, tagged.text
            continue
        tagged.raise_for_status()
        for api, path in product(("2.0", "3.0"), (None, attachment)):
            params = {"request_id": mine.trace, **({} if path is None else {"path": path})}
            answer = ask(sealed, "GET", f"/ajax-api/{api}/mlflow/get-trace-artifact", params)
            assert "of this machine" not in answer.text
            assert answer.status_code == 403 and "own projects" in answer.json()["message"], (address, answer.text)


def test_mlflows_demo_and_lists_of_the_internet_are_closed(sealed: Sealed) -> None:
    for person in ("administrator", "elsewhere", "stranger"):
        refused = sealed.ask(person, "POST", "/ajax-api/3.0/mlflow/demo/generate", {})
        assert refused.status_code == 403 and "registry-tui demo" in refused.json()["message"]
    models = sealed.ask("viewer", "GET", "/ajax-api/3.0/mlflow/gateway/supported-models", timeout=PATIENCE)
    assert models.raise_for_status().json()["models"]
