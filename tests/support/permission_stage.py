"""An environment with one of everything, people of every kind, and their permissions by the table."""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from registry_tui.client.client import RegistryClient
from registry_tui.contracts.permissions import RULES, Action, Holder, Scope
from registry_tui.contracts.permitted_operations import FOR_NOBODY, OPERATIONS
from registry_tui.schemas.attached import AttachedServerCreate
from registry_tui.schemas.deployments import ApiKeyCreate, DeploymentState
from registry_tui.schemas.models import ModelUpdate, Visibility
from registry_tui.schemas.people import (
    EnvironmentRole,
    GroupChange,
    RolesChange,
    UserChange,
    UserState,
    UserTokenCreate,
)
from registry_tui.schemas.places import CollaboratorChange, EnvironmentCreate, Role, WorkspaceCreate
from registry_tui.schemas.promotion import ApprovalAsk, ApprovalDecision, Decision, PromotionRules
from registry_tui.schemas.registries import RegistryCreate
from registry_tui.schemas.tracking import ExperimentCreate, RunPurge
from registry_tui.schemas.webhooks import WebhookCreate
from support import served
from support.little_mlflow import ATTACHABLE, serving
from support.platforms import Platform, unique, wait_for

R = EnvironmentRole
#: Each person's roles in the environment and in the project.
PEOPLE: Mapping[str, tuple[tuple[EnvironmentRole, ...], Role | None]] = {
    "EnvironmentAdmin": ((R.ENVIRONMENT_ADMIN,), None),
    "MLAdmin": ((R.ENVIRONMENT_USER, R.ML_ADMIN), None),
    "both admins": ((R.ENVIRONMENT_ADMIN, R.ML_ADMIN), None),
    "MLUser": ((R.ENVIRONMENT_USER, R.ML_USER), None),
    "EnvironmentUser": ((R.ENVIRONMENT_USER,), None),
    "viewer": ((), Role.VIEWER),
    "contributor": ((), Role.CONTRIBUTOR),
    "owner": ((), Role.ADMIN),
    "nobody": ((), None),
    "suspended": ((R.ENVIRONMENT_ADMIN, R.ML_ADMIN), Role.ADMIN),
}
_PROJECT = {Role.VIEWER: Holder.VIEWER, Role.CONTRIBUTOR: Holder.CONTRIBUTOR, Role.ADMIN: Holder.OWNER}
#: The people to walk last, so that things the others may not delete still exist.
ORDER = ("unknown token", "suspended", *(name for name in PEOPLE if name != "suspended"), "administrator")

#: Nobody listens there: the messages wait.
WEBHOOK = "http://localhost:1/"
ONE = {"run_ids": ["{run}"]}
EXPERIMENTS = {"experiment_ids": ["{experiment}"]}
POLICY = {"name": "table", "service": "{ranger_service}", "resources": {}}
#: Bodies of requests, and queries. Where something would be made or lost, another rule than the permission refuses it:
#: the name is taken, the place is not empty, the thing is in use.
BODIES: dict[str, Any] = {
    "create_environment": {"name": "{environment_name}"},
    "create_workspace": {"name": "{workspace_name}", "environment": "{environment}"},
    "attach_server": {"name": "{workspace_name}", "environment": "{environment}", "url": "http://127.0.0.1:1"},
    # Refused for its address, after the check of the caller.
    "change_server": {"url": "ftp://nowhere"},
    "create_project": {"name": "{project_name}", "workspace": "{workspace}"},
    "create_registry": {"environment": "{environment}"},
    "set_user_roles": {"roles": []},
    "set_group_roles": {"roles": []},
    "set_collaborator": {"role": "viewer"},
    "delete_registry": {"force": False},
    "clean_up_storage": {"archives": ["aaaa-bbbb-cccc-dddd/aaaa-bbbb-cccc-dddd"]},
    # Refused after the check of the caller: the environment has no store of its own.
    "change_store": {"store": {"kind": "directory", "address": {"path": "/nowhere/at/all"}}},
    # Refused for its address.
    "change_backend": {"kind": "ray", "address": "ftp://nowhere", "token": "none"},
    "give_store_key": {"store": {"kind": "directory", "address": {"path": "/nowhere/at/all"}}},
    "check_store": {"store": {"kind": "directory", "address": {"path": "/nowhere/at/all"}}},
    "search_runs": EXPERIMENTS,
    "group_runs": {**EXPERIMENTS, "param": "x"},
    "registered_from": ONE,
    "get_dependents_of_all": {"nodes": ["{node}"]},
    "create_experiment": {"name": "{experiment_name}"},
    "update_experiment": {"name": "{experiment_name}"},
    "delete_experiments": {"experiment_ids": ["{spare_experiment}"]},
    "restore_experiments": {"experiment_ids": ["{spare_experiment}"]},
    "update_runs": {**ONE, "name": "table"},
    "delete_runs": {"run_ids": ["0" * 32]},
    "restore_runs": {"run_ids": ["0" * 32]},
    "purge_runs": {"run_ids": []},
    "import_attached_models": {"models": ["none"]},
    "register_model": {"name": "{model}", "run_id": "0" * 32, "artifact_path": "model"},
    "update_model": {"description": "table"},
    "update_version": {"notes": "table"},
    "set_card": {"text": "table"},
    "set_stage": {"stage": "QA"},
    # Refused after the check of the caller: the version exists.
    "promote_version": {"to": "{registry}"},
    "ask_approval": {},
    # Refused after the check of the caller: it was approved.
    "decide_approval": {"decision": "reject"},
    "set_promotion_rules": {"four_eyes": False},
    "create_deployment": {"name": "{deployment_name}", "project": "{project}", "model": "{model}", "version": 1},
    "update_deployment": {"description": "table"},
    "test_deployment": {"body": "{}"},
    # Refused after the check of the caller: the deployment has no canary.
    "decide_canary": {"decision": "pause"},
    "put_user": {},
    "change_user": {"full_name": "Table"},
    # Refused after the check of the caller: the rules have no such number.
    "set_rules": {"text": "rules: []", "instead_of": 999},
    "set_exception": {"reason": "table"},
    # Refused after the check of the caller.
    "add_signing_key": {"name": "table", "public_key": "none"},
    "sign_version": {"signature": "none"},
    "put_group": {},
    "sign_in": {"id_token": "a.b.c"},
    "sign_in_with_device_code": {"device_code": "a"},
    # Refused for its address, after the check of the caller.
    "set_issuer": {"url": "http://login.example.com", "client_id": "table"},
    "create_token": {"name": "table"},
    "create_key": {"name": "table"},
    "limit_key": {},
    "set_request_log": {"share": 0},
    "set_drift_rules": {},
    "set_profile": {
        "source": "table",
        "rows": 1,
        "columns": [{"name": "a", "numeric": False, "count": 1, "shares": [1, 0], "categories": ["x"]}],
    },
    # Refused for its host, after the check of the caller.
    "create_webhook": {
        "name": "table",
        "environment": "{environment}",
        "url": "https://elsewhere.example.com/",
        "registry": "{registry}",
        "model": "{model}",
    },
    "change_webhook": {"url": "https://elsewhere.example.com/"},
    "replay_webhook": {"delivery": "none"},
    "get_idbroker_mappings": {"environmentName": "{environment_name}"},
    "get_idbroker_mappings_sync_status": {"environmentName": "{environment_name}"},
    "sync_idbroker_mappings": {"environmentName": "{environment_name}"},
    "delete_idbroker_mappings": {"environmentCrn": "{environment_name}"},
    "set_idbroker_mappings": {"environmentName": "{environment_name}", "dataAccessRole": "none", "mappings": []},
    "rotate_secrets": {},
    "clean_platform": {},
    "set_ranger_source": {"url": "http://127.0.0.1:1", "service": "none"},
    "authorize": {
        "access": {"resource": {"name": "s3a://x/y"}, "permissions": ["read"]},
        "user": {"name": "x"},
        "context": {"serviceName": "table-none"},
    },
    "create_ranger_policy": POLICY,
    "apply_ranger_policy": POLICY,
    "update_ranger_policy": POLICY,
    "update_policy_of_service": POLICY,
    # A member of itself: refused after the check of the caller.
    "create_ranger_role": {"name": "table", "roles": [{"name": "table"}]},
    "update_ranger_role": {"name": "table"},
    "grant_ranger_role": {"targetRoles": ["none"], "users": ["table"]},
    "revoke_ranger_role": {"targetRoles": ["none"], "users": ["table"]},
}
QUERIES = {
    "set_alias": "version=1",
    "read_artifact": "path=model/MLmodel",
    "read_archive": "path=MLmodel",
    "metric_history": "metric=loss",
    "metric_curve": "metric=loss",
    "delete_user": "to=nobody-at-all",
    "search": "q=table",
    "versions_using": "uses=mlflow",
    "served_at": "time=2026-01-01T00:00:00Z",
    "get_lineage": "node={node}",
    "get_dependents": "node={node}",
    "list_neighbours": "node={node}&direction=dependents",
    "delete_ranger_policy_by_name": "servicename=table-none&policyname=table",
}
#: Which of the names in the table's addresses are other than usual.
NAMES = {
    ("get_user", "user"): "{me}",
    ("put_user", "user"): "{owner}",
    ("change_user", "user"): "{owner}",
    ("delete_user", "user"): "{owner}",
    ("delete_group", "group"): "{spare_group}",
    ("set_collaborator", "user"): "{guest}",
    ("remove_collaborator", "user"): "{guest}",
    ("set_user_roles", "user"): "{guest}",
    ("remove_group_member", "user"): "{guest}",
    ("add_group_member", "user"): "{guest}",
    # Each person has one to delete.
    ("delete_webhook", "webhook"): "{me}",
}
#: Lists that hold something when the person may see it, and where it stands.
LISTS: Mapping[str, Callable[[Mapping[str, str]], str]] = {
    "list_environments": lambda names: names["environment"],
    "list_workspaces": lambda names: names["workspace"],
    "list_registries": lambda names: names["registry"],
    "list_projects": lambda names: names["project"],
    "list_deployments": lambda names: names["deployment"],
    "list_attached_servers": lambda names: names["attached"],
    "list_webhooks": lambda names: names["webhook"],
    "versions_using": lambda names: names["model"],
}
#: Operations of everybody on their own things.
OWN = {"list_keys", "create_key", "list_events", "event_choices", "list_workflows", "list_users", "list_approvals"}
#: Not done by the administrator here: it would replace things that the other requests are about.
NOT_DONE = {"rotate_secrets", "set_ranger_source"}
#: These go last: they delete things that others need.
LAST = (
    *("delete_ranger_policy", "revoke_storage_access", "delete_deployment"),
    *("roll_back", "restart_deployment", "stop_deployment"),
)
HIDDEN = re.compile(
    r"There is no "
    r"(environment|workspace|Model Registry|project|deployment|user|group|event|API key|webhook|approval) "
)


@dataclass(frozen=True)
class Stage:
    """An environment of the test's own with one of everything, and a token for each person."""

    platform: Platform
    names: Mapping[str, str]
    tokens: Mapping[str, str]
    users: Mapping[str, str]

    def names_of(self, kind: str) -> Mapping[str, str]:
        """The names in a person's request: the model's owner has a webhook of their own."""
        own = {"me": self.users.get(kind, "nobody")}
        if kind == "owner":
            own["webhook"] = self.names["own_webhook"]
        return ChainMap(own, cast(MutableMapping[str, str], self.names))


@contextmanager
def staged(platform: Platform) -> Iterator[Stage]:
    """The stage on a platform whose lists hold all on their first page."""
    environment = platform.ask(lambda client: client.create_environment(EnvironmentCreate(name=unique("table"))))
    team = WorkspaceCreate(name=unique("team"), environment=environment.id)
    workspace = platform.ask(lambda client: client.create_workspace(team))
    project = platform.new_project(workspace.id)
    made = platform.ask(lambda client: client.create_registry(RegistryCreate(environment=environment.id)))
    served.finish(platform, made.workflow)
    platform.ask(lambda client: client.grant_storage_access(made.resource.id))
    synchronized = platform.ask(lambda client: client.synchronize_registry(made.resource.id))
    served.finish(platform, synchronized.workflow)
    version = served.register(platform, project)
    deployment = served.deploy(platform, version, cpu=0.1)

    with serving(ATTACHABLE) as stock:
        elsewhere = AttachedServerCreate(name=unique("elsewhere"), environment=environment.id, url=stock.url)
        attached = platform.ask(lambda client: client.attach_server(elsewhere))

    users = {kind: unique("p") for kind in PEOPLE}
    administrator = platform.ask(lambda client: client.whoami()).name
    guest = unique("guest")
    for kind, (roles, role) in PEOPLE.items():
        user = users[kind]
        platform.call(RegistryClient.put_user, user, UserChange())
        platform.call(RegistryClient.set_user_roles, environment.id, user, RolesChange(roles=list(roles)))
        if role is not None:
            platform.call(RegistryClient.set_collaborator, project.id, user, CollaboratorChange(role=role))
    platform.call(RegistryClient.put_user, guest, UserChange())
    owned = ModelUpdate(owner=users["owner"], visibility=Visibility.PUBLIC)
    model = version.version.model_name
    platform.ask(lambda client: client.update_model(made.resource.id, model, owned))
    users["administrator"] = administrator
    tokens = {
        kind: platform.ask(lambda client, user=user: client.create_token(user, UserTokenCreate(name="table"))).token  # type: ignore[misc]
        for kind, user in users.items()
    }
    owner = users["owner"]
    key = platform.ask(lambda client: client.create_key(ApiKeyCreate(name="table")), user=owner).api_key
    purge = platform.ask(lambda client: client.purge_runs(project.id, RunPurge(run_ids=[])), user=owner)
    served.finish(platform, purge.workflow)
    event = platform.ask(lambda client: client.events(actor=owner)).items[0]
    token = platform.ask(lambda client: client.create_token(owner, UserTokenCreate(name="to revoke"))).user_token
    group, spare_group = unique("g"), unique("g")
    for each in (group, spare_group):
        platform.call(RegistryClient.put_group, each, GroupChange())
    ranger = platform.ask(lambda client: client.ranger_service(environment.name))
    policy = platform.ask(lambda client: client.policies(ranger.name))[-1]
    origin = version.version.origin
    assert origin.experiment_id is not None and origin.run_id is not None
    experiment_id = origin.experiment_id
    experiment = platform.ask(lambda client: client.experiment(project.id, experiment_id))
    spare = platform.ask(lambda client: client.create_experiment(project.id, ExperimentCreate(name=unique("spare"))))
    platform.call(RegistryClient.change_user, users["suspended"], UserChange(state=UserState.SUSPENDED))
    told = WebhookCreate(name=unique("w"), environment=environment.id, url=WEBHOOK)
    webhook = platform.ask(lambda client: client.create_webhook(told))
    of_owner = WebhookCreate(name=unique("w"), environment=environment.id, url=WEBHOOK, model=model)
    own_webhook = platform.ask(lambda client: client.create_webhook(of_owner), user=owner)
    asked = platform.ask(lambda client: client.ask_approval(made.resource.id, model, 1, "deploy", ApprovalAsk()))
    decision = ApprovalDecision(decision=Decision.APPROVE)
    platform.call(RegistryClient.set_promotion_rules, made.resource.id, PromotionRules(four_eyes=False))
    platform.call(RegistryClient.decide_approval, asked.id, decision)
    names = {
        "approval": asked.id,
        "purpose": "deploy",
        "environment": environment.id,
        "environment_name": environment.name,
        "workspace": workspace.id,
        "workspace_name": workspace.name,
        "project": project.id,
        "project_name": project.name,
        "registry": made.resource.id,
        "model": model,
        "node": f"model:{made.resource.id}/{model}",
        "version": "1",
        "alias": "champion",
        "rule": "none",
        "fingerprint": version.version.signatures[0].fingerprint,
        "experiment": experiment.id,
        "experiment_name": experiment.name,
        "spare_experiment": spare.id,
        "run": origin.run_id,
        "deployment": deployment.id,
        "deployment_name": deployment.name,
        "replica": "0",
        "request_id": "none-is-kept",
        "attached": attached.id,
        "user": owner,
        "owner": owner,
        "guest": guest,
        "group": group,
        "spare_group": spare_group,
        "token": token.id,
        "key": key.id,
        "workflow": purge.workflow.id,
        "event": str(event.id),
        "name": "none",
        "webhook": webhook.webhook.id,
        "own_webhook": own_webhook.webhook.id,
        "definition": "999",
        "role": "999",
        "zone": "999",
        "ranger_service": ranger.name,
        "policy": str(policy.id),
    }
    stage = Stage(platform, names, tokens, users)
    make_webhooks(stage)
    yield stage
    served.take_away([(platform, deployment.id)])


def make_webhooks(stage: Stage) -> None:
    """A webhook of each person's name, if missing; the model's owner makes theirs."""
    environment = stage.names["environment"]
    there = {each.name for each in stage.platform.ask(lambda client: client.webhooks(environment=environment)).items}
    for name in set(stage.users.values()) - there:
        mine = name == stage.users["owner"]
        made = WebhookCreate(
            name=name, environment=environment, url=WEBHOOK, model=stage.names["model"] if mine else None
        )
        stage.platform.ask(lambda client, made=made: client.create_webhook(made), user=name if mine else None)  # type: ignore[misc]


def bring_back(stage: Stage) -> None:
    """Restores the things that an earlier walk deleted."""
    platform = stage.platform
    make_webhooks(stage)
    platform.call(RegistryClient.put_group, stage.names["spare_group"], GroupChange())
    platform.call(RegistryClient.grant_storage_access, stage.names["registry"])

    def deployed() -> bool:
        state = platform.call(RegistryClient.deployment, stage.names["deployment"]).state
        if state in (DeploymentState.STOPPED, DeploymentState.FAILED):
            platform.call(RegistryClient.restart_deployment, stage.names["deployment"])
        return state is DeploymentState.DEPLOYED

    wait_for(deployed, what="the deployment to be deployed", timeout=240)


def held_by(kind: str) -> set[Holder]:
    """A person's relations to the stage's things."""
    roles, role = PEOPLE[kind]
    held = {Holder(each.value) for each in roles}
    if role is not None:
        held |= {Holder.COLLABORATOR, _PROJECT[role]}
    if kind == "owner":
        held |= {Holder.ONESELF, Holder.MODEL_OWNER}
    return held


def permitted(operation: str, kind: str) -> bool:
    """The permission according to the table."""
    if operation in FOR_NOBODY:
        return True
    if kind in ("unknown token", "suspended"):
        return False
    if kind == "administrator" or operation in OWN:
        return True
    action, held = OPERATIONS[operation], held_by(kind)
    if RULES[action].scope is Scope.ENVIRONMENT and not RULES[Action.ENVIRONMENT_SEE].allows(held):
        return False
    if action is Action.MODEL_CHANGE and not RULES[Action.MODEL_READ].allows(held):
        return False
    return RULES[action].allows(held)


def hidden(operation: str, kind: str) -> bool:
    """Whether the operation's resource does not exist for this person, who has no role in the environment."""
    return kind == "nobody" and RULES[OPERATIONS[operation]].scope in (Scope.ENVIRONMENT, Scope.PROJECT)


def filled(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: filled(each, names) for key, each in value.items()}
    if isinstance(value, list):
        return [filled(each, names) for each in value]
    whole = re.fullmatch(r"\{(\w+)\}", value) if isinstance(value, str) else None
    return names[whole[1]] if whole else value


def refused(status: int, problem: Mapping[str, Any]) -> bool:
    """Whether a response refuses the person, or hides the resource."""
    if status in (401, 403):
        return True
    return status == 404 and HIDDEN.match(str(problem.get("detail"))) is not None
