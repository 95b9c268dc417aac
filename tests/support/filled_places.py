"""Forms about environments, projects, registries, people, rules and webhooks, opened and filled in."""

from __future__ import annotations

from typing import Any

from textual.widgets import Button, Checkbox, Input, TextArea

from registry_tui.schemas.idbroker import IdBrokerMapping, IdBrokerMappings, IdBrokerSyncStatus, SyncStatus
from registry_tui.schemas.places import BackendKind, EnvironmentBackend
from registry_tui.schemas.promotion import PromotionRules
from registry_tui.schemas.registries import StoreKey
from registry_tui.schemas.stores import EnvironmentStore, SignsIn, StoreSettings
from registry_tui.screens.activity.deciding import Decide
from registry_tui.screens.admission.exception_forms import ChangeException, CreateException
from registry_tui.screens.admission.rules_form import SetRules
from registry_tui.screens.base.form import Form
from registry_tui.screens.known.signing_forms import TrustKey
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
from registry_tui.screens.webhooks.webhook_forms import ChangeWebhook, CreateWebhook
from support import scenes
from support.life_cycle_scenes import LIFE_CYCLE_SCENES
from support.program import Driver
from support.sending import opened, the_project


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


async def decide(see: Driver) -> Form[Any]:
    await scenes.approvals(see)
    form = Decide(see.screen.current)
    await opened(see, form, comment="seen")
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


async def create_exception(see: Driver) -> Form[Any]:
    await scenes.exceptions(see)
    form = CreateException(see.screen.registry)
    await opened(see, form, reason="Ticket 12", model=scenes.MODEL, version="3", rule="approved")
    return form


async def change_exception(see: Driver) -> Form[Any]:
    await scenes.exceptions(see)
    form = ChangeException(see.screen.current)
    await opened(see, form, reason="Ticket 13")
    return form


async def trust_key(see: Driver) -> Form[Any]:
    form = TrustKey(scenes.ENVIRONMENT)
    await opened(see, form, name="fraud-team", key="-----BEGIN PUBLIC KEY-----")
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
