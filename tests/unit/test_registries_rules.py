"""Rules for creating, finding and deleting, without the platform: the workflows stay queued."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import ValidationError
from sqlalchemy import select

from registry_tui.platform.paths import Home
from registry_tui.platform.ports import Ports
from registry_tui.platform.secrets import Secrets
from registry_tui.schemas.operations import EventOutcome, WorkflowKind
from registry_tui.schemas.people import EnvironmentRole
from registry_tui.schemas.places import Cloud
from registry_tui.schemas.registries import ModelRegistry, RegistryCreate, RegistryDelete, RegistryStatus
from registry_tui.service.access import environment_roles
from registry_tui.service.backends.base import Backends
from registry_tui.service.backends.supervisord import LocalReplicas
from registry_tui.service.core import identity
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.core.resolve import resolve_registry
from registry_tui.service.database.tables import (
    DeploymentRow,
    EnvironmentRow,
    ProjectRow,
    RegistryRow,
    WorkflowRow,
    WorkspaceRow,
)
from registry_tui.service.engine.engine import Engine
from registry_tui.service.errors import AlreadyThere, InUse, InvalidInput, Missing, NotPermitted, WrongState
from registry_tui.service.operations import events
from registry_tui.service.registries import lifecycle as registries
from registry_tui.service.settings import Settings
from registry_tui.service.workflows.catalog import DEFINITIONS
from support.databases import new_database


def make_service(folder: Path, settings: Settings) -> Service:
    database = new_database(folder)
    nothing = cast(Any, None)
    local = LocalReplicas(Home(folder))
    engine = Engine(f"sqlite:///{folder}/workflows.db", DEFINITIONS)
    service = Service(
        home=Home(folder),
        ports=Ports(**dict.fromkeys(Ports.__dataclass_fields__, 1)),
        secrets=Secrets(),
        settings=settings,
        database=database,
        mlflow=nothing,
        stores=nothing,
        backends=Backends(local, local),
        access=nothing,
        workflows=engine,
    )
    engine.attach(service)
    with database.session() as session:
        for name, cloud in (("east", Cloud.AWS), ("west", Cloud.AWS), ("blue", Cloud.AZURE)):
            row = EnvironmentRow(
                name=name, crn=f"crn:{name}", cloud=cloud.value, raz_enabled=True, bucket=name, creator="me"
            )
            row.state = "ready"
            session.add(row)
    return service


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return make_service(tmp_path, Settings())


@pytest.fixture
def owner(service: Service) -> Principal:
    return identity.owner_principal(service)


@pytest.fixture
def create(service: Service, owner: Principal) -> Callable[..., ModelRegistry]:
    def created(environment: str, **fields: Any) -> ModelRegistry:
        request = RegistryCreate(environment=environment, **fields)
        return registries.create_registry(service, owner, request).resource

    return created


def test_a_new_registry_has_its_documented_names(service: Service, owner: Principal) -> None:
    accepted = registries.create_registry(service, owner, RegistryCreate(environment="east"))
    made, workflow = accepted.resource, accepted.workflow
    assert (made.name, made.mlflow_workspace, made.prefix) == ("registry-east", "mr-east", "modelregistry")
    assert made.status is RegistryStatus.PROVISION_STARTED and made.status.label == "Provisioning"
    assert (made.location, made.owner, made.creator) == ("control plane", owner.name, owner.name)
    with service.database.reading() as session:
        account = identity.account_id(session)
    assert made.crn == f"crn:cdp:ml:us-west-1:{account}:modelregistry:{made.id}"
    user = made.machine_user_workload_name
    assert user is not None and len(user.removeprefix("srv_cml_env_machine_user_")) == 5
    assert str(made.machine_user_crn).startswith(f"crn:altus:iam:us-west-1:{account}:machineUser:{user}/")
    assert workflow.kind is WorkflowKind.PROVISION and made.workflow_id == workflow.id
    event = events.list_events(service, owner, registry=made.id).items[0]
    assert (event.action, event.outcome, event.actor) == ("registry.create", EventOutcome.STARTED, owner.name)
    assert (event.request_id, event.workflow_id) == (owner.request_id, workflow.id)


NFS, VERSION = "existing_nfs", "nfs_protocol_version"


@pytest.mark.parametrize(
    ("environment", "fields", "wrong"),
    [
        ("east", {}, set()),
        ("east", {NFS: "nfs.example.net:/exports"}, {NFS}),
        ("east", {VERSION: "3"}, {VERSION}),
        ("east", {NFS: "h:/x", VERSION: "4.1"}, {NFS, VERSION}),
        ("blue", {}, {NFS, VERSION}),
        ("blue", {NFS: "", VERSION: "3"}, {NFS}),
        ("blue", {NFS: "nfs.example.net:/exports/registry"}, {VERSION}),
        ("blue", {NFS: "nfs.example.net:/exports/registry", VERSION: "3"}, set()),
        ("blue", {NFS: "10.0.0.7:/registry", VERSION: "4.1"}, set()),
        ("blue", {NFS: "[fd00::7]:/registry", VERSION: "4.1"}, set()),
        ("blue", {NFS: "nfs.example.net", VERSION: "3"}, {NFS}),
        ("blue", {NFS: "nfs.example.net:exports", VERSION: "3"}, {NFS}),
        ("blue", {NFS: ":/exports", VERSION: "3"}, {NFS}),
        ("blue", {NFS: "-x:/exports", VERSION: "3"}, {NFS}),
        ("blue", {NFS: "two words:/exports", VERSION: "3"}, {NFS}),
        ("blue", {NFS: "h:/line\nbreak", VERSION: "3"}, {NFS}),
        ("blue", {NFS: "h:/\x1b[31mred", VERSION: "3"}, {NFS}),
        ("blue", {NFS: "h:/nul\x00", VERSION: "3"}, {NFS}),
        ("blue", {NFS: "h:/exports/../etc", VERSION: "3"}, {NFS}),
        ("blue", {NFS: "h:/..", VERSION: "3"}, {NFS}),
        ("blue", {NFS: "h:/a/./b", VERSION: "3"}, {NFS}),
        ("blue", {NFS: "h:/a..b/.c/...", VERSION: "3"}, set()),
    ],
)
def test_nfs_belongs_to_azure(
    create: Callable[..., ModelRegistry], environment: str, fields: dict[str, str], wrong: set[str]
) -> None:
    if not wrong:
        made = create(environment, **fields)
        assert (made.existing_nfs, made.nfs_protocol_version) == (fields.get(NFS), fields.get(VERSION))
        return
    with pytest.raises(InvalidInput) as caught:
        create(environment, **fields)
    assert {problem.field for problem in caught.value.errors} == wrong


def test_only_known_protocol_versions_and_names() -> None:
    for fields in ({VERSION: "4"}, {"name": "Not a name"}, {"name": ""}, {NFS: "h:/" + "x" * 2000}):
        with pytest.raises(ValidationError):
            RegistryCreate(environment="blue", **cast(Any, fields))


def test_one_registry_an_environment(create: Callable[..., ModelRegistry]) -> None:
    create("east")
    with pytest.raises(AlreadyThere, match="registry-east"):
        create("east", name="another")
    with pytest.raises(AlreadyThere, match="'registry-east'"):
        create("west", name="registry-east")
    with pytest.raises(Missing, match="nowhere"):
        create("nowhere")


def test_without_the_entitlement_nothing_is_created(tmp_path: Path) -> None:
    service = make_service(tmp_path, Settings(entitlements=()))
    owner = identity.owner_principal(service)
    with pytest.raises(NotPermitted, match="ML_MODEL_REGISTRY") as caught:
        registries.create_registry(service, owner, RegistryCreate(environment="east"))
    assert "config.toml" in str(caught.value.action)
    assert registries.list_registries(service, owner).items == []
    event = events.list_events(service, owner).items[0]
    assert (event.action, event.outcome) == ("registry.create", EventOutcome.DENIED)


def test_people_without_the_roles_change_no_registries(
    service: Service, owner: Principal, create: Callable[..., ModelRegistry]
) -> None:
    made = create("east")
    identity.ensure_user(service, "ann")
    ann = identity.acting_principal(service, "ann", "request-1")
    roles = [EnvironmentRole.ENVIRONMENT_USER, EnvironmentRole.ML_USER]
    for environment in ("east", "west"):
        environment_roles.set_roles(service, owner, environment, roles, user="ann")
    attempts: list[Callable[[], object]] = [
        lambda: registries.create_registry(service, ann, RegistryCreate(environment="west")),
        lambda: registries.synchronize_registry(service, ann, made.id),
        lambda: registries.delete_registry(service, ann, made.id, RegistryDelete(force=True)),
        lambda: registries.grant_storage_access(service, ann, made.id),
        lambda: registries.revoke_storage_access(service, ann, made.id),
    ]
    for attempt in attempts:
        with pytest.raises(NotPermitted, match="ann may not"):
            attempt()
    denied = events.list_events(service, owner, actor="ann").items
    assert {event.action for event in denied} == {
        "registry.create",
        "registry.synchronize",
        "registry.delete",
        "registry.grant-storage",
        "registry.revoke-storage",
    }
    assert {event.outcome for event in denied} == {EventOutcome.DENIED}
    assert registries.get_registry(service, ann, made.id).id == made.id
    assert [found.id for found in registries.list_registries(service, ann).items] == [made.id]


def test_lists_are_filtered_ordered_and_paged(
    service: Service, owner: Principal, create: Callable[..., ModelRegistry]
) -> None:
    create("east", name="zeta")
    create("west")
    create("blue", existing_nfs="h:/x", nfs_protocol_version="3")
    with service.database.reading() as session:
        west = resolve_registry(session, "registry-west")
    registries.change(service, west.id, status=RegistryStatus.PROVISION_FAILED.value)

    def names(**filters: Any) -> list[str]:
        return [found.name for found in registries.list_registries(service, owner, **filters).items]

    assert names() == ["registry-blue", "registry-west", "zeta"]
    assert names(name="REGISTRY") == ["registry-blue", "registry-west"]
    assert names(environment="eas") == ["zeta"]
    assert names(status="provision:failed") == names(status="provisioning FAILED") == ["registry-west"]
    assert names(status="provision") == names(name="none") == []
    assert names(name="t", status="Provisioning", environment="east") == ["zeta"]
    assert names(order_by="-name") == ["zeta", "registry-west", "registry-blue"]
    assert names(order_by="environment") == ["registry-blue", "zeta", "registry-west"]
    assert names(order_by="updated_at") == ["zeta", "registry-blue", "registry-west"]
    with pytest.raises(InvalidInput):
        names(order_by="colour")

    first = registries.list_registries(service, owner, page_size=2)
    assert (len(first.items), first.total) == (2, 3)
    rest = registries.list_registries(service, owner, page_size=2, page_token=first.next_page_token)
    assert ([found.name for found in rest.items], rest.next_page_token) == (["zeta"], None)
    with pytest.raises(InvalidInput):
        registries.list_registries(service, owner, order_by="-name", page_token=first.next_page_token)


def test_what_is_not_available_cannot_be_worked_with(
    service: Service, owner: Principal, create: Callable[..., ModelRegistry]
) -> None:
    made = create("east")
    for attempt in (
        registries.synchronize_registry,
        registries.grant_storage_access,
        registries.revoke_storage_access,
    ):
        with pytest.raises(WrongState, match="Provisioning"):
            attempt(service, owner, made.id)
    # Its creation is still at work on it.
    with pytest.raises(WrongState):
        registries.delete_registry(service, owner, made.id, RegistryDelete())
    assert registries.get_registry(service, owner, made.id).status is RegistryStatus.PROVISION_STARTED


def test_an_answer_shows_the_registry_as_it_was_when_its_work_began(
    service: Service, owner: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the work is done before the answer is written, on a busy machine."""
    ended = [RegistryStatus.INSTALLATION_FINISHED.value, RegistryStatus.MODIFY_FINISHED.value, None]

    def work(workflow_id: str) -> None:
        with service.database.session() as session:
            session.get_one(WorkflowRow, workflow_id).lock = None
            row = session.scalars(select(RegistryRow)).one()
            if (status := ended.pop(0)) is None:
                session.delete(row)
            else:
                row.status, row.workflow_id = status, None

    monkeypatch.setattr(service.workflows, "_submit", work)
    monkeypatch.setattr(registries, "count_models", lambda *_: 0)
    made = registries.create_registry(service, owner, RegistryCreate(environment="east"))
    synchronized = registries.synchronize_registry(service, owner, made.resource.id)
    deleted = registries.delete_registry(service, owner, made.resource.id, RegistryDelete())
    assert [(each.resource.status, each.resource.workflow_id) for each in (made, synchronized, deleted)] == [
        (RegistryStatus.PROVISION_STARTED, made.workflow.id),
        (RegistryStatus.MODIFY_STARTED, synchronized.workflow.id),
        (RegistryStatus.DEPROVISION_STARTED, deleted.workflow.id),
    ]
    with pytest.raises(Missing):
        registries.get_registry(service, owner, made.resource.id)


def test_deployed_versions_keep_their_registry(
    service: Service, owner: Principal, create: Callable[..., ModelRegistry]
) -> None:
    made = create("east")
    with service.database.session() as session:
        workspace = WorkspaceRow(name="w", crn="crn:w", environment_id=made.environment_id, creator="me")
        project = ProjectRow(name="p", workspace=workspace, mlflow_workspace="p", creator="me")
        session.add_all([workspace, project])
        session.flush()
        for name, state in (("live", "deployed"), ("old", "stopped"), ("broken", "failed"), ("next", "deploying")):
            session.add(
                DeploymentRow(
                    name=name,
                    project_id=project.id,
                    registry_id=made.id,
                    model_id="m",
                    model_name="Wine",
                    version=2,
                    version_id="v",
                    access_key=name,
                    creator="me",
                    state=state,
                )
            )
    with pytest.raises(InUse, match=r"live \(Wine v2\), next \(Wine v2\)"):
        registries.delete_registry(service, owner, made.id, RegistryDelete())
    with pytest.raises(WrongState):  # force passes over the deployments, not over the work in progress
        registries.delete_registry(service, owner, made.id, RegistryDelete(force=True))
