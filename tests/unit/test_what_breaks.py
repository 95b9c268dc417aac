"""Effects of deletions: of people and places, by their own rows; and every question before a deletion shows them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest

import registry_tui.cli
import registry_tui.client
import registry_tui.screens
from registry_tui.contracts.lineage_refs import reference
from registry_tui.schemas.lineage import Dependents
from registry_tui.schemas.people import GroupChange
from registry_tui.schemas.places import Cloud
from registry_tui.schemas.ranger import PolicyItem, RangerPolicy, RangerRole, RoleMember
from registry_tui.schemas.webhooks import DeliveryState, WebhookCreate
from registry_tui.service.access import groups
from registry_tui.service.core import identity
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.database.tables import (
    ApiKeyRow,
    EnvironmentRoleRow,
    EnvironmentRow,
    IdBrokerRow,
    RangerPolicyRow,
    RangerRoleRow,
    RangerSourceRow,
    RegistryRow,
    SigningKeyRow,
    UserTokenRow,
    VersionSignatureRow,
    WebhookDeliveryRow,
    WorkflowRow,
    now,
)
from registry_tui.service.errors import InvalidInput, Missing, NotPermitted
from registry_tui.service.lineage.dependents import get_dependents
from registry_tui.service.ranger.definitions import definition_of
from registry_tui.service.settings import Settings
from registry_tui.service.webhooks import subscriptions
from support.bare import bare_service, make_place, set_roles


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with bare_service(tmp_path, settings=Settings(webhook_private_hosts=("127.0.0.1",))) as found:
        make_place(found, "prod")
        yield found


@pytest.fixture
def owner(service: Service) -> Principal:
    return identity.owner_principal(service)


def told(service: Service, who: Principal, kind: str, *names: str) -> Dependents:
    return get_dependents(service, who, [reference(kind, *names)])


def add(service: Service, *rows: object) -> None:
    with service.database.session() as session:
        session.add_all(rows)


def test_a_workspace_holds_its_projects_and_is_not_deleted_with_them(service: Service, owner: Principal) -> None:
    found = told(service, owner, "workspace", "team")
    assert found == Dependents(lines=["1 project is in it: wine"], refused="It is not deleted before it is empty")
    # People who may see the environment, and work in another project, learn only that it exists.
    guest = set_roles(service, "guest", "prod", "EnvironmentUser")
    assert told(service, guest, "workspace", "team").lines == ["1 project is in it: none that you may see"]
    with pytest.raises(Missing):
        told(service, set_roles(service, "stranger", "prod"), "workspace", "team")


def test_a_group_takes_roles_from_its_members(service: Service, owner: Principal) -> None:
    for person in ("ann", "ben"):
        set_roles(service, person, "prod")
    for name in ("team-a", "team-b", "empty"):
        groups.put_group(service, owner, name, GroupChange())
    for person in ("ann", "ben"):
        groups.add_member(service, owner, "team-a", person)
    groups.add_member(service, owner, "team-b", "ben")
    given = [("team-a", "MLAdmin"), ("team-a", "EnvironmentUser"), ("team-b", "MLAdmin")]
    add(service, *(EnvironmentRoleRow(environment_id="prod", group=group, role=role) for group, role in given))
    assert told(service, owner, "group", "team-a").lines == [
        "2 people lose what it gives: ann, ben",
        "2 roles end with it: EnvironmentUser in prod, MLAdmin in prod",
    ]
    assert told(service, owner, "group", "empty").lines == []
    assert told(service, owner, "member", "team-a", "ann").lines == [
        "2 roles are lost: EnvironmentUser in prod, MLAdmin in prod"
    ]
    assert told(service, owner, "member", "team-a", "ben").lines == [
        "1 role is lost: EnvironmentUser in prod",
        "1 role stays otherwise: MLAdmin in prod",
    ]
    assert told(service, owner, "roles", "prod", "group", "team-a").lines == ["2 people lose them: ann, ben"]
    ben = set_roles(service, "ben", "prod", "MLUser")
    kept = ["3 roles stay: EnvironmentUser by group team-a, MLAdmin by group team-a, MLAdmin by group team-b"]
    assert told(service, owner, "roles", "prod", "user", "ben").lines == kept
    for refused in (("group", "team-a"), ("member", "team-a", "ann")):
        with pytest.raises(NotPermitted):
            told(service, ben, *refused)
    with pytest.raises(Missing):
        told(service, owner, "member", "empty", "ann")


def test_what_a_person_has_ends_or_goes_to_others(service: Service, owner: Principal) -> None:
    ann = set_roles(service, "ann", "prod", project="admin")
    later = now() + timedelta(days=1)
    add(
        service,
        ApiKeyRow(id="k", name="ci", sha256="x", user="ann", expires_at=later),
        UserTokenRow(id="t", name="laptop", sha256="y", user="ann", expires_at=later),
        UserTokenRow(id="u", name="old", sha256="z", user="ann", expires_at=later, revoked_at=now()),
    )
    lines = [
        "1 API key ends: ci",
        "1 token ends",
        "1 project loses this person: wine",
        "1 Model Registry belongs to this person: prod-registry",
        "1 deployment was made by this person: taster",
    ]
    assert told(service, owner, "user", "ann").lines == lines == told(service, ann, "user", "ann").lines
    assert told(service, owner, "collaborator", "wine", "ann").lines == [
        "1 deployment is not called with their API key any more: taster",
        "1 deployment was made by this person and stays: taster",
        "Nobody else is admin of the project",
    ]
    ben = set_roles(service, "ben", "prod", "EnvironmentUser")
    with pytest.raises(NotPermitted):
        told(service, ben, "collaborator", "wine", "ann")
    assert told(service, ann, "token", "ann", "t").lines == ["Nobody has used it"]
    with service.database.session() as session:
        session.get_one(UserTokenRow, "t").last_used_at = now()
    (used,) = told(service, ann, "token", "ann", "t").lines
    assert used.startswith("It was last used on 20")
    with pytest.raises(NotPermitted):
        told(service, ben, "token", "ann", "t")


def test_messages_of_a_webhook_that_wait_are_lost(service: Service, owner: Principal) -> None:
    request = WebhookCreate(name="chat", environment="prod", url="http://127.0.0.1:9/hook")
    made = subscriptions.create_webhook(service, owner, request).webhook
    assert told(service, owner, "webhook", made.id).lines == []
    pending = DeliveryState.PENDING.value
    add(
        service,
        *(WebhookDeliveryRow(webhook_id=made.id, type="t", payload={}, concerns={}, state=pending) for _ in "ab"),
    )
    assert told(service, owner, "webhook", "chat").lines == ["2 messages wait and are lost"]
    assert (
        "1 webhook sends what this person may see, and pauses: chat" in told(service, owner, "user", owner.name).lines
    )
    with pytest.raises(NotPermitted):
        told(service, set_roles(service, "ben", "prod", "EnvironmentUser"), "webhook", "chat")


def test_what_only_a_key_signed_starts_no_more(service: Service, owner: Principal) -> None:
    for name, active in (("old", False), ("new", True)):
        add(
            service,
            SigningKeyRow(
                environment_id="prod", name=name, fingerprint=name, public_key="", active=active, creator="ann"
            ),
        )

    def signed(version: str, key: str) -> VersionSignatureRow:
        return VersionSignatureRow(
            version_id=version, registry_id="prod-registry", model_id="m", file=key, kind="registry", fingerprint=key,
            key_name=key, creator="ann",
        )  # fmt: skip

    add(service, signed("v", "old"), signed("w", "old"), signed("w", "new"))
    assert told(service, owner, "signing-key", "prod", "old").lines == [
        "1 version has no other signature that is trusted",
        "1 deployment serves one and starts no more: taster",
    ]
    found = told(service, owner, "signing-key", "prod", "new")
    assert (found.lines, found.refused) == ([], "It signs new versions: rotate the keys of prod first")
    guest = set_roles(service, "guest", "prod", "EnvironmentUser")
    assert "taster" not in told(service, guest, "signing-key", "prod", "old").model_dump_json()


def test_policies_and_mappings_say_whose_storage_they_give(service: Service, owner: Principal) -> None:
    with service.database.session() as session:
        session.get_one(EnvironmentRow, "prod").raz_enabled = True
        session.get_one(EnvironmentRow, "prod").ranger_service = "cm_s3"
        session.get_one(RegistryRow, "prod-registry").machine_user_workload_name = "srv_prod"
        session.get_one(RegistryRow, "prod-registry").machine_user_crn = "crn:prod"
        session.flush()
        role = RangerRole(name="writers", users=[RoleMember(name="srv_prod")])
        session.add(RangerRoleRow(id=1, name="writers", document=role.model_dump(mode="json", by_alias=True)))
        for id_, item in ((1, PolicyItem(roles=["writers"])), (2, PolicyItem(users=["ann", "ben"]))):
            document = RangerPolicy(name=f"p{id_}", service="cm_s3", policy_items=[item])
            session.add(
                RangerPolicyRow(
                    id=id_,
                    environment_id="prod",
                    name=f"p{id_}",
                    document=document.model_dump(mode="json", by_alias=True),
                )
            )
    by_it = "1 Model Registry may use its storage by it: prod-registry"
    assert told(service, owner, "policy", "1").lines == [by_it, "1 role gets access by it: writers"]
    assert told(service, owner, "policy", "2").lines == ["2 users get access by it: ann, ben"]
    both = get_dependents(service, owner, [reference("policy", "1"), reference("policy", "2")])
    assert both.lines[0] == f"1: {by_it}" and both.lines[-1] == "2: 2 users get access by it: ann, ben"
    role_ = told(service, owner, "ranger-role", "writers")
    assert (role_.lines, bool(role_.refused)) == (["1 policy names it: p1"], True)
    set_roles(service, "ann", "prod")
    assert "1 policy of Ranger names it: p2" in told(service, owner, "user", "ann").lines
    make_place(service, "dev")
    with service.database.session() as session:
        session.get_one(RegistryRow, "dev-registry").machine_user_crn = "crn:dev"
    mappings = {"data_access_role": "arn:aws:iam::1:role/a", "ranger_audit_role": "arn:aws:iam::1:role/b"}
    given = [{"accessor_crn": crn, "role": "arn:aws:iam::1:role/a"} for crn in ("crn:dev", "crn:ann")]
    add(service, IdBrokerRow(environment_id="dev", document={**mappings, "mappings": given}))
    used = "1 Model Registry uses its storage by them: dev-registry"
    assert told(service, owner, "mappings", "dev").lines == [used, "2 mappings in all"]


def test_own_policies_take_from_machine_users_what_an_outside_ranger_gives(service: Service, owner: Principal) -> None:
    with pytest.raises(Missing, match="no service"):
        told(service, owner, "ranger-source", "prod")
    with service.database.session() as session:
        environment = session.get_one(EnvironmentRow, "prod")
        environment.raz_enabled, environment.ranger_service = True, "cm_s3"
        session.get_one(RegistryRow, "prod-registry").machine_user_workload_name = "srv_prod"
    with pytest.raises(Missing, match="are its own"):
        told(service, owner, "ranger-source", "prod")
    given = RangerPolicy(name="outside", service="cm_s3", policy_items=[PolicyItem(users=["srv_prod"])])
    add(
        service,
        RangerSourceRow(
            environment_id="prod",
            url="https://ranger.example.com",
            service="cm_s3",
            every=30.0,
            policy_version=1,
            definition=definition_of(Cloud.AWS).model_dump(mode="json", by_alias=True),
            policies=[given.model_dump(mode="json", by_alias=True)],
            notes=[],
            fetched_at=now(),
        ),
    )
    counts = ["1 policy of Ranger counts no more", "0 own policies count again"]
    alone = "1 Model Registry has its storage by them alone: prod-registry"
    assert told(service, owner, "ranger-source", "prod").lines == [alone, *counts]
    own = RangerPolicy(name="own", service="cm_s3", policy_items=[PolicyItem(groups=["public"])])
    document = own.model_dump(mode="json", by_alias=True)
    add(service, RangerPolicyRow(id=7, environment_id="prod", name="own", document=document))
    assert told(service, owner, "ranger-source", "prod").lines == [counts[0], "1 own policy counts again"]
    with pytest.raises(NotPermitted):
        told(service, set_roles(service, "guest", "prod", "EnvironmentAdmin"), "ranger-source", "prod")


def test_a_new_secret_says_who_has_to_know_it(service: Service, owner: Principal) -> None:
    made = subscriptions.create_webhook(
        service, owner, WebhookCreate(name="chat", environment="prod", url="http://127.0.0.1:1/")
    ).webhook
    (line,) = told(service, owner, "webhook-secret", made.id).lines
    assert line.startswith("The receiver needs the new one before ")
    subscriptions.rotate_secret(service, owner, made.id)
    assert told(service, owner, "webhook-secret", made.id).lines[0].endswith("is good no more, at once")
    assert told(service, owner, "secrets", "object-store").lines == []
    assert "another password for MLflow" in told(service, owner, "secrets", "people").lines[0]
    with pytest.raises(InvalidInput, match="no secrets"):
        told(service, owner, "secrets", "none")
    with pytest.raises(NotPermitted):
        told(service, set_roles(service, "guest", "prod", "EnvironmentAdmin"), "secrets", "people")


def test_work_that_is_stopped_says_what_depends_on_what_it_works_on(service: Service, owner: Principal) -> None:
    def work(status: str, type_: str, id_: str) -> str:
        row = WorkflowRow(
            id=f"{id_}-{status}",
            kind="archive",
            status=status,
            resource_type=type_,
            resource_id=id_,
            resource_name="wine v1",
            actor="ann",
            actor_crn="ann",
            actor_administrator=False,
            request_id="r",
            steps=["copy"],
            state={},
            progress={},
            arguments={},
        )
        add(service, row)
        return row.id

    assert told(service, owner, "workflow", work("running", "version", "v")).lines == ["1 deployment serves it: taster"]
    assert told(service, owner, "workflow", work("running", "version", "w")) == Dependents(lines=[])
    done = told(service, owner, "workflow", work("succeeded", "version", "v"))
    assert done == Dependents(lines=[], refused="It has succeeded already")
    with pytest.raises((Missing, NotPermitted)):
        told(service, set_roles(service, "guest", "prod", "EnvironmentUser"), "workflow", "v-running")


def test_several_runs_are_one_question_and_a_wrong_reference_is_refused(service: Service, owner: Principal) -> None:
    with pytest.raises(InvalidInput, match="begins with none of"):
        told(service, owner, "nothing", "x")
    with pytest.raises(Missing):
        get_dependents(service, owner, [reference("run", "nowhere", each) for each in "ab"])
    stranger = set_roles(service, "stranger", "prod")
    with pytest.raises((Missing, NotPermitted)):
        get_dependents(service, stranger, [reference("run", "prod-project", each) for each in "ab"])


#: Questions that nothing depends on, by their module and title, with the reason.
ASKED_WITHOUT = {
    ("signing_keys.py", "New signing key of {name}"): "what earlier keys signed stays valid",
    ("watching.py", "Delete kept requests"): "nothing refers to requests that were kept",
}
#: Commands that delete something without naming its dependents, by module and function, with the reason.
COMMANDS_WITHOUT = {
    ("backups.py", "prune"): "lists the backups that go; nothing refers to a backup",
    ("oidc.py", "delete"): "takes no account and no token away; setting the issuer again brings it back",
    ("cleaning.py", "clean"): "lists what goes, which nobody uses",
    ("request_logs.py", "delete"): "nothing refers to requests that were kept",
    ("registries.py", "clean_up"): "lists what goes, which no version has",
    ("registries.py", "revoke_storage"): "one command grants it again",
    ("registries.py", "forget_key"): "the service's own way into the store is used again",
    ("signing_in.py", "delete"): "forgets an address on this machine",
    ("users.py", "forget_sign_in"): "takes nothing away; the next to sign in is asked about",
    ("backups.py", "upgrade"): "deletes nothing",
    ("database.py", "move"): "deletes nothing",
    ("deployments.py", "stop"): "one command starts it again",
    ("signing.py", "rotate"): "what earlier keys signed stays valid",
    ("workflows.py", "cancel"): "it can be tried again",
}


def _modules(package: ModuleType = registry_tui.screens) -> list[tuple[Path, ast.Module]]:
    folder = Path(package.__file__ or "").parent
    return [(file, ast.parse(file.read_text("utf-8"))) for file in sorted(folder.rglob("*.py"))]


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (each for each in ast.walk(tree) if isinstance(each, ast.Call))


def _written(node: ast.expr) -> str:
    """A text as it stands in the code: `Stop {name}`."""
    return ast.unparse(node).removeprefix("f").strip("'\"")


def test_every_question_says_what_depends_on_what_goes() -> None:
    """`Confirm` is given `about`, or the reason stands here; a form that deletes shows `DependsOn`."""
    missing, asked = set(), 0
    for file, tree in _modules():
        for call in _calls(tree):
            if isinstance(call.func, ast.Name) and call.func.id == "Confirm":
                asked += 1
                if "about" not in {each.arg for each in call.keywords}:
                    missing.add((file.name, _written(call.args[0])))
    assert missing == set(ASKED_WITHOUT) and asked > 20
    # Things deleted by a form or by another kind of box.
    sends = ("delete_user", "delete_registry", "delete_alias", "delete_runs", "delete_experiments")
    for word in (*sends, "remove_member", "remove_collaborator"):
        (found,) = [tree for file, tree in _modules() if f"client.{word}(" in file.read_text("utf-8")]
        names = {each.id for each in ast.walk(found) if isinstance(each, ast.Name)}
        given = {each.arg for each in ast.walk(found) if isinstance(each, ast.keyword)}
        assert names & {"DependsOn", "DeleteItems"} or "about" in given, word


def test_every_command_that_takes_something_away_says_what_depends_on_it() -> None:
    """It asks with `confirm_deletion`, of which `--dry-run` shows the answer alone, or the reason stands here."""
    sending = re.compile(r"[cC]lient\.(\w+)")
    deletes = {
        function.name
        for _, tree in _modules(registry_tui.client)
        for function in ast.walk(tree)
        if isinstance(function, ast.AsyncFunctionDef) and "'DELETE'" in ast.unparse(function)
    } | {"delete_runs", "delete_experiments", "purge_runs", "rotate_secrets", "stop_deployment"}
    deletes |= {"cancel_workflow", "revoke_storage_access", "rotate_webhook_secret"}
    assert {"delete_model", "remove_member", "revoke_key", "remove_collaborator"} <= deletes
    missing, asked = set(), 0
    for file, tree in _modules(registry_tui.cli):
        for function in tree.body:
            if not isinstance(function, ast.FunctionDef) or file.name in ("session.py", "item_changes.py"):
                continue
            code = ast.unparse(function)
            if not set(sending.findall(code)) & deletes and "session.confirm(" not in code:
                continue
            asks = "session.confirm_deletion(" in code or "item_changes.confirm(" in code
            if not (asks and "dry_run=dry_run" in code and "session.confirm(" not in code):
                missing.add((file.name, function.name))
            asked += asks
    assert missing == set(COMMANDS_WITHOUT) and asked > 20
