"""Which version served at a time: over a rollout, a followed alias, a stop, and the deletion of all that it names."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import NotFound, ServiceProblem
from registry_tui.schemas.deployments import ServedAt, ServedState
from registry_tui.schemas.operations import WorkflowStatus
from registry_tui.schemas.people import UserChange
from registry_tui.schemas.places import CollaboratorChange, Role
from support.platforms import PATIENCE, Platform, unique, wait_for
from support.served import Served, deploy, finish, now, register, update

_MOMENT = timedelta(milliseconds=1)


def at(platform: Platform, deployment: str, time: datetime, user: str | None = None) -> ServedAt:
    return platform.ask(lambda client: client.served_at(deployment, time), user=user)


def test_the_past_of_a_deployment_outlives_all_that_it_names(platform: Platform, two: Served) -> None:
    version, name = two.version, unique("d")
    first = register(platform, two.project, add=1)
    second = register(platform, two.project, first.version.model_name, add=2)
    model, registry = first.version.model_name, first.registry
    platform.call(RegistryClient.set_alias, registry, model, "champion", 1)
    person = unique("deployer")
    platform.call(RegistryClient.put_user, person, UserChange())
    admin = CollaboratorChange(role=Role.CONTRIBUTOR)
    platform.call(RegistryClient.set_collaborator, two.project.id, person, admin)
    made = deploy(platform, first, name=name, version=None, alias="champion", follow_alias=True, cpu=0.1)
    [began] = platform.ask(lambda client: client.revisions(made.id))
    platform.call(RegistryClient.set_alias, registry, model, "champion", 2)
    wait_for(lambda: now(platform, made).version == 2, what="the alias to be followed", timeout=PATIENCE)
    wait_for(lambda: now(platform, made).state == "deployed", what="the rollout to end", timeout=PATIENCE)
    newest = platform.ask(lambda client: client.revisions(made.id))[0]

    during = at(platform, name, newest.created_at + _MOMENT)
    assert during.state is ServedState.ROLLING_OUT
    assert during.serving is not None and during.rolling_out is not None
    assert (during.serving.version, during.rolling_out.version) == (1, 2)
    me = platform.ask(lambda client: client.whoami()).name
    assert during.rolling_out.alias_moved_by == me
    began_at = during.rolling_out.began_at
    assert began_at is not None
    after = at(platform, made.id, began_at)
    assert after.state is ServedState.SERVING and after.serving is not None and after.before is not None
    assert (after.serving.version, after.before.version, after.before.end) == (2, 1, "replaced by revision 2")
    assert at(platform, name, began.created_at - timedelta(days=1)).state is ServedState.NOT_YET

    broken = register(platform, two.project, model, fail="no such file")
    update(platform, made, WorkflowStatus.FAILED, version=broken.version.version)
    failed = platform.ask(lambda client: client.revisions(made.id))[0]
    tried = at(platform, name, failed.created_at + _MOMENT)
    assert tried.serving is not None and tried.serving.version == 2
    assert tried.rolling_out is not None and tried.rolling_out.began_at is None
    assert "no such file" in tried.rolling_out.end

    stopped = platform.ask(lambda client: client.stop_deployment(made.id), user=person)
    finish(platform, stopped.workflow)
    present = at(platform, name, datetime.now(began.created_at.tzinfo))
    assert present.state is ServedState.STOPPED and present.serving is None and present.before is not None
    assert (present.before.version, present.before.end, present.before.ended_by) == (2, "stopped", person)

    gone = platform.ask(lambda client: client.delete_deployment(made.id))
    finish(platform, gone.workflow)
    platform.call(RegistryClient.delete_model, registry, model)
    platform.call(RegistryClient.delete_user, person, me)
    again = at(platform, name, began_at)
    assert again.serving is not None and (again.serving.model_name, again.serving.version) == (model, 2)
    assert again.after is None and again.deleted_at is not None and again.deleted_by == me
    last = at(platform, name, again.deleted_at)
    assert last.state is ServedState.DELETED and last.before is not None and last.before.ended_by == person
    said = platform.command("deployments", "at", name, began_at.isoformat())
    assert said.returncode == 0, said.stderr
    assert f"served {model} v2 (revision 2), deployed by {me}" in said.stdout and "deleted:" in said.stdout
    assert second.version.version == 2 and version.version == 2


def test_strangers_learn_nothing_of_the_past(platform: Platform, two: Served) -> None:
    name, stranger = unique("d"), unique("stranger")
    made = deploy(platform, two, name=name, cpu=0.1)
    platform.call(RegistryClient.put_user, stranger, UserChange())
    with pytest.raises(ServiceProblem):
        at(platform, name, made.created_at, user=stranger)
    gone = platform.ask(lambda client: client.delete_deployment(made.id, force=True))
    finish(platform, gone.workflow)
    with pytest.raises(NotFound):
        at(platform, name, made.created_at, user=stranger)
    assert at(platform, name, made.created_at).deployment_id == made.id
