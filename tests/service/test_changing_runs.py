"""Experiments and runs that are created, renamed, tagged, deleted and restored: over the client, REST and commands."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial

import httpx
import pytest

from registry_tui.client import RegistryClient
from registry_tui.client.errors import Refused, RegistryError, WrongInput
from registry_tui.schemas.models import Tag
from registry_tui.schemas.operations import EventOutcome
from registry_tui.schemas.places import CollaboratorChange, Project, Role
from registry_tui.schemas.tracking import (
    ExperimentCreate,
    ExperimentsChosen,
    ExperimentUpdate,
    ItemChanges,
    RunsChosen,
    RunSearch,
    RunsUpdate,
)
from support.platforms import PATIENCE, Answer, Platform, unique
from support.registered import mlflow_client

NOTE = "mlflow.note.content"
NO_RUN = "0" * 32


@dataclass(frozen=True)
class Place:
    platform: Platform
    project: Project
    #: A user with each role, and one without any.
    people: dict[str, str | None]

    def experiment(self) -> str:
        """The ID of a new experiment."""
        request = ExperimentCreate(name=unique("experiment"))
        return self.platform.ask(lambda client: client.create_experiment(self.project.id, request)).id

    def runs(self, experiment: str, count: int = 1) -> list[str]:
        """IDs of new runs."""
        credentials = self.platform.ask(lambda client: client.credentials(self.project.id))
        made = []
        with mlflow_client(credentials) as http:
            for number in range(count):
                body = {"experiment_id": experiment, "run_name": f"run {number}"}
                answer = http.post("/api/2.0/mlflow/runs/create", json=body).raise_for_status()
                made.append(answer.json()["run"]["info"]["run_id"])
        return made

    def listed(self, experiment: str, *, deleted: bool = False) -> set[str]:
        request = RunSearch(experiment_ids=[experiment], deleted=deleted)
        return {run.id for run in self.platform.ask(lambda client: client.search_runs(self.project.id, request)).items}

    def experiments(self, *, deleted: bool = False) -> set[str]:
        return {
            each.id
            for each in self.platform.ask(lambda client: client.experiments(self.project.id, deleted=deleted)).items
        }

    def default(self) -> str:
        return self.platform.ask(lambda client: client.experiment(self.project.id, "Default")).id


@pytest.fixture(scope="module")
def place(platform: Platform) -> Iterator[Place]:
    project, elsewhere = platform.new_project(), platform.new_project()
    people: dict[str, str | None] = {"owner": None}
    for role in (Role.CONTRIBUTOR, Role.VIEWER):
        people[role.value] = name = unique(role.value)
        change = CollaboratorChange(role=role)
        platform.call(RegistryClient.set_collaborator, project.id, name, change)
    people["nobody"] = nobody = unique("nobody")
    viewer = CollaboratorChange(role=Role.VIEWER)
    platform.ask(lambda client: client.set_collaborator(elsewhere.id, nobody, viewer))
    yield Place(platform, project, people)


def problems(changes: ItemChanges) -> list[str | None]:
    return [None if each.problem is None else each.problem.code for each in changes.items]


@pytest.mark.parametrize("person", ["owner", "contributor"])
def test_who_may_change_does_everything_with_experiments_and_runs(place: Place, person: str) -> None:
    user, project = place.people[person], place.project.id

    def ask(question: Callable[[RegistryClient], Awaitable[Answer]]) -> Answer:
        return place.platform.ask(question, user=user)

    create = ExperimentCreate(name=unique("made"), note="about wine")
    made = ask(lambda client: client.create_experiment(project, create))
    assert made.name == create.name and made.tags[NOTE] == "about wine"
    rename = ExperimentUpdate(name=unique("renamed"))
    assert ask(lambda client: client.update_experiment(project, made.name, rename)).name == rename.name

    runs = place.runs(made.id, 3)
    update = RunsUpdate(run_ids=runs[:2], name="best", note="keep", set_tags=[Tag(key="reviewed", value="yes")])
    changed = ask(lambda client: client.update_runs(project, update))
    assert [each.id for each in changed.items] == runs[:2] and not changed.failed
    for run in runs[:2]:
        found = ask(partial(RegistryClient.run, project=project, run=run))
        assert (found.name, found.tags[NOTE], found.tags["reviewed"]) == ("best", "keep", "yes")
    untag = RunsUpdate(run_ids=runs, delete_tags=["reviewed"])
    assert not ask(lambda client: client.update_runs(project, untag)).failed
    assert "reviewed" not in ask(lambda client: client.run(project, runs[0])).tags

    assert not ask(lambda client: client.delete_runs(project, RunsChosen(run_ids=runs[:2]))).failed
    assert place.listed(made.id) == {runs[2]} and place.listed(made.id, deleted=True) == set(runs[:2])
    assert not ask(lambda client: client.restore_runs(project, RunsChosen(run_ids=runs[:1]))).failed
    assert place.listed(made.id) == {runs[0], runs[2]}

    chosen = ExperimentsChosen(experiment_ids=[made.id])
    assert not ask(lambda client: client.delete_experiments(project, chosen)).failed
    assert made.id in place.experiments(deleted=True) and made.id not in place.experiments()
    assert place.listed(made.id, deleted=True) == set(runs)
    again = ask(lambda client: client.restore_runs(project, RunsChosen(run_ids=runs[:1])))
    advice = [each.problem.action or "" for each in again.items if each.problem]
    assert problems(again) == ["wrong-state"] and "experiments restore" in advice[0]
    assert not ask(lambda client: client.restore_experiments(project, chosen)).failed
    assert made.id in place.experiments() and place.listed(made.id) == set(runs)

    told = {(each.action, each.outcome) for run in runs for each in place.platform.events(action="run", resource=run)}
    assert told >= {(f"run.{verb}", EventOutcome.SUCCEEDED) for verb in ("update", "delete", "restore")}


@pytest.mark.parametrize("person", ["viewer", "nobody"])
def test_who_may_not_change_changes_nothing(place: Place, person: str) -> None:
    user, project = place.people[person], place.project.id
    experiment = place.experiment()
    run = place.runs(experiment)[0]
    before = place.experiments()
    chosen, runs = ExperimentsChosen(experiment_ids=[experiment]), RunsChosen(run_ids=[run])
    for question in (
        lambda client: client.create_experiment(project, ExperimentCreate(name=unique("no"))),
        lambda client: client.update_experiment(project, experiment, ExperimentUpdate(name=unique("no"))),
        lambda client: client.delete_experiments(project, chosen),
        lambda client: client.restore_experiments(project, chosen),
        lambda client: client.update_runs(project, RunsUpdate(run_ids=[run], name="no")),
        lambda client: client.delete_runs(project, runs),
        lambda client: client.restore_runs(project, runs),
    ):
        with pytest.raises(Refused):
            place.platform.ask(question, user=user)
    assert place.experiments() == before and place.listed(experiment) == {run}
    denied = place.platform.ask(lambda client: client.events(outcome="denied"), user=user).items
    assert {each.action for each in denied} >= {"experiment.create", "experiment.delete", "run.update", "run.delete"}


def test_one_wrong_item_keeps_no_other_from_being_changed(place: Place) -> None:
    project, experiment = place.project.id, place.experiment()
    runs = place.runs(experiment, 2)
    elsewhere = place.platform.new_project()
    deleted = place.platform.ask(
        lambda client: client.delete_runs(project, RunsChosen(run_ids=[runs[0], NO_RUN, "../x", runs[1], runs[0]]))
    )
    assert [each.id for each in deleted.items] == [runs[0], NO_RUN, "../x", runs[1]]
    assert problems(deleted) == [None, "not-found", "not-found", None]
    again = place.platform.ask(lambda client: client.delete_runs(project, RunsChosen(run_ids=[runs[0]])))
    assert problems(again) == ["wrong-state"]
    other = place.platform.ask(lambda client: client.restore_runs(elsewhere.id, RunsChosen(run_ids=runs)))
    assert problems(other) == ["not-found", "not-found"]
    renamed = place.platform.ask(lambda client: client.update_runs(project, RunsUpdate(run_ids=[runs[0]], name="x")))
    assert problems(renamed) == ["wrong-state"]

    second = place.experiment()
    chosen = ExperimentsChosen(experiment_ids=[experiment, experiment + "x", "999999999", second])
    changes = place.platform.ask(lambda client: client.delete_experiments(project, chosen))
    assert problems(changes) == [None, "not-found", "not-found", None]
    assert place.default() in place.experiments() and not {experiment, second} & place.experiments()
    strange = place.platform.ask(lambda client: client.restore_experiments(elsewhere.id, chosen))
    assert len(strange.failed) == 4


def test_wrong_names_and_tags_are_refused_with_the_reason(place: Place) -> None:
    project, experiment = place.project.id, place.experiment()
    run = place.runs(experiment)[0]
    name = place.platform.ask(lambda client: client.experiment(project, experiment)).name
    gone = place.experiment()
    gone_name = place.platform.ask(lambda client: client.experiment(project, gone)).name
    chosen = ExperimentsChosen(experiment_ids=[gone])
    place.platform.ask(lambda client: client.delete_experiments(project, chosen))
    for wrong, message in ((name, "already"), (gone_name, "deleted experiment"), ("..", "folder"), (" x", "space")):
        with pytest.raises(RegistryError, match=message):
            request = ExperimentCreate(name=wrong)
            place.platform.call(RegistryClient.create_experiment, project, request)
        with pytest.raises(RegistryError, match=message):
            change = ExperimentUpdate(name=wrong)
            other = place.default()
            place.platform.call(RegistryClient.update_experiment, project, other, change)
    with pytest.raises(RegistryError, match="is deleted"):
        place.platform.ask(lambda client: client.update_experiment(project, gone, ExperimentUpdate(name=unique("x"))))
    for tags in (
        RunsUpdate(run_ids=[run]),
        RunsUpdate(run_ids=[run], name="  "),
        RunsUpdate(run_ids=[run], set_tags=[Tag(key="registry_tui.owner", value="me")]),
        RunsUpdate(run_ids=[run], set_tags=[Tag(key="mlflow.parentRunId", value="x")]),
        RunsUpdate(run_ids=[run], set_tags=[Tag(key="a")], delete_tags=["a"]),
        RunsUpdate(run_ids=[run], set_tags=[Tag(key="a", value="x" * 8001)]),
    ):
        with pytest.raises(WrongInput):
            place.platform.call(RegistryClient.update_runs, project, tags)


def test_rest_answers_for_each_item_and_repeats_the_answer_for_a_key(place: Place) -> None:
    experiment = place.experiment()
    run = place.runs(experiment)[0]
    transport = httpx.HTTPTransport(uds=str(place.platform.home.service_socket))
    with httpx.Client(transport=transport, base_url="http://registry-tui/api/v1", timeout=PATIENCE) as http:
        path, body = f"/projects/{place.project.id}/runs/delete", {"run_ids": [run, NO_RUN]}
        key = {"Idempotency-Key": unique("key")}
        first = http.post(path, json=body, headers=key)
        assert first.status_code == 200
        assert [each["problem"] and each["problem"]["code"] for each in first.json()["items"]] == [None, "not-found"]
        second = http.post(path, json=body, headers=key)
        assert second.content == first.content and second.headers["Idempotency-Replayed"] == "true"
        bodies: tuple[dict[str, object], ...] = (
            {"run_ids": []},
            {"run_ids": ["x"] * 1001},
            {},
            {"run_ids": [run], "more": 1},
        )
        for wrong in bodies:
            assert http.post(path, json=wrong).status_code == 422


def test_commands_change_experiments_and_runs(place: Place) -> None:
    def command(*arguments: str, code: int = 0) -> tuple[str, str]:
        done = place.platform.command(*arguments, "--project", place.project.id, check=False)
        assert done.returncode == code, done
        return done.stdout, done.stderr

    name = unique("by command")
    made = json.loads(command("experiments", "create", name, "--note", "hello", "--json")[0])
    assert made["name"] == name
    new_name = unique("renamed")
    assert new_name in command("experiments", "rename", name, new_name)[1]
    one, two = place.runs(made["id"], 2)
    assert "Renamed 2 runs" in command("runs", "rename", one, two, "--name", "same")[1]
    assert "Tagged 1 run:" in command("runs", "tag", one, "--tag", "a=b", "--tag", "c=d")[1]
    command("runs", "note", one, "--text", "a note")
    command("runs", "untag", one, "--tag", "c")
    shown = json.loads(command("runs", "show", one, "--json")[0])
    assert (shown["name"], shown["tags"]["a"], shown["tags"][NOTE]) == ("same", "b", "a note")
    assert "c" not in shown["tags"]
    assert "give --yes" in command("runs", "delete", one, code=2)[1]
    _, told = command("runs", "delete", one, NO_RUN, two, "--yes", code=1)
    assert "Deleted 2 runs: same, same" in told and f"has no run '{NO_RUN}'" in told
    assert one in command("runs", "list", "--experiment", made["id"], "--deleted", "--json")[0]
    restored = json.loads(command("runs", "restore", one, two, "--json")[0])
    assert [each["problem"] for each in restored["items"]] == [None, None]
    assert "give --yes" in command("experiments", "delete", new_name, code=2)[1]
    told = command("experiments", "delete", "Default", "--yes")[1]
    assert "Deleted 1 experiment: Default" in told and "chooses no experiment" in told
    assert "Restored 1 experiment: Default" in command("experiments", "restore", "Default")[1]
    assert "Deleted 1 experiment:" in command("experiments", "delete", new_name, "--yes")[1]
    assert new_name in command("experiments", "list", "--deleted")[0]
    assert new_name not in command("experiments", "list")[0]
    assert "Restored 1 experiment:" in command("experiments", "restore", new_name)[1]
    assert new_name in command("experiments", "list")[0]
