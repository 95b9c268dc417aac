"""Promotion: a version of one registry becomes a version of another, with the same files, once."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from registry_tui.client.client import RegistryClient
from registry_tui.client.errors import ServiceProblem
from registry_tui.contracts.lineage_refs import reference
from registry_tui.schemas import mlflow_tags
from registry_tui.schemas.admission import RulesChange
from registry_tui.schemas.cards import CardChange
from registry_tui.schemas.models import ModelUpdate, ModelVersion, Tag, VersionStatus, VersionUpdate, Visibility
from registry_tui.schemas.operations import Accepted, WorkflowStatus
from registry_tui.schemas.people import EnvironmentRole, RolesChange, UserChange
from registry_tui.schemas.places import EnvironmentCreate, Project, WorkspaceCreate
from registry_tui.schemas.promotion import ApprovalAsk, ApprovalDecision, ApprovalState, Decision, VersionPromotion
from registry_tui.schemas.registries import RegistryCreate
from registry_tui.schemas.signatures import SignatureKind
from registry_tui.schemas.stores import DirectoryAddress, DirectoryStore
from support.platforms import Platform, unique, wait_for
from support.registered import object_names
from support.served import finish, register, remove_registry

RULES = "rules: [{name: wants-an-example, requires: input_example, for: [promote]}]"


@dataclass(frozen=True)
class Pair:
    """A registry of a new environment, `target`, beside the one that the project registers into."""

    platform: Platform
    project: Project
    environment: str
    target: str
    bucket: str

    def registered(self) -> ModelVersion:
        return register(self.platform, self.project).version

    def promote(
        self, version: ModelVersion, user: str | None = None, to: str | None = None, name: str | None = None
    ) -> Accepted[ModelVersion]:
        request = VersionPromotion(to=to or self.target, name=name)
        return self.platform.ask(
            lambda client: client.promote_version(version.registry_id, version.model_name, version.version, request),
            user=user,
        )

    def promoted(self, version: ModelVersion, name: str | None = None) -> ModelVersion:
        accepted = self.promote(version, name=name)
        finish(self.platform, accepted.workflow)
        made = accepted.resource
        return self.platform.ask(lambda client: client.version(made.registry_id, made.model_name, made.version))

    def sums(self, version: ModelVersion) -> dict[str, str]:
        found = self.platform.ask(
            lambda client: client.manifest(version.registry_id, version.model_name, version.version)
        )
        return {entry.path: entry.sha256 for entry in found.files}

    def versions(self, model: str) -> list[ModelVersion]:
        return self.platform.ask(lambda client: client.versions(self.target, model)).items


@pytest.fixture(scope="module")
def pair(platform: Platform) -> Iterator[Pair]:
    environment = platform.ask(lambda client: client.create_environment(EnvironmentCreate(name=unique("prod"))))
    made = platform.ask(lambda client: client.create_registry(RegistryCreate(environment=environment.id)))
    finish(platform, made.workflow)
    platform.ask(lambda client: client.grant_storage_access(made.resource.id))
    yield Pair(platform, platform.new_project(), environment.id, made.resource.id, environment.bucket)
    remove_registry(platform, made.resource.id)


def test_a_promoted_version_has_the_files_facts_and_lineage_of_its_original(pair: Pair) -> None:
    original = pair.registered()
    change = VersionUpdate(notes="good", set_tags=[Tag(key="team", value="red")])
    here = (original.registry_id, original.model_name, original.version)
    pair.platform.ask(lambda client: client.update_version(*here, change))
    card = CardChange(text="# Adds\n\nTwo numbers.\n")
    pair.platform.ask(lambda client: client.set_card(*here, card))
    shown = pair.platform.command(
        "models", "promote", original.model_name, "1", "--registry", original.registry_id, "--to", pair.target, "--json"
    )
    copy = ModelVersion.model_validate(json.loads(shown.stdout))
    assert copy.status is VersionStatus.READY and copy.registry_id == pair.target
    assert pair.sums(copy) == pair.sums(original)
    assert (copy.notes, copy.tags) == ("good", {"team": "red"})
    assert pair.platform.ask(lambda client: client.card(copy.registry_id, copy.model_name, 1)).text == card.text
    assert copy.origin.run_id == original.origin.run_id and copy.origin.promoted_from is not None
    assert copy.origin.promoted_from.version_id == original.id

    signed = {
        side.id: pair.platform.call(RegistryClient.signatures, side.registry_id, side.model_name, 1).signatures
        for side in (original, copy)
    }
    [own] = signed[original.id]
    assert [(each.kind, each.fingerprint == own.fingerprint) for each in signed[copy.id]] == [
        (SignatureKind.REGISTRY, False),
        (SignatureKind.TEAM, True),
    ]
    node, copied = (reference("version", each.registry_id, each.model_name, "1") for each in (original, copy))
    below = pair.platform.ask(lambda client: client.lineage(node))
    assert [each.node.ref for each in below.dependents if each.node.relation == "promoted to"] == [copied]
    above = pair.platform.ask(lambda client: client.lineage(copied))
    assert [each.node.ref for each in above.origins if each.node.relation == "promoted from"] == [node]
    for side in (original, copy):
        told = pair.platform.events(resource=side.id, action="version.promote")
        assert [(each.registry_id, each.outcome) for each in told] == [(side.registry_id, "succeeded")]


def test_the_same_content_is_one_version_whoever_asks_and_when(pair: Pair) -> None:
    original = pair.registered()
    with ThreadPoolExecutor(2) as threads:
        both = [each.result() for each in [threads.submit(pair.promote, original) for _ in range(2)]]
    assert {(each.resource.id, each.workflow.id) for each in both} == {(both[0].resource.id, both[0].workflow.id)}
    finish(pair.platform, both[0].workflow)
    before = object_names(pair.platform, pair.bucket, "modelregistry/")
    again = pair.promote(original)
    assert again.resource.id == both[0].resource.id
    assert object_names(pair.platform, pair.bucket, "modelregistry/") == before
    assert [each.version for each in pair.versions(original.model_name)] == [1]
    pair.platform.ask(lambda client: client.delete_version(pair.target, original.model_name, 1))
    assert pair.promoted(original).version == 2
    assert pair.promote(original).resource.version == 2
    other = pair.promoted(original, name=unique("renamed"))
    assert other.model_name != original.model_name and pair.sums(other) == pair.sums(original)


def _from_before(pair: Pair, version: ModelVersion) -> None:
    """Makes a version as one is that was stored by a platform without bills of materials and content digests."""
    home = pair.platform.home
    with closing(sqlite3.connect(home.mlflow_database, timeout=60)) as database, database:
        where = "key = ? AND name = ? AND version = ?"
        told = (mlflow_tags.CONTENT, version.model_name, version.version)
        assert database.execute(f"DELETE FROM model_version_tags WHERE {where}", told).rowcount
    with closing(sqlite3.connect(home.service_database, timeout=60)) as database, database:
        for table in ("version_components", "version_boms"):
            assert database.execute(f"DELETE FROM {table} WHERE version_id = ?", [version.id]).rowcount
        database.execute("UPDATE registries SET described_at = NULL WHERE id = ?", [version.registry_id])


def test_versions_from_before_are_found_and_not_stored_again(pair: Pair) -> None:
    package = unique("part").lower()
    original = register(pair.platform, pair.project, requirements=f"{package}<2\n").version
    made = pair.promoted(original)
    _from_before(pair, made)

    def found() -> list[str]:
        listed = pair.platform.ask(lambda client: client.versions_using([package], registry=pair.target)).items
        return [each.version_id for each in listed]

    assert found() == []
    wait_for(lambda: found() == [made.id])
    assert pair.promote(original).resource.id == made.id
    # Not once more: the registry was walked.
    with closing(sqlite3.connect(pair.platform.home.service_database, timeout=60)) as database:
        asked = "SELECT described_at FROM registries WHERE id = ?"
        wait_for(lambda: database.execute(asked, [pair.target]).fetchone()[0] is not None)


def test_rules_of_the_target_are_asked_and_no_exception_from_elsewhere_counts(pair: Pair) -> None:
    original = pair.registered()
    pair.platform.ask(lambda client: client.set_rules(pair.environment, RulesChange(text=RULES)))
    try:
        with pytest.raises(ServiceProblem, match="rule wants-an-example: the model has no input example"):
            pair.promote(original)
    finally:
        pair.platform.ask(lambda client: client.set_rules(pair.environment, RulesChange(text="rules: []")))
    with pytest.raises(ServiceProblem, match="no model"):
        pair.versions(original.model_name)


APPROVAL = "rules: [{name: asked, requires: approval, for: [promote]}]"


def test_an_approval_that_the_target_wants_is_decided_there(pair: Pair) -> None:
    original, (here, there) = pair.registered(), (unique("here"), unique("there"))
    environments = {
        here: pair.platform.ask(lambda client: client.registry(original.registry_id)).environment_id,
        there: pair.environment,
    }
    roles = RolesChange(roles=[EnvironmentRole.ENVIRONMENT_USER, EnvironmentRole.ML_ADMIN])
    for person, environment in environments.items():
        pair.platform.call(RegistryClient.put_user, person, UserChange())
        pair.platform.call(RegistryClient.set_user_roles, environment, person, roles)
    name = pair.platform.ask(lambda client: client.registry(pair.target)).name
    purpose = f"promote:{name}"
    pair.platform.ask(lambda client: client.set_rules(pair.environment, RulesChange(text=APPROVAL)))
    try:
        with pytest.raises(ServiceProblem, match=f"rule asked: it is not approved for {purpose}") as refused:
            pair.promote(original)
        assert f"--purpose {purpose}" in (refused.value.action or "")
        version = (original.registry_id, original.model_name, 1)
        asked = pair.platform.ask(lambda client: client.ask_approval(*version, purpose, ApprovalAsk(comment="good")))

        def waiting(person: str) -> list[str]:
            found = pair.platform.ask(
                lambda client: client.approvals(waiting=True, version_id=original.id), user=person
            ).items
            return [each.id for each in found]

        assert (waiting(here), waiting(there)) == ([], [asked.id])
        approve = ApprovalDecision(decision=Decision.APPROVE)
        with pytest.raises(ServiceProblem):
            pair.platform.ask(lambda client: client.decide_approval(asked.id, approve), user=here)
        pair.platform.ask(lambda client: client.decide_approval(asked.id, approve), user=there)
        assert pair.promoted(original).status is VersionStatus.READY
    finally:
        pair.platform.ask(lambda client: client.set_rules(pair.environment, RulesChange(text="rules: []")))


def test_an_approval_for_a_registry_that_is_not_there_is_refused(pair: Pair) -> None:
    original, nowhere = pair.registered(), unique("nowhere")
    version = (original.registry_id, original.model_name, 1)
    with pytest.raises(ServiceProblem, match=f"no Model Registry '{nowhere}'") as refused:
        pair.platform.ask(lambda client: client.ask_approval(*version, f"promote:{nowhere}", ApprovalAsk()))
    assert refused.value.problem.status == 404 and "registries list" in (refused.value.action or "")
    with pytest.raises(ServiceProblem, match="is not a purpose"):
        pair.platform.ask(lambda client: client.ask_approval(*version, "promote:", ApprovalAsk()))
    shown = pair.platform.command(
        *("approvals", "ask", original.model_name, "1", "--registry", original.registry_id),
        *("--purpose", f"promote:{nowhere}"),
        check=False,
    )
    assert shown.returncode and "no Model Registry" in shown.stderr
    found = pair.platform.ask(lambda client: client.approvals(version_id=original.id)).items
    assert found == []
    # By its ID it is the same question as by its name.
    asked = pair.platform.ask(lambda client: client.ask_approval(*version, f"promote:{pair.target}", ApprovalAsk()))
    name = pair.platform.ask(lambda client: client.registry(pair.target)).name
    assert asked.purpose == f"promote:{name}"


def test_a_rules_own_purpose_needs_no_registry(pair: Pair) -> None:
    copy, board = pair.promoted(pair.registered()), unique("board")
    rules = f"rules: [{{name: board, requires: approval, for: [promote], purpose: 'promote:{board}'}}]"
    pair.platform.ask(lambda client: client.set_rules(pair.environment, RulesChange(text=rules)))
    try:
        version = (copy.registry_id, copy.model_name, 1)
        asked = pair.platform.ask(lambda client: client.ask_approval(*version, f"promote:{board}", ApprovalAsk()))
        assert asked.state is ApprovalState.PENDING
    finally:
        pair.platform.ask(lambda client: client.set_rules(pair.environment, RulesChange(text="rules: []")))


def test_the_target_has_the_last_word_about_what_goes_there(pair: Pair) -> None:
    original = pair.registered()
    version = (original.registry_id, original.model_name, 1)
    name = pair.platform.ask(lambda client: client.registry(pair.target)).name

    def say(purpose: str, decision: Decision, asker: str | None = None) -> None:
        asked = pair.platform.ask(lambda client: client.ask_approval(*version, purpose, ApprovalAsk()), user=asker)
        pair.platform.ask(lambda client: client.decide_approval(asked.id, ApprovalDecision(decision=decision)))

    here, asker = pair.platform.ask(lambda client: client.registry(original.registry_id)), unique("asker")
    roles = RolesChange(roles=[EnvironmentRole.ENVIRONMENT_USER, EnvironmentRole.ML_USER])
    pair.platform.call(RegistryClient.put_user, asker, UserChange())
    for environment in (here.environment_id, pair.environment):
        pair.platform.call(RegistryClient.set_user_roles, environment, asker, roles)
    change = ModelUpdate(visibility=Visibility.PUBLIC)
    pair.platform.ask(lambda client: client.update_model(*version[:2], change))
    before = pair.platform.ask(lambda client: client.promotion_rules(pair.target))
    eyes = "rules: [{name: asked, requires: approval, four_eyes: true, for: [promote]}]"
    try:
        # People who may decide alone have no second pair of eyes.
        pair.platform.ask(lambda client: client.set_rules(pair.environment, RulesChange(text=eyes)))
        alone = before.model_copy(update={"four_eyes": False})
        pair.platform.ask(lambda client: client.set_promotion_rules(pair.target, alone))
        say(f"promote:{name}", Decision.APPROVE)
        with pytest.raises(ServiceProblem, match=f"who asked for promote:{name} approved it too"):
            pair.promote(original)
        say("promote", Decision.APPROVE, asker)
        say(f"promote:{name}", Decision.REJECT, asker)
        for rules in (eyes, APPROVAL):
            change_ = RulesChange(text=rules)
            pair.platform.call(RegistryClient.set_rules, pair.environment, change_)
            with pytest.raises(ServiceProblem, match=f"it was rejected for promote:{name}") as refused:
                pair.promote(original)
            assert f"--purpose promote:{name}" in (refused.value.action or "")
        say(f"promote:{name}", Decision.APPROVE, asker)
        copy = pair.promoted(original)
        # Within the registry, too.
        again = VersionPromotion(to=pair.target, name=unique("renamed"))
        there = (copy.registry_id, copy.model_name, copy.version)
        pair.platform.ask(lambda client: client.update_model(*there[:2], change))
        with pytest.raises(ServiceProblem, match=f"it is not approved for promote:{name}"):
            pair.platform.ask(lambda client: client.promote_version(*there, again))
        asked = pair.platform.ask(
            lambda client: client.ask_approval(*there, f"promote:{name}", ApprovalAsk()), user=asker
        )
        yes = ApprovalDecision(decision=Decision.APPROVE)
        pair.platform.ask(lambda client: client.decide_approval(asked.id, yes))
        finish(pair.platform, pair.platform.ask(lambda client: client.promote_version(*there, again)).workflow)
    finally:
        pair.platform.ask(lambda client: client.set_rules(pair.environment, RulesChange(text="rules: []")))
        pair.platform.ask(lambda client: client.set_promotion_rules(pair.target, before))


def test_it_takes_the_right_to_read_here_and_to_register_there(pair: Pair) -> None:
    original = pair.registered()
    person = unique("person")
    pair.platform.call(RegistryClient.put_user, person, UserChange())
    roles = RolesChange(roles=[EnvironmentRole.ENVIRONMENT_USER, EnvironmentRole.ML_USER])
    here = pair.platform.ask(lambda client: client.registry(original.registry_id)).environment_id
    with pytest.raises(ServiceProblem):
        pair.promote(original, user=person)
    pair.platform.call(RegistryClient.set_user_roles, here, person, roles)
    public = ModelUpdate(visibility=Visibility.PUBLIC)
    pair.platform.ask(lambda client: client.update_model(original.registry_id, original.model_name, public))
    with pytest.raises(ServiceProblem, match="no Model Registry"):
        pair.promote(original, user=person)
    pair.platform.call(RegistryClient.set_user_roles, pair.environment, person, RolesChange(roles=[roles.roles[0]]))
    with pytest.raises(ServiceProblem, match="may not promote versions"):
        pair.promote(original, user=person)
    pair.platform.call(RegistryClient.set_user_roles, pair.environment, person, roles)
    made = pair.promote(original, user=person)
    finish(pair.platform, made.workflow)
    assert pair.platform.ask(lambda client: client.model(pair.target, original.model_name)).owner == person
    with pytest.raises(ServiceProblem, match="already"):
        pair.promote(original, to=original.registry_id)


@pytest.fixture(scope="module")
def own_store(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, str, Path]]:
    """A project in an environment with a directory as its store, its registry, and the directory."""
    folder = tmp_path_factory.mktemp("own-store")
    store = DirectoryStore(address=DirectoryAddress(path=str(folder)))
    environment = platform.ask(
        lambda client: client.create_environment(EnvironmentCreate(name=unique("own"), store=store))
    )
    team = WorkspaceCreate(name=unique("team"), environment=environment.id)
    workspace = platform.ask(lambda client: client.create_workspace(team))
    made = platform.ask(lambda client: client.create_registry(RegistryCreate(environment=environment.id)))
    finish(platform, made.workflow)
    finish(platform, platform.ask(lambda client: client.synchronize_registry(made.resource.id)).workflow)
    yield platform.new_project(workspace.id), made.resource.id, folder
    remove_registry(platform, made.resource.id)


def test_bytes_go_between_stores_and_changed_ones_do_not(pair: Pair, own_store: tuple[Project, str, Path]) -> None:
    project, registry, folder = own_store
    original = pair.registered()
    there = finish(pair.platform, pair.promote(original, to=registry).workflow)
    assert there.resource_name == f"{original.model_name} v1"
    copied = pair.platform.ask(lambda client: client.version(registry, original.model_name, 1))
    assert pair.sums(copied) == pair.sums(original)

    mine = register(pair.platform, project).version
    [file] = [path for path in folder.rglob("settings.json") if f"/{mine.id}/" in str(path)]
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + b" ")
    refused = finish(pair.platform, pair.promote(mine).workflow, WorkflowStatus.FAILED)
    assert "differs from its manifest: code/settings.json" in (refused.error or "")
    assert [each.status for each in pair.versions(mine.model_name)] == [VersionStatus.FAILED_REGISTRATION]
    file.write_bytes(whole)
    copy = pair.promoted(mine)
    assert (copy.version, copy.status) == (1, VersionStatus.READY) and pair.sums(copy) == pair.sums(mine)
