"""One search over everything: its results, their order, and the permissions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
import pytest

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import NotFound, RegistryError, WrongInput
from registry_tui.mlflow_plugin import finding
from registry_tui.schemas.models import ModelUpdate, Visibility
from registry_tui.schemas.places import CollaboratorChange, Project, Role
from registry_tui.schemas.search import MAX_LIMIT, MAX_TEXT, FoundKind, SearchAnswer
from registry_tui.schemas.tracking import ExperimentCreate
from support.platforms import PATIENCE, Platform, unique, wait_for
from support.registered import mlflow_client

RUN, MODEL, EXPERIMENT = FoundKind.RUN, FoundKind.MODEL, FoundKind.EXPERIMENT
MINE, THEIRS = "search-mine", "search-theirs"


@dataclass(frozen=True)
class Stage:
    """Two projects of one registry, each with its lead, an experiment, a run and two models."""

    word: str
    mine: Project
    theirs: Project
    runs: dict[str, str]

    def name(self, what: str, project: Project) -> str:
        return f"{self.word}-{what}-{'mine' if project is self.mine else 'theirs'}"


@pytest.fixture(scope="module")
def stage(platform: Platform) -> Iterator[Stage]:
    word = unique("zq")
    made = Stage(word, platform.new_project(prefix=f"{word}-mine"), platform.new_project(prefix=f"{word}-theirs"), {})
    change, public = CollaboratorChange(role=Role.ADMIN), ModelUpdate(visibility=Visibility.PUBLIC)
    for project, lead in ((made.mine, MINE), (made.theirs, THEIRS)):
        platform.call(RegistryClient.set_collaborator, project.id, lead, change)
        credentials = partial(RegistryClient.credentials, project=project.id)
        exports = wait_for(partial(platform.ask, credentials, user=lead), what="the account")
        with mlflow_client(exports) as http:
            body = {"name": made.name("experiment", project)}
            id_ = http.post("/api/2.0/mlflow/experiments/create", json=body).raise_for_status().json()["experiment_id"]
            body = {"experiment_id": id_, "run_name": made.name("run", project)}
            run = http.post("/api/2.0/mlflow/runs/create", json=body).raise_for_status().json()["run"]["info"]
            made.runs[project.id] = run["run_id"]
            for what in ("public", "private"):
                body = {"name": made.name(what, project), "description": "for searching"}
                http.post("/api/2.0/mlflow/registered-models/create", json=body).raise_for_status()
        registry = project.registry_id or ""
        platform.call(RegistryClient.update_model, registry, made.name("public", project), public)
    yield made


def search(platform: Platform, text: str = "", user: str | None = None, **options: object) -> SearchAnswer:
    return platform.ask(lambda client: client.search(text, **options), user=user)  # type: ignore[arg-type]


def names(answer: SearchAnswer, kind: FoundKind | None = None) -> set[str]:
    return {each.name for each in answer.items if kind in (None, each.kind)}


def test_the_administrator_finds_everything_with_where_it_is(platform: Platform, stage: Stage) -> None:
    found = search(platform, stage.word)
    for project in (stage.mine, stage.theirs):
        wanted = {stage.name(what, project) for what in ("experiment", "run", "public", "private")}
        assert names(found) >= {project.name, *wanted}
    [run] = [each for each in found.items if each.id == stage.runs[stage.mine.id]]
    assert (run.kind, run.project_id, run.experiment_name) == (RUN, stage.mine.id, stage.name("experiment", stage.mine))
    [model] = [each for each in found.items if each.name == stage.name("public", stage.mine)]
    assert (model.registry_id, model.registry_name) == (stage.mine.registry_id, stage.mine.registry_name)
    assert not found.more and not found.not_searched


def test_a_person_finds_what_the_lists_show_that_person_and_nothing_else(platform: Platform, stage: Stage) -> None:
    found = search(platform, stage.word, user=MINE)
    assert names(found, FoundKind.PROJECT) == {stage.mine.name}
    assert names(found, EXPERIMENT) == {stage.name("experiment", stage.mine)}
    assert names(found, RUN) == {stage.name("run", stage.mine)}
    # The registry is everybody's; the other team's private model is not.
    private, public = stage.name("private", stage.mine), stage.name("public", stage.mine)
    assert names(found, MODEL) == {private, public, stage.name("public", stage.theirs)}
    # Somebody without either project.
    elsewhere, change = platform.new_project(), CollaboratorChange(role=Role.VIEWER)
    platform.ask(lambda client: client.set_collaborator(elsewhere.id, "search-stranger", change))
    stranger = search(platform, stage.word, user="search-stranger")
    assert names(stranger) == {public, stage.name("public", stage.theirs)}


def test_ids_are_no_way_around_what_a_person_may_see(platform: Platform, stage: Stage) -> None:
    run, project = stage.runs[stage.theirs.id], stage.theirs
    private = platform.ask(lambda client: client.model(project.registry_id or "", stage.name("private", project)))
    for id_ in (run, project.id, private.id):
        for text in (id_, id_[:8]):
            assert id_ in {each.id for each in search(platform, text).items}, text
            assert id_ not in {each.id for each in search(platform, text, user=MINE).items}
    with pytest.raises(RegistryError, match="is not a collaborator"):
        search(platform, stage.word, user=MINE, project=project.id)


def test_better_matches_come_first_and_letters_may_be_apart(platform: Platform, client: RegistryClient) -> None:
    word, project = unique("rank"), platform.new_project()
    wanted = [word, f"{word}-begins", f"a-{word}-word", f"a{word}within", "-".join(f"{word}s")]
    for name in reversed(wanted):
        platform.call(RegistryClient.create_experiment, project.id, ExperimentCreate(name=name))
    for text in (word, f"  {word.upper()} "):
        found = search(platform, text, kinds=[EXPERIMENT])
        assert [each.name for each in found.items] == wanted
    assert names(search(platform, f"{word}s", kinds=[EXPERIMENT])) == {wanted[1], wanted[-1]}


def test_letters_beyond_ascii_are_found_in_any_case(platform: Platform) -> None:
    word, project = unique("Ärger-Übung"), platform.new_project()
    platform.ask(lambda client: client.create_experiment(project.id, ExperimentCreate(name=word)))
    for text in (word, word.lower(), word.upper(), word.replace("-", "").lower()):
        assert names(search(platform, text, kinds=[EXPERIMENT], project=project.id)) == {word}, text


@pytest.mark.parametrize(
    "text", ["%", "_", "\\", "%_%", "'", '"', "'; DROP TABLE runs; --", "\0", "a\0b", "⁨", "*", "["]
)
def test_signs_of_the_database_are_letters_like_others(platform: Platform, stage: Stage, text: str) -> None:
    for kind in FoundKind:
        found = search(platform, f"{stage.word}{text}", kinds=[kind], limit=MAX_LIMIT)
        assert names(found) == set()
    assert all(text in each.name for each in search(platform, text, kinds=[EXPERIMENT, RUN], limit=5).items)


def test_an_answer_has_limits_and_says_of_which_kinds_there_is_more(platform: Platform, stage: Stage) -> None:
    found = search(platform, stage.word, limit=1)
    counts = {kind: len([each for each in found.items if each.kind is kind]) for kind in FoundKind}
    assert max(counts.values()) == 1
    assert {RUN, MODEL, EXPERIMENT, FoundKind.PROJECT} <= set(found.more)
    refused: list[dict[str, Any]] = [{"limit": 0}, {"limit": MAX_LIMIT + 1}, {"text": "x" * (MAX_TEXT + 1)}]
    for wrong in refused:
        with pytest.raises(WrongInput):
            search(platform, **wrong)
    with pytest.raises(NotFound):
        search(platform, "x", project=unique("nowhere"))
    with pytest.raises(NotFound):
        search(platform, "x", registry=unique("nowhere"))


def test_a_project_or_registry_narrows_the_search(platform: Platform, stage: Stage) -> None:
    found = search(platform, stage.word, kinds=[RUN, EXPERIMENT], project=stage.mine.id)
    assert names(found) == {stage.name("run", stage.mine), stage.name("experiment", stage.mine)}
    found = search(platform, stage.word, kinds=[MODEL], registry=stage.mine.registry_name)
    assert names(found) >= {stage.name("private", stage.mine)}


def test_deleted_runs_and_experiments_are_not_found(platform: Platform) -> None:
    project, word = platform.new_project(), unique("gone")
    with mlflow_client(platform.ask(lambda client: client.credentials(project.id))) as http:
        made = http.post("/api/2.0/mlflow/experiments/create", json={"name": word}).raise_for_status().json()
        body = {"experiment_id": made["experiment_id"], "run_name": word}
        run = http.post("/api/2.0/mlflow/runs/create", json=body).raise_for_status().json()["run"]["info"]["run_id"]
        assert names(search(platform, word), RUN) == names(search(platform, word), EXPERIMENT) == {word}
        http.post("/api/2.0/mlflow/runs/delete", json={"run_id": run}).raise_for_status()
        assert not names(search(platform, word), RUN)
        http.post("/api/2.0/mlflow/experiments/delete", json=made).raise_for_status()
    assert not names(search(platform, word))


def test_without_words_the_newest_come_first(platform: Platform) -> None:
    project = platform.new_project()
    for name in ("older", "newer"):
        platform.call(RegistryClient.create_experiment, project.id, ExperimentCreate(name=name))
    found = [each.name for each in search(platform, "", kinds=[EXPERIMENT], project=project.id).items]
    assert found.index("newer") < found.index("older")
    newer = platform.new_project()
    found = [each.name for each in search(platform, "", kinds=[FoundKind.PROJECT], limit=MAX_LIMIT).items]
    assert found.index(newer.name) < found.index(project.name)


def test_only_the_service_may_ask_mlflows_server_so(platform: Platform, stage: Stage) -> None:
    exports = platform.ask(lambda client: client.credentials(stage.mine.id), user=MINE)
    body = {"text": stage.word, "limit": 5, "workspaces": {"runs": [stage.theirs.mlflow_workspace]}}
    with mlflow_client(exports) as http:
        answer = http.post(finding.PATH, json=body)
    assert answer.status_code == 403 and stage.word not in answer.text


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"text": 1, "limit": 1, "workspaces": {}},
        {"text": "x", "limit": 0, "workspaces": {}},
        {"text": "x", "limit": 1, "workspaces": {"users": []}},
        {"text": "x", "limit": 1, "workspaces": {"runs": [1]}},
        {"text": "x" * 201, "limit": 1, "workspaces": {}},
    ],
)
def test_mlflows_server_refuses_other_questions(platform: Platform, body: object) -> None:
    account = platform.secrets.mlflow_admin_user, platform.secrets.mlflow_admin_password
    answer = httpx.post(f"{platform.ports.mlflow_url}{finding.PATH}", json=body, auth=account, timeout=PATIENCE)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


async def test_many_people_may_search_at_once(platform: Platform, client: RegistryClient, stage: Stage) -> None:
    found = await asyncio.gather(*(client.search(stage.word) for _ in range(20)))
    assert all(each == found[0] for each in found)


def test_the_command_line_searches(platform: Platform, stage: Stage) -> None:
    shown = platform.command("search", stage.word, "run").stdout.splitlines()
    assert shown[0].split() == ["KIND", "NAME", "IN", "ID", "CHANGED"]
    assert {line.split()[1] for line in shown[1:]} == {stage.name("run", p) for p in (stage.mine, stage.theirs)}
    answer = json.loads(platform.command("search", stage.word, "--kind", "model", "--json").stdout)
    assert {each["kind"] for each in answer["items"]} == {"model"} and len(answer["items"]) == 4
    cut = platform.command("search", stage.word, "-k", "run", "--limit", "1")
    assert "There are more than 1 of: run" in cut.stderr and len(cut.stdout.splitlines()) == 2
    assert "Nothing found" in platform.command("search", unique("nowhere-at-all")).stderr
    assert platform.command("search", "x" * 201, check=False).returncode == 2
    there = platform.command("--user", MINE, "search", stage.word, "-k", "project").stdout
    assert stage.mine.name in there and stage.theirs.name not in there
