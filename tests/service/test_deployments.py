"""Deployments on a real platform: real processes, real requests through the gateway."""

from __future__ import annotations

import json
from typing import Any

import pytest

from registry_tui.client.errors import Conflict, NotFound, Refused, WrongInput
from registry_tui.schemas.deployments import DeploymentCreate, DeploymentUpdate, EnvironmentVariable
from registry_tui.schemas.operations import Accepted
from registry_tui.schemas.places import CollaboratorChange, Role
from registry_tui.schemas.scaling import Autoscaling
from support.load import Load
from support.platforms import Platform, unique, wait_for
from support.secret_search import hidden
from support.served import Served, answer, call, deploy, finish, now, replicas, split, update

#: The value of a secret variable.
HIDDEN = hidden()
MIB = 1 << 20


def test_scaling_leaves_the_replicas_that_stay(platform: Platform, two: Served) -> None:
    deployment = deploy(platform, two)
    first = replicas(platform, deployment)[0]
    with Load(deployment) as load:
        update(platform, deployment, replicas=4)
        wait_for(lambda: now(platform, deployment).replicas_ready == 4, what="all four to answer")
        four = replicas(platform, deployment)
        assert len({each.pid for each in four}) == 4 and four[0].pid == first.pid
        update(platform, deployment, replicas=1)
        wait_for(lambda: now(platform, deployment).replicas_ready == 1, what="the one to answer")
    assert [each.pid for each in replicas(platform, deployment)] == [first.pid]
    assert set(load.statuses) == {200}, load.statuses
    # The logs of those that went are there still, after that of the one that serves.
    logs = platform.ask(lambda client: client.replica_logs(deployment.id))
    assert (logs[0].name, logs[0].serving) == ("1-0", True)
    assert {each.name for each in logs if not each.serving} == {"1-1", "1-2", "1-3"}


def test_a_replica_over_its_memory_is_restarted_and_says_why(platform: Platform, two: Served) -> None:
    deployment = deploy(platform, two, memory_bytes=400 * MIB)
    call(deployment, split(grow=[300], a=[1], b=[2]))
    found = wait_for(lambda: [each for each in replicas(platform, deployment) if each.restarts == 1], what="a restart")
    wait_for(lambda: now(platform, deployment).replicas_ready == 1, what="it to be back")
    wait_for(lambda: "0.39 GiB" in now(platform, deployment).reason, what="the reason")
    log = platform.ask(lambda client: client.replica_log(deployment.id, found[0].name))
    assert any("was restarted" in line for line in log.lines)
    assert platform.events(action="deployment.replica-over-memory", resource=deployment.id)
    assert answer(deployment) == [23.0]


def test_stop_restart_delete(platform: Platform, two: Served) -> None:
    deployment = deploy(platform, two)
    with pytest.raises(Conflict, match="is deployed"):
        platform.ask(lambda client: client.delete_deployment(deployment.id))
    with pytest.raises(Conflict, match="It is deployed"):
        platform.ask(lambda client: client.delete_version(two.registry, two.version.model_id, 2))
    with pytest.raises(Conflict, match=r"still has (deployments|experiments)"):
        platform.ask(lambda client: client.delete_project(two.project.id))
    stopped = platform.ask(lambda client: client.stop_deployment(deployment.id))
    finish(platform, stopped.workflow)
    assert replicas(platform, deployment) == []
    refused = call(deployment)
    assert refused.status_code == 503 and "is stopped" in refused.json()["detail"] and refused.headers["Retry-After"]
    started = platform.ask(lambda client: client.restart_deployment(deployment.id))
    finish(platform, started.workflow)
    assert answer(deployment) == [23.0]
    gone = platform.ask(lambda client: client.delete_deployment(deployment.id, force=True))
    finish(platform, gone.workflow)
    assert call(deployment).status_code == 404
    assert not (platform.home.serving / "deployments" / deployment.id).exists()


def test_what_is_not_possible_is_said(platform: Platform, two: Served) -> None:
    taken = deploy(platform, two)

    def refused(error: type[Exception], match: str, **fields: Any) -> None:
        values: dict[str, Any] = {"name": unique("d"), "project": two.project.id, "model": two.version.model_id}
        request = DeploymentCreate(**{**values, "version": 1, **fields})
        with pytest.raises(error, match=match):
            platform.ask(lambda client: client.create_deployment(request))

    refused(Conflict, "has a deployment", name=taken.name)
    refused(WrongInput, "this machine has", memory_bytes=1 << 50)
    refused(WrongInput, "CPUs are asked for", cpu=200)
    refused(NotFound, "no version 99", version=99)
    refused(WrongInput, "has no alias 'gold'", version=None, alias="gold")
    refused(WrongInput, "either a version or an alias", alias="gold")
    refused(WrongInput, "either a version or an alias", version=None)
    refused(NotFound, "no project", project="nowhere")
    refused(NotFound, "no model", model="Nothing")
    twice = [EnvironmentVariable(name="A", value="1"), EnvironmentVariable(name="A", value="2")]
    refused(WrongInput, "given twice", environment=twice)
    refused(WrongInput, "has no value", environment=[EnvironmentVariable(name="A", secret=True)])
    for name in ("LD_PRELOAD", "PYTHONPATH", "_MLFLOW_IS_IN_SERVING_ENVIRONMENT"):
        refused(WrongInput, "belong to the platform", environment=[EnvironmentVariable(name=name, value="x")])
    refused(WrongInput, "fixed number of replicas", autoscaling=Autoscaling(max_replicas=2))
    refused(WrongInput, "no replica is given GPUs", gpus=1)
    for count in (0, 10_000):
        body: dict[str, Any] = {"name": "d", "project": two.project.id, "model": "m", "version": 1, "replicas": count}
        with pytest.raises(ValueError, match="replicas"):
            DeploymentCreate(**body)
    outsider = unique("outsider")
    elsewhere = platform.new_project()
    viewer = CollaboratorChange(role=Role.VIEWER)
    platform.ask(lambda client: client.set_collaborator(elsewhere.id, outsider, viewer))
    with pytest.raises(Refused):
        platform.ask(lambda client: client.deployment(taken.id), outsider)
    assert platform.ask(lambda client: client.deployments(), outsider).items == []


def test_variables_reach_the_model_and_secret_ones_are_not_told(platform: Platform, two: Served) -> None:
    given = [
        EnvironmentVariable(name="PLAIN", value="seen"),
        EnvironmentVariable(name="TOKEN", value=HIDDEN, secret=True),
    ]
    deployment = deploy(platform, two, environment=given)
    assert answer(deployment, split(variable=["PLAIN", "TOKEN"])) == ["seen", HIDDEN]
    told = platform.ask(lambda client: client.revisions(deployment.id))[0].environment
    assert [(each.name, each.value, each.secret) for each in told] == [("PLAIN", "seen", False), ("TOKEN", None, True)]
    pid = replicas(platform, deployment)[0].pid
    with open(f"/proc/{pid}/environ", "rb") as environ, open(f"/proc/{pid}/cmdline", "rb") as command:
        assert HIDDEN.encode() not in environ.read() + command.read()
    kept = [EnvironmentVariable(name="PLAIN", value="new"), EnvironmentVariable(name="TOKEN", secret=True)]
    update(platform, deployment, environment=kept)
    assert answer(deployment, split(variable=["PLAIN", "TOKEN"])) == ["new", HIDDEN]


def test_the_command_line_sets_and_takes_away_single_variables(platform: Platform, two: Served) -> None:
    given = [
        EnvironmentVariable(name="PLAIN", value="seen"),
        EnvironmentVariable(name="TOKEN", value=HIDDEN, secret=True),
    ]
    deployment = deploy(platform, two, environment=given)

    def update(*options: str, check: bool = True) -> str:
        return platform.command("deployments", "update", deployment.name, *options, check=check).stderr

    update("--env", "MORE=also", "--unset-env", "PLAIN")
    asked = split(variable=["PLAIN", "TOKEN", "MORE"])
    assert answer(deployment, asked) == ["", HIDDEN, "also"]
    assert "no variable is named NONE" in update("--unset-env", "NONE", check=False)
    update("--unset-env", "TOKEN")
    assert answer(deployment, asked) == ["", "", "also"]


def test_a_contributor_may_change_what_serves_somebody_elses_private_model(platform: Platform, two: Served) -> None:
    elsewhere, helper = platform.new_project(), unique("helper")
    deployment = deploy(platform, two, version=1, project=elsewhere.id)
    contributor = CollaboratorChange(role=Role.CONTRIBUTOR)
    platform.ask(lambda client: client.set_collaborator(elsewhere.id, helper, contributor))
    request = DeploymentUpdate(replicas=2)
    accepted = platform.ask(lambda client: client.update_deployment(deployment.id, request), helper)
    assert isinstance(accepted, Accepted)
    finish(platform, accepted.workflow)
    assert platform.ask(lambda client: client.deployment_example(deployment.id), helper).example
    # Another version of a model that he may not see is not his to choose.
    with pytest.raises(NotFound):
        platform.ask(lambda client: client.update_deployment(deployment.id, DeploymentUpdate(version=2)), helper)


def test_deployments_of_one_name_are_told_apart_and_those_of_others_do_not_count(
    platform: Platform, two: Served
) -> None:
    elsewhere, member, name = platform.new_project(), unique("member"), unique("same")
    deploy(platform, two, name=name)
    other = deploy(platform, two, name=name, project=elsewhere.id)
    whole = f"{elsewhere.workspace_name}/{elsewhere.name}/{name}"
    with pytest.raises(WrongInput, match=whole):
        platform.ask(lambda client: client.deployment(name))
    assert platform.ask(lambda client: client.deployment(whole)).id == other.id
    viewer = CollaboratorChange(role=Role.VIEWER)
    platform.ask(lambda client: client.set_collaborator(elsewhere.id, member, viewer))
    assert platform.ask(lambda client: client.deployment(name), member).id == other.id


def test_the_command_line(platform: Platform, two: Served) -> None:
    name = unique("cli")
    arguments = ["create", name, "-p", two.project.name, "-m", two.version.model_name, "--version", "1"]
    platform.command("deployments", *arguments, "--no-authentication")
    shown = json.loads(platform.command("deployments", "show", name, "--json").stdout)
    assert (shown["state"], shown["version"]) == ("deployed", 1)
    assert json.loads(platform.command("deployments", "test", name).stdout) == {"predictions": [13.0]}
    platform.command("deployments", "scale", name, "2")

    def listed() -> str:
        lines = platform.command("deployments", "list").stdout.splitlines()
        return next(line for line in lines if name in line)

    wait_for(lambda: "2/2" in listed(), what="both to answer")
    platform.command("deployments", "update", name, "--version", "2")
    assert "ready" in platform.command("deployments", "logs", name).stdout
    platform.command("deployments", "rollback", name)
    assert "rolled back to revision 2" in platform.command("deployments", "history", name).stdout
    failed = platform.command("deployments", "update", name, "--version", "77", check=False)
    assert failed.returncode == 1 and "no version 77" in failed.stderr
    platform.command("deployments", "stop", name)
    platform.command("deployments", "delete", name, "--yes")
    assert name not in platform.command("deployments", "list").stdout
    key = platform.command("keys", "create", "ci", "--expires", "30").stdout.strip()
    assert key.startswith("rtk_")
    platform.command("keys", "revoke", key.split("_")[1], "--yes")
