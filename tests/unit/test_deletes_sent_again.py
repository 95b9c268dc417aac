"""A request that took something away and whose answer was lost gets that answer when it is sent again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, cast
from unittest.mock import MagicMock

import httpx
import pytest
import sqlalchemy as sa

from registry_tui.contracts import signatures
from registry_tui.contracts.attached_sources import AttachedSource
from registry_tui.platform.ports import Ports
from registry_tui.schemas.operations import Accepted
from registry_tui.schemas.people import GroupChange, UserTokenCreate
from registry_tui.schemas.places import Project
from registry_tui.schemas.ranger import RangerRole
from registry_tui.schemas.sign_in import IssuerSettings
from registry_tui.schemas.signatures import SigningKeyAdd
from registry_tui.service.access import groups, issuers, tokens
from registry_tui.service.adapters.attached_mlflow import ServerAddress
from registry_tui.service.core import idempotency, identity
from registry_tui.service.core.context import Principal, Service
from registry_tui.service.database.tables import (
    ApiKeyRow,
    AttachedServerRow,
    DeploymentRow,
    EnvironmentRow,
    IdempotencyRow,
    InstallationRow,
    ProjectRow,
    RangerPolicyRow,
    RangerSourceRow,
    RegistryRow,
    RevisionRow,
    WebhookRow,
    WorkflowRow,
    WorkspaceRow,
    now,
)
from registry_tui.service.deployments import views
from registry_tui.service.errors import Missing, PartUnavailable
from registry_tui.service.http import resuming
from registry_tui.service.ranger import policies, roles
from registry_tui.service.ranger.definitions import S3
from registry_tui.service.registering import attached
from registry_tui.service.registries import lifecycle
from registry_tui.service.signing import trust
from registry_tui.service.stores.base import Stores
from registry_tui.service.tracking.project import Attached, ProjectPlace
from support.bare import asking, bare_service, make_place, prepared_app, set_roles

PLACE = "aws"
PORTS = Ports(**dict.fromkeys(Ports.__dataclass_fields__, 1))


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service whose other parts accept everything."""
    store = MagicMock()
    store.bucket_holds_objects.return_value = False
    mlflow = MagicMock()
    mlflow.call.return_value = {}
    stores = cast(Any, Stores(objects=store, users=MagicMock()))
    with bare_service(
        tmp_path, stores=stores, mlflow=mlflow, access=MagicMock(), workflows=MagicMock(), ports=PORTS
    ) as made:
        made.home.routes_file.parent.mkdir(parents=True)
        made.home.serving.mkdir(parents=True, exist_ok=True)
        make_place(made, PLACE)
        with made.database.session() as session:
            session.get_one(EnvironmentRow, PLACE).raz_enabled = True
        policies.ensure(made, PLACE)
        for name in ("bob", "heir"):
            identity.ensure_user(made, name)
        yield made


@pytest.fixture
async def http(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with asking(service) as client:
        yield client


def lose_answers(service: Service) -> None:
    """As when the service is killed between a request's work and saving its response."""
    with service.database.session() as session:
        session.execute(sa.update(IdempotencyRow).values(status=None, answer=None))


# -- things to delete: each makes one and returns its address -------------------------------------------------


def a_group(service: Service, owner: Principal) -> str:
    groups.put_group(service, owner, "tasting", GroupChange())
    return "/groups/tasting"


def a_member(service: Service, owner: Principal) -> str:
    a_group(service, owner)
    groups.add_member(service, owner, "tasting", "bob")
    return "/groups/tasting/members/bob"


def a_collaborator(service: Service, owner: Principal) -> str:
    set_roles(service, "bob", PLACE, project="viewer")
    return f"/projects/{PLACE}-project/collaborators/bob"


def a_user(service: Service, owner: Principal) -> str:
    return "/users/bob?to=heir"


def a_token(service: Service, owner: Principal) -> str:
    made = tokens.create_token(service, owner, "bob", UserTokenCreate(name="x"))
    return f"/users/bob/tokens/{made.user_token.id}"


def a_key(service: Service, owner: Principal) -> str:
    with service.database.session() as session:
        session.add(ApiKeyRow(id="k1", name="x", sha256="s", user=owner.name, expires_at=now()))
    return "/keys/k1"


def an_issuer(service: Service, owner: Principal) -> str:
    with service.database.session() as session:
        settings = IssuerSettings(url="https://id.example", client_id="c")
        session.add(InstallationRow(key=issuers._KEY, value=settings.model_dump_json()))
    return "/sign-in/issuer"


def a_workspace(service: Service, owner: Principal) -> str:
    with service.database.session() as session:
        session.add(WorkspaceRow(id="empty", name="empty", crn="c", environment_id=PLACE, creator="ann"))
    return "/workspaces/empty"


def an_environment(service: Service, owner: Principal) -> str:
    with service.database.session() as session:
        more = {"crn": "c", "cloud": "aws", "raz_enabled": False, "creator": "ann", "state": "ready"}
        session.add(EnvironmentRow(id="empty", name="empty", bucket="empty", **more))
    return "/environments/empty"


def a_server(service: Service, owner: Principal) -> str:
    a_workspace(service, owner)
    with service.database.session() as session:
        session.add(AttachedServerRow(workspace_id="empty", url="https://mlflow.example", creator="ann"))
        more = {"mlflow_workspace": "empty", "creator": "ann", "state": "ready"}
        session.add(ProjectRow(id="empty-project", name="empty", workspace_id="empty", **more))
    return "/attached-servers/empty"


def a_project(service: Service, owner: Principal) -> str:
    return f"/projects/{PLACE}-project?force=true"


def a_source(service: Service, owner: Principal) -> str:
    with service.database.session() as session:
        session.add(
            RangerSourceRow(
                environment_id=PLACE, url="https://ranger.example", service="s3", every=60.0, policy_version=1,
                definition=S3.model_dump(mode="json", by_alias=True), policies=[], notes=[],
                fetched_at=now(),
            )
        )  # fmt: skip
    return f"/environments/{PLACE}/ranger-source"


def a_policy(service: Service, owner: Principal) -> str:
    (first,) = policies.list_policies(service, owner)
    return f"/service/public/v2/api/policy/{first.id}"


def a_policy_by_name(service: Service, owner: Principal) -> str:
    return "/service/public/v2/api/policy?servicename=cm_s3&policyname=all%20-%20bucket%2C%20path"


def a_role(service: Service, owner: Principal) -> str:
    made = roles.create_role(service, owner, RangerRole(name="tasters"))
    return f"/service/public/v2/api/roles/{made.id}"


def a_role_by_name(service: Service, owner: Principal) -> str:
    a_role(service, owner)
    return "/service/public/v2/api/roles/name/tasters"


def a_webhook(service: Service, owner: Principal) -> str:
    with service.database.session() as session:
        row = {"url": "https://a.example.com/", "events": ["*"], "secret": "sealed", "creator": owner.name}
        session.add(WebhookRow(name="tell", environment_id=PLACE, creator_crn=owner.crn, **row))
    return "/webhooks/tell"


def a_signing_key(service: Service, owner: Principal) -> str:
    public = signatures.public_key_of(signatures.new_private_key())
    made = trust.add_key(service, owner, PLACE, SigningKeyAdd(name="team", public_key=public))
    return f"/environments/{PLACE}/signing-keys/{made.name}"


TAKEN: tuple[Callable[[Service, Principal], str], ...] = (
    a_group, a_member, a_collaborator, a_user, a_token, a_key, an_issuer, a_workspace, an_environment, a_project,
    a_server, a_source, a_policy, a_policy_by_name, a_role, a_role_by_name, a_webhook,
    a_signing_key,
)  # fmt: skip


@pytest.mark.parametrize("make", TAKEN)
async def test_what_was_taken_away_is_answered_again_when_the_answer_was_lost(
    service: Service, http: httpx.AsyncClient, make: Callable[[Service, Principal], str]
) -> None:
    path = make(service, identity.owner_principal(service))
    url = f"http://registry-tui{path}" if path.startswith("/service/") else path
    first = await http.delete(url, headers={"Idempotency-Key": "k"})
    assert first.is_success, first.text
    lose_answers(service)
    again = await http.delete(url, headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.content) == (first.status_code, first.content), again.text
    # The answer is kept now; another request is one of its own.
    kept = await http.delete(url, headers={"Idempotency-Key": "k"})
    assert (kept.status_code, kept.content) == (first.status_code, first.content)
    assert (await http.delete(url, headers={"Idempotency-Key": "other"})).status_code in (404, 409)


# -- things made then by the same name: each makes one where the first is gone --------------------------------


def another_user(service: Service, owner: Principal) -> None:
    identity.ensure_user(service, "bob")


def another_workspace(service: Service, owner: Principal) -> None:
    with service.database.session() as session:
        session.add(WorkspaceRow(id="second", name="empty", crn="c", environment_id=PLACE, creator="ann"))


def another_environment(service: Service, owner: Principal) -> None:
    with service.database.session() as session:
        more = {"crn": "c", "cloud": "aws", "raz_enabled": False, "creator": "ann", "state": "ready"}
        session.add(EnvironmentRow(id="second", name="empty", bucket="second", **more))


def another_server(service: Service, owner: Principal) -> None:
    another_workspace(service, owner)
    with service.database.session() as session:
        session.add(AttachedServerRow(workspace_id="second", url="https://mlflow.example", creator="ann"))
        more = {"mlflow_workspace": "second", "creator": "ann", "state": "ready"}
        session.add(ProjectRow(id="second-project", name="empty", workspace_id="second", **more))


def another_project(service: Service, owner: Principal) -> None:
    with service.database.session() as session:
        place = session.scalars(sa.select(WorkspaceRow).where(WorkspaceRow.environment_id == PLACE)).first()
        assert place is not None
        more = {"mlflow_workspace": "second", "creator": "ann", "state": "ready"}
        session.add(ProjectRow(id="second", name=f"{PLACE}-project", workspace_id=place.id, **more))


def another_policy(service: Service, owner: Principal) -> None:
    policies.ensure(service, PLACE)
    with service.database.session() as session:
        gone = session.scalars(sa.select(RangerPolicyRow.name)).all()
        assert "all - bucket, path" not in gone
        document = {"service": "cm_s3", "name": "all - bucket, path", "policyType": 0, "resources": {}}
        session.add(RangerPolicyRow(environment_id=PLACE, name="all - bucket, path", document=document))


#: A new thing addressed by an ID has another address.
ANOTHER: tuple[tuple[Callable[[Service, Principal], str], Callable[[Service, Principal], object]], ...] = (
    (a_group, a_group), (a_member, a_member), (a_collaborator, a_collaborator), (a_user, another_user),
    (an_issuer, an_issuer), (a_workspace, another_workspace), (an_environment, another_environment),
    (a_project, another_project), (a_server, another_server), (a_source, a_source),
    (a_policy_by_name, another_policy), (a_role_by_name, a_role), (a_webhook, a_webhook),
)  # fmt: skip


@pytest.mark.parametrize(("make", "again"), ANOTHER)
async def test_a_repetition_leaves_alone_what_was_made_after_it(
    service: Service,
    http: httpx.AsyncClient,
    make: Callable[[Service, Principal], str],
    again: Callable[[Service, Principal], object],
) -> None:
    owner = identity.owner_principal(service)
    path = make(service, owner)
    url = f"http://registry-tui{path}" if path.startswith("/service/") else path
    first = await http.delete(url, headers={"Idempotency-Key": "k"})
    assert first.is_success, first.text
    lose_answers(service)
    again(service, owner)
    repeated = await http.delete(url, headers={"Idempotency-Key": "k"})
    assert repeated.status_code == first.status_code, repeated.text
    # The other one is there: a request of its own takes it away.
    assert (await http.delete(url, headers={"Idempotency-Key": "other"})).is_success


async def test_a_removal_that_was_undone_is_carried_out_when_it_is_sent_again(
    service: Service, http: httpx.AsyncClient
) -> None:
    path = a_collaborator(service, identity.owner_principal(service))
    mirror = cast(Any, service.access).mirror_project
    mirror.side_effect = PartUnavailable("MLflow is away")
    assert (await http.delete(path, headers={"Idempotency-Key": "k"})).status_code == 503
    mirror.side_effect = None
    assert (await http.delete(path, headers={"Idempotency-Key": "k"})).status_code == 204
    assert (await http.delete(path, headers={"Idempotency-Key": "other"})).status_code == 404


async def test_what_was_never_there_is_missing_also_when_the_answer_was_lost(
    service: Service, http: httpx.AsyncClient
) -> None:
    for path in ("/groups/none", "/projects/none", "/users/none?to=heir", "/keys/none"):
        for _ in range(2):
            answer = await http.delete(path, headers={"Idempotency-Key": path})
            assert answer.status_code == 404, (path, answer.text)
        with service.database.session() as session:
            # Cut off before it looked for anything.
            key = hashlib.sha256(f"{identity.owner_name(service)}\0{path}".encode()).hexdigest()
            digest = hashlib.sha256(f"DELETE\0/api/v1{path}\0".encode()).hexdigest()
            session.add(IdempotencyRow(id=key, digest=digest, person="p", request="r"))
        assert (await http.delete(path, headers={"Idempotency-Key": path})).status_code == 404, path


async def test_a_refused_request_leaves_its_key_free(service: Service, http: httpx.AsyncClient) -> None:
    owner = identity.owner_principal(service)
    a_role(service, owner)
    roles.create_role(service, owner, RangerRole(name="others", roles=[{"name": "tasters"}]))  # type: ignore[list-item]
    path = "http://registry-tui/service/public/v2/api/roles/name/tasters"
    assert (await http.delete(path, headers={"Idempotency-Key": "k"})).status_code == 409
    with service.database.reading() as session:
        assert session.scalars(sa.select(IdempotencyRow)).all() == []


async def test_every_route_that_takes_something_away_is_tried(service: Service) -> None:
    paths = prepared_app(service).openapi()["paths"]
    taking = {path for path, operations in paths.items() if _is_keyed(operations.get("delete", {}))}
    #: These are in `service/test_requests_sent_twice.py`, where MLflow is real.
    elsewhere = {path for path in taking if "/models/" in path}
    assert len(elsewhere) == 4
    #: A workflow deletes it; below.
    by_workflow = {"/api/v1/deployments/{deployment}"}
    #: Repeated, it does the same and answers the same.
    the_same_again = {f"/api/v1/registries/{{registry}}/{each}" for each in ("storage-access", "store-key")}
    the_same_again.add("/api/v1/deployments/{deployment}/requests")
    assert len(TAKEN) == len(taking - elsewhere - by_workflow - the_same_again), sorted(taking)


async def test_kept_requests_are_deleted_again(service: Service, http: httpx.AsyncClient) -> None:
    file = service.home.request_logs / f"{PLACE}-deployment" / "1-gateway.jsonl"
    answers = []
    for number in range(2):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text('{"at": 1, "id": "a"}\n')
        answers.append(await http.delete(f"/deployments/{PLACE}-deployment/requests", headers={"Idempotency-Key": "k"}))
        assert answers[-1].is_success, answers[-1].text
        assert file.exists() is (number == 1)  # the response was saved: the later file stays
    assert answers[0].content == answers[1].content


def _is_keyed(operation: dict[str, Any]) -> bool:
    return any(each["name"] == "Idempotency-Key" for each in operation.get("parameters", ()))


@pytest.mark.parametrize("kind", ["registry", "deployment"])
async def test_what_a_workflow_has_deleted_is_shown_as_it_was(service: Service, kind: str) -> None:
    owner, id_ = identity.owner_principal(service), f"{PLACE}-{kind}"
    if kind == "registry":
        shown: Any = lifecycle.get_registry(service, owner, id_)
    else:
        with service.database.session() as session:
            given = {"version": 1, "version_id": "v", "replicas": 1, "cpu": 1.0, "memory_bytes": 1, "environment": []}
            more = {"batching": "auto", "creator": "ann", "generation": 1, "deployment_id": id_}
            session.add(RevisionRow(number=1, **given, **more))
        shown = views.get_deployment(service, owner, id_)
    for workflow, arguments in (("with", {idempotency.SHOWN: shown.model_dump(mode="json")}), ("without", {})):
        _add_workflow(service, owner, workflow, kind, id_, arguments)
    answered = resuming.answer_from(service, owner, "workflow:with", None)
    assert isinstance(answered, Accepted) and answered.resource == shown
    with service.database.session() as session:
        session.delete(session.get_one(DeploymentRow, f"{PLACE}-deployment"))
        session.flush()
        session.delete(session.get_one(RegistryRow, f"{PLACE}-registry"))
    answered = resuming.answer_from(service, owner, "workflow:with", None)
    assert isinstance(answered, Accepted) and (answered.resource, answered.workflow.id) == (shown, "with")
    with pytest.raises(Missing):
        resuming.answer_from(service, owner, "workflow:without", None)


def _add_workflow(
    service: Service,
    owner: Principal,
    workflow: str,
    kind: str,
    id_: str,
    arguments: dict[str, Any],
    status: str = "succeeded",
) -> None:
    steps: dict[str, Any] = {"steps": [], "state": {}, "progress": {}, "actor_administrator": True}
    about = {"resource_type": kind, "resource_id": id_, "resource_name": id_, "request_id": "r"}
    with service.database.session() as session:
        session.add(
            WorkflowRow(
                id=workflow, kind="undeploy", status=status, actor=owner.name, actor_crn=owner.crn,
                arguments=arguments, **steps, **about,
            )
        )  # fmt: skip


async def test_a_workflow_on_every_kind_of_resource_answers_its_request_again(service: Service) -> None:
    """The responses of routes that begin workflows, by their schemas."""
    owner = identity.owner_principal(service)
    answers = set(re.findall(r"Accepted_(\w+?)_", str(prepared_app(service).openapi()["components"]["schemas"].keys())))
    #: Versions are in `service/test_requests_sent_twice.py`, where MLflow is real; registries and deployments above.
    assert answers == {"ModelRegistry", "Deployment", "Project", "ModelVersion"}
    for workflow, arguments in (("import", {"models": ["churn"]}), ("purge", {"run_ids": [], "workspace": "w"})):
        _add_workflow(service, owner, workflow, "project", f"{PLACE}-project", arguments)
        answered = resuming.answer_from(service, owner, f"workflow:{workflow}", Accepted[Project])
        assert isinstance(answered, Accepted) and answered.workflow.id == workflow
        assert isinstance(answered.resource, Project) and answered.resource.id == f"{PLACE}-project"
    _add_workflow(service, owner, "odd", "environment", PLACE, {})
    with pytest.raises(ValueError, match="on environment"):
        resuming.answer_from(service, owner, "workflow:odd", None)


@pytest.mark.parametrize("of", ["project", "version"])
async def test_a_server_that_workflows_read_from_stays_attached_until_they_are_done(
    service: Service, http: httpx.AsyncClient, of: str
) -> None:
    owner = identity.owner_principal(service)
    path = a_server(service, owner)
    source = AttachedSource("empty-project", run_id="r", path="model").uri
    other = AttachedSource("another-project", run_id="r", path="model").uri
    id_ = "empty-project" if of == "project" else "v"
    arguments: dict[str, object] = {"models": []} if of == "project" else {"source": source}
    _add_workflow(service, owner, "theirs", of, id_, arguments, status="running")
    _add_workflow(service, owner, "others", "version", "w", {"source": other}, status="running")
    _add_workflow(service, owner, "older", of, id_, arguments)
    refused = await http.delete(path)
    assert refused.status_code == 409 and "workflows wait theirs" in refused.text, refused.text
    with service.database.session() as session:
        session.get_one(WorkflowRow, "theirs").status = "failed"
    assert (await http.delete(path)).status_code == 204


def test_registering_from_a_server_that_was_detached_meanwhile_says_so(service: Service) -> None:
    gone = Attached("none", ServerAddress("https://mlflow.example.com"), "3.0")
    with pytest.raises(Missing, match="was detached meanwhile"):
        attached.prepare(service, ProjectPlace("p", "lab", "lab", gone))
