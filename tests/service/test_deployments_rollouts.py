"""Rollouts: versions that cannot serve, followed aliases, steps back, and environments."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from typing import Any

import pytest

from registry_tui.client import RegistryClient
from registry_tui.schemas.deployments import BuildState, DeploymentCreate, DeploymentState, RevisionState
from registry_tui.schemas.operations import WorkflowStatus
from registry_tui.service.adapters.mlflow import Mlflow
from support.platforms import ENVIRONMENT, PATIENCE, Platform, unique, wait_for
from support.served import Served, answer, deploy, finish, kill_replica, now, register, replicas, split, update


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"fail": "no such file: weights.bin"}, "no such file: weights.bin"),
        ({"die": True}, "ends while it starts"),
        ({"requirements": None}, "the file 'requirements.txt', which is missing"),
        ({"requirements": "mlflow\nno-such-package-at-all==1.2.3\n"}, "no-such-package-at-all==1.2.3"),
    ],
    ids=["load", "die", "no requirements", "impossible requirement"],
)
def test_a_version_that_cannot_serve_leaves_the_old_one(
    platform: Platform, two: Served, settings: dict[str, Any], reason: str
) -> None:
    first = register(platform, two.project, add=1)
    register(platform, two.project, first.version.model_name, **settings)
    deployment = deploy(platform, first)
    before = replicas(platform, deployment)[0].pid
    found = update(platform, deployment, WorkflowStatus.FAILED, version=2)
    assert (found.state, found.version) == (DeploymentState.DEPLOYED, 1)
    assert "rolled back" in found.reason and reason in found.reason
    assert answer(deployment) == [4.0]
    assert [each.pid for each in replicas(platform, deployment)] == [before]
    failed = platform.ask(lambda client: client.revisions(deployment.id))[0]
    assert failed.state is RevisionState.FAILED and reason in failed.error
    built = BuildState.FAILED if "requirements" in settings else BuildState.BUILT
    assert failed.build is built


def test_a_damaged_archive_is_not_served(platform: Platform, two: Served) -> None:
    from support.registered import object_names, object_store

    victim = register(platform, two.project, add=1)
    bucket = platform.ask(lambda client: client.registry(victim.registry)).bucket
    [name] = [
        name
        for name in object_names(platform, bucket, f"modelregistry/{victim.version.model_id}/")
        if name.endswith("settings.json")
    ]
    object_store(platform).put_object(Bucket=bucket, Key=name, Body=b'{"add": 9}')
    request = DeploymentCreate(name=unique("d"), project=two.project.id, model=victim.version.model_id, version=1)
    accepted = platform.ask(lambda client: client.create_deployment(request))
    ended = finish(platform, accepted.workflow, WorkflowStatus.FAILED)
    assert "damaged" in str(ended.error) and "settings.json" in str(ended.error)
    assert now(platform, accepted.resource).state is DeploymentState.FAILED


def test_a_local_copy_that_changed_is_noticed_when_it_is_loaded(platform: Platform, two: Served) -> None:
    victim = register(platform, two.project, add=1)
    deployment = deploy(platform, victim)
    copy = platform.home.serving / "models" / victim.version.model_id / victim.version.id / "files"
    [settings] = copy.rglob("settings.json")
    settings.write_text('{"add": 9}')
    kill_replica(platform, deployment)
    told = wait_for(
        lambda: [each for each in replicas(platform, deployment) if "damaged" in each.detail], what="the reason"
    )
    assert "settings.json" in told[0].detail
    # A restart fetches the archive again.
    moved = platform.ask(lambda client: client.restart_deployment(deployment.id))
    finish(platform, moved.workflow)
    assert answer(deployment) == [4.0]


def test_a_deployment_says_why_it_cannot_follow_its_alias(platform: Platform, two: Served) -> None:
    registry, model, name = two.registry, two.version.model_id, two.version.model_name
    mlflow = Mlflow(platform.ports, platform.secrets)
    platform.ask(lambda client: client.set_alias(registry, model, "followed", 1))
    deployment = deploy(platform, two, version=None, alias="followed", follow_alias=True)

    def says(words: str) -> None:
        reason = wait_for(lambda: found if words in (found := now(platform, deployment).reason) else "", what=words)
        assert "version 1 goes on serving" in reason

    try:
        platform.ask(lambda client: client.delete_alias(registry, model, "followed"))
        says(f"model {name} has no alias followed any more")
        mlflow.set_version_status(f"mr-{ENVIRONMENT}", name, 2, "FAILED_REGISTRATION", "the disk was full")
        # As an alias that was set while the version was being stored.
        with closing(sqlite3.connect(platform.home.mlflow_database, timeout=60)) as database, database:
            columns = "INSERT INTO registered_model_aliases (workspace, name, alias, version) VALUES (?, ?, ?, ?)"
            database.execute(columns, (f"mr-{ENVIRONMENT}", name, "followed", 2))
        says("version 2, which could not be stored (the disk was full)")
        refused = platform.command("models", "alias", "set", name, "other", "2", check=False)
        assert refused.returncode != 0 and "could not be stored: the disk was full" in refused.stderr
        assert answer(deployment) == [13.0]
    finally:
        mlflow.set_version_status(f"mr-{ENVIRONMENT}", name, 2, "READY")
    wait_for(lambda: now(platform, deployment).version == 2, what="the deployment to follow", timeout=2 * PATIENCE)
    wait_for(lambda: now(platform, deployment).state == "deployed", what="the rollout", timeout=2 * PATIENCE)
    wait_for(lambda: not now(platform, deployment).reason, what="the reason to go")
    assert answer(deployment) == [23.0]


def test_a_step_back_is_to_what_served_before_and_not_to_another_number_of_replicas(
    platform: Platform, two: Served
) -> None:
    deployment = deploy(platform, two, version=1)
    update(platform, deployment, version=2)
    update(platform, deployment, replicas=2)
    finish(platform, platform.ask(lambda client: client.restart_deployment(deployment.id)).workflow)
    finish(platform, platform.ask(lambda client: client.roll_back_deployment(deployment.id)).workflow)
    found = now(platform, deployment)
    assert (found.version, found.replicas_wanted) == (1, 2)


def test_a_version_that_fails_over_its_own_example_is_rolled_back(platform: Platform, two: Served) -> None:
    deployment = deploy(platform, two, version=1)
    failing = register(platform, two.project, two.version.model_name, example=split(a=[1.0], b=[2.0], exit=[1.0]))
    found = update(platform, deployment, WorkflowStatus.FAILED, version=failing.version.version)
    assert found.version == 1 and "own input example" in found.reason
    assert answer(deployment) == [13]


def test_an_environment_is_made_once_from_the_same_requirements(platform: Platform, two: Served) -> None:
    """iniconfig is older than the one that tests run with, so that the platform's environment does not do."""
    first = register(platform, two.project, add=5, requirements="mlflow==3.17.2\niniconfig<2\n")
    second = register(platform, two.project, add=6, requirements="iniconfig<2\nmlflow==3.17.2\n")
    made = [deploy(platform, each) for each in (first, second)]
    assert [answer(each) for each in made] == [[8.0], [9.0]]
    builds = [platform.call(RegistryClient.revisions, each.id)[0] for each in made]
    assert builds[0].python_environment == builds[1].python_environment != "platform"
    found = platform.ask(lambda client: client.workflows(kind="deploy", page_size=1000)).items
    workflows = [next(each.id for each in found if each.resource_id == deployment.id) for deployment in made]
    asked = [partial(RegistryClient.workflow_logs, workflow=each, page_size=1000) for each in workflows]
    logs = [platform.ask(question).items for question in asked]
    earlier, later = ([line.text for line in lines] for lines in logs)
    assert any("iniconfig<2 (here" in line for line in earlier) and any("+ mlflow==3.17.2" in line for line in earlier)
    assert any("was made earlier" in line for line in later)
    with open(f"/proc/{replicas(platform, made[0])[0].pid}/cmdline", "rb") as command:
        assert builds[0].python_environment.encode() in command.read()
