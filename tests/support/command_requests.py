"""Requests whose command lines send exactly the same, with values that are hard to quote."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from registry_tui.client import RegistryClient
from registry_tui.schemas.attached import AttachedImport, AttachedServerChange, AttachedServerCreate
from registry_tui.schemas.canaries import Decision, Rollout, Strategy
from registry_tui.schemas.cards import CardChange
from registry_tui.schemas.cleaning import PlatformClean
from registry_tui.schemas.deployments import (
    ApiKeyCreate,
    DeploymentCreate,
    DeploymentUpdate,
    EnvironmentVariable,
    KeyLimits,
)
from registry_tui.schemas.drift import DriftRules
from registry_tui.schemas.models import ModelUpdate, RegisterModel, Tag, VersionUpdate, Visibility
from registry_tui.schemas.people import GroupChange, UserChange, UserState, UserTokenCreate
from registry_tui.schemas.places import (
    Cloud,
    CollaboratorChange,
    EnvironmentCreate,
    ProjectCreate,
    Role,
    WorkspaceCreate,
)
from registry_tui.schemas.promotion import VersionPromotion
from registry_tui.schemas.ranger import (
    PolicyItem,
    PolicyItemAccess,
    PolicyResource,
    RangerPolicy,
    RangerRole,
    RoleMember,
    ValiditySchedule,
)
from registry_tui.schemas.registries import RegistryCreate
from registry_tui.schemas.request_log import RequestLogRules
from registry_tui.schemas.scaling import Autoscaling, AutoscalingChange
from registry_tui.schemas.secrets import SecretKind, SecretsRotate
from registry_tui.schemas.signatures import SigningKeyAdd, SignVersion
from registry_tui.schemas.stores import (
    Addressing,
    AzureAddress,
    AzureCredentials,
    AzureStore,
    DirectoryAddress,
    DirectoryStore,
    Encryption,
    GoogleAddress,
    GoogleStore,
    S3Address,
    S3Credentials,
    S3Store,
    StoreChange,
)
from registry_tui.schemas.tracking import ExperimentCreate, ExperimentUpdate, RunPurge, RunsChosen, RunsUpdate

Ask = Callable[[RegistryClient], Awaitable[Any]]
NASTY = "a b'c\"d$(touch /tmp/x)`id`;#&|*~ é模"
TEXT = "-first\nsecond\t'quoted' \\ \x1b[31m!"
TAGS = [Tag(key="who", value=NASTY), Tag(key="-dash", value="a=b")]
VARIABLES = [EnvironmentVariable(name="A", value=TEXT), EnvironmentVariable(name="B", value="")]

POLICY = RangerPolicy(
    service="cm_adls",
    name=NASTY,
    is_enabled=False,
    policy_priority=1,
    description=TEXT,
    resources={"bucket": PolicyResource(values=["s3://a//b"]), "path": PolicyResource(values=["x"], is_recursive=True)},
    deny_policy_items=[PolicyItem(users=["ana"], accesses=[PolicyItemAccess(type="read")], delegate_admin=True)],
    validity_schedules=[ValiditySchedule(end_time="2026/11/29 23:59:59", time_zone="Europe/Berlin")],
)

#: Requests whose commands send nothing else.
SAME: dict[str, Ask] = {
    "an environment": lambda c: c.create_environment(
        EnvironmentCreate(name="lab", cloud=Cloud.AZURE, raz_enabled=False)
    ),
    "an environment with a directory": lambda c: c.create_environment(
        EnvironmentCreate(
            name="lab", store=DirectoryStore(address=DirectoryAddress(path="/mnt/a b")), store_artifacts=False
        )
    ),
    "an environment with a bucket": lambda c: c.create_environment(
        EnvironmentCreate(
            name="lab",
            store=S3Store(
                address=S3Address(
                    bucket="acme",
                    prefix="a/b",
                    endpoint="https://s3.acme.example:9000/x",
                    region="eu-west-1",
                    addressing=Addressing.PATH,
                    ca_bundle="/etc/acme.pem",
                    encryption=Encryption.KMS,
                    kms_key="arn:aws:kms:eu-west-1:1:key/2",
                ),
                credentials=S3Credentials(profile="-acme"),
            ),
        )
    ),
    "a managed identity of a store": lambda c: c.change_store(
        "lab",
        StoreChange(
            store=AzureStore(
                address=AzureAddress(account="acme", container="models", prefix="x"),
                credentials=AzureCredentials(client_id="7"),
            )
        ),
    ),
    "a machine's account of a store": lambda c: c.change_store(
        "lab",
        StoreChange(
            store=GoogleStore(address=GoogleAddress(bucket="acme", endpoint="http://127.0.0.1:1")), artifacts=False
        ),
    ),
    "a workspace": lambda c: c.create_workspace(WorkspaceCreate(name="team", environment="local")),
    "an MLflow server": lambda c: c.attach_server(
        AttachedServerCreate(name="lab", environment="e", url="https://m/x", proxy="http://p:3128", allow_http=True)
    ),
    "an MLflow server of AWS": lambda c: c.attach_server(
        AttachedServerCreate(name="lab", environment="e", url="https://m", aws_profile="ml", aws_region="eu-west-1")
    ),
    "a server that has moved": lambda c: c.change_server(
        "lab", AttachedServerChange(url="https://m/y", proxy="http://p:3128", without=["credentials", "certificate"])
    ),
    "all models of a server": lambda c: c.import_attached("lab", AttachedImport()),
    "models of a server": lambda c: c.import_attached("lab", AttachedImport(models=["-a", NASTY], registry="r")),
    "a project": lambda c: c.create_project(ProjectCreate(name="churn", workspace="default", description=TEXT)),
    "a collaborator": lambda c: c.set_collaborator("default", "-" + NASTY, CollaboratorChange(role=Role.VIEWER)),
    "nobody": lambda c: c.remove_collaborator("default", NASTY),
    "a registry": lambda c: c.create_registry(
        RegistryCreate(environment="lab", existing_nfs="h:/m", nfs_protocol_version="4.1", grant_storage_access=False)
    ),
    "a registry with access": lambda c: c.create_registry(RegistryCreate(environment="lab", grant_storage_access=True)),
    "synchronize": lambda c: c.synchronize_registry("r"),
    "grant": lambda c: c.grant_storage_access("r"),
    "revoke": lambda c: c.revoke_storage_access("r"),
    "synchronized mappings": lambda c: c.sync_idbroker_mappings("lab"),
    "mappings away": lambda c: c.delete_idbroker_mappings("lab"),
    "a version of a run": lambda c: c.register_model(
        "p",
        RegisterModel(
            name=NASTY,
            run_id="abc",
            artifact_path="-my model",
            content="a" * 64,
            notes=TEXT,
            tags=TAGS,
            visibility=Visibility.PUBLIC,
        ),
    ),
    "a model": lambda c: c.update_model(
        "r", NASTY, ModelUpdate(description=TEXT, owner="ada", set_tags=TAGS, delete_tags=["-x"])
    ),
    "a text that goes": lambda c: c.update_model("r", "m", ModelUpdate(description="")),
    "a version": lambda c: c.update_version("r", NASTY, 3, VersionUpdate(notes=TEXT, set_tags=TAGS, delete_tags=["y"])),
    "an alias": lambda c: c.set_alias("r", NASTY, "-champion", 3),
    "no alias": lambda c: c.delete_alias("r", NASTY, "champion"),
    "a verification": lambda c: c.verify_archive("r", NASTY, 3),
    "a promotion": lambda c: c.promote_version(
        "r", NASTY, 3, VersionPromotion(to="-prod", name=NASTY, visibility=Visibility.PUBLIC)
    ),
    "a scan": lambda c: c.scan_version("r", NASTY, 3),
    "a signature": lambda c: c.sign_version("r", NASTY, 3),
    "a signature of others": lambda c: c.sign_version("r", NASTY, 3, SignVersion(signature='{"a": "' + NASTY + '"}')),
    "a trusted key": lambda c: c.add_signing_key("lab", SigningKeyAdd(name="team", public_key="-----BEGIN x\n")),
    "a new key": lambda c: c.rotate_signing_key("lab"),
    "a key less": lambda c: c.remove_signing_key("lab", NASTY),
    "a card": lambda c: c.set_card("r", NASTY, 3, CardChange(text=TEXT)),
    "a bill of materials": lambda c: c.make_bom("r", NASTY, 3),
    "a deployment": lambda c: c.create_deployment(
        DeploymentCreate(
            name="wine",
            project="p",
            model=NASTY,
            alias="champion",
            follow_alias=True,
            follow_rollout=Rollout(strategy=Strategy.SHADOW, steps=[50], max_disagreement=0.02),
            replicas=2,
            cpu=0.5,
            memory_bytes=1 << 30,
            environment=VARIABLES,
            authentication=False,
            strict_json=True,
            own_port=True,
            description=TEXT,
            comment=NASTY,
        )
    ),
    "a deployment in a cluster": lambda c: c.create_deployment(
        DeploymentCreate(
            name="wine", project="p", model="m", version=1, autoscaling=Autoscaling(max_replicas=4), gpus=1, cpu=0.5
        )
    ),
    "other numbers of replicas": lambda c: c.update_deployment(
        "d", DeploymentUpdate(autoscaling=AutoscalingChange(min_replicas=2, target_requests=0.5), gpus=0)
    ),
    "another version": lambda c: c.update_deployment(
        "d", DeploymentUpdate(version=4, follow_alias=False, authentication=True, strict_json=False, comment=TEXT)
    ),
    "a canary": lambda c: c.update_deployment(
        "d",
        DeploymentUpdate(
            version=4,
            rollout=Rollout(
                strategy=Strategy.CANARY,
                steps=[10, 100],
                step_seconds=90,
                pause_after=10,
                max_error_rate=None,
                max_p99_seconds=0.25,
                max_disagreement=0.01,
                min_requests=0,
                tolerance=0.001,
            ),
        ),
    ),
    "a shadow": lambda c: c.update_deployment(
        "d", DeploymentUpdate(version=4, rollout=Rollout(strategy=Strategy.SHADOW))
    ),
    "a followed canary": lambda c: c.update_deployment(
        "d",
        DeploymentUpdate(
            alias="champion", follow_alias=True, follow_rollout=Rollout(strategy=Strategy.CANARY, steps=[5, 100])
        ),
    ),
    "a canary now and when the alias moves": lambda c: c.update_deployment(
        "d",
        DeploymentUpdate(
            version=4,
            rollout=Rollout(strategy=Strategy.SHADOW, min_requests=3),
            follow_rollout=Rollout(strategy=Strategy.CANARY, min_requests=3),
        ),
    ),
    "an alias that is followed at once again": lambda c: c.update_deployment(
        "d", DeploymentUpdate(follow_rollout=Rollout())
    ),
    "no canary": lambda c: c.decide_canary("d", Decision.ABORT),
    "more replicas": lambda c: c.update_deployment("d", DeploymentUpdate(replicas=3, comment="scaled to 3")),
    "stop": lambda c: c.stop_deployment("d"),
    "restart": lambda c: c.restart_deployment("d"),
    "roll back": lambda c: c.roll_back_deployment("d", 2),
    "roll back to the last": lambda c: c.roll_back_deployment("d"),
    "a key": lambda c: c.create_key(ApiKeyCreate(name=NASTY, days=30)),
    "what drifts": lambda c: c.set_drift_rules("d", DriftRules(max_psi=None, max_ks=0.2, hours=1.5, watch=True)),
    "requests kept": lambda c: c.set_request_log(
        "d", RequestLogRules(share=0.05, days=2.5, max_bytes=1 << 21, leave_out=[NASTY, "b"], mask=["e"])
    ),
    "no more requests kept": lambda c: c.delete_requests("d"),
    "a key with limits": lambda c: c.create_key(ApiKeyCreate(name="ci", limits=KeyLimits(per_second=5, burst=9))),
    "limits of a key": lambda c: c.limit_key("k", KeyLimits(per_second=0.5, burst=3, per_day=1000, per_month=9000)),
    "no limits of a key": lambda c: c.limit_key("k", KeyLimits()),
    "no key": lambda c: c.revoke_key("k"),
    "an experiment": lambda c: c.create_experiment("p", ExperimentCreate(name="-" + NASTY, note=TEXT)),
    "its name": lambda c: c.update_experiment("p", "7", ExperimentUpdate(name=NASTY)),
    "runs away": lambda c: c.delete_runs("p", RunsChosen(run_ids=["a", "b"])),
    "runs back": lambda c: c.restore_runs("p", RunsChosen(run_ids=["a", "b"])),
    "the name of runs": lambda c: c.update_runs("p", RunsUpdate(run_ids=["a", "b"], name=NASTY)),
    "the note of runs": lambda c: c.update_runs("p", RunsUpdate(run_ids=["a"], note="")),
    "tags of runs": lambda c: c.update_runs("p", RunsUpdate(run_ids=["a"], set_tags=TAGS)),
    "tags away": lambda c: c.update_runs("p", RunsUpdate(run_ids=["a"], delete_tags=["-x", "y"])),
    "runs for good": lambda c: c.purge_runs("p", RunPurge(older_than_days=30)),
    "a policy": lambda c: c.create_policy(POLICY),
    "a role of Ranger": lambda c: c.create_ranger_role(
        RangerRole(name=NASTY, users=[RoleMember(name="82a49", is_admin=True)], roles=[RoleMember(name="r")])
    ),
    "secrets": lambda c: c.rotate_secrets(SecretsRotate(kinds=[SecretKind.MLFLOW, SecretKind.PEOPLE])),
    "all secrets": lambda c: c.rotate_secrets(SecretsRotate()),
    "what nobody uses": lambda c: c.clean_platform(PlatformClean()),
    "what nobody uses for long": lambda c: c.clean_platform(PlatformClean(older_than_days=7.5)),
    "a user": lambda c: c.put_user("ada", UserChange(full_name=NASTY, email="a@b.c")),
    "a suspended user": lambda c: c.change_user("ada", UserChange(state=UserState.SUSPENDED)),
    "a sign-in that is forgotten": lambda c: c.change_user("ada", UserChange(forget_sign_in=True)),
    "a user let in": lambda c: c.change_user("ada", UserChange(state=UserState.ACTIVE)),
    "a user away": lambda c: c.delete_user("-ada", NASTY),
    "a token": lambda c: c.create_token("ada", UserTokenCreate(name=NASTY, days=30)),
    "no token": lambda c: c.revoke_token("ada", "t"),
    "a group": lambda c: c.put_group("data", GroupChange(description=TEXT)),
    "a group away": lambda c: c.delete_group("data"),
    "a member": lambda c: c.add_member("data", "ada"),
    "no member": lambda c: c.remove_member("data", "ada"),
    "cancel": lambda c: c.cancel_workflow("w"),
    "retry": lambda c: c.retry_workflow("w"),
}
