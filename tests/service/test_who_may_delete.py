"""Deleting and restoring runs and experiments: the same people may do it at every door, also with experiment 0."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import Refused
from registry_tui.schemas.places import CollaboratorChange, Project, Role
from registry_tui.schemas.tracking import ExperimentCreate, ExperimentsChosen, ItemChanges, RunsChosen
from support.platforms import Platform, run_python, unique
from support.raw_mlflow import RawMlflow, error
from support.registered import mlflow_client

DONE, REFUSED = "done", "refused"
#: The kind of an item, the operation, and its ID.
Step = tuple[str, str, str]
Question = Callable[[RegistryClient], Coroutine[Any, Any, ItemChanges]]
ID_OF = {"runs": "run_id", "experiments": "experiment_id"}

BY_SDK = """
import json, sys
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

client = MlflowClient()
calls = {
    ("runs", "delete"): client.delete_run,
    ("runs", "restore"): client.restore_run,
    ("experiments", "delete"): client.delete_experiment,
    ("experiments", "restore"): client.restore_experiment,
}
for kind, verb, id_ in json.loads(sys.argv[1]):
    try:
        calls[kind, verb](id_)
        print("done")
    except MlflowException as error:
        print("refused" if error.error_code == "PERMISSION_DENIED" else error)
"""


@dataclass(frozen=True)
class Place:
    platform: Platform
    project: Project
    people: dict[str, str | None] = field(default_factory=dict)

    def made(self) -> list[Step]:
        """New items, half of them deleted, and all that can be done with them and with experiment 0."""
        gone, stays = self._experiment(), self._experiment()
        active, deleted = self._run(stays), self._run(stays)
        self._change(lambda client: client.delete_runs(self.project.id, RunsChosen(run_ids=[deleted])))
        chosen = ExperimentsChosen(experiment_ids=[gone])
        self._change(lambda client: client.delete_experiments(self.project.id, chosen))
        return [
            ("runs", "delete", active),
            ("runs", "restore", deleted),
            ("experiments", "delete", stays),
            ("experiments", "restore", gone),
            ("experiments", "delete", "0"),
            ("experiments", "restore", "0"),
        ]

    def stages(self, steps: list[Step]) -> list[str]:
        """Whether each item is active or deleted."""

        async def ask(client: RegistryClient) -> list[str]:
            found: list[str] = []
            for kind, _, id_ in steps:
                one = client.run(self.project.id, id_) if kind == "runs" else client.experiment(self.project.id, id_)
                found.append((await one).lifecycle_stage)
            return found

        return self.platform.ask(ask)

    def _change(self, question: Question) -> None:
        assert not self.platform.ask(question).failed

    def _experiment(self) -> str:
        request = ExperimentCreate(name=unique("experiment"))
        return self.platform.ask(lambda client: client.create_experiment(self.project.id, request)).id

    def _run(self, experiment: str) -> str:
        with mlflow_client(self.platform.ask(lambda client: client.credentials(self.project.id))) as http:
            answer = http.post("/api/2.0/mlflow/runs/create", json={"experiment_id": experiment}).raise_for_status()
        return str(answer.json()["run"]["info"]["run_id"])


def by_service(place: Place, user: str | None, steps: list[Step]) -> list[str]:
    """The service's REST API, which the terminal program asks too."""

    def one(kind: str, verb: str, id_: str) -> str:
        if kind == "runs":
            chosen = RunsChosen(run_ids=[id_])
            return _sent(place, user, lambda client: getattr(client, f"{verb}_runs")(place.project.id, chosen))
        which = ExperimentsChosen(experiment_ids=[id_])
        return _sent(place, user, lambda client: getattr(client, f"{verb}_experiments")(place.project.id, which))

    return [one(*step) for step in steps]


def _sent(place: Place, user: str | None, question: Question) -> str:
    try:
        changes = place.platform.ask(question, user=user)
    except Refused:
        return REFUSED
    return DONE if not changes.failed else str(changes.failed)


def by_command(place: Place, user: str | None, steps: list[Step]) -> list[str]:
    """The command line."""

    def one(kind: str, verb: str, id_: str) -> str:
        who = ["--user", user] if user else []
        sure = ["--yes"] if verb == "delete" else []
        done = place.platform.command(*who, kind, verb, id_, "--project", place.project.id, *sure, check=False)
        if done.returncode == 0:
            return DONE
        return REFUSED if "contributor" in done.stderr else done.stderr

    return [one(*step) for step in steps]


def by_mlflow(prefix: str) -> Callable[[Place, str | None, list[Step]], list[str]]:
    """MLflow's own REST API."""

    def door(place: Place, user: str | None, steps: list[Step]) -> list[str]:
        exports = place.platform.exports(place.project.id)
        raw = RawMlflow(place.platform, exports["MLFLOW_TRACKING_URI"], user or exports["MLFLOW_TRACKING_USERNAME"])

        def one(kind: str, verb: str, id_: str) -> str:
            answer = raw.ask("POST", f"{prefix}/{kind}/{verb}", json={ID_OF[kind]: id_})
            if answer.is_success:
                return DONE
            return REFUSED if error(answer) == (403, "PERMISSION_DENIED") else answer.text

        return [one(*step) for step in steps]

    return door


def by_sdk(place: Place, user: str | None, steps: list[Step]) -> list[str]:
    """MLflow's Python client."""
    credentials = place.platform.ask(lambda client: client.credentials(place.project.id), user)
    return run_python(BY_SDK, credentials.as_exports(), json.dumps(steps)).split("\n")[: len(steps)]


Door = Callable[[Place, "str | None", "list[Step]"], "list[str]"]
DOORS: dict[str, Door] = {
    "service": by_service,
    "command": by_command,
    "mlflow": by_mlflow("/api/2.0/mlflow"),
    "mlflow-page": by_mlflow("/ajax-api/2.0/mlflow"),
    "sdk": by_sdk,
}


async def _let_in(project: str, user: str, change: CollaboratorChange, client: RegistryClient) -> object:
    return await client.set_collaborator(project, user, change)


@pytest.fixture(scope="module")
def place(platform: Platform) -> Place:
    project = platform.new_project()
    people: dict[str, str | None] = {"owner": None}
    for role in (Role.CONTRIBUTOR, Role.VIEWER):
        people[role.value] = name = unique(role.value)
        platform.ask(partial(_let_in, project.id, name, CollaboratorChange(role=role)))
    return Place(platform, project, people)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("person", ["owner", "contributor"])
def test_who_may_change_deletes_and_restores_what_others_made(place: Place, person: str, door: str) -> None:
    steps = place.made()
    assert place.stages(steps) == ["active", "deleted", "active", "deleted", "active", "active"]
    assert DOORS[door](place, place.people[person], steps[:2]) == [DONE] * 2
    assert place.stages(steps[:2]) == ["deleted", "active"]
    assert DOORS[door](place, place.people[person], steps[2:]) == [DONE] * 4
    assert place.stages(steps[2:]) == ["deleted", "active", "active", "active"]


@pytest.mark.parametrize("door", DOORS)
def test_a_viewer_deletes_and_restores_nothing(place: Place, door: str) -> None:
    steps = place.made()
    before = place.stages(steps)
    assert DOORS[door](place, place.people["viewer"], steps) == [REFUSED] * len(steps)
    assert place.stages(steps) == before
