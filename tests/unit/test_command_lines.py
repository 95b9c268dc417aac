"""Command lines equivalent to requests: run by the command line, each sends the same request."""

from __future__ import annotations

import asyncio
import json
import shlex
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from registry_tui.cli.main import app
from registry_tui.client import RegistryClient
from registry_tui.client.outgoing import NotSent, Outgoing, rehearsal
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
from registry_tui.schemas.idbroker import IdBrokerMapping, SetIdBrokerMappings
from registry_tui.schemas.models import ModelUpdate, RegisterModel, Tag, VersionUpdate, Visibility
from registry_tui.schemas.people import (
    EnvironmentRole,
    GroupChange,
    RolesChange,
    UserChange,
    UserState,
    UserTokenCreate,
)
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
    RangerSourceChange,
    RoleMember,
    ValiditySchedule,
)
from registry_tui.schemas.registries import RegistryCreate, RegistryDelete
from registry_tui.schemas.request_log import RequestLogRules
from registry_tui.schemas.scaling import Autoscaling, AutoscalingChange
from registry_tui.schemas.secrets import SecretKind, SecretsRotate
from registry_tui.schemas.signatures import SigningKeyAdd, SignVersion
from registry_tui.schemas.storage import StorageCleanUp
from registry_tui.schemas.stores import (
    Addressing,
    AzureAddress,
    AzureCredentials,
    AzureStore,
    DirectoryAddress,
    DirectoryStore,
    Encryption,
    GoogleAddress,
    GoogleCredentials,
    GoogleStore,
    S3Address,
    S3Credentials,
    S3Store,
    StoreChange,
)
from registry_tui.schemas.tracking import (
    ExperimentCreate,
    ExperimentsChosen,
    ExperimentUpdate,
    RunPurge,
    RunsChosen,
    RunsUpdate,
)
from registry_tui.terminal.commands import SCREENS
from registry_tui.wording.command_lines import as_typed, command_lines, quoted, remark, showing
from registry_tui.wording.command_parts import NoCommand

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
#: Commands that ask the service something first, as they are.
ASKING: dict[str, tuple[Ask, str]] = {
    "environment": (lambda c: c.delete_environment("e"), "environments delete --yes e"),
    "workspace": (lambda c: c.delete_workspace("w"), "workspaces delete --yes w"),
    "project": (lambda c: c.delete_project("p", force=True), "projects delete --force --yes p"),
    "registry": (
        lambda c: c.delete_registry("r", RegistryDelete(delete_archives=True)),
        "registries delete --delete-archives --yes r",
    ),
    "model": (lambda c: c.delete_model("r", "m"), "models delete --registry r --yes m"),
    "version": (
        lambda c: c.delete_version("r", "m", 3, keep_archive=True),
        "models delete --registry r --keep-archives --yes m 3",
    ),
    "deployment": (lambda c: c.delete_deployment("d", force=True), "deployments delete --force --yes d"),
    "archives": (lambda c: c.clean_up_storage("r", StorageCleanUp(archives=["a"])), "registries clean-up --yes r"),
    "verification": (lambda c: c.begin_verification("r", "m", 3), "models verify --registry r m 3"),
    # It asks for the roles that it has no option for, and keeps them.
    "mappings": (
        lambda c: c.set_idbroker_mappings(
            SetIdBrokerMappings(
                environment_name="lab",
                data_access_role="arn:aws:iam::1:role/a=b",
                ranger_audit_role="-audit",
                mappings=[
                    IdBrokerMapping(accessor_crn="crn:1", role="x=y"),
                    IdBrokerMapping(accessor_crn="-2", role="z"),
                ],
            )
        ),
        "idbroker set --data-access-role arn:aws:iam::1:role/a=b --ranger-audit-role=-audit"
        " --mapping crn:1=x=y --mapping=-2=z lab",
    ),
    "no mappings": (
        lambda c: c.set_idbroker_mappings(
            SetIdBrokerMappings(
                environment_name="lab",
                data_access_role="a",
                ranger_audit_role="b",
                mappings=[],
                set_empty_mappings=True,
            )
        ),
        "idbroker set --data-access-role a --ranger-audit-role b --empty lab",
    ),
    "policy": (lambda c: c.delete_policy(7), "ranger policies delete --yes 7"),
    "role of Ranger": (lambda c: c.delete_ranger_role(7), "ranger roles delete --yes 7"),
    "an outside Ranger": (
        lambda c: c.set_ranger_source(
            "e", RangerSourceChange(url="https://r:6182", user="u", password=NASTY, service="s")
        ),
        "ranger source set --url https://r:6182 --service s --user u --password-file ranger.secret --every 30 e",
    ),
    "an MLflow server as somebody": (
        lambda c: c.attach_server(
            AttachedServerCreate(
                name="lab", environment="e", url="https://m", user="u", secret=NASTY, certificate="PEM"
            )
        ),
        "attach --environment e --user u --password-file mlflow.secret --certificate mlflow.pem lab https://m",
    ),
    "an environment with a key": (
        lambda c: c.create_environment(
            EnvironmentCreate(
                name="lab",
                store=S3Store(
                    address=S3Address(bucket="acme"),
                    credentials=S3Credentials(access_key_id="AK", secret_access_key=NASTY),
                ),
            )
        ),
        "environments create --cloud aws --bucket s3://acme --access-key-id AK --secret-file store.secret lab",
    ),
    "a SAS of a store": (
        lambda c: c.change_store(
            "lab",
            StoreChange(
                store=AzureStore(
                    address=AzureAddress(account="acme", container="models"), credentials=AzureCredentials(sas=NASTY)
                )
            ),
        ),
        "environments change-store --sas --secret-file store.secret lab az://acme/models",
    ),
    "a service account of a store": (
        lambda c: c.change_store(
            "lab",
            StoreChange(
                store=GoogleStore(
                    address=GoogleAddress(bucket="acme"), credentials=GoogleCredentials(service_account=NASTY)
                )
            ),
        ),
        "environments change-store --secret-file store.secret lab gs://acme",
    ),
    "an MLflow server with a token": (
        lambda c: c.attach_server(AttachedServerCreate(name="lab", environment="e", url="https://m", secret=NASTY)),
        "attach --environment e --token mlflow.secret lab https://m",
    ),
    "an MLflow server with another token": (
        lambda c: c.change_server("lab", AttachedServerChange(url="https://m", secret=NASTY)),
        "attached change --token mlflow.secret lab https://m",
    ),
    "no MLflow server": (lambda c: c.detach_server("lab"), "detach --yes lab"),
    "own policies": (lambda c: c.delete_ranger_source("e"), "ranger source delete --yes e"),
    "experiments": (
        lambda c: c.delete_experiments("p", ExperimentsChosen(experiment_ids=["7", "8"])),
        "experiments delete --project p --yes 7 8",
    ),
    "experiments back": (
        lambda c: c.restore_experiments("p", ExperimentsChosen(experiment_ids=["7"])),
        "experiments restore --project p 7",
    ),
    "runs for good": (lambda c: c.purge_runs("p", RunPurge(run_ids=["a"])), "runs purge --project p --yes a"),
}


async def sent_by(ask: Ask) -> Outgoing:
    async with RegistryClient(base_url="http://nowhere.invalid") as client:
        with rehearsal(), pytest.raises(NotSent) as rehearsed:
            await ask(client)
    return rehearsed.value.request


def given_back(line: list[str]) -> Outgoing:
    with rehearsal():
        done = CliRunner().invoke(app, line)
    assert isinstance(done.exception, NotSent), f"{shlex.join(line)}: {done.output} {done.exception!r}"
    return done.exception.request


@pytest.mark.parametrize("name", SAME)
async def test_a_command_line_sends_the_same_request(name: str) -> None:
    request = await sent_by(SAME[name])
    (line,) = command_lines(request)
    # The command line runs a loop of its own.
    again = await asyncio.to_thread(given_back, line)
    assert (again.method, again.parts, again.query, again.body) == (
        request.method,
        request.parts,
        request.query,
        request.body,
    )


@pytest.mark.parametrize("name", ASKING)
async def test_a_command_line_that_asks_first_says_everything_that_was_chosen(name: str) -> None:
    ask, expected = ASKING[name]
    assert command_lines(await sent_by(ask)) == [expected.split()]


async def test_a_changed_name_of_a_user_is_given_as_the_whole_user() -> None:
    request = await sent_by(lambda c: c.change_user("ada", UserChange(full_name="Ada L", email="")))
    assert command_lines(request) == [["users", "create", "--full-name", "Ada L", "--email", "", "ada"]]


async def test_roles_are_granted_and_all_others_revoked() -> None:
    change = RolesChange(roles=[EnvironmentRole.ML_USER, EnvironmentRole.ENVIRONMENT_ADMIN])
    assert command_lines(await sent_by(lambda c: c.set_user_roles("lab", "ada", change))) == [
        ["environments", "roles", "grant", "--to", "ada", "lab", "EnvironmentAdmin", "MLUser"],
        ["environments", "roles", "revoke", "--to", "ada", "--yes", "lab", "EnvironmentUser", "MLAdmin"],
    ]
    assert command_lines(await sent_by(lambda c: c.set_group_roles("lab", "data", RolesChange(roles=[])))) == [
        ["environments", "roles", "revoke", "--to-group", "data", "--yes", "lab", *EnvironmentRole]
    ]


async def test_a_changed_policy_or_role_is_given_whole() -> None:
    (line,) = command_lines(await sent_by(lambda c: c.update_policy(7, POLICY, version=3)))
    assert line[:4] == ["ranger", "policies", "update", "--file"] and line[5:] == ["7"]
    assert RangerPolicy.model_validate_json(line[4]) == POLICY
    (line,) = command_lines(await sent_by(lambda c: c.update_ranger_role(7, RangerRole(name="r", is_enabled=False))))
    assert line == ["ranger", "roles", "update", "--file", '{"isEnabled":false,"name":"r"}', "7"]


async def test_several_changes_of_runs_are_several_commands() -> None:
    change = RunsUpdate(run_ids=["a"], name="n", note="x", set_tags=TAGS, delete_tags=["y"])
    lines = command_lines(await sent_by(lambda c: c.update_runs("p", change)))
    assert [line[1] for line in lines] == ["rename", "note", "tag", "untag"]
    assert as_typed(lines, {}).count(" && registry-tui runs ") == 3


async def test_secrets_are_read_from_files_and_what_cannot_be_said_is_refused() -> None:
    secret = [EnvironmentVariable(name="TOKEN", value="hush", secret=True), EnvironmentVariable(name="K", secret=True)]
    request = await sent_by(lambda c: c.update_deployment("d", DeploymentUpdate(environment=secret)))
    typed = as_typed(command_lines(request), {})
    assert "hush" not in typed and "--secret-env TOKEN=@TOKEN.secret" in typed and " K" not in typed
    assert "NAME.secret" in remark(request) and "--unset-env" in remark(request)
    tagged = RunsUpdate(run_ids=["a"], set_tags=[Tag(key="a=b", value="c")])
    with pytest.raises(NoCommand, match="tag's key"):
        command_lines(await sent_by(lambda c: c.update_runs("p", tagged)))
    with pytest.raises(NoCommand):
        command_lines(Outgoing("POST", ("deployments", "d", "test")))


def test_a_shell_reads_every_word_as_it_is() -> None:
    words = [NASTY, TEXT, "", "-x", "it's", "\x1b]0;t\x07", "\u202e", "\u2028 \x85", "!history", "$'x'"]
    code = "import sys, json; print(json.dumps(sys.argv[1:]))"
    command = " ".join(map(quoted, [sys.executable, "-c", code, *words]))
    assert command.isprintable()
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=300, check=True)
    assert json.loads(done.stdout) == words


def test_a_command_is_for_the_same_platform_and_user() -> None:
    environment = {"REGISTRY_TUI_HOME": "/tmp/a b", "REGISTRY_TUI_USER": "ada"}
    assert as_typed([["whoami"]], environment) == "registry-tui --data-dir '/tmp/a b' --user ada whoami"


@pytest.mark.parametrize("kind", SCREENS)
def test_what_shows_a_page_is_a_command_that_exists(kind: str) -> None:
    names = dict.fromkeys(
        (
            "registry",
            "project",
            "experiment",
            "run",
            "model",
            "deployment",
            "workflow",
            "environment",
            "user",
            "group",
            "webhook",
        ),
        "x",
    )
    line = showing(kind, {**names, "one": "1", "other": "2", "version": "3", "against": "2", "uses": "numpy<2; python"})
    if kind == "compare":  # runs are compared on the screen alone
        assert line is None
        return
    assert line is not None
    done = CliRunner().invoke(app, [*line, "--help"])
    assert done.exit_code == 0, done.output
    for option in (word for word in line if word.startswith("--")):
        assert option in done.output
