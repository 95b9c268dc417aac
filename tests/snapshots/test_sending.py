"""Every form and screen that sends, on a slow service: sent once, left, and sent again."""

from __future__ import annotations

import ast
import asyncio
import importlib
import inspect
import pkgutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from textual.widgets import Button, Checkbox, Input, Select, Static, TextArea

from registry_tui import screens
from registry_tui.app.app import RegistryApp
from registry_tui.client import RegistryClient
from registry_tui.schemas.cards import ModelCard
from registry_tui.schemas.deployments import ApiKey
from registry_tui.schemas.drift import DriftRules
from registry_tui.schemas.idbroker import IdBrokerMapping, IdBrokerMappings, IdBrokerSyncStatus, SyncStatus
from registry_tui.schemas.places import BackendKind, EnvironmentBackend
from registry_tui.schemas.promotion import PromotionRules
from registry_tui.schemas.registries import StoreKey
from registry_tui.schemas.request_log import RequestLogRules
from registry_tui.schemas.scans import Verdict, VersionScan
from registry_tui.schemas.stages import Stage
from registry_tui.schemas.stores import EnvironmentStore, SignsIn, StoreSettings
from registry_tui.screens.activity.deciding import Decide
from registry_tui.screens.admission.exception_forms import ChangeException, CreateException
from registry_tui.screens.admission.rules_form import SetRules
from registry_tui.screens.base.changing_experiments import CreateExperiment, RenameExperiment
from registry_tui.screens.base.form import Form
from registry_tui.screens.base.save import Save
from registry_tui.screens.deployments.change_deployment import ChangeForm
from registry_tui.screens.deployments.deploy import DeployForm
from registry_tui.screens.deployments.key_limits import LimitKey
from registry_tui.screens.deployments.keys import NewKey
from registry_tui.screens.deployments.watching_forms import JudgeDrift, KeepRequests
from registry_tui.screens.known.card_form import CardForm
from registry_tui.screens.known.signing_forms import SignForm, TrustKey
from registry_tui.screens.models.ask_approval import AskApproval
from registry_tui.screens.models.edit_model import EditModel, EditVersion, SetAlias
from registry_tui.screens.models.exception_forms import LetThrough
from registry_tui.screens.models.profile_form import ProfileForm
from registry_tui.screens.models.promote import PromoteForm
from registry_tui.screens.models.register_model import RegisterModelForm
from registry_tui.screens.models.scan_form import ScanForm
from registry_tui.screens.models.stage_form import SetStage
from registry_tui.screens.models.verify import VerifyForm
from registry_tui.screens.people.changing_people import DeletePerson, PersonForm
from registry_tui.screens.people.giving_roles import GiveRoles
from registry_tui.screens.people.group import AddMember
from registry_tui.screens.people.groups import GroupForm
from registry_tui.screens.people.person import NewToken
from registry_tui.screens.places.attach_forms import AttachServer, ChangeServer
from registry_tui.screens.places.backend_form import ChangeBackend
from registry_tui.screens.places.collaborators import SetCollaborator
from registry_tui.screens.places.create_place import CreateEnvironment, CreateProject, CreateWorkspace
from registry_tui.screens.places.import_models import ImportModels
from registry_tui.screens.places.store_forms import ChangeStore
from registry_tui.screens.ranger.policy_form import PolicyForm
from registry_tui.screens.ranger.source_form import SourceForm
from registry_tui.screens.registries.create_registry import CreateRegistry
from registry_tui.screens.registries.idbroker import ManageAccess
from registry_tui.screens.registries.promotion_rules import SetPromotionRules
from registry_tui.screens.registries.registry_actions import Synchronize
from registry_tui.screens.registries.store_key import ChangeStoreKey
from registry_tui.screens.tracking.changing_runs import EditRuns
from registry_tui.screens.webhooks.webhook_forms import ChangeWebhook, CreateWebhook
from support import scenes
from support.life_cycle_scenes import LIFE_CYCLE_SCENES
from support.program import Driver
from support.recorded import STREAM, Answer, Replay
from support.refusals import refusal

pytestmark = pytest.mark.slow

SIZE = (100, 34)


class Held(Replay):
    """Answers reading requests as recorded, and holds changing ones until released, or given an outcome."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        super().__init__(answers)
        self.sent: list[httpx.Request] = []
        self.cut_off = 0
        self.answered = 0
        #: While this is set, requests that were not recorded get a 404.
        self.denies = asyncio.Event()
        self.denies.set()
        self._ends: asyncio.Queue[Exception | httpx.Response] = asyncio.Queue()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET" and request.url.path.endswith("/attached-models"):
            return httpx.Response(200, json={"items": []})
        if request.method == "GET" or request.url.path == STREAM or "Idempotency-Key" not in request.headers:
            if request.method == "GET" and request.url.path != STREAM and self.find(f"GET {_target(request)}") is None:
                await self.denies.wait()
                return refusal(request, 404, "not-found", "There is none")
            return await super().handle_async_request(request)
        await request.aread()
        self.sent.append(request)
        try:
            end = await self._ends.get()
        except asyncio.CancelledError:
            self.cut_off += 1
            raise
        self.answered += 1
        if isinstance(end, Exception):
            raise end
        return end

    def time_out(self) -> None:
        """The request that waits gets no answer in time."""
        self._ends.put_nowait(httpx.ReadTimeout("too slow"))

    def refuse(self) -> None:
        """The request that waits is refused."""
        self._ends.put_nowait(refusal(self.sent[-1], 409, "in-use", "It is in use just now"))

    @property
    def keys(self) -> list[str]:
        return [request.headers["Idempotency-Key"] for request in self.sent]


def _target(request: httpx.Request) -> str:
    return request.url.raw_path.decode()


# -- each form, filled -------------------------------------------------------------------------------------


async def create_environment(see: Driver) -> Form[Any]:
    form = CreateEnvironment()
    await opened(see, form, name="berlin")
    return form


async def change_store(see: Driver) -> Form[Any]:
    (environment,) = (await see.app.client.environments(page_size=1000)).items[:1]
    known = EnvironmentStore(
        kind="s3",
        uri="s3://acme-models/registry/",
        credentials="the access key AK",
        signs_in=SignsIn.KEY,
        settings=StoreSettings(access_key_id="AK"),
    )
    form = ChangeStore(environment.model_copy(update={"store": known}))
    await opened(see, form, secret="a new one")
    return form


async def change_backend(see: Driver) -> Form[Any]:
    (environment,) = (await see.app.client.environments(page_size=1000)).items[:1]
    backend = EnvironmentBackend(kind=BackendKind.RAY, address="http://10.0.0.5:8265", http_port=8000, version="2.60.0")
    form = ChangeBackend(environment.model_copy(update={"backend": backend}))
    await opened(see, form, token="a new one")
    return form


async def change_store_key(see: Driver) -> Form[Any]:
    await scenes.registry(see)
    known = EnvironmentStore(kind="azure", uri="az://acme/models/registry/", signs_in=SignsIn.KEY)
    form = ChangeStoreKey(see.screen.registry.model_copy(update={"store": known, "store_key": StoreKey()}))
    await opened(see, form, secret="a new one")
    return form


async def create_workspace(see: Driver) -> Form[Any]:
    form = CreateWorkspace("local")
    await opened(see, form, name="berlin")
    return form


async def create_project(see: Driver) -> Form[Any]:
    form = CreateProject([("w", "w-1")])
    await opened(see, form, name="berlin")
    return form


async def import_models(see: Driver) -> Form[Any]:
    project = (await the_project(see)).model_copy(update={"attached_url": "https://mlflow.example.com"})
    form = ImportModels(project)
    await opened(see, form, **{"models-field": ""})
    return form


async def create_experiment(see: Driver) -> Form[Any]:
    form = CreateExperiment(scenes.PROJECT)
    await opened(see, form, name="berlin")
    return form


async def rename_experiment(see: Driver) -> Form[Any]:
    await scenes.project(see)
    form = RenameExperiment(scenes.PROJECT, see.screen.current)
    await opened(see, form, name="berlin")
    return form


async def edit_runs(see: Driver) -> Form[Any]:
    await scenes.experiment(see)
    form = EditRuns(scenes.PROJECT, [see.screen.table.current])
    await opened(see, form, name="berlin")
    return form


async def create_registry(see: Driver) -> Form[Any]:
    form = CreateRegistry()
    see.app.push_screen(form)
    await see.until(lambda: form.environments, "environments")
    free = form.environments[0].model_copy(update={"id": "free", "registry_id": None, "registry_name": None})
    form.environments = [free]
    form.query_one("#environment", screens_option_list()).highlighted = 0
    form.query_one("#nfs", Input).value = "host:/path"
    form.check()
    form.query_one("#name").focus()
    return form


def screens_option_list() -> Any:
    from textual.widgets import OptionList

    return OptionList


async def set_collaborator(see: Driver) -> Form[Any]:
    form = SetCollaborator(await the_project(see), None)
    await opened(see, form, user="ada")
    return form


async def new_key(see: Driver) -> Form[Any]:
    form = NewKey()
    await opened(see, form, name="ci")
    return form


async def limit_key(see: Driver) -> Form[Any]:
    moment = datetime(2026, 11, 29, tzinfo=UTC)
    form = LimitKey(ApiKey(id="k", name="ci", owner="ada", created_at=moment, expires_at=moment))
    await opened(see, form, **{"per-second": "5", "per-day": "1000"})
    return form


async def register_model(see: Driver) -> Form[Any]:
    project = await the_project(see)
    await scenes.run(see)
    form = RegisterModelForm(project, see.screen.run, "model")
    form.names.found["New"] = None
    await opened(see, form, name="New")
    return form


async def deploy(see: Driver) -> Form[Any]:
    project = await the_project(see)
    model, version = await the_version(see)
    form = DeployForm(project, model, version.version)
    await opened(see, form, name="wine-api", memory="300M")
    return form


async def change_deployment(see: Driver) -> Form[Any]:
    await scenes.deployments(see)
    form = ChangeForm(see.screen.current, [])
    await opened(see, form, replicas="3")
    return form


async def keep_requests(see: Driver) -> Form[Any]:
    await scenes.deployments(see)
    form = KeepRequests(see.screen.current.id, see.screen.current.name, RequestLogRules(share=0.0))
    await opened(see, form, share="5%", mask="email, phone")
    return form


async def judge_drift(see: Driver) -> Form[Any]:
    await scenes.deployments(see)
    form = JudgeDrift(see.screen.current.id, see.screen.current.name, DriftRules())
    await opened(see, form, hours="6")
    return form


async def edit_model(see: Driver) -> Form[Any]:
    model, _ = await the_version(see)
    form = EditModel(model)
    await opened(see, form, owner="ada")
    return form


async def edit_version(see: Driver) -> Form[Any]:
    _, version = await the_version(see)
    form = EditVersion(version)
    await opened(see, form, tags="a=b")
    return form


async def manage_access(see: Driver) -> Form[Any]:
    crn, role = "crn:altus:iam:us-west-1:a:machineUser:m/1", "arn:aws:iam::123456789012:role/access"
    now = IdBrokerMappings(
        data_access_role=role, ranger_audit_role=role, mappings=[IdBrokerMapping(accessor_crn=crn, role=role)]
    )
    status = IdBrokerSyncStatus(sync_needed=True, global_status=SyncStatus.NEVER_RUN, statuses={})
    form = ManageAccess("berlin", now, status, crn)
    await opened(see, form, audit="arn:aws:iam::123456789012:role/audit")
    return form


async def policy_form(see: Driver) -> Form[Any]:
    await scenes.policies(see)
    frame = see.screen
    form = PolicyForm(frame.service, frame.definition, frame.current)
    await opened(see, form, name="berlin", start="2026/11/29 23:59:59")
    return form


async def source_form(see: Driver) -> Form[Any]:
    await scenes.policies(see)
    form = SourceForm(see.screen.service)
    await opened(see, form, url="https://ranger.example.com:6182")
    return form


async def promote(see: Driver) -> Form[Any]:
    _, version = await the_version(see)
    form = PromoteForm(version)
    await opened(see, form, to="registry-azure")
    return form


async def set_alias(see: Driver) -> Form[Any]:
    _, version = await the_version(see)
    form = SetAlias(version)
    await opened(see, form, alias="brand-new")
    return form


async def verify(see: Driver) -> Form[Any]:
    _, version = await the_version(see)
    form = VerifyForm(version)
    see.app.push_screen(form)
    await see.until(lambda: form.is_attached and form.busy, "the form")
    return form


async def synchronize(see: Driver) -> Form[Any]:
    see.go("registry", registry=scenes.REGISTRY)
    await see.until(lambda: see.screen.registry is not None, "the registry")
    form = Synchronize(see.screen.registry)
    see.app.push_screen(form)
    await see.until(lambda: form.query("#ok") and not form.query_one("#ok", Button).disabled, "the form")
    return form


async def create_user(see: Driver) -> Form[Any]:
    form = PersonForm(None)
    await opened(see, form, name="berta", email="berta@example.org")
    return form


async def delete_user(see: Driver) -> Form[Any]:
    form = DeletePerson(await see.app.client.user(scenes.USER))
    await opened(see, form, to="ada")
    return form


async def new_token(see: Driver) -> Form[Any]:
    form = NewToken(scenes.USER)
    await opened(see, form, name="ci")
    return form


async def create_group(see: Driver) -> Form[Any]:
    form = GroupForm(None)
    await opened(see, form, name="night-shift")
    return form


async def add_member(see: Driver) -> Form[Any]:
    form = AddMember(scenes.GROUP)
    await opened(see, form, user="ada")
    return form


async def give_roles(see: Driver) -> Form[Any]:
    form = GiveRoles(scenes.ENVIRONMENT, ())
    see.app.push_screen(form)
    await see.until(lambda: form.is_attached and form.query("#ok"), "the form")
    form.query_one("#MLUser", Checkbox).value = True
    form.query_one("#user", Input).value = "ada"
    await see.until(lambda: form.problem_of() is None and not form.query_one("#ok", Button).disabled, "the input")
    form.query_one("#user").focus()
    return form


async def ask_approval(see: Driver) -> Form[Any]:
    _, version = await the_version(see)
    form = AskApproval(version)
    await opened(see, form, comment="better on all slices")
    return form


async def decide(see: Driver) -> Form[Any]:
    await scenes.approvals(see)
    form = Decide(see.screen.current)
    await opened(see, form, comment="seen")
    return form


async def set_stage(see: Driver) -> Form[Any]:
    _, version = await the_version(see)
    form = SetStage(version, list(Stage), PromotionRules(), ())
    await opened(see, form, comment="released")
    return form


async def make_profile(see: Driver) -> Form[Any]:
    _, version = await the_version(see)
    form = ProfileForm(version, None)
    await opened(see, form, file=str(Path(__file__).with_name("pairs.csv")), target="quality")
    return form


async def scan(see: Driver) -> Form[Any]:
    _, version = await the_version(see)
    form = ScanForm(version, VersionScan(version_id=version.id, verdict=Verdict.UNKNOWN, reason="weights.bin"))
    see.app.push_screen(form)
    await see.until(lambda: form.is_attached and form.query("#ok"), "the form")
    form.query_one("#ok").focus()
    return form


async def set_promotion_rules(see: Driver) -> Form[Any]:
    await scenes.registry(see)
    form = SetPromotionRules(see.screen.registry, PromotionRules())
    see.app.push_screen(form)
    await see.until(lambda: form.is_attached and form.query("#ok"), "the form")
    form.query_one("#aliases", TextArea).text = "champion: ann, group releasers"
    form.query_one("#ok").focus()
    return form


async def set_rules(see: Driver) -> Form[Any]:
    form = SetRules(await see.app.client.rules(scenes.ENVIRONMENT))
    await opened(see, form, comment="less")
    return form


async def let_through(see: Driver) -> Form[Any]:
    _, version = await the_version(see)
    found = await see.app.client.check_rules(scenes.REGISTRY, scenes.MODEL, version.version)
    form = LetThrough(version, found)
    await opened(see, form, reason="Ticket 12")
    return form


async def create_exception(see: Driver) -> Form[Any]:
    await scenes.exceptions(see)
    form = CreateException(see.screen.registry)
    await opened(see, form, reason="Ticket 12", model=scenes.MODEL, version="3", rule="approved")
    return form


async def change_exception(see: Driver) -> Form[Any]:
    await scenes.exceptions(see)
    form = ChangeException(see.screen.current)
    await opened(see, form, reason="Ticket 12")
    return form


async def sign(see: Driver) -> Form[Any]:
    _, version = await the_version(see)
    form = SignForm(version, scenes.ENVIRONMENT)
    await opened(see, form, file="")
    return form


async def trust_key(see: Driver) -> Form[Any]:
    form = TrustKey(scenes.ENVIRONMENT)
    await opened(see, form, name="fraud-team", key="-----BEGIN PUBLIC KEY-----")
    return form


async def write_card(see: Driver) -> Form[Any]:
    _, version = await the_version(see)
    form = CardForm(version, ModelCard(version_id=version.id, number=1, text="# Wine"))
    await opened(see, form, text="# Wine\n\nFor tests alone.")
    form.query_one("#ok").focus()
    return form


async def create_webhook(see: Driver) -> Form[Any]:
    form = CreateWebhook([scenes.ENVIRONMENT])
    await opened(see, form, name="ci", url="https://hooks.example.com")
    return form


async def change_webhook(see: Driver) -> Form[Any]:
    await scenes.webhooks(see)
    form = ChangeWebhook(see.screen.current)
    await opened(see, form, url="https://hooks.example.com/other")
    return form


async def attach_server(see: Driver) -> Form[Any]:
    form = AttachServer([scenes.ENVIRONMENT])
    await opened(see, form, name="lab", url="https://mlflow.example.com/team")
    return form


async def change_server(see: Driver) -> Form[Any]:
    await LIFE_CYCLE_SCENES["attached"](see)
    form = ChangeServer(see.screen.current)
    await opened(see, form, url="https://mlflow.example.org/team")
    return form


#: Each form that asks the service for a change, and how it is opened and filled; `VerifyForm` sends by itself.
FORMS: dict[type[Form[Any]], Callable[[Driver], Awaitable[Form[Any]]]] = {
    CreateEnvironment: create_environment,
    ChangeStore: change_store,
    ChangeBackend: change_backend,
    ChangeStoreKey: change_store_key,
    AttachServer: attach_server,
    ChangeServer: change_server,
    CreateWorkspace: create_workspace,
    CreateProject: create_project,
    ImportModels: import_models,
    CreateExperiment: create_experiment,
    RenameExperiment: rename_experiment,
    EditRuns: edit_runs,
    CreateRegistry: create_registry,
    SetCollaborator: set_collaborator,
    NewKey: new_key,
    LimitKey: limit_key,
    RegisterModelForm: register_model,
    DeployForm: deploy,
    ChangeForm: change_deployment,
    KeepRequests: keep_requests,
    JudgeDrift: judge_drift,
    EditModel: edit_model,
    EditVersion: edit_version,
    PromoteForm: promote,
    SetAlias: set_alias,
    AskApproval: ask_approval,
    Decide: decide,
    SetStage: set_stage,
    ScanForm: scan,
    ProfileForm: make_profile,
    SetPromotionRules: set_promotion_rules,
    SetRules: set_rules,
    LetThrough: let_through,
    CreateException: create_exception,
    ChangeException: change_exception,
    SignForm: sign,
    TrustKey: trust_key,
    CardForm: write_card,
    CreateWebhook: create_webhook,
    ChangeWebhook: change_webhook,
    ManageAccess: manage_access,
    PolicyForm: policy_form,
    SourceForm: source_form,
    PersonForm: create_user,
    DeletePerson: delete_user,
    NewToken: new_token,
    GroupForm: create_group,
    AddMember: add_member,
    GiveRoles: give_roles,
    VerifyForm: verify,
    Synchronize: synchronize,
}


async def the_project(see: Driver) -> Any:
    await scenes.projects(see)
    return next(row for row in see.screen.table.source.loaded_rows() if row.name == scenes.PROJECT)


async def the_version(see: Driver) -> tuple[Any, Any]:
    see.go("model", registry=scenes.REGISTRY, model=scenes.MODEL)
    await see.rows("model")
    await see.until(lambda: see.screen.model is not None, "the model")
    return see.screen.model, see.screen.current


async def opened(see: Driver, form: Form[Any], **fields: str) -> None:
    """Shows a form with these texts typed into its fields; the first has the focus."""
    see.app.push_screen(form)
    await see.until(lambda: form.is_attached and form.query("#ok"), "the form")
    for name, value in fields.items():
        field = form.query_one(f"#{name}")
        if isinstance(field, TextArea):
            field.text = value
        else:
            assert isinstance(field, Input)
            field.value = value
    await see.until(lambda: form.problem_of() is None and not form.query_one("#ok", Button).disabled, "the input")
    form.query_one(f"#{next(iter(fields))}").focus()


def typed(form: Form[Any]) -> dict[str | None, Any]:
    """All that is in the fields."""
    found: dict[str | None, Any] = {each.id: each.value for each in form.query(Input)}
    found |= {each.id: each.text for each in form.query(TextArea)}
    found |= {each.id: each.value for each in form.query(Checkbox)}
    return found | {each.id: each.value for each in form.query(Select)}


@asynccontextmanager
async def program(answers: Mapping[str, Answer], size: tuple[int, int] = SIZE) -> AsyncIterator[tuple[Driver, Held]]:
    held = Held(answers)
    app = RegistryApp(lambda: RegistryClient(transport=held), start_platform=False)
    async with app.run_test(size=size, notifications=True) as pilot:
        see = Driver(app, pilot)
        await see.rows("registries")
        yield see, held


def notified(see: Driver) -> str:
    return "\n".join(each.message for each in see.app._notifications)


async def press_ok(see: Driver, form: Form[Any]) -> None:
    """Enter three times, in a field or on OK, then a click."""
    if not isinstance(form, VerifyForm):
        if not isinstance(see.app.focused, Input):
            form.query_one("#ok").focus()
        await see.press("enter")
    await see.press("enter", "enter", "ctrl+t")
    await see.pilot.click("#ok")


# -- tests ---------------------------------------------------------------------------------------------------


def test_every_form_that_sends_has_a_row() -> None:
    for module in pkgutil.walk_packages(screens.__path__, f"{screens.__name__}."):
        importlib.import_module(module.name)
    assert {form for form in _forms(Form) if form.SENDS} == set(FORMS)


def _forms(kind: type[Form[Any]]) -> Iterator[type[Form[Any]]]:
    for each in kind.__subclasses__():
        if each.send is not Form.send:
            yield each
        yield from _forms(each)


@pytest.mark.parametrize("kind", FORMS, ids=lambda kind: kind.__name__)
async def test_a_form_sends_once_and_after_a_timeout_the_same_again(
    kind: type[Form[Any]], answers: Mapping[str, Answer]
) -> None:
    async with program(answers) as (see, held):
        form = await FORMS[kind](see)
        before = typed(form)
        await press_ok(see, form)
        await see.until(lambda: held.sent, "the request")
        await see.shows("Sending …", "sending … ", "esc leaves, it goes on: ")
        await press_ok(see, form)
        assert len(held.sent) == 1 and see.screen is form
        held.time_out()
        await see.shows("did not answer in time", "Trying again is safe")
        assert typed(form) == before and str(form.query_one("#ok", Button).label) == form.OK
        assert not form.query_one(".fields").disabled and not form.query_one("#ok", Button).disabled

        form.query_one("#ok").focus()
        await see.press("enter", "enter", "enter")
        await see.until(lambda: len(held.sent) == 2, "the request once more")
        assert held.keys[0] == held.keys[1]
        assert held.sent[0].content == held.sent[1].content and held.sent[0].url == held.sent[1].url
        held.refuse()
        await see.shows("It is in use just now")
        assert "Trying again is safe" not in see.text and typed(form) == before

        # A refusal ends the intent: the next press is a new one.
        await see.until(lambda: not form.query_one("#ok", Button).disabled, "OK")
        form.query_one("#ok").focus()
        await see.press("enter")
        await see.until(lambda: len(held.sent) == 3, "another request")
        assert held.keys[2] != held.keys[0]
        held.refuse()
        await see.until(lambda: not form.busy, "its end")
        assert len(held.sent) == 3 and held.cut_off == 0


@pytest.mark.parametrize("kind", FORMS, ids=lambda kind: kind.__name__)
async def test_esc_leaves_a_form_that_sends_and_the_request_goes_on(
    kind: type[Form[Any]], answers: Mapping[str, Answer]
) -> None:
    async with program(answers) as (see, held):
        form = await FORMS[kind](see)
        await press_ok(see, form)
        await see.until(lambda: held.sent, "the request")
        await see.press("escape")
        await see.until(lambda: see.screen is not form, "the form to close")
        assert f"{form.WORK} goes on; {form.AFTERWARDS}" in notified(see)
        assert held.cut_off == 0 and held.answered == 0
        held.refuse()
        await see.until(lambda: "It is in use just now" in notified(see), "how it ended")
        assert len(held.sent) == 1 and held.cut_off == 0


def in_view(form: Form[Any], selector: str) -> bool:
    """Whether a widget of a form is seen whole."""
    region = form.query_one(selector).region
    return bool(region) and form.query_one(".box").content_region.contains_region(region)


@pytest.mark.parametrize("kind", FORMS, ids=lambda kind: kind.__name__)
async def test_buttons_problem_and_progress_stay_in_view_in_24_lines(
    kind: type[Form[Any]], answers: Mapping[str, Answer]
) -> None:
    async with program(answers, (80, 24)) as (see, held):
        form = await FORMS[kind](see)
        if kind is not VerifyForm:
            await see.until(lambda: in_view(form, "#ok") and in_view(form, "#cancel"), "the buttons")
            form.complain("This is refused because of something that takes long to explain. " * 4)
            await see.until(lambda: in_view(form, "#problem") and in_view(form, "#ok"), "the problem and the buttons")
            form.query_one("#ok").focus()
            await see.press("enter")
        await see.until(lambda: held.sent, "the request")
        form._tell_waiting()  # as its timer does
        await see.until(lambda: in_view(form, "#sending") and in_view(form, "#cancel"), "how long it is sending")
        if form.query("#progress"):
            form.query_one("#progress").display = form.query_one("#step").display = True
            form.fit()
            await see.until(lambda: in_view(form, "#progress") and in_view(form, "#cancel"), "the progress")


@pytest.mark.parametrize(
    "kind",
    # The others have no field of one line to type into.
    [kind for kind in FORMS if kind not in (VerifyForm, Synchronize, ScanForm, CardForm, SetPromotionRules)],
    ids=lambda kind: kind.__name__,
)
async def test_a_complaint_does_not_outlive_the_value_that_it_is_about(
    kind: type[Form[Any]], answers: Mapping[str, Answer]
) -> None:
    async with program(answers) as (see, held):
        form = await FORMS[kind](see)
        # Checks of the typed text by forms would bring complaints of their own.
        held.denies.clear()
        # The service's refusal, until something else is typed; text typed before may not be processed yet.
        field = form.query(Input).first()
        field.focus()
        await see.pilot.pause()
        before, field.value = field.value, f"{field.value}y"
        form.complain("It is in use just now")
        await see.pilot.pause()
        await see.shows("It is in use just now")
        form.check()
        assert form.query_one("#problem").display
        field.value = before
        await see.until(lambda: "It is in use just now" not in see.text, "the complaint to go")
        form.complain("It is in use just now")
        await see.shows("It is in use just now")
        await see.press("end", "x")
        await see.until(lambda: "It is in use just now" not in see.text, "the complaint to go")
        await see.press("backspace")
        await see.until(lambda: form.problem_of() is None, "the input as it was")
        # A problem of the input, until nothing is wrong with it, however that came about.
        form.tell("choose something else")
        form.check()
        assert not form.query_one("#problem").display


async def test_why_a_file_could_not_be_written_stays_until_another_is_named(answers: Mapping[str, Answer]) -> None:
    async with program(answers) as (see, _):
        form = Save("Save", "text", "words")
        see.app.push_screen(form)
        await see.until(lambda: form.is_attached and form.query("#file"), "the form")
        form.query_one("#file", Input).value = "/proc/nothing-can-be-made-here.txt"
        form.query_one("#file").focus()
        await see.press("enter")
        await see.until(lambda: not form.busy and "/proc/nothing-can-be-made" in _problem(form), "why not")
        form.check()
        assert "/proc/nothing-can-be-made" in _problem(form)
        await see.press("end", "x")
        await see.until(lambda: not _problem(form), "the complaint to go")
        form.query_one("#file", Input).value = "/nowhere/file.txt"
        await see.until(lambda: "There is no folder" in _problem(form), "what is wrong with the name")


def _problem(form: Form[Any]) -> str:
    """The complaint that a form shows, empty if none."""
    line = form.query_one("#problem", Static)
    return str(line.render()) if line.display else ""


async def test_a_key_that_came_after_its_form_was_left_is_shown(answers: Mapping[str, Answer]) -> None:
    async with program(answers) as (see, held):
        form = await new_key(see)
        await press_ok(see, form)
        await see.until(lambda: held.sent, "the request")
        await see.press("escape")
        moment = "2026-11-29T00:00:00Z"
        key = {"id": "k", "name": "ci", "owner": "ada", "created_at": moment, "expires_at": moment}
        held._ends.put_nowait(httpx.Response(201, json={"api_key": key, "key": "rtk_k_secret"}))
        await see.shows("rtk_k_secret", "shown only now")


async def test_a_token_that_came_after_its_form_was_left_is_shown(answers: Mapping[str, Answer]) -> None:
    async with program(answers) as (see, held):
        form = await new_token(see)
        await press_ok(see, form)
        await see.until(lambda: held.sent, "the request")
        await see.press("escape")
        moment = "2026-11-29T00:00:00Z"
        token = {"id": "t", "name": "ci", "user": "grace", "prefix": "rtt_t"}
        answer = {"user_token": {**token, "created_at": moment, "expires_at": moment}, "token": "rtt_t_secret"}
        held._ends.put_nowait(httpx.Response(201, json=answer))
        await see.shows("rtt_t_secret", "shown only now")


async def test_what_a_screen_sends_is_sent_once(answers: Mapping[str, Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    async with program(answers) as (see, held):
        await scenes.deployments(see)
        rows = see.screen.table.source.loaded_rows()
        deployed = next(index for index, row in enumerate(rows) if row.state == "deployed")
        await see.press(*["down"] * deployed)
        await see.until(lambda: see.screen.current.state == "deployed", "a deployment that serves")
        name = see.screen.current.name
        said: list[str] = []
        flash = see.screen.flash

        def listen(text: str, *style: str) -> None:
            said.append(text)
            flash(text, *style)

        monkeypatch.setattr(see.screen, "flash", listen)
        await see.press("r", "r", "r")
        await see.until(lambda: held.sent, "the request")
        await see.until(lambda: "waiting for the answer" in "".join(said), "what is said of the second")
        await see.shows(f"{name}: restarts", "sending … ", "esc leaves")
        assert len(held.sent) == 1
        held.time_out()
        await see.until(lambda: "Trying again is safe" in notified(see), "the advice")
        await see.until(lambda: see.app.answering, "the service to answer")
        await see.press("r")
        await see.until(lambda: len(held.sent) == 2, "the request once more")
        assert held.keys[0] == held.keys[1]
        # Elsewhere it continues, and is reported.
        see.go("projects")
        await see.at("projects")
        assert held.cut_off == 0
        held.refuse()
        await see.until(lambda: "It is in use just now" in notified(see), "how it ended")


async def test_a_confirmed_change_is_sent_once(answers: Mapping[str, Answer]) -> None:
    async with program(answers) as (see, held):
        await the_version(see)
        await see.press("ctrl+d")
        await see.shows("Delete version")
        await see.press("right", "enter", "enter", "enter")
        await see.until(lambda: held.sent, "the request")
        held.refuse()
        await see.until(lambda: held.answered, "the answer")
        assert len(held.sent) == 1


def test_nothing_is_sent_in_another_way() -> None:
    """Changes are asked for in a form's `send`, or in a function that `change` gets."""
    changing = {
        name
        for name, function in inspect.getmembers(RegistryClient, inspect.isfunction)
        if not name.startswith("_")
        and any(f'"{method}"' in inspect.getsource(function) for method in ("POST", "PUT", "PATCH", "DELETE"))
        and "reads=True" not in inspect.getsource(function)
    }
    assert {"register_model", "create_key", "revoke_key", "stop_deployment", "test_deployment"} <= changing
    found = []
    files = sorted(Path(str(screens.__path__[0])).rglob("*.py"))
    assert len(files) > 50
    for file in files:
        for function in _methods(ast.parse(file.read_text())):
            for node in _own_nodes(function):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in changing:
                    of_client = "client" in ast.unparse(node.func.value)
                    if of_client and function.name != "send":
                        found.append(f"{file.name}: {function.name}: {node.func.attr}")
        assert '"change", exclusive' not in file.read_text(), file.name
    assert not found


def _methods(tree: ast.Module) -> Iterator[ast.AsyncFunctionDef | ast.FunctionDef]:
    """Functions of modules and classes; those inside of functions are given to somebody."""
    for node in tree.body:
        for each in node.body if isinstance(node, ast.ClassDef) else [node]:
            if isinstance(each, ast.AsyncFunctionDef | ast.FunctionDef):
                yield each


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.Lambda | ast.AsyncFunctionDef | ast.FunctionDef):
            yield child
            yield from _own_nodes(child)


# -- rows of forms that are there only where they have an effect ---------------------------------------------


def there(form: Form[Any], name: str) -> bool:
    """Whether the row of a field is there."""
    return bool(form.query_one(name).region)


async def test_an_approval_has_a_name_only_where_it_may_have_one(answers: Mapping[str, Answer]) -> None:
    async with program(answers, (80, 24)) as (see, _):
        form = await ask_approval(see)
        assert isinstance(form, AskApproval) and not there(form, "#name")
        form.query_one("#purpose", Select).value = "promote"
        await see.until(lambda: there(form, "#name"), "the name")
        form.query_one("#name", Input).value = "registry-prod"
        assert form.purpose == "promote:registry-prod"
        form.query_one("#purpose", Select).value = "stage:QA"
        await see.until(lambda: not there(form, "#name"), "the name to go")
        assert form.purpose == "stage:QA"
